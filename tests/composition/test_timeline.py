"""The timeline of a run: in the config, in a file that it names, in a file of ``--commands``, and resumed."""

import json

import numpy as np
import pytest
import yaml

from tests.composition.test_running import CONFIG
from tests.house.sources import ROOT
from townlet import open_simulation, run
from townlet_adapters.composition import Output, RunRequest
from townlet_adapters.config.source import find_config
from townlet_adapters.running import execute
from townlet_core.errors import ConfigError, SnapshotError
from townlet_core.events.console import ConsoleResult

TIE = ("other", "rivalry", "trust", "familiarity")
HUNGRY = {"tick": 3, "name": "set_need", "args": {"agent_id": "a00000", "needs": {"hunger": 0.25}}}
DIRTY = {"tick": 7, "name": "set_need", "args": {"agent_id": "a00001", "needs": {"hygiene": 0.25}}}


def told(config, ticks=12, **settings):
    """The ticks of the results that a run tells."""
    ticks_told = []
    with open_simulation(config, **settings) as loop:
        loop.dispatcher.subscribe(
            ConsoleResult.kind, lambda fact: ticks_told.append((fact.tick, fact.event.cmd_id)), name="test"
        )
        loop.run_for(ticks)
    return ticks_told


def lines(path, *entries):
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    return path


def test_a_config_holds_a_timeline_or_names_its_file(tmp_path):
    lines(tmp_path / "day.ndjson", HUNGRY, DIRTY)
    written = tmp_path / "run.yaml"
    written.write_text(
        "townlet: 1\nseed: 7\nworld: {use: town, options: {town: hamlet_24}}\ncommands: day.ndjson\n"
    )
    expected = [(3, "commands[0]"), (7, "commands[1]")]
    assert told(written) == told({**CONFIG, "commands": [HUNGRY, DIRTY]}) == expected


def test_the_file_of_the_option_is_appended(tmp_path):
    file = lines(tmp_path / "more.ndjson", DIRTY)
    output = Output(keep=True, path=tmp_path / "run")
    execute(RunRequest({**CONFIG, "commands": [HUNGRY]}, commands=file, output=output), 12)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["config"]["commands"] == [HUNGRY, DIRTY]


def test_a_resumed_run_goes_on_with_its_timeline_and_refuses_another_one(tmp_path):
    config = {**CONFIG, "commands": [HUNGRY, DIRTY]}
    whole = run(config, ticks=12, digest=True)
    run(config, ticks=7, out=tmp_path / "run")
    with pytest.raises(SnapshotError, match="another simulation: commands"):
        run(CONFIG, ticks=5, resume=tmp_path / "run")
    resumed = run(ticks=5, resume=tmp_path / "run", out=tmp_path / "run")
    assert resumed.digest == whole.digest != run(CONFIG, ticks=12, digest=True).digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"tick": 1}\nnonsense\n', "timeline:2: not a command"),
        ('{"tick": 1, "name": "set_need", "args": {}}\n[1\n', "timeline:2: "),
        ('{"tick": -1, "name": "set_need", "args": {}}\n', "--commands: commands[0].tick"),
        ('\n{"tick": 1, "name": "set_ned", "args": {}}\n', "commands[0].name: unknown command 'set_ned'"),
        (
            '{"tick": 1, "name": "set_need", "args": {"agent_id": 3}}\n',
            "commands[0].args: set_need: agent_id",
        ),
    ],
)
def test_a_mistake_in_a_timeline_is_an_error_before_the_first_tick(tmp_path, text, message):
    file = tmp_path / "timeline"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        execute(RunRequest(CONFIG, commands=file), 5)
    assert message in str(caught.value)


# Commands about two residents.


def test_a_resumed_run_goes_on_with_ties_that_its_timeline_sets(tmp_path):
    pair = {"owner": "a00000", "other": "a00001"}
    talk = {"speaker": "a00000", "listener": "a00001"}
    beside = [
        {"tick": 8, "name": "teleport", "args": {"agent_id": "a00000", "position": [5, 15]}},
        {"tick": 8, "name": "teleport", "args": {"agent_id": "a00001", "position": [5, 16]}},
    ]
    commands = [
        {"tick": 1, "name": "set_rel", "args": {**pair, "trust": 0.75}},
        *beside,
        {"tick": 8, "name": "force_chat", "args": {**talk, "quality": 0.5}},
    ]
    config = {**CONFIG, "commands": commands}
    whole = run(config, ticks=12, digest=True)
    run(config, ticks=7, out=tmp_path / "run")
    resumed = run(ticks=5, resume=tmp_path / "run", out=tmp_path / "run")
    assert resumed.digest == whole.digest
    results = []
    with open_simulation(config) as loop:
        loop.dispatcher.subscribe(ConsoleResult.kind, lambda fact: results.append(fact.event), name="test")
        loop.run_for(12)
    assert [(each.name, each.status) for each in results if each.name != "teleport"] == [
        ("set_rel", "ok"),
        ("force_chat", "ok"),
    ]


# The guide's example of possession.


def test_every_command_of_the_guide_that_acts_for_a_resident_is_executed():
    (example,) = (
        block.partition("```")[0]
        for block in (ROOT / "docs/guides/timelines.md").read_text().split("```yaml\n")[1:]
        if block.startswith("stages")
    )
    results = []
    with open_simulation({**CONFIG, **yaml.safe_load(example)}) as loop:
        loop.dispatcher.subscribe(ConsoleResult.kind, lambda fact: results.append(fact.event), name="test")
        loop.run_for(10)
    assert [(each.name, each.status) for each in results] == [
        ("possess", "ok"),
        ("act", "ok"),
        ("act", "ok"),
        ("possess", "ok"),
    ]


# The shipped story.


def test_two_neighbours_fall_out_over_the_shower_and_make_up_over_lunch():
    facts = []
    with open_simulation(
        find_config("configs/stories/first-clash.yaml"), overrides={"telemetry.sinks": []}
    ) as loop:
        for kind in ("queue.conflict", "social.shared_meal"):
            loop.dispatcher.subscribe(kind, facts.append, name=kind)
        ties = []
        for ticks in (60, 330, 90):
            loop.run_for(ticks)
            columns = {name: np.asarray(loop.observation.view.columns[f"tie_{name}"])[0] for name in TIE}
            k = columns["other"].tolist().index(1)
            ties.append((columns["rivalry"][k], columns["trust"][k] + columns["familiarity"][k]))
    clash, lunch = (
        next(fact for fact in facts if fact.event.kind == kind)
        for kind in ("queue.conflict", "social.shared_meal")
    )
    assert {clash.event.actor, clash.event.rival} == {"a00000", "a00001"}
    assert clash.event.reason == "waiting"
    assert clash.event.object_id.startswith("shower")
    assert clash.tick < 60
    assert set(lunch.event.agents) == {"a00000", "a00001"}
    assert 390 <= lunch.tick < 480
    (angry, _), (_, before), (_, after) = ties
    assert angry > 0
    assert after > before + 0.2
