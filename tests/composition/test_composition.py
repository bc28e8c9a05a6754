import json
from dataclasses import replace
from pathlib import Path

import pytest

from townlet_adapters.composition import (
    Output,
    RunRequest,
    live_briefly,
    load_config,
    open_run,
)
from townlet_adapters.config.model import RunConfig
from townlet_adapters.config.source import parse_override
from townlet_adapters.running import open_simulation
from townlet_adapters.storage.snapshots import list_snapshots
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_core.dto.plan import TownPlan
from townlet_core.errors import ConfigError, ContractError, OutputError, SnapshotError
from townlet_core.events.schema import schema_id
from townlet_core.plans import plan_hash
from townlet_core.records import record_from_json

CONFIG = {
    "townlet": 1,
    "name": "trial",
    "seed": 7,
    "world": {"use": "town", "options": {"town": "hamlet_24"}},
    "policy": {"use": "scripted"},
}


def facts(folder: Path) -> list:
    """The facts of a run folder, without what is about delivery alone."""
    lines = map(json.loads, (folder / "events.ndjson").read_text().splitlines())
    return [(line["seq"], line["tick"], line["type"], line["data"]) for line in lines if "seq" in line]


def kept(path: Path, *overrides: str, **request) -> RunRequest:
    changes = tuple(parse_override(each) for each in overrides)
    return RunRequest(**{"config": CONFIG} | request, overrides=changes, output=Output(keep=True, path=path))


def run(request: RunRequest, ticks: int):
    with open_run(request) as opened:
        return opened.loop.run_for(ticks)


def test_a_simulation_opens_from_a_name_a_path_a_mapping_and_a_model(tmp_path):
    (tmp_path / "a.yaml").write_text(json.dumps(CONFIG))
    sources = [tmp_path / "a.yaml", str(tmp_path / "a.yaml"), CONFIG, RunConfig.model_validate(CONFIG)]
    digests = set()
    for source in sources:
        with open_simulation(source, overrides={"telemetry.sinks": []}, digest=True) as simulation:
            digests.add(simulation.run_for(20).digest)
    assert len(digests) == 1
    with open_simulation("configs/hamlet.yaml", seed=3, overrides={"telemetry.sinks": []}) as simulation:
        assert simulation.run_for(5).seed == 3


def test_a_run_folder_tells_who_the_run_is_and_what_happened(tmp_path):
    with open_run(kept(tmp_path / "run")) as opened:
        summary = opened.loop.run_for(30)
    identity = json.loads((tmp_path / "run" / "run.json").read_text())
    assert identity["seed"] == 7
    assert identity["config_digest"] == summary.config_digest == opened.config.config_digest
    assert identity["run_id"] == summary.run_id
    assert identity["config"]["world"]["options"]["town"] == "hamlet_24"
    assert {"townlet", "python", "numpy", "numba"} <= set(identity["versions"])
    assert {row["distribution"] for row in identity["plugins"]} == {"townlet"}
    told = facts(tmp_path / "run")
    assert [fact[0] for fact in told] == list(range(summary.events_total))
    assert sum(fact[2] == "townlet.loop.tick" for fact in told) == 30


def test_sinks_have_delivered_everything_when_they_are_drained(tmp_path):
    with open_run(kept(tmp_path / "run")) as opened:
        summary = opened.loop.run_for(30)
        (status,) = opened.drain()
    assert status.offered == status.delivered >= summary.events_total
    assert status.dropped == {}


def test_two_sinks_of_a_kind_are_told_apart_and_have_producers_of_their_own(tmp_path):
    second = "{use: file, options: {path: b.ndjson}, stream: {mode: snapshot, every: 1}}"
    with open_run(kept(tmp_path / "run", f"telemetry.sinks=[{{use: file}}, {second}]")) as opened:
        opened.loop.run_for(3)
        first, second = opened.drain()
    assert (first.name, second.name) == ("file", "file-2")
    assert second.delivered == first.delivered + 1 + 3  # the plan, and three frames
    sources = {
        json.loads((tmp_path / "run" / name).read_text().splitlines()[0])["source"].rpartition(":")[2]
        for name in ("events.ndjson", "b.ndjson")
    }
    assert sources == {"p1", "p2"}


def test_resuming_continues_the_same_facts_and_the_same_digest(tmp_path):
    whole = run(kept(tmp_path / "whole"), 60)
    first = run(kept(tmp_path / "first", "runner.snapshot_every=25"), 50)
    second = run(kept(tmp_path / "second", config=None, resume=tmp_path / "first"), 10)
    assert second.digest == whole.digest != first.digest
    assert facts(tmp_path / "first") + facts(tmp_path / "second") == facts(tmp_path / "whole")
    assert json.loads((tmp_path / "second" / "run.json").read_text())["parent"]["tick"] == 50


