"""Plugins' commands: what they are shown and may answer, and hostile ones, which get nothing done."""

import logging
import sys
from collections import UserDict
from dataclasses import FrozenInstanceError

import pytest

from townlet_core import seeding
from townlet_core.command_handlers import CommandHandlers
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.command import Argument, Command, CommandSpec
from townlet_core.dto.command_hook import CommandDone, CommandRefused, OfferedCommand
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.health import HookCounts
from townlet_core.events.loop import LoopHealth
from townlet_core.events.plugin import PluginRejected
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.plugged import Plugged
from townlet_core.testing import CollectingSink, FakePolicy, FakeWorld, ManualClock

TRY = Command("test.try", {"whom": "agent_0", "where": [1, 2], "much": {"a": 1}}, "1", "ada")
SPEC = CommandSpec(
    "test.try",
    "admin",
    "Tries something.",
    (Argument("whom", "text"), Argument("where", "xy"), Argument("much", "reals")),
)
MEAL = Command("feed", {"agent_id": "agent_0"})


MINE = {"console.result", "loop.tick"}


class Run:
    """A fake town with one command of a plugin, which is given at tick 0 and as often as a test asks."""

    def __init__(self, function, role="admin", clock=None):
        self.sink = CollectingSink()
        spec = CommandSpec(SPEC.name, role, SPEC.summary, SPEC.arguments)
        self.handlers = CommandHandlers([OfferedCommand(spec, function)], clock=clock or ManualClock())
        self.loop = SimulationLoop(
            FakeWorld(2),
            FakePolicy(),
            RunIdentity(seed=7),
            dispatcher=EventDispatcher([SinkRoute("sink", self.sink)]),
            digest=True,
            plugged=Plugged(handlers=self.handlers),
        )
        self.asked = 0

    def ask(self):
        self.asked += 1
        request = Command(TRY.name, TRY.args, str(self.asked), TRY.issuer)
        ticket = self.loop.commands.submit(request, "admin")
        self.loop.step()
        return ticket.result

    def told(self, kind):
        events = [m.event for m in self.sink.messages if isinstance(m, Diagnostic)]
        return [event for event in events if isinstance(event, kind)]

    @property
    def counts(self):
        return self.handlers.counters()["test.try"]

    @property
    def others(self):
        """Every fact of the run but results, without numbers; and what everybody sees at its end."""
        facts = [m for m in self.sink.messages if isinstance(m, Fact)]
        told = [(fact.tick, fact.event) for fact in facts if fact.event.kind not in MINE]
        return told, self.loop.observation.features.tolist()


def plain(ticks):
    run = Run(lambda _: CommandDone())
    run.loop.run_for(ticks)
    return run.others


# What a command is shown.


def test_a_command_is_shown_the_request_and_who_lives():
    seen = []
    run = Run(lambda context: seen.append(context) or CommandDone())
    run.loop.run_for(23)
    run.ask()
    (context,) = seen
    assert (context.command, context.cmd_id, context.issuer) == ("test.try", "1", "ada")
    assert (context.tick, context.day, context.tod) == (23, 1, 3)
    assert context.args == {"whom": "agent_0", "where": [1, 2], "much": {"a": 1.0}}
    assert list(context.residents) == ["agent_0", "agent_1"]
    assert [each.serial for each in context.residents.values()] == [1, 3]
    assert context.residents["agent_1"].position is None
    assert context.residents["agent_1"].values == {"busy": 0}
    assert list(context.residents["agent_1"].needs) == [need.name for need in FakeWorld().spec.needs]
    with pytest.raises(FrozenInstanceError):
        context.tick = 3
    with pytest.raises(TypeError):
        context.args["whom"] = "agent_1"
    with pytest.raises(TypeError):
        context.residents["agent_2"] = None


def test_draws_depend_on_seed_tick_command_and_cmd_id_alone():
    drawn = []
    run = Run(lambda context: drawn.append((context.tick, context.cmd_id, context.draw(3))) or CommandDone())
    for _ in range(3):
        run.ask()
    own = 1000 + (seeding.text_key("test.try") + 3) % (2**64 - 1000)
    assert drawn == [
        (tick, cmd_id, seeding.draw(7, seeding.WORLD, tick, seeding.text_key(cmd_id), own))
        for tick, cmd_id in ((0, "1"), (1, "2"), (2, "3"))
    ]


