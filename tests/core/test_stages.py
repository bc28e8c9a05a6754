"""Stages see what the policy decided, in order, and what they change is a fact."""

from dataclasses import replace

import pytest

from townlet_core.command_handlers import CommandHandlers
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.command import Command, CommandSpec
from townlet_core.dto.command_hook import CommandDone
from townlet_core.errors import ContractError, LoopFailedError, SnapshotError
from townlet_core.events.base import Fact
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.plugged import Plugged
from townlet_core.testing import (
    CollectingSink,
    FakeCommandedStage,
    FakePolicy,
    FakeStage,
    FakeWorld,
    ManualClock,
    check_stage,
)

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


# Commands and orders.


def skip(cmd_id, slots=1):
    return Command("skip", {"slots": slots}, cmd_id, "ada")


def results(sink):
    return [
        (message.tick, message.event.cmd_id, message.event.status, message.event.result)
        for message in sink.messages
        if isinstance(message, Fact) and message.event.kind == "console.result"
    ]


def turns(sink):
    return [(tick, agent) for tick, agent, _ in held(sink)]


def test_a_stage_does_what_it_was_told_in_the_same_tick_and_the_answer_is_a_fact():
    plain, sink = CollectingSink(), CollectingSink()
    loop_of(FakeCommandedStage(), sink=plain).run_for(9)
    loop = loop_of(FakeCommandedStage(), sink=sink)
    loop.run_for(3)
    ticket = loop.commands.submit(skip("1"), "admin")
    loop.run_for(6)
    # The seed's slot is 1, so tick 3 is the turn of slot 1 again.
    assert (ticket.result.status, ticket.result.result, ticket.result.tick) == ("ok", {"slot": 2}, 3)
    assert results(sink) == [(3, "1", "ok", {"slot": 2})]
    early = [each for each in turns(plain) if each[0] < 3]
    assert early
    assert [each for each in turns(sink) if each[0] < 3] == early
    for tick, agent in turns(sink):
        assert agent == f"agent_{(1 + tick + (tick >= 3)) % 3}"
    assert any(tick >= 3 for tick, _ in turns(sink))


def test_two_requests_of_one_tick_are_obeyed_one_after_the_other():
    sink = CollectingSink()
    loop = loop_of(FakeCommandedStage(), sink=sink)
    tickets = [loop.commands.submit(skip(str(n)), "admin") for n in (1, 2)]
    loop.step()
    assert [ticket.result.result["slot"] for ticket in tickets] == [2, 0]


def test_a_request_that_a_stage_refuses_changes_nothing_but_the_record():
    sink = CollectingSink()
    plain, loop = loop_of(FakeCommandedStage()), loop_of(FakeCommandedStage(), sink=sink)
    ticket = loop.commands.submit(skip("1", 3), "admin")
    plain.step()
    loop.step()
    assert ticket.result.error.code == "conflict"
    assert ticket.result.error.message == "slots is 3; allowed: 1 to 2"
    assert loop.snapshot().parts["stages.commanded"] == plain.snapshot().parts["stages.commanded"]


def test_commands_of_a_stage_are_checked_on_their_way_as_all_are():
    loop = loop_of(FakeCommandedStage())
    loop.begin()
    assert set(loop.commands.specs) == {"feed", "look", "skip"}
    codes = [
        loop.commands.submit(request, role).result.error.code
        for request, role in (
            (skip("1"), "viewer"),
            (skip(""), "admin"),
            (Command("skip", {"slot": 1}, "1"), "admin"),
        )
    ]
    assert codes == ["forbidden", "invalid_args", "invalid_args"]


def test_a_stage_orders_the_world_in_its_own_name_and_no_result_is_told():
    class Watched(FakeWorld):
        def step(self, actions, commands=()):
            given.append(tuple(commands))
            return super().step(actions, commands)

    given, sink = [], CollectingSink()
    loop = SimulationLoop(
        Watched(3),
        FakePolicy(),
        RUN,
        dispatcher=EventDispatcher([SinkRoute("sink", sink)]),
        stages=[FakeCommandedStage()],
    )
    loop.run_for(5)
    loop.commands.submit(Command("feed", {"agent_id": "agent_0"}, "1", "ada"), "admin")
    loop.run_for(5)
    wanted = [(tick, agent) for tick, agent in turns(sink)]
    orders = [(tick, each) for tick, each in enumerate(given) for each in each if each.issuer == "commanded"]
    assert [(tick, order.args) for tick, order in orders] == [
        (tick, {"agent_id": agent, "amount": 0.125}) for tick, agent in wanted
    ]
    assert wanted
    assert {(order.name, order.cmd_id) for _, order in orders} == {("feed", "")}
    # What people asked for comes first, and only that is told.
    assert given[5][0].issuer == "ada"
    assert [(tick, cmd_id) for tick, cmd_id, *_ in results(sink)] == [(5, "1")]


