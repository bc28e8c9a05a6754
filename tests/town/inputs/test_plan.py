"""Config, map and manifest, checked together."""

from pathlib import Path

import numpy as np
import pytest

from tests.town.words import SHIPPED
from townlet_adapters.documents import Document, read_document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.inputs.plan import TownPlan, load_town
from townlet_adapters.worlds.town.inputs.prices import base_prices, cost_of_a_day
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_core.errors import ConfigError
from townlet_core.jsonvalue import JsonValue
from townlet_plugins.access import Access

HAMLET = shipped_file("hamlet_24").read_text()


def load(base_dir: Path = Path(), /, **options: JsonValue) -> TownPlan:
    return load_town(validate(Document(options, "o.yaml"), TownOptions), Access(base_dir))


def refused(base_dir: Path = Path(), /, **options: JsonValue) -> str:
    with pytest.raises(ConfigError) as caught:
        load(base_dir, **options)
    return str(caught.value.problems[0])


def grid(rows: int, cols: int, district: str = "town_48") -> JsonValue:
    return {"grid": {"district": district, "rows": rows, "cols": cols}}


def test_a_grid_repeats_the_district_with_suffixed_ids():
    one, many = load(), load(town=grid(2, 3))
    assert (many.id, many.districts, many.grid_rows, many.grid_cols) == ("town_48_2x3", 6, 2, 3)
    assert (many.width, many.height) == (144, 96)
    assert many.tiles.shape == many.place_at.shape == (96, 144)
    for number in range(6):
        i, j = divmod(number, 3)
        window = np.s_[i * 48 : i * 48 + 48, j * 48 : j * 48 + 48]
        places = many.place_at[window]
        assert (many.tiles[window] == one.tiles).all()
        assert (np.where(places < 0, -1, places - number * len(one.places)) == one.place_at).all()
    assert [place.id for place in many.places[9:18]] == [f"{place.id}@r0c1" for place in one.places]
    assert [job.id for job in many.jobs[-3:]] == ["barista@r1c2", "clerk@r1c2", "grocer@r1c2"]
    assert many.places[many.jobs[-1].place].id == "grocer@r1c2"
    assert many.entries == ((0, 23), (48, 23), (96, 23), (0, 71), (48, 71), (96, 71))
    assert (many.target, many.capacity, many.embedding_slots) == (48, 60, 120)
    assert many.warnings == ()


def test_objects_of_a_grid_are_numbered_row_by_row_over_the_whole_town():
    town = load(town=grid(2, 2))
    assert len(town.objects) == 100
    assert [(item.y, item.x) for item in town.objects] == sorted((item.y, item.x) for item in town.objects)
    beds = [item for item in town.objects if item.type == "bed"]
    assert [item.id for item in beds] == [f"bed_{n}" for n in range(1, 33)]
    assert [item.district for item in beds[:4]] == [0, 1, 0, 1]
    for item in town.objects:
        assert town.places[item.place].district == item.district
        assert all(town.place_at[y, x] == item.place for x, y in item.reach)


def test_home_tiles_are_ordered_by_district_then_row_then_column():
    town = load(town=grid(1, 2))
    assert [(home.district, home.y, home.x) for home in town.home_tiles] == sorted(
        (home.district, home.y, home.x) for home in town.home_tiles
    )
    assert all(town.place_at[home.y, home.x] == home.place for home in town.home_tiles)