# What it may answer.


def test_the_world_does_what_was_answered_in_order_and_the_issuer_is_told_the_result():
    run = Run(lambda _: CommandDone((MEAL, Command("look"), MEAL), {"fed": [1, {"b": None}], "c": (2.5,)}))
    result = run.ask()
    assert (result.status, result.result) == ("ok", {"fed": [1, {"b": None}], "c": [2.5]})
    assert run.told(PluginRejected) == []
    assert (
        len([m for m in run.sink.messages if isinstance(m, Fact) and m.event.kind == "console.result"]) == 1
    )


def test_what_the_world_refuses_is_reported_with_its_place_and_the_rest_stands():
    other = Command("feed", {"agent_id": "agent_9"})
    run = Run(lambda _: CommandDone((MEAL, other, MEAL), {"fed": True}))
    result = run.ask()
    assert (result.name, result.status, result.result) == ("test.try", "error", {})
    assert result.error.code == "not_found"
    assert result.error.message.startswith("feed: no resident is called agent_9")
    assert result.error.details == {"command": "feed", "number": 1}
    assert run.others != plain(1)


# Limits: the answer is dropped, the command is asked again.

TOO_MUCH = {
    "seventeen": CommandDone((MEAL,) * 17),
    "unknown": CommandDone((Command("spawn"),)),
    "of a plugin": CommandDone((TRY,)),
    "wrong arguments": CommandDone((MEAL, Command("feed", {"agent_id": 3}))),
    "large": CommandDone((MEAL,), {"a": "x" * 10_001}),
    "deep": CommandDone((MEAL,), {"a": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}),
    "nan": CommandDone((MEAL,), {"a": float("nan")}),
    "huge": CommandDone((MEAL,), {"a": 10**100_000}),
    "surrogate": CommandDone((MEAL,), {"a": "\ud800"}),
    "key": CommandDone((MEAL,), {1: 2}),
    "object": CommandDone((MEAL,), {"a": object()}),
    "subclass": CommandDone((MEAL,), UserDict(a=1)),
    "no reason": CommandRefused(""),
    "long reason": CommandRefused("x" * 201),
    "line": CommandRefused("a\nb"),
    "code": CommandRefused("no", "because"),
    "hostile code": CommandRefused("no", ["because"]),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_an_answer_beyond_a_limit_has_no_effect_and_the_command_is_asked_again(what):
    run = Run(lambda _: TOO_MUCH[what])
    results = [run.ask(), run.ask()]
    assert {result.error.code for result in results} == {"internal"}
    assert run.others == plain(2)
    assert [rejected.stage for rejected in run.told(PluginRejected)] == ["command", "command"]
    assert run.counts == HookCounts(2, 2, 0, disabled=False)


def test_a_viewers_command_gets_nothing_done_that_needs_an_admin():
    run = Run(lambda _: CommandDone((MEAL,)), role="viewer")
    assert run.ask().error.code == "internal"
    assert run.others == plain(1)
    assert "needs the role viewer, which may not give feed" in run.told(PluginRejected)[0].problem
    assert Run(lambda _: CommandDone((Command("look"),), {"n": 1}), role="viewer").ask().result == {"n": 1}


# Hostile ones: asked once, and then no more.


def raises(_):
    raise RuntimeError("worst of all")


def exits(_):
    return sys.exit("goodbye")


def recurses_for_ever(context):
    return recurses_for_ever(context)


def overwrites(context):
    context.issuer = "root"


def lies(_):
    class Lie(CommandDone):
        @property
        def __class__(self):
            return CommandDone

    return Lie((MEAL,))


def raises_what_cannot_be_told(_):
    class Untold(BaseException):
        def __str__(self):
            raise SystemExit(3)

    raise Untold


def steps(run):
    return lambda _: run[0].loop.step()


DISABLED_AT_ONCE = {
    "raises": raises,
    "exits": exits,
    "recurses for ever": recurses_for_ever,
    "overwrites its context": overwrites,
    "lies": lies,
    "raises what cannot be told": raises_what_cannot_be_told,
    "nothing": lambda _: None,
    "text": lambda _: "ok",
    "a dict": lambda _: {"commands": [MEAL], "result": {}},
    "no list": lambda _: CommandDone(MEAL),
    "endless": lambda _: CommandDone(iter(lambda: MEAL, None)),
    "other things": lambda _: CommandDone(("feed",)),
    "no dict": lambda _: CommandDone((Command("feed", [("agent_id", "agent_0")]),)),
    "result": lambda _: CommandDone((MEAL,), [1]),
}


@pytest.mark.parametrize("what", DISABLED_AT_ONCE)
def test_a_command_that_breaks_the_rules_is_asked_once_and_the_town_goes_on_as_without_it(what, caplog):
    run = Run(DISABLED_AT_ONCE[what])
    with caplog.at_level(logging.WARNING, logger="townlet_core"):
        first, second = run.ask(), run.ask()
    assert first.error.code == "internal"
    assert second.error.code == "unsupported"
    assert run.others == plain(2)
    (rejected,) = run.told(PluginRejected)
    assert (rejected.hook, rejected.stage) == ("test.try", "command")
    assert rejected.problem.endswith("; the command is disabled for the rest of the run")
    assert run.counts == HookCounts(1, 1, 0, disabled=True)
    assert "the command 'test.try' (asked by 'ada')" in caplog.text
    run.loop.run_for(60)
    (*_, health) = run.told(LoopHealth)
    assert health.hooks == {"test.try": run.counts}
    assert health.status == "degraded"


def test_the_fact_of_a_fault_says_nothing_that_differs_from_run_to_run():
    digests = set()
    for text in ("<object at 0x1>", "<object at 0x2>"):
        run = Run(lambda _, text=text: [][text])
        run.ask()
        digests.add(run.loop.digest)
    assert len(digests) == 1


def test_a_command_that_steps_the_town_is_stopped():
    runs = []
    run = Run(lambda _: runs[0].loop.step())
    runs.append(run)
    assert run.ask().error.code == "internal"
    assert run.others == plain(1)
    assert "a part called step() within it" in run.told(PluginRejected)[0].problem


def test_a_command_that_forces_its_way_into_its_context_changes_nothing_but_that():
    def forces(context):
        object.__setattr__(context, "cmd_id", "other")
        object.__setattr__(context, "command", "test.other")
        context.args["much"]["a"] = 10.0
        object.__setattr__(context.residents["agent_0"], "agent_id", "agent_9")
        return CommandDone()

    run = Run(forces)
    results = [run.ask(), run.ask()]
    assert [(result.name, result.cmd_id, result.status) for result in results] == [
        ("test.try", "1", "ok"),
        ("test.try", "2", "ok"),
    ]
    assert run.others == plain(2)


def test_a_command_over_its_budget_has_no_effect_and_is_disabled_by_the_third_time():
    clock = ManualClock()

    def sleepy(_):
        clock.sleep(0.2)
        return CommandDone((MEAL,))

    run = Run(sleepy, clock=clock)
    codes = [run.ask().error.code for _ in range(4)]
    assert codes == ["internal", "internal", "internal", "unsupported"]
    assert run.others == plain(4)
    assert [rejected.problem.partition(",")[2] for rejected in run.told(PluginRejected)] == [
        " overrun 1 of 3",
        " overrun 2 of 3",
        " overrun 3 of 3; the command is disabled for the rest of the run",
    ]
    assert run.counts == HookCounts(3, 0, 3, disabled=True)


def test_who_is_disabled_stays_so_over_a_snapshot():
    run, resumed = Run(raises), Run(lambda _: CommandDone())
    run.ask()
    resumed.loop.restore(run.loop.snapshot())
    resumed.asked = 1
    assert resumed.ask().error.code == "unsupported"
    assert run.ask().error.code == "unsupported"
    assert resumed.loop.digest == run.loop.digest
    assert resumed.counts == HookCounts(0, 0, 0, disabled=True)


def test_an_interruption_by_a_person_passes():
    def interrupted(_):
        raise KeyboardInterrupt

    run = Run(interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.ask()