def test_a_run_with_commands_to_a_stage_is_resumed_at_any_cut():
    def told(loop, ticks):
        for _ in range(ticks):
            if loop.tick % 4 == 2:
                loop.commands.submit(skip(str(loop.tick), 1 + loop.tick % 2), "admin")
            loop.step()

    whole = loop_of(FakeCommandedStage())
    told(whole, 24)
    for cut in range(24):
        first, heir = loop_of(FakeCommandedStage()), loop_of(FakeCommandedStage())
        told(first, cut)
        if cut % 4 == 2:
            first.commands.submit(skip(str(cut), 1 + cut % 2), "admin")
        heir.restore(first.snapshot())
        told(heir, 24 - cut)
        assert heir.digest == whole.digest


class Angry(FakeCommandedStage):
    """Raises an error instead of an answer."""

    def answer(self, request, observation):
        raise ZeroDivisionError(f"no {request.name} at {observation.tick}")


class Treacherous(FakeCommandedStage):
    """Grants what it then cannot do."""

    def obey(self, _request, _observation):
        raise ZeroDivisionError("no way")


def test_an_answer_that_fails_is_refused_and_the_command_disabled_while_the_run_goes_on():
    sink = CollectingSink()
    loop = loop_of(Angry(), sink=sink)
    first = loop.commands.submit(skip("1"), "admin")
    loop.step()
    second = loop.commands.submit(skip("2"), "admin")
    loop.step()
    assert (first.result.error.code, second.result.error.code) == ("internal", "unsupported")
    problems = [m.event.problem for m in sink.messages if m.event.kind == "plugin.rejected"]
    assert problems == ["ZeroDivisionError: no skip at 0; the command is disabled for the rest of the run"]


def test_a_slow_answer_of_a_stage_is_an_answer():
    clock = ManualClock()

    class Slow(FakeCommandedStage):
        def answer(self, request, observation):
            clock.sleep(9.0)
            return super().answer(request, observation)

    loop = SimulationLoop(
        FakeWorld(3),
        FakePolicy(),
        RUN,
        stages=[Slow()],
        plugged=Plugged(handlers=CommandHandlers(clock=clock)),
    )
    for number in range(4):
        ticket = loop.commands.submit(skip(str(number)), "admin")
        loop.step()
        assert ticket.result.status == "ok"


def test_a_stage_that_cannot_do_what_it_granted_ends_the_run():
    loop = loop_of(Treacherous())
    loop.commands.submit(skip("1"), "admin")
    with pytest.raises(ContractError, match="the stage failed at tick 0: ZeroDivisionError: no way"):
        loop.step()


class Presumptuous(FakeCommandedStage):
    """Gives the world an order that it does not know, or with wrong arguments."""

    def __init__(self, order=None):
        super().__init__()
        self.order = order or Command("dance")

    def take_orders(self):
        return (self.order,)


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        (Command("dance"), "'commanded' gave the unknown command 'dance'; known: feed, look"),
        (Command("feed"), "'commanded' gave a wrong command: feed needs agent_id"),
    ],
)
def test_an_order_that_the_world_does_not_know_ends_the_run(order, complaint):
    with pytest.raises(ContractError, match=complaint):
        loop_of(Presumptuous(order)).step()


def test_a_stage_with_a_command_of_the_world_or_of_another_stage_is_refused():
    class Feeding(FakeCommandedStage):
        commands = (CommandSpec("feed", "admin", "Feeds."),)

    with pytest.raises(ContractError, match="command names must be unique; found: feed, look, feed"):
        loop_of(Feeding()).begin()
    with pytest.raises(ContractError, match="command names must be unique; found: skip, skip"):
        loop_of(FakeCommandedStage(), FakeCommandedStage("other"))


# The contract kit.


SKIPS = {tick: (skip(str(tick), tick % 3),) for tick in (0, 7, 20, 31, 40)}


def test_the_fake_commanded_stage_keeps_the_contract():
    check_stage(FakeCommandedStage, requests=SKIPS)


class Hasty(FakeCommandedStage):
    """Changes with the answer."""

    def answer(self, request, observation):
        answer = super().answer(request, observation)
        self._turn = 0
        return answer


class Moody(FakeCommandedStage):
    """Answers differently every time."""

    asked = 0

    def answer(self, _request, _observation):
        self.asked += 1
        return CommandDone(result={"asked": self.asked})


class Voluble(FakeCommandedStage):
    def answer(self, _request, _observation):
        return CommandDone(result={"": "a" * 20_000})


@pytest.mark.parametrize(
    ("stage", "complaint"),
    [
        (Hasty, "skip at tick 0: answer.. changed the stage"),
        (Moody, "skip at tick 0: the answer was"),
        (Voluble, "skip at tick 0: the result cannot be written as JSON"),
        (Presumptuous, "'commanded' gave the unknown command 'dance'"),
        (FakeStage, "skip at tick 0: the stage answers no commands"),
    ],
)
def test_a_commanded_stage_that_breaks_the_contract_is_caught(stage, complaint):
    with pytest.raises(ContractError, match=complaint):
        check_stage(stage, requests=SKIPS)


def test_the_kit_wants_a_request_for_each_command():
    with pytest.raises(ContractError, match="no request for skip"):
        check_stage(FakeCommandedStage)


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
