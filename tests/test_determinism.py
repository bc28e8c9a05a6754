"""The same config and seed give the same bytes, whoever runs them, however, in one piece or two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet import open_simulation
from townlet_adapters.storage.snapshots import read_snapshot
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_core.events.base import Fact
from townlet_core.loop import SimulationLoop

TOWNLET = Path(sys.executable).with_name("townlet")
HAMLET = "configs/hamlet.yaml"
SEED = 3
SILENT = {"telemetry.sinks": []}


def townlet(*words: str, **environment: str) -> str:
    """Run the command in a process of its own and give its standard output."""
    done = subprocess.run(
        [TOWNLET, *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def digest_after(ticks: int, config: str = HAMLET, seed: int = SEED, **overrides: object) -> str | None:
    """Run a simulation in this process and give the digest of its facts."""
    with open_simulation(config, seed=seed, overrides=SILENT | overrides, digest=True) as loop:
        return loop.run_for(ticks).digest


def facts_of(folder: Path) -> list[tuple[int, int, str, str]]:
    """Read the facts of a run folder: (seq, tick, type, data), without what every run has of its own."""
    facts = []
    for line in (folder / "events.ndjson").read_text().splitlines():
        told = json.loads(line)
        if "seq" in told:
            facts.append((told["seq"], told["tick"], told["type"], json.dumps(told["data"])))
    return facts


def listen(loop: SimulationLoop) -> list[object]:
    """Collect the facts of the kinds that a day without society is made of, and the numbers of every tick."""
    heard: list[object] = []
    for kind in ("loop.tick", "affordance.start", "affordance.finish", "affordance.fail", "queue.join",
                 "queue.grant", "queue.leave", "queue.conflict", "lifecycle.arrive", "lifecycle.moved",
                 "employment.hired", "employment.shift_end", "economy.day", "policy.metadata"):  # fmt: skip
        loop.dispatcher.subscribe(kind, heard.append, name=kind)
    return heard


@pytest.fixture(scope="module")
def expected() -> str | None:
    """The digest of 400 ticks of the hamlet in this process, at full speed, without a sink."""
    return digest_after(400)


def test_another_process_with_other_hashes_another_speed_and_sinks_tells_the_same(expected, tmp_path):
    summary = tmp_path / "summary.json"
    told = townlet(
        "run", HAMLET, "--seed", str(SEED), "--ticks", "400", "--speed", "100x", "--sink", "stdout",
        "--sink", f"file={tmp_path / 'events.ndjson'}", "--no-out", "--digest", "--quiet",
        "--json-summary", str(summary), PYTHONHASHSEED="1234",
    )  # fmt: skip
    assert json.loads(summary.read_text())["digest"] == expected
    assert json.loads(told.splitlines()[-1])["tick"] == 399


@pytest.mark.parametrize("mode", ["off", "snapshot", "diff", "channels"])
def test_the_way_that_state_travels_changes_nothing(expected, mode, tmp_path):
    path = tmp_path / "events.ndjson"
    told = digest_after(
        400,
        **{
            "telemetry.sinks": [{"use": "file", "options": {"path": str(path)}}],
            "telemetry.stream": {"mode": mode, "every": 1, "observations": True},
        },
    )
    assert told == expected
    lines = path.read_text()
    assert ('"type":"townlet.state.' in lines) == (mode != "off")
    assert lines.count('"type":"townlet.observation.batch"') == 400


def test_watching_in_larger_histories_changes_nothing(expected):
    assert expected == digest_after(
        400,
        **{
            "observers.histories.queue_ticks": 1,
            "observers.kpis.limits.well": 0.9,
            "runner.on_failure_snapshot": False,
        },
    )


def test_another_seed_tells_another_story(expected):
    assert len({expected, *(digest_after(400, seed=seed) for seed in (0, 4, 2**64 - 1))}) == 4


def test_another_rule_tells_another_story(expected):
    assert expected != digest_after(400, **{"world.options.population.start_need": 0.5})


def test_the_random_policy_tells_the_same_twice_and_something_else_for_another_seed():
    told = [digest_after(300, seed=seed, **{"policy.use": "random"}) for seed in (1, 1, 2)]
    assert told[0] == told[1] != told[2]


def test_something_new_that_nobody_uses_changes_no_draw(expected):
    """Rule 18: another affordance, behind those that there are, leaves the story as it was."""
    wash = {"id": "wash_hands", "object_type": "sink", "duration": 2}
    assert expected == digest_after(400, **{"world.options.affordances.add": [wash]})


def test_one_resident_more_changes_nothing_about_those_there_were():
    """Rule 18: everybody draws by a serial of its own."""
    eight, nine = (
        TownModel.build(TownOptions.model_validate({"population": {"target": n, "capacity": 9}}))
        for n in (8, 9)
    )
    towns = [TownBatch(model, 1) for model in (eight, nine)]
    for town in towns:
        town.reset(SEED)
    fields = ["serial", "name", "profile", "home", "x", "y", "job", "wallet"]
    before, after = (town.state.residents[0, :8][fields].tolist() for town in towns)
    assert before == after


def test_a_run_in_two_processes_is_the_run_in_one_event_by_event(tmp_path):
    """1,000 ticks in one process; 500, a snapshot, a new process, 500 more. The default town."""
    whole, first, second = tmp_path / "whole", tmp_path / "first", tmp_path / "second"
    run = ("run", "--quiet", "--digest")
    digest = townlet(*run, "--seed", "8", "--ticks", "1000", "--out", str(whole), PYTHONHASHSEED="0")
    townlet(*run, "--seed", "8", "--ticks", "500", "--snapshot-every", "500", "--out", str(first))
    resumed = townlet(
        *run, "--resume", str(first), "--ticks", "500", "--out", str(second), PYTHONHASHSEED="7"
    )
    assert resumed == digest
    facts = facts_of(whole)
    assert [seq for seq, *_ in facts] == list(range(len(facts)))
    assert {kind for *_, kind, _ in facts} >= {"townlet.affordance.finish", "townlet.employment.arrived"}
    assert facts_of(first) + facts_of(second) == facts


def test_interpreted_kernels_tell_what_compiled_ones_tell_and_leave_the_same_state(tmp_path):
    """NUMBA_DISABLE_JIT=1, from the middle of a busy night on, and by chance from the founding on."""
    night, morning = tmp_path / "night", tmp_path / "morning"
    run = ("run", "--quiet", "--digest")
    townlet(
        *run, HAMLET, "--seed", str(SEED), "--ticks", "440", "--snapshot-every", "440", "--out", str(night)
    )
    interpreted = townlet(
        *run, "--resume", str(night), "--ticks", "120", "--snapshot-every", "560", "--out", str(morning),
        NUMBA_DISABLE_JIT="1",
    )  # fmt: skip
    with open_simulation(HAMLET, seed=SEED, overrides=SILENT, digest=True) as loop:
        assert loop.run_for(560).digest == interpreted.strip()
        compiled, restored = loop.snapshot(), read_snapshot(morning).snapshot
    assert compiled.tick == restored.tick == 560
    assert compiled.parts["world"] == restored.parts["world"]
    founded = townlet(
        *run, "--no-out", "--seed", "2", "--ticks", "40", "--policy", "random", NUMBA_DISABLE_JIT="1"
    )
    assert founded.strip() == digest_after(40, "configs/town.yaml", 2, **{"policy.use": "random"})


def test_interpreted_kernels_tell_what_compiled_ones_tell_while_events_exits_and_arrivals_happen():
    """200 ticks of the hamlet in which needs fall fast, exits need no pause and events come often."""
    often = {"chance": 200, "cooldown": 0, "duration": [5, 20]}
    busy = {
        "population": {"target": 6, "capacity": 7, "start_need": 0.2},
        "needs": {"decay": {"hunger": 0.02}},
        "lifecycle": {"exit_spacing": 5, "daily_exit_cap": 0},
        "perturbations": {
            "grace_ticks": 0, "global_cooldown_ticks": 0, "max_per_window": 100,
            "specs": dict.fromkeys(("price_spike", "outage", "closure", "festival", "arranged_meet"), often),
        },
    }  # fmt: skip
    words = [f"--set=world.options.{name}={json.dumps(value)}" for name, value in busy.items()]
    overrides = {f"world.options.{name}": value for name, value in busy.items()}
    kinds = ("perturbation.started", "perturbation.ended", "lifecycle.exit", "lifecycle.arrive")
    with open_simulation(HAMLET, seed=SEED, overrides=SILENT | overrides, digest=True) as loop:
        heard: list[Fact] = []
        for kind in kinds:
            loop.dispatcher.subscribe(kind, heard.append, name=kind)
        compiled = loop.run_for(200).digest
    interpreted = townlet(
        "run", "--quiet", "--digest", "--no-out", HAMLET, "--seed", str(SEED), "--ticks", "200", *words,
        NUMBA_DISABLE_JIT="1",
    )  # fmt: skip
    counts = {kind: [fact.event.kind for fact in heard].count(kind) for kind in kinds}
    assert min(counts.values()) > 2, counts
    assert interpreted.strip() == compiled


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(0, 600), min_size=1, max_size=3).map(sorted))
def test_a_run_cut_anywhere_goes_on_as_if_it_had_not_been(cuts):
    """In memory, at any ticks, several times; 0 is before the first tick: the founding is still untold."""
    check_cuts(cuts)


@pytest.mark.parametrize("cuts", [[0], [1], [0, 0, 1, 2], [599], [600]])
def test_a_run_cut_at_its_ends_goes_on_as_if_it_had_not_been(cuts):
    check_cuts(cuts)


_WHOLE: dict[str, tuple[str | None, list[object], dict[str, object]]] = {}


def check_cuts(cuts: list[int], ticks: int = 600) -> None:
    """Run in pieces, each restored into a new simulation, and compare with the run in one piece."""
    if not _WHOLE:
        with open_simulation(HAMLET, seed=SEED, overrides=SILENT, digest=True) as loop:
            heard = listen(loop)
            loop.run_for(ticks)
            _WHOLE["run"] = loop.digest, heard, dict(loop.snapshot().parts)
    snapshot, told = None, []
    for begin, end in zip([0, *cuts], [*cuts, ticks], strict=True):
        with open_simulation(HAMLET, seed=SEED, overrides=SILENT, digest=True) as loop:
            if snapshot is not None:
                loop.restore(snapshot)
            heard = listen(loop)
            assert loop.tick == begin
            for _ in loop.iterate(end - begin) if end > begin else ():
                pass
            snapshot, digest = loop.snapshot(), loop.digest
        told += heard
    assert (digest, told, dict(snapshot.parts)) == _WHOLE["run"]
