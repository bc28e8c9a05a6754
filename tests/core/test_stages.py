"""Stages see what the policy decided, in order, and what they change is a fact."""

from dataclasses import replace

import pytest

from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.errors import ContractError, LoopFailedError, SnapshotError
from townlet_core.events.base import Fact
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.testing import CollectingSink, FakePolicy, FakeStage, FakeWorld, check_stage

RUN = RunIdentity(seed=7, snapshot={"sim_digest": "abc"})


def loop_of(*stages, sink=None, digest=True):
    routes = [SinkRoute("sink", sink)] if sink else []
    return SimulationLoop(
        FakeWorld(3), FakePolicy(), RUN, dispatcher=EventDispatcher(routes), stages=stages, digest=digest
    )


def held(sink):
    return [
        (message.tick, message.event.agent_id, message.event.stage)
        for message in sink.messages
        if isinstance(message, Fact) and message.event.kind == "fake.held"
    ]


class Recorder:
    """A stage that changes nothing and keeps what it saw."""

    def __init__(self, name="recorder"):
        self.name, self.seen = name, []

    def begin(self, spec, seed):
        self.began = (spec.capacity, seed)

    def apply(self, observation, decision):
        self.seen.append((observation.tick, decision.actions.action.tolist()))
        return decision.actions, ()


def test_each_stage_sees_what_the_one_before_it_left_and_the_world_executes_the_last():
    before, after, sink = Recorder("before"), Recorder("after"), CollectingSink()
    loop = loop_of(before, FakeStage(), after, sink=sink)
    outcomes = list(loop.iterate(30))
    assert before.began == after.began == (3, 7)
    differing = [
        (tick, f"agent_{slot}")
        for (tick, chosen), (_, left) in zip(before.seen, after.seen, strict=True)
        for slot, (mine, its) in enumerate(zip(chosen, left, strict=True))
        if mine != its
    ]
    assert differing == [(tick, agent) for tick, agent, _ in held(sink)]
    assert differing, "the stage changed nothing: nothing was compared"
    for (_, left), outcome in zip(after.seen, outcomes, strict=True):
        assert outcome.summary.actions.get("wait", 0) >= left.count(0)


def test_facts_of_stages_come_before_those_of_the_world():
    sink = CollectingSink()
    loop_of(FakeStage(), sink=sink).run_for(30)
    kinds = [(message.tick, message.event.kind) for message in sink.messages if isinstance(message, Fact)]
    for tick in {tick for tick, kind in kinds if kind == "fake.held"}:
        own = [kind for at, kind in kinds if at == tick and kind != "policy.metadata"]
        assert own[0] == "fake.held"
        assert own[-1] == "loop.tick"


def test_a_run_with_stages_is_another_run_and_a_resumed_one_the_same():
    whole = loop_of(FakeStage())
    whole.run_for(40)
    assert whole.digest != loop_of().run_for(40).digest
    first, heir = loop_of(FakeStage()), loop_of(FakeStage())
    first.run_for(17)
    saved = first.snapshot()
    assert saved.parts["stages.turns"] == (7 + 17) % 3
    heir.restore(saved)
    heir.run_for(23)
    assert heir.digest == whole.digest


def test_a_snapshot_without_the_part_of_a_stage_is_refused():
    first = loop_of(FakeStage())
    first.run_for(3)
    saved = first.snapshot()
    parts = {name: part for name, part in saved.parts.items() if name != "stages.turns"}
    with pytest.raises(SnapshotError, match=r"has no part stages\.turns"):
        loop_of(FakeStage()).restore(replace(saved, parts=parts))
    with pytest.raises(SnapshotError, match="the state of 'turns' is damaged: 9"):
        loop_of(FakeStage()).restore(replace(saved, parts={**saved.parts, "stages.turns": 9}))


def test_a_stage_that_fails_ends_the_run_and_says_so():
    loop = loop_of(FakeStage(fail_at=4))
    with pytest.raises(ContractError, match="the stage failed at tick 4: ZeroDivisionError"):
        loop.run_for(10)
    with pytest.raises(LoopFailedError, match="tick 4 failed"):
        loop.step()


def test_two_stages_of_one_name_are_refused():
    with pytest.raises(ContractError, match="stage names must be unique; found: turns, turns"):
        loop_of(FakeStage(), FakeStage())


# The contract kit.


def test_the_fake_stage_keeps_the_contract():
    applied = []

    class Noting(FakeStage):
        def apply(self, observation, decision):
            actions, events = super().apply(observation, decision)
            applied.append(actions.action.tobytes() != decision.actions.action.tobytes())
            return actions, events

    check_stage(Noting)
    assert len(applied) == 4 * 63
    assert any(applied), "it leaves every decision as it was"


class Forgetful(FakeStage):
    """Its turn is in no snapshot."""

    export_state = None


class Meddling(FakeStage):
    """Writes into a copy of the policy's numbers that is not of 16 bits."""

    def apply(self, _observation, decision):
        return replace(decision.actions, action=decision.actions.target), ()


class Unknowing(FakeStage):
    def apply(self, _observation, decision):
        wrong = memoryview(bytearray(2 * len(decision.actions.action))).cast("h")
        wrong[0] = 99
        return replace(decision.actions, action=wrong.toreadonly()), ()


class Rash(FakeStage):
    """Goes on with the turn of the run before."""

    def begin(self, spec, seed):
        turn = self._turn
        super().begin(spec, seed)
        self._turn = turn


@pytest.mark.parametrize(
    ("stage", "complaint"),
    [
        (Forgetful, "a stage that took over halfway; implement SupportsState"),
        (Meddling, "actions.action"),
        (Unknowing, "slot 0 got action 99"),
        (Rash, "it must forget every earlier run"),
        (lambda: FakeStage(""), "name is empty"),
    ],
)
def test_a_stage_that_breaks_the_contract_is_caught(stage, complaint):
    with pytest.raises(ContractError, match=complaint):
        check_stage(stage)
