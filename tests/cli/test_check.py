"""`townlet config check` of a valid config: what the world is that its options make."""

import json
import re

import pytest
import yaml

from tests.house.sources import ROOT
from townlet_adapters.composition import load_config
from townlet_adapters.composition.parts import remarks_of
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_core.errors import PluginError

LIBRARY = str(ROOT / "examples/library/town.yaml")


def remarks(townlet, *arguments):
    """Check a config; gives its remarks by topic."""
    code, out, err = townlet("config", "check", "--json", *arguments)
    assert (code, err) == (0, "")
    (verdict,) = json.loads(out)
    assert verdict["problems"] == []
    found = {}
    for remark in verdict["remarks"]:
        found.setdefault(remark["topic"], []).append(remark["text"])
    return found


def test_it_says_what_a_symbol_of_the_map_means_and_how_large_the_town_is(townlet):
    code, out, err = townlet("config", "check", "configs/hamlet.yaml")
    assert (code, err) == (0, "")
    assert out.splitlines()[:6] == [
        "configs/hamlet.yaml: ok",
        "  town      hamlet_24: 24 x 24 tiles; 3 residents, 4 places, 9 objects, 3 home tiles, 1 job",
        "  ground    . floor,  = road,  # wall,  + door",
        "  places    1 home_1 (home),  2 washhouse (home),  g grocer,  p park",
        "  objects   F fridge,  S stove,  B bed,  W shower,  X checkout,  N bench",
        "  marks     E entry, road,  h home tile",
    ]


@pytest.mark.parametrize("name", ["town_48", "hamlet_24"])
def test_no_symbol_of_a_shipped_map_is_left_out(townlet, name):
    legend = yaml.safe_load(shipped_file(name).read_text())["legend"]
    found = remarks(townlet, "configs/town.yaml", "--set", f"world.options.town={name}")
    listed = ",  ".join(found[topic][0] for topic in ("ground", "places", "objects", "marks"))
    assert sorted(each[0] for each in listed.split(",  ")) == sorted(legend)


def test_it_says_what_a_config_has_beyond_the_shipped_town_and_what_it_has_not(townlet):
    found = remarks(townlet, LIBRARY)
    assert found["stamp 0"] == ["l library,  L shelf in library"]
    (new,) = found["new"]
    assert new.split(", ") == [
        "need fun",
        "item book",
        "kind of place library",
        "type of object shelf",
        "profile bookworm",
        "price library.book",
        "affordance read_book",
    ]
    assert found["without"] == ["affordance work_out"]
    assert not found.keys() & {"changed", "dropped", "warning", "unused", "disabled"}
    plain = remarks(townlet, "configs/town.yaml")
    assert not plain.keys() & {"new", "changed", "without", "dropped", "warning", "unused", "disabled"}


def test_it_says_what_is_changed_disabled_and_drawn_nowhere(townlet):
    bench = {"id": "relax", "object_type": "bench", "duration": 9}
    walls = {"w": {"tile": "water"}, "v": {"tile": "wall"}}
    options = {
        "vocabulary": {"extend": "town", "items": {"meal": {"carry": 9}}},
        "affordances": {"enabled": ["relax", "eat_meal"], "add": [bench]},
        "town": {"extend": "town_48", "stamp": [{"at": [0, 0], "rows": ["w"], "legend": walls}]},
    }
    found = remarks(townlet, "configs/town.yaml", "--set", f"world.options={json.dumps(options)}")
    assert found["changed"] == ["item meal, affordance relax"]
    assert found["disabled"] == ["cook_meal, use_shower, rest_sleep, buy_groceries, buy_meal, work_out"]
    assert found["unused"] == ["no tile has v"]


def test_it_says_what_a_removal_drops(townlet):
    removal = "world.options.vocabulary={extend: town, remove: {needs: [hygiene]}}"
    found = remarks(townlet, "configs/town.yaml", "--set", removal)
    assert found["without"] == ["need hygiene"]
    assert found["dropped"] == [
        "use_shower: precondition hygiene < 0.95",
        "use_shower: effect need:hygiene",
        "work_out: effect need:hygiene",
    ]


