"""A real town, whatever becomes of its telemetry: the same digest, and exact state."""

import json
import random

import pytest

from tests.telemetry.faults import Fate
from tests.telemetry.hostile.rig import LIMIT, stored
from tests.telemetry.test_streams import follow, spelled
from townlet_adapters.composition import RunRequest, open_run
from townlet_adapters.telemetry.collector.credentials import secret_of, token_of
from townlet_adapters.telemetry.envelope import source_urn

TICKS = 200
STEP = 10


def unmoved(_rig, _sink, _tick):
    """Leave everything as it is."""


def live(rig, before_step=unmoved, reference=None, *, patience=5.0, **options):
    """Run the default town with a sink; gives its digest, the sink's status at the end, and the run's id."""
    sinks = [
        {
            "use": rig.kind,
            "options": rig.options(**options),
            "stream": {"mode": "diff", "every": 1, "keyframe_every": 50},
        }
    ]
    if reference is not None:
        sinks.append(
            {
                "use": "file",
                "options": {"path": str(reference)},
                "stream": {"mode": "snapshot", "every": 1},
            }
        )
    config = {"townlet": 1, "seed": 7, "telemetry": {"sinks": sinks}}
    with open_run(RunRequest(config=config, allowed=rig.allowed, digest=True)) as run:
        sink = run.routes[0].sink
        for tick in range(0, TICKS, STEP):
            before_step(rig, sink, tick)
            summary = run.loop.run_for(STEP)
            rig.look(sink)
        rig.look(sink)
        status = sink.stop(patience)
    return summary.digest, status, run.run_id


def lively(rig, _sink, tick):
    """Break the line off, and let it be good again."""
    if tick % 40 == 0:
        rig.proxy.reset()
    rig.proxy.fates.append(Fate(refuse=True))


def away_for_a_while(rig, sink, tick):
    """Be there and take everything, be gone, be there again."""
    if tick == 40:
        rig.leave()
        rig.proxy.reset()
    if tick == 150:
        rig.collect()
    if not 40 <= tick < 150:
        rig.until(sink, lambda status, _: status.buffered == status.spooled == 0)


@pytest.fixture(scope="module")
def alone():
    """The digest of a town that tells nobody."""
    config = {"townlet": 1, "seed": 7, "telemetry": {"sinks": []}}
    with open_run(RunRequest(config=config, digest=True)) as run:
        return run.loop.run_for(TICKS).digest


@pytest.mark.parametrize("how", ["healthy", "failing", "lively", "shedding", "wrong secret"])
def test_the_same_seed_gives_the_same_digest_whatever_becomes_of_telemetry(rig, how, alone):
    options = {}
    match how:
        case "healthy":
            rig.collect()
        case "lively":
            rig.collect()
        case "shedding":
            options = {"durability": "memory", "buffer_events": 50}
        case "wrong secret":
            other = b"another-secret-0123456789"
            rig.collect(tokens=(token_of(other),), secrets=(secret_of(other),))
    patience = 5.0 if how == "healthy" else 0.2
    during = lively if how == "lively" else unmoved
    digest, status, run_id = live(rig, during, patience=patience, **options)
    assert digest == alone
    assert status.emitted > TICKS
    match how:
        case "healthy":
            assert status.delivered == status.emitted
            rig.assert_complete(status, run_id)
        case "failing" | "wrong secret":
            assert status.spooled == status.emitted
            rig.assert_complete(status, run_id, undelivered=True)
        case "lively":
            rig.assert_complete(status, run_id, undelivered=True)
        case "shedding":
            assert status.dropped["buffer_full"] + status.dropped["superseded"] > 0
            assert status.delivered == 0


def states(path):
    """What every tick really looked like."""
    events = map(json.loads, path.read_text().splitlines())
    return {event["tick"]: event["data"] for event in events if event["type"] == "townlet.state.frame"}


def assert_exact(lines, true):
    """Every state that the guide's consumer gives is the town's; gives the ticks."""
    ticks = []
    for _, state in follow(lines):
        assert spelled(state) == spelled(true[state["tick"]])
        ticks.append(state["tick"])
    return ticks


def lines_of(rig, run_id):
    return [json.dumps(event) for event in stored(rig.events)[source_urn(run_id, 1)]]


def test_a_consumer_of_what_a_collector_has_sees_every_tick_though_it_was_away(rig, tmp_path):
    rig.collect()
    reference = tmp_path / "all.ndjson"
    _, status, run_id = live(rig, away_for_a_while, reference)
    rig.collect()
    rest = rig.started("next")
    rig.until(rest, lambda _, health: health.spool.events == 0)
    rest.stop(LIMIT)
    rig.assert_complete(status, run_id)
    true = states(reference)
    assert assert_exact(lines_of(rig, run_id), true) == sorted(true) == list(range(TICKS))


def test_a_consumer_knows_what_it_has_not_where_state_was_shed(rig, tmp_path):
    """Without an outbox, and hardly any memory, most of what happens meanwhile has to go."""
    rig.collect()
    reference = tmp_path / "all.ndjson"
    options = {"durability": "memory", "buffer_events": 60}
    _, status, run_id = live(rig, away_for_a_while, reference, **options)
    assert sum(status.dropped.values()) > 50
    rig.leave()
    true, lines = states(reference), lines_of(rig, run_id)
    seen = assert_exact(lines, true)
    assert seen[:40] == list(range(40))
    assert seen[-1] == TICKS - 1
    assert len(seen) < TICKS
    for seed in range(20):
        arrived = random.Random(seed).sample(range(len(lines)), len(lines) * 4 // 5)  # noqa: S311 - any lines
        some = assert_exact([lines[n] for n in sorted(arrived)], true)
        assert set(some) <= set(seen)
