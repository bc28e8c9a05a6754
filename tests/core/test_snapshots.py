"""A simulation taken up from a snapshot goes on as if it had never been put down."""

import json
from dataclasses import replace

import pytest

from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.snapshot import SCHEMA_VERSION, Snapshot
from townlet_core.errors import ContractError, LoopFailedError, SnapshotError
from townlet_core.events.base import Fact
from townlet_core.jsonvalue import canonical_json
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.testing import CollectingSink, FakeObserver, FakePolicy, FakeWorld

RUN = RunIdentity(seed=2**64 - 1, snapshot={"sim_digest": "abc"})


def build(sink=None, *, run=RUN, digest=True, agents=3, policy=None):
    dispatcher = EventDispatcher([SinkRoute("sink", sink)] if sink else [])
    parts = {"dispatcher": dispatcher, "observers": [FakeObserver()], "digest": digest}
    return SimulationLoop(FakeWorld(agents), policy or FakePolicy(), run, **parts)


def stored(snapshot):
    """Send a snapshot through JSON text, as a file does."""
    parts = json.loads(canonical_json(snapshot.parts))
    return Snapshot(snapshot.tick, dict(snapshot.identity), parts, snapshot.schema_version)


def facts_in(sink):
    return [message for message in sink.messages if isinstance(message, Fact)]


@pytest.mark.parametrize("cut", [0, 1, 19, 20, 33, 60])
def test_a_resumed_run_equals_an_unbroken_one_at_any_cut(cut):
    whole, first, rest = CollectingSink(), CollectingSink(), CollectingSink()
    unbroken, before, after = build(whole), build(first), build(rest)
    summary = unbroken.run_for(60)
    before.run_for(cut)
    after.restore(stored(before.snapshot()))
    resumed = after.run_for(60 - cut)
    assert facts_in(first) + facts_in(rest) == facts_in(whole)
    assert resumed.digest == summary.digest
    assert resumed.kpis == summary.kpis
    assert resumed.population == summary.population


def test_a_loop_can_be_taken_back():
    loop = build()
    loop.run_for(10)
    early = stored(loop.snapshot())
    late = [loop.run_for(10).digest]
    loop.restore(early)
    assert loop.tick == 10
    late.append(loop.run_for(10).digest)
    assert late[0] == late[1]


def snapshot_of(**changes):
    loop = build()
    loop.run_for(5)
    snapshot = stored(loop.snapshot())
    parts = {**snapshot.parts, **changes.pop("parts", {})}
    parts = {name: part for name, part in parts.items() if part is not ...}
    return replace(snapshot, parts=parts, **changes)


@pytest.mark.parametrize(
    ("snapshot", "code", "message"),
    [
        (
            snapshot_of(schema_version=99),
            "snapshot_schema",
            f"schema version 99; this Townlet reads {SCHEMA_VERSION}",
        ),
        (snapshot_of(identity={"sim_digest": "other"}), "snapshot_identity", "sim_digest is other"),
        (snapshot_of(identity={"sim_digest": "abc"}), "snapshot_identity", "not of a fake world of 3 slots"),
        (snapshot_of(parts={"policy": ...}), "snapshot_corrupt", "has no part policy"),
        (snapshot_of(parts={"observers.counts": ...}), "snapshot_corrupt", "has no part observers.counts"),
        (snapshot_of(parts={"loop": {"seed": 7}}), "snapshot_corrupt", "part 'loop' is damaged"),
        (snapshot_of(parts={"world": {"tick": 5}}), "snapshot_corrupt", "part 'world' is damaged"),
    ],
)
def test_a_snapshot_that_does_not_fit_is_refused_and_changes_nothing(snapshot, code, message):
    loop = build()
    loop.run_for(3)
    digest = loop.digest
    with pytest.raises(SnapshotError, match=message) as refused:
        loop.restore(snapshot)
    assert refused.value.code == code
    assert (loop.tick, loop.digest) == (3, digest)
    unbroken = build()
    unbroken.run_for(5)
    assert loop.run_for(2).digest == unbroken.digest


def test_another_seed_is_refused():
    with pytest.raises(SnapshotError, match="a resumed run keeps its seed"):
        build(run=replace(RUN, seed=1)).restore(snapshot_of())


def test_a_digest_is_not_made_up():
    loop = build(digest=False)
    loop.run_for(5)
    snapshot = stored(loop.snapshot())
    with pytest.raises(SnapshotError, match="holds no digest"):
        build().restore(snapshot)
    resumed = build(digest=False)
    resumed.restore(snapshot)
    assert resumed.run_for(5).digest is None


def test_a_part_that_does_not_know_its_state_leaves_a_loop_that_refuses_to_go_on():
    loop = build()
    with pytest.raises(SnapshotError, match="the state of 'counts' is damaged"):
        loop.restore(snapshot_of(parts={"observers.counts": {"events": 1}}))
    with pytest.raises(LoopFailedError, match="restore failed halfway"):
        loop.step()


@pytest.mark.parametrize(
    ("error", "said"), [(KeyError("weights"), "KeyError: 'weights'"), (SystemExit(0), "SystemExit: 0")]
)
def test_a_part_that_fails_at_going_on_is_told_with_what_it_said(error, said):
    class Forgetful(FakePolicy):
        def begin(self, _spec, _seed):
            raise error

    snapshot = snapshot_of()
    with pytest.raises(ContractError, match=f"a part cannot continue from a snapshot: {said}"):
        build(policy=Forgetful()).restore(snapshot)


def test_the_observers_state_must_be_of_this_town():
    smaller = build(agents=1)
    smaller.run_for(1)
    kpis = stored(smaller.snapshot()).parts["observers.counts"]
    with pytest.raises(SnapshotError, match="not for 3 slots"):
        build().restore(snapshot_of(parts={"observers.counts": kpis}))