def test_it_warns_of_shortages_gridlock_and_of_needs_that_nothing_raises(townlet):
    found = remarks(
        townlet,
        "configs/hamlet.yaml",
        "--set", "world.options.population.target=9",
        "--set", "world.options.queues.ghost_step_after=0",
        "--set", "world.options.affordances.remove=[use_shower]",
    )  # fmt: skip
    assert "9 residents need 3 objects of type fridge; the town has 1" in found["warning"]
    assert len([each for each in found["warning"] if "queues.ghost_step_after is 0: two" in each]) == 1
    assert [each for each in found["warning"] if "hygiene" in each] == [
        "nothing in the town raises the need hygiene; add an affordance and an object with it"
    ]
    alone = "world.options={town: hamlet_24, population: {target: 1}, queues: {ghost_step_after: 0}}"
    assert "warning" not in remarks(townlet, "configs/hamlet.yaml", "--set", alone)


def test_a_run_logs_the_warnings_and_nothing_else_of_it(townlet):
    change = ("--set", "world.options.population.target=4", "--no-out", "--ticks", "1")
    _, out, err = townlet("run", "configs/hamlet.yaml", *change)
    assert "4 residents need 2 objects of type bed" not in out
    assert len(re.findall("4 residents need 4 home tiles; the town has 3", err)) == 1
    assert "24 x 24 tiles" not in err


def test_symbols_can_neither_hide_a_line_nor_add_one(townlet):
    hidden = (
        'world.options.town={extend: town_48, stamp: [{at: [0, 0], rows: ["\\u2028"], '
        'legend: {"\\u2028": {tile: water}}}]}'
    )
    code, out, _ = townlet("config", "check", "configs/town.yaml", "--set", hidden)
    assert code == 0
    assert "  stamp 0   \\u2028 water" in out.splitlines()


class Talker:
    """A world that describes itself."""

    def __init__(self, *said):
        self.said = said

    def describe(self):
        if not self.said:
            raise RuntimeError("lost for words")
        return self.said


def test_a_world_of_a_plugin_describes_itself_in_the_same_way():
    config = load_config({"townlet": 1, "name": "talk", "seed": 1})
    assert remarks_of(config, Talker(("stalls", "five"))) == (("stalls", "five"),)
    assert remarks_of(config, object()) == ()
    for broken in (Talker(), Talker("a line"), Talker(3)):
        with pytest.raises(PluginError, match="the world 'town' is broken: it cannot describe itself: "):
            remarks_of(config, broken)


# The timeline.

ACQUIRE = "{tick: 5, name: possess, args: {agent_id: a00000, action: acquire}}"
HURRIED = "{tick: 6, name: set_ned, args: {}}"
UNFIT = "{tick: 7, name: set_need, args: {agent_id: 3}}"
LOUD = "{tick: 8, name: announce, args: {message: Good morning}}"


def test_the_commands_of_a_timeline_are_checked_with_those_of_stages_and_observers(townlet):
    def checked(stages, *commands):
        change = ("--set", f"stages={stages}", "--set", f"commands=[{', '.join(commands)}]")
        return townlet("config", "check", "configs/hamlet.yaml", *change)

    code, out, err = checked("[possession]", ACQUIRE, LOUD)
    assert (code, err, out.splitlines()[0]) == (0, "", "configs/hamlet.yaml: ok")
    code, out, _ = checked("[]", ACQUIRE, HURRIED, UNFIT)
    assert code == 2
    unknown, misspelt, unfit = out.splitlines()
    assert "commands[0].name: unknown command 'possess'" in unknown
    assert "commands[1].name: unknown command 'set_ned'" in misspelt
    assert "commands[2].args: set_need: agent_id" in unfit