def test_a_map_is_read_from_a_file_beside_the_config_and_keeps_its_digest(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(HAMLET)
    mine = load(tmp_path, town="mine.yaml")
    assert mine.town_digest == load(town="hamlet_24").town_digest
    assert mine.town_digest != load(town=grid(1, 2, "hamlet_24")).town_digest
    (tmp_path / "mine.yaml").write_text(HAMLET.replace("wage: 20", "wage: 19"))
    assert load(tmp_path, town="mine.yaml", economy={"balance_check": "off"}).town_digest != mine.town_digest


def test_what_is_wrong_in_a_file_is_told_with_that_file_and_its_line(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(HAMLET.replace("place: grocer, start", "place: grocers, start"))
    line = HAMLET[: HAMLET.index("place: grocer, start")].count("\n") + 1
    message = (
        f"{tmp_path / 'mine.yaml'}:{line}: jobs.grocer.place: unknown place 'grocers'; did you mean 'grocer'?"
    )
    assert refused(tmp_path, town="mine.yaml").startswith(message)
    (tmp_path / "acts.yaml").write_text("- id: x\n  object_type: bed\n  duration: 5\n  preconditions: [x]\n")
    message = refused(tmp_path, affordances={"extend": "acts.yaml"})
    assert message.startswith(
        f"{tmp_path / 'acts.yaml'}:4: [0].preconditions[0]: 'x': this is not a comparison; "
    )


def test_what_is_wrong_inline_is_told_with_its_key_in_the_options():
    act = {"id": "x", "object_type": "bed", "duration": 5, "effects": {"need:joy": 1}}
    message = refused(affordances={"extend": None, "add": [act]})
    assert message.startswith("affordances.add[0].effects.need:joy: unknown effect 'need:joy'; ")
    town = {"id": "x", "agents": 1, "legend": {".": {"tile": "floor"}}, "rows": ["..", ".?"]}
    assert refused(town=town).startswith('town.rows[1]: unknown symbol "?" at (1, 1); ')
    message = refused(town={"grid": {"district": town, "rows": 1, "cols": 1}})
    assert message.startswith('town.grid.district.rows[1]: unknown symbol "?" at (1, 1); ')


def test_a_file_that_is_not_there_is_told_with_the_shipped_names(tmp_path: Path):
    message = refused(tmp_path, town="town_84")
    assert message.startswith(
        f"town: 'town_84' is neither a shipped name nor a file ({tmp_path / 'town_84'}); "
    )
    assert "did you mean 'town_48'?" in message
    assert refused(tmp_path, town=grid(1, 1, "no.yaml")).startswith(
        "town.grid.district: 'no.yaml' is neither"
    )
    assert refused(tmp_path, affordances={"extend": "no.yaml"}).startswith("affordances.extend: 'no.yaml'")


def test_two_affordances_of_one_list_have_two_ids(tmp_path: Path):
    nap = "- id: nap\n  object_type: bed\n  duration: 60\n"
    (tmp_path / "acts.yaml").write_text(nap + nap)
    found = "duplicate id 'nap', already used by entry 0; give every affordance its own id"
    assert (
        refused(tmp_path, affordances={"extend": "acts.yaml"})
        == f"{tmp_path / 'acts.yaml'}:4: [1].id: {found}"
    )
    entry = {"id": "nap", "object_type": "bed", "duration": 60}
    assert refused(affordances={"add": [entry, entry]}) == f"affordances.add[1].id: {found}"


def test_disabled_affordances_keep_their_number():
    everything = load().affordances
    manifest = load(affordances={"enabled": ["relax", "eat_meal"]}).affordances
    assert [each.id for each in manifest.affordances] == [each.id for each in everything.affordances]
    assert {each.id for each in manifest.affordances if each.enabled} == {"eat_meal", "relax"}
    assert manifest.checksum == everything.checksum
    message = refused(affordances={"enabled": ["relax", "eat_meel"]})
    assert message.startswith(
        "affordances.enabled[1]: unknown affordance 'eat_meel'; did you mean 'eat_meal'? "
    )


def test_what_is_sold_without_a_price_does_not_load(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(HAMLET.replace("washhouse: home", "washhouse: park"))
    line = HAMLET[: HAMLET.index("..#22W22#")].count("\n") + 1
    message = refused(tmp_path, town="mine.yaml")
    assert message.startswith(
        f"{tmp_path / 'mine.yaml'}:{line}: rows[18]: use_shower at the shower at (5, 18) in washhouse needs "
        "the price park.shower, which is missing; add park.shower to vocabulary.prices; known prices: "
    )
    assert load(tmp_path, town="mine.yaml", affordances={"enabled": ["rest_sleep"]}).districts == 1


def test_prices_can_be_set_up_to_a_hundred_times_their_default():
    prices = load(economy={"prices": {"gym.session": 40_000}}).prices
    assert prices == {
        "home.meal": 400, "home.ingredients": 150, "home.shower": 200, "cafe.meal": 900,
        "grocer.ingredients": 150, "gym.session": 40_000,
    }  # fmt: skip
    message = refused(economy={"prices": {"gym.session": 40_001}})
    assert message == 'economy.prices["gym.session"]: 40001; allowed: a whole number from 0 to 40000'
    message = refused(economy={"prices": {"gym.meal": 1}})
    assert message.startswith("economy.prices[\"gym.meal\"]: unknown price key 'gym.meal'; ")


def test_the_basket_is_that_of_the_rules():
    assert cost_of_a_day(1550, base_prices(TownOptions().economy, SHIPPED), SHIPPED.basket) == 3010


@pytest.mark.parametrize(("rent", "loads"), [(1540, True), (1539, False), (1739, True), (1741, False)])
def test_a_job_pays_from_110_to_120_percent_of_a_day(rent, loads):
    """Grocer and clerk earn 3600: the basket may be 3000 to 3200 (barista: 3520)."""
    economy: dict[str, JsonValue] = {"rent_per_day": rent}
    if loads:
        assert load(economy=economy).warnings == ()
        return
    message = refused(economy=economy)
    assert message.startswith("economy.rent_per_day: the shipped map 'town_48' does not fit: jobs.")
    assert "set economy.balance_check to warn or off" in message
    assert load(economy={**economy, "balance_check": "off"}).warnings == ()
    assert "a shift pays" in load(economy={**economy, "balance_check": "warn"}).warnings[0]


def test_a_job_may_have_another_late_fine_in_every_district():
    town = load(town=grid(1, 2), employment={"jobs": {"clerk": {"late_fine": 7}}})
    assert [job.late_fine for job in town.jobs] == [120, 7, 100, 120, 7, 100]
    message = refused(employment={"jobs": {"clark": {"late_fine": 7}}})
    assert message.startswith("employment.jobs.clark: unknown job 'clark'; did you mean 'clerk'? ")


def test_sizes_come_from_the_map_unless_given():
    plan = load(population={"target": 4}, embeddings={"max_slots": 5})
    assert (plan.target, plan.capacity, plan.embedding_slots) == (4, 5, 5)
    assert (
        refused(population={"capacity": 7})
        == "population.capacity: 7; allowed: at least population.target, 8"
    )
    message = refused(embeddings={"max_slots": 9})
    assert message == "embeddings.max_slots: 9; allowed: at least population.capacity, 10"


def test_a_town_that_lacks_something_loads_with_warnings():
    warnings = load(population={"target": 9}).warnings
    assert warnings == (
        "9 residents need 3 objects of type fridge; the town has 2",
        "9 residents need 9 objects of type bed; the town has 8",
        "9 residents need 3 objects of type shower; the town has 2",
        "9 residents need 2 objects of type checkout; the town has 1",
        "9 residents need 9 home tiles; the town has 8",
        "9 residents need jobs for 10, including vacancies; the town has 9",
    )


def test_personalities_can_only_be_given_to_names_that_occur():
    assert load(personalities={"overrides": {"Ada": "stoic", "Ada-2": "balanced"}})
    message = refused(personalities={"overrides": {"Adda": "stoic"}})
    assert message.startswith("personalities.overrides.Adda: unknown name 'Adda'; did you mean 'Ada'? ")


def test_there_are_64_names_in_their_order():
    names = load().names
    assert (len(names), len(set(names)), names[0], names[-1]) == (64, 64, "Ada", "Zeno")
    assert list(names) == sorted(names)


@pytest.mark.parametrize(("name", "residents"), [("town", 8), ("hamlet", 3), ("city", 512)])
def test_a_shipped_config_describes_a_town_that_lacks_nothing(name, residents):
    document = read_document(Path(__file__).parents[3] / "configs" / f"{name}.yaml")
    options = validate(document.child(("world", "options")), TownOptions)
    town = load_town(options, Path())
    assert (town.target, town.warnings) == (residents, ())


OWN = {
    "needs": {"fun": {"decay": 0.1, "option": "play"}},
    "place_kinds": {"club": {}},
    "object_types": {"table": {}},
    "profiles": {"plain": {"weight": 1}},
}
READ = {"id": "read", "object_type": "bench", "duration": 9, "charge": [{"price:shower": 1}]}
POET = {"place": "park", "start": 600, "end": 660, "wage": 10, "capacity": 1}


def without(**removed: list[str]) -> dict[str, JsonValue]:
    """The shipped vocabulary without some entries."""
    return {"extend": "town", "remove": removed}


@pytest.mark.parametrize(
    ("key", "words", "options"),
    [
        (
            "vocabulary.remove.object_types[0]",
            "legend.R.object: unknown type of object 'rack'; keep what it needs, or draw over every one",
            {"vocabulary": without(object_types=["rack"])},
        ),
        (
            "vocabulary.remove.object_types[0]",
            "object 'rack'; keep what it needs, or leave it out (affordances.remove: [work_out])",
            {
                "vocabulary": without(object_types=["rack"]),
                "town": {"extend": "town_48", "stamp": [{"at": [38, 31], "rows": ["yyyyyyy"]}]},
            },
        ),
        (
            "vocabulary.remove.place_kinds[0]",
            "prices[\"gym.session\"] uses 'gym'; remove gym.session as well (vocabulary.remove.prices)",
            {"vocabulary": without(place_kinds=["gym"])},
        ),
        (
            "vocabulary.remove.place_kinds[0]",
            "the shipped map 'town_48' does not fit: kinds.gym: unknown kind of place 'gym'",
            {"vocabulary": without(place_kinds=["gym"], prices=["gym.session"])},
        ),
        (
            "vocabulary.remove.items[0]",
            "fridge.stock.meal uses 'meal'; remove fridge as well (vocabulary.remove.object_types)",
            {"vocabulary": without(items=["meal"])},
        ),
        (
            "vocabulary.remove.items[0]",
            "buy_groceries of the shipped manifest 'core' does not fit: ",
            {
                "vocabulary": {
                    **without(items=["ingredients"]),
                    "object_types": {"stove": {}, "checkout": {}},
                },
                "affordances": {"remove": ["cook_meal"]},
            },
        ),
        (
            "vocabulary.remove.prices[0]",
            "charge[0].price:session: no kind of place has a price for 'session'",
            {"vocabulary": without(prices=["gym.session"])},
        ),
        (
            "vocabulary.remove.prices[0]",
            "in grocer needs the price grocer.ingredients, which is missing",
            {"vocabulary": without(prices=["grocer.ingredients"])},
        ),
        (
            "affordances.add[0].charge",
            "in park needs the price park.shower, which is missing; add park.shower to vocabulary.prices",
            {"affordances": {"add": [READ]}},
        ),
        (
            "vocabulary.remove.needs[0]",
            "rest_sleep is left without an effect; remove it as well: affordances.remove: [rest_sleep]",
            {"vocabulary": without(needs=["energy"])},
        ),
        ("vocabulary", "legend.F.object: unknown type of object 'fridge'", {"vocabulary": OWN}),
        ("economy.prices", "jobs.barista.wage", {"economy": {"prices": {"home.meal": 0}}}),
        ("economy.rent_per_day", "jobs.barista.wage", {"economy": {"rent_per_day": 0}}),
        (
            "economy.rent_per_day",
            "the shipped map 'town_48' does not fit: jobs.barista.wage",
            {"economy": {"rent_per_day": 0}, "town": {"extend": "town_48"}},
        ),
        (
            "vocabulary.prices",
            "jobs.barista.wage",
            {"vocabulary": {"extend": "town", "prices": {"home.meal": 9}}},
        ),
        (
            "vocabulary.basket",
            "jobs.barista.wage",
            {"vocabulary": {"extend": "town", "basket": {"home.meal": 9}}},
        ),
        (
            "town.jobs.poet.wage",
            "a shift pays 600 mills",
            {"town": {"extend": "town_48", "jobs": {"poet": POET}}},
        ),
    ],
)
def test_what_the_shipped_town_does_not_fit_is_reported_at_what_the_config_says(key, words, options):
    message = refused(**options)
    assert message.startswith(f"{key}: ")
    assert words in message


def test_a_problem_of_a_map_that_a_config_extends_is_reported_where_it_was_written(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(HAMLET.replace("object: bench", "object: bank"))
    line = HAMLET[: HAMLET.index("object: bench")].count("\n") + 1
    message = refused(tmp_path, town={"extend": "mine.yaml"})
    assert message.startswith(
        f"{tmp_path / 'mine.yaml'}:{line}: legend.N.object: unknown type of object 'bank'; "
    )


def stamped(at: tuple[int, int], *rows: str) -> JsonValue:
    """The small town, drawn over at one place; a space leaves a tile as it is."""
    return {"extend": "hamlet_24", "stamp": [{"at": list(at), "rows": list(rows)}]}


def test_a_stamp_may_touch_the_edges_of_the_map():
    plain = load(town={"extend": "hamlet_24"})
    for at in ((0, 0), (22, 0), (0, 22), (22, 22)):
        assert (load(town=stamped(at, " ", "  ")).tiles == plain.tiles).all()


@pytest.mark.parametrize(
    ("at", "rows", "to"),
    [
        ((23, 22), (" ", "  "), (24, 23)),
        ((22, 23), (" ", "  "), (23, 24)),
        ((0, 0), (" " * 25,), (24, 0)),
        ((0, 0), (" ",) * 25, (0, 24)),
    ],
)
def test_a_stamp_that_leaves_the_map_is_refused_with_its_corners(at, rows, to):
    assert refused(town=stamped(at, *rows)) == (
        f"town.stamp[0]: a stamp from {at} to {to}; allowed: within the map, (0, 0) to (23, 23)"
    )


REMOVABLE = [
    (section, name)
    for section in ("needs", "items", "place_kinds", "object_types", "prices", "profiles")
    for name in getattr(SHIPPED, section)
]


@pytest.mark.parametrize(("section", "name"), REMOVABLE)
@pytest.mark.parametrize("town", ["town_48", "hamlet_24", {"extend": "town_48"}])
def test_no_removal_is_blamed_on_a_file_that_came_with_the_town(section, name, town):
    """Each problem is one of the config: it has no file yet, and its key is that of the removal."""
    try:
        load(vocabulary=without(**{section: [name]}), town=town)
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ()
    assert {(problem.file, problem.key) for problem in problems} <= {("", f"vocabulary.remove.{section}[0]")}