def test_a_resumed_run_may_change_name_pace_and_telemetry_but_not_the_town(tmp_path):
    run(kept(tmp_path / "first", "runner.snapshot_every=10"), 10)
    changed = kept(tmp_path / "b", "name=other", "telemetry.stream.mode=snapshot", resume=tmp_path / "first")
    assert run(changed, 5).ticks == 5
    with pytest.raises(SnapshotError, match=r"world\.options\.queues\.hold_ticks differs") as caught:
        run(kept(tmp_path / "c", "world.options.queues.hold_ticks=9", resume=tmp_path / "first"), 5)
    assert caught.value.code == "snapshot_config"
    assert not (tmp_path / "c").exists()


def test_a_resumed_run_has_the_seed_of_its_snapshot(tmp_path):
    run(kept(tmp_path / "first", "runner.snapshot_every=10", seed=5), 10)
    assert run(kept(tmp_path / "second", resume=tmp_path / "first"), 5).seed == 5
    with pytest.raises(SnapshotError, match=r"has seed 5, not 7; .*leave --seed out"):
        run(kept(tmp_path / "third", resume=tmp_path / "first", seed=7), 5)


def test_a_snapshot_holds_the_files_that_its_config_named(tmp_path):
    (tmp_path / "map.yaml").write_text(shipped_file("hamlet_24").read_text())
    (tmp_path / "acts.yaml").write_text(shipped_file("manifest").read_text())
    options = {"town": "map.yaml", "affordances": {"extend": "acts.yaml"}}
    (tmp_path / "a.yaml").write_text(json.dumps(CONFIG | {"world": {"use": "town", "options": options}}))
    source = tmp_path / "a.yaml"
    whole = run(kept(tmp_path / "whole", config=source), 30)
    run(kept(tmp_path / "first", "runner.snapshot_every=20", config=source), 20)
    (tmp_path / "map.yaml").unlink()
    (tmp_path / "acts.yaml").unlink()
    resumed = run(kept(tmp_path / "second", config=None, resume=tmp_path / "first"), 10)
    assert resumed.digest == whole.digest


def test_only_the_newest_snapshots_are_kept(tmp_path):
    run(kept(tmp_path / "run", "runner.snapshot_every=5", "runner.snapshot_retain=2"), 22)
    names = [path.name for path in list_snapshots(tmp_path / "run")]
    assert names == ["snapshot-15.json.gz", "snapshot-20.json.gz"]


def test_without_a_run_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notes: list[str] = []
    changes = (parse_override("runner.snapshot_every=5"),)
    assert run(RunRequest(CONFIG, overrides=changes, notify=notes.append), 10).sinks == ()
    assert notes == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "override",
    [
        "world.options.town=gone.yaml",
        "world.options.economy.prices={none: 3}",
        "world.options.affordances.enabled=[fly]",
        "telemetry.sinks=[{use: file}, {use: file, options: {path: /dev/null/x.ndjson}}]",
    ],
)
def test_a_run_that_cannot_be_built_leaves_nothing_behind(tmp_path, override):
    with pytest.raises((ConfigError, OutputError)):
        run(kept(tmp_path / "runs" / "trial", override), 1)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_run_leaves_a_snapshot_that_can_be_looked_at_but_not_resumed(tmp_path):
    with open_run(kept(tmp_path / "run")) as opened:
        opened.loop.run_for(3)
        opened.loop._ticks._parts = replace(opened.loop._parts, observers=(_Broken(),))
        with pytest.raises(ContractError, match="broken on purpose"):
            opened.loop.run_for(3)
    (path,) = (tmp_path / "run" / "snapshots").iterdir()
    assert path.name.startswith("failure-")
    with pytest.raises(SnapshotError, match="for inspection only"):
        run(kept(tmp_path / "again", config=None, resume=path), 1)


class _Broken:
    name = "kpis"

    def observe(self, _outcome, _tick):
        raise RuntimeError("broken on purpose")

    def kpis(self):
        return {}

    def export_state(self):
        return {}


def test_living_briefly_uses_every_part_and_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    live_briefly(load_config(CONFIG))
    assert list(tmp_path.iterdir()) == []


def test_a_run_folder_holds_the_plan_that_the_events_name(tmp_path):
    with open_run(kept(tmp_path / "run", "telemetry.stream.mode=diff")) as opened:
        opened.loop.run_for(3)
        opened.drain()
        plan = opened.loop.plan()
    stored = json.loads((tmp_path / "run/plan.json").read_text())
    assert stored["planhash"] == plan_hash(plan)
    assert stored["dataschema"] == schema_id("state.plan")
    assert record_from_json(TownPlan, stored["data"]) == plan
    lines = [json.loads(line) for line in (tmp_path / "run/events.ndjson").read_text().splitlines()]
    states = [line for line in lines if line["type"].startswith("townlet.state.")]
    kinds = [line["type"].removeprefix("townlet.state.") for line in states]
    assert kinds == ["plan", "frame", "patch", "patch"]
    assert (states[0]["data"], states[0]["tick"]) == (stored["data"], 0)
    assert [line.get("planhash") for line in states] == [stored["planhash"], stored["planhash"], None, None]
    assert "seq" not in states[0]
