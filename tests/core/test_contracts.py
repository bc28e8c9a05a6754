"""The contract checks pass for honest parts, and every breach is found and explained."""

import re
from array import array
from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from townlet_core.dto.action import ActionBatch, PolicyIdentity
from townlet_core.dto.command import CommandSpec
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.plan import PlanMessage
from townlet_core.dto.seen import ObservationMessage
from townlet_core.dto.snapshot import Snapshot
from townlet_core.dto.spec import OptionSpec
from townlet_core.errors import ContractError
from townlet_core.events.base import Diagnostic, Event, Fact
from townlet_core.events.loop import LoopTick
from townlet_core.ports.telemetry import EmitResult
from townlet_core.testing import CollectingSink, FakePolicy, FakeWorld, check_policy, check_sink, check_world
from townlet_core.testing.fakes import readonly


@dataclass(frozen=True, slots=True)
class Nonsense(Event):
    kind: ClassVar[str] = "nonsense.told"
    value: float = float("inf")


BORN = iter(range(10**6))


def counting_calls(kind, calls, *names):
    """A class of parts that counts the calls of these methods."""

    def counted(name):
        method = getattr(kind, name)

        def call(self, *args):
            calls[name] += 1
            return method(self, *args)

        return call

    return type(f"Counting{kind.__name__}", (kind,), {name: counted(name) for name in names})


def broken_world(step=None, observe=None, **methods):
    """A class of worlds that break one promise."""

    class Broken(FakeWorld):
        def step(self, actions, commands=()):
            outcome = super().step(actions, commands)
            return step(outcome) if step else outcome

        def _observe(self):
            observation = super()._observe()
            return observe(observation) if observe else observation

    for name, method in methods.items():
        setattr(Broken, name, method)
    return Broken


def respecified(**fields):
    """A class of worlds with other fields in the spec."""
    return broken_world(spec=property(lambda self: replace(self._spec, **fields)))


PARTS = ("tea", "fire", "total")


def rewarded(names, parts, reward=0.75):
    """A class of worlds whose rewards have parts."""
    columns = len(parts) // 2
    return broken_world(
        spec=property(lambda self: replace(self._spec, reward_parts=names)),
        step=lambda o: replace(
            o,
            reward=readonly(array("f", [reward] * 2), 2),
            reward_parts=readonly(array("d", parts), 2, columns),
        ),
    )


def described(change):
    """A class of worlds whose first column is described in another way."""
    spec = property(lambda self: replace(self._spec, view=(change(self._spec.view[0]), *self._spec.view[1:])))
    return broken_world(spec=spec)


def seen(change):
    """A class of worlds that show other columns."""
    return broken_world(
        observe=lambda o: replace(o, view=replace(o.view, columns=change(dict(o.view.columns))))
    )


def individual_view():
    """A class of worlds each of which shows another column."""
    return seen(lambda columns: {**columns, "busy": readonly(array("B", [next(BORN) % 251] * 2), 2)})


def forgetful(self):
    snapshot = FakeWorld.snapshot(self)
    return replace(snapshot, parts={"world": {**snapshot.parts["world"], "needs": [[0.5] * 3] * 2}})


def individual(self, seed):
    return FakeWorld.reset(self, seed + next(BORN))


def unmasked(self, actions, commands=()):
    if max(actions.action.tolist()) > 3:
        raise IndexError("no such action")
    return FakeWorld.step(self, actions, commands)


def credulous(self, snapshot):
    if snapshot.identity:
        return FakeWorld.restore(self, snapshot)
    return self.reset(0)


OBEY = FakeWorld._obey


def obliging(self, command):
    self._state.sips += 1
    return OBEY(self, command)


WORLD_BREACHES = {
    "shape": (
        broken_world(observe=lambda o: replace(o, alive=o.mask)),
        r"alive has shape \(2, 4\); it must be \(2,\)",
    ),
    "dtype": (
        broken_world(observe=lambda o: replace(o, serial=readonly(array("i", [0, 1]), 2))),
        "serial has format 'i'",
    ),
    "writable": (
        broken_world(observe=lambda o: replace(o, alive=memoryview(bytearray([1, 1])))),
        r"alive is writable; add \.toreadonly",
    ),
    "type": (broken_world(observe=lambda o: replace(o, mask=[1])), "mask is a list"),
    "range": (
        broken_world(observe=lambda o: replace(o, features=readonly(array("f", [1.5] * 10), 2, 5))),
        r"feature 'need_drink' of slot 0 is 1\.5",
    ),
    "nan": (
        broken_world(observe=lambda o: replace(o, features=readonly(array("f", [float("nan")] * 10), 2, 5))),
        "features must be in",
    ),
    "mask": (
        broken_world(observe=lambda o: replace(o, mask=readonly(array("B", [0] * 8), 2, 4))),
        "'wait' must always be unmasked",
    ),
    "ids": (
        broken_world(observe=lambda o: replace(o, agent_ids=("a", ""))),
        "alive is 1, but its agent id",
    ),
    "twins": (broken_world(observe=lambda o: replace(o, agent_ids=("a", "a"))), "has an agent twice"),
    "dead": (
        broken_world(
            observe=lambda o: replace(o, alive=readonly(array("B", [1, 0]), 2), agent_ids=("a", ""))
        ),
        "slot 1 is dead, so its row must be zero",
    ),
    "command name": (
        broken_world(
            spec=property(
                lambda self: replace(self._spec, commands=(CommandSpec("a.feed", "admin", "Feeds."),))
            )
        ),
        "the command 'a.feed' must have lower-case",
    ),
    "command results": (
        broken_world(step=lambda o: replace(o, command_results=())),
        "one result for each command, in order",
    ),
    "command code": (
        broken_world(
            step=lambda o: replace(
                o, command_results=tuple(replace(each, error=None) for each in o.command_results)
            )
        ),
        "was answered with ok; it must be unknown_command",
    ),
    "command effect": (broken_world(_obey=obliging), "refused commands changed the world"),
    "tick": (broken_world(observe=lambda o: replace(o, tick=0)), "not 1, the next tick"),
    "option of a need": (
        respecified(options=()),
        "is served by the option 'busy', which is not in spec.options",
    ),
    "need of an option": (
        respecified(options=(OptionSpec("busy", "glory"),)),
        "the option 'busy' serves 'glory', which is not in spec.needs",
    ),
    "no view": (broken_world(observe=lambda o: replace(o, view=None)), "must be set"),
    "view of a blind world": (
        broken_world(spec=property(lambda self: replace(self._spec, constants=(), view=()))),
        "must be None",
    ),
    "constants of a blind world": (
        broken_world(spec=property(lambda self: replace(self._spec, view=()))),
        "describes arrays, but spec.view none",
    ),
    "column twice": (
        broken_world(spec=property(lambda self: replace(self._spec, view=self._spec.view * 2))),
        "describes an array twice",
    ),
    "column format": (
        described(lambda column: replace(column, format="Q")),
        "describes 'needs' with format 'Q'",
    ),
    "column of texts": (described(lambda column: replace(column, format="")), "with format ''"),
    "column missing": (
        seen(lambda columns: {"needs": columns["needs"]}),
        "view.columns has needs; the spec describes busy, needs",
    ),
    "column kind": (
        described(lambda column: replace(column, format="f")),
        r"view.columns\['needs'\] has format",
    ),
    "column axes": (
        described(lambda column: replace(column, axes=("slots",))),
        r"view.columns\['needs'\] has 2 dimensions; the spec describes 1: slots",
    ),
    "column length": (
        described(lambda column: replace(column, axes=("needs", "slots"))),
        r"view.columns\['needs'\] has 2 along 'needs'; the spec says 3",
    ),
    "column writable": (
        seen(lambda columns: {**columns, "busy": memoryview(bytearray(2))}),
        r"view.columns\['busy'\] is writable",
    ),
    "axes of one name": (
        broken_world(
            observe=lambda o: replace(
                o, view=replace(o.view, constants={**o.view.constants, "use_names": ("a",)})
            )
        ),
        r"view.constants\['use_need'\] has 3 along 'uses'; view.constants\['use_names'\] says 1",
    ),
    "texts": (
        broken_world(
            observe=lambda o: replace(
                o, view=replace(o.view, constants={**o.view.constants, "use_names": (1, 2, 3)})
            )
        ),
        "must be a tuple of texts",
    ),
    "columns that differ": (individual_view(), r"'view.columns\['busy'\]' differs"),
    "alive": (
        broken_world(step=lambda o: replace(o, summary=replace(o.summary, alive=1))),
        "summary.alive",
    ),
    "reward": (
        broken_world(step=lambda o: replace(o, reward=readonly(array("f", [float("inf")] * 2), 2))),
        "reward of tick 0 is not finite",
    ),
    "a part twice": (rewarded(("tea", "tea", "total"), [0.0] * 6), "spec.reward_parts has a name twice"),
    "no parts": (
        broken_world(step=lambda o: replace(o, reward_parts=readonly(array("d", [0.0] * 2), 2, 1))),
        "outcome.reward_parts must be None: WorldSpec names no parts",
    ),
    "parts of another shape": (
        rewarded(PARTS, [0.0] * 4),
        r"outcome.reward_parts has shape \(2, 2\); it must be \(2, 3\)",
    ),
    "parts that do not add up": (
        rewarded(PARTS, [0.25, 0.5, 0.75, 0.25, 0.5, 0.8]),
        "slot 1, tick 0: the parts of the reward add up to 0.75, but the last column is 0.8",
    ),
    "another reward": (
        rewarded(PARTS, [0.25, 0.5, 0.75, 0.25, 0.5, 0.75], 0.7),
        "slot 0, tick 0: the parts of the reward add up to 0.75, but the reward is 0.69",
    ),
    "events": (broken_world(step=lambda o: replace(o, events=list(o.events))), "events must be a tuple"),
    "json": (broken_world(step=lambda o: replace(o, events=(Nonsense(),))), "cannot be written as JSON"),
    "loop": (
        broken_world(step=lambda o: replace(o, events=(LoopTick(0, 0, 2, 0, 0, {}, {}, 0, 0.0, {}),))),
        "is reserved for the loop",
    ),
    "frame": (broken_world(frame=lambda _self: TownFrame(99)), r"frame\(\)\.tick is 99"),
    "null": (
        broken_world(frame=lambda self: TownFrame(self._state.tick - 1, {"day": None})),
        r"frame\.clock\.day is null; leave out unknown values",
    ),
    "odd action": (broken_world(), "an action that is masked or out of range fails as an intent"),
    "random": (broken_world(reset=individual), "a second world with the same seed"),
    "forgetful": (broken_world(snapshot=forgetful), "the snapshot lacks some state"),
    "parts": (
        broken_world(snapshot=lambda self: Snapshot(self._state.tick, {}, {"world": 1, "more": 2})),
        "must have exactly the part 'world'",
    ),
    "credulous": (broken_world(restore=credulous), "accepted a snapshot of another world"),
}
WORLD_BREACHES["odd action"][0].step = unmasked


def test_an_honest_world_passes():
    calls = Counter()
    check_world(counting_calls(FakeWorld, calls, "reset", "step", "frame", "snapshot", "restore", "close"))
    assert calls["frame"] == 4 * 60, "every tick of four runs is looked at"
    assert min(calls.values()) >= 2, calls
    check_world(lambda: FakeWorld(1))


def test_a_world_in_which_everybody_leaves_passes():
    made = []

    def make():
        made.append(FakeWorld(empty_from=20))
        return made[-1]

    check_world(make)
    assert made[0].frame().agents == {}


@pytest.mark.parametrize(("world", "message"), WORLD_BREACHES.values(), ids=WORLD_BREACHES)
def test_a_breach_of_the_worlds_contract_is_found(world, message):
    with pytest.raises(ContractError, match=message):
        check_world(world, ticks=12)


def broken_policy(**methods):
    return type("BrokenPolicy", (FakePolicy,), methods)


def deciding(change):
    """A policy whose decisions are changed on the way out."""

    def decide(self, observation):
        decision = FakePolicy.decide(self, observation)
        return replace(decision, actions=change(decision.actions))

    return broken_policy(decide=decide)


def int16(*values):
    return readonly(array("h", values), len(values))


POLICY_BREACHES = {
    "masked": (
        deciding(lambda a: replace(a, action=int16(1, 1))),
        "got 'sip' at tick [0-9]+, which is masked",
    ),
    "unknown": (deciding(lambda a: replace(a, action=int16(9, 9))), "got action 9; the world has 4"),
    "shape": (deciding(lambda a: replace(a, action=int16(0))), "actions.action has shape"),
    "dtype": (deciding(lambda a: ActionBatch(a.action, a.action)), "actions.target has format 'h'"),
    "goal": (
        deciding(lambda a: replace(a, context=replace(a.context, goal=readonly(array("i", [5, 5]), 2)))),
        "has goal 5; the world has 3 fields",
    ),
    "random": (
        broken_policy(begin=lambda self, spec, seed: FakePolicy.begin(self, spec, seed + next(BORN))),
        "a second policy with the same seed",
    ),
    "forgetful": (
        broken_policy(export_state=lambda self: [turn ^ 1 for turn in self._turns]),
        "state between ticks belongs in SupportsState",
    ),
    "anonymous": (broken_policy(identity=PolicyIdentity("", "")), "identity.name is empty"),
}


def test_an_honest_policy_passes():
    calls = Counter()
    check_policy(counting_calls(FakePolicy, calls, "begin", "decide", "export_state", "import_state", "end"))
    assert calls == {"begin": 5, "decide": 4 * 60, "export_state": 1, "import_state": 1, "end": 2}
    check_policy(FakePolicy, lambda: FakeWorld(5))


@pytest.mark.parametrize(("policy", "message"), POLICY_BREACHES.values(), ids=POLICY_BREACHES)
def test_a_breach_of_the_policys_contract_is_found(policy, message):
    with pytest.raises(ContractError, match=message):
        check_policy(policy)


def broken_sink(**methods):
    return type("BrokenSink", (CollectingSink,), methods)


def counting(change):
    """A sink whose counters are changed on the way out."""
    return broken_sink(status=lambda self: change(CollectingSink.status(self)))


def raising(_self, _message):
    raise OSError("disk full")


def swallowing(self, message):
    result = CollectingSink.emit(self, message)
    return EmitResult("accepted") if result.reason == "not_json" else result


def instead_of_a_reason(status, reason):
    """Answer so to an event that is not JSON."""

    def emit(self, message):
        result = CollectingSink.emit(self, message)
        return EmitResult(status, reason) if result.reason == "not_json" else result

    return emit


def reopened(self, deadline_seconds):
    status = CollectingSink.stop(self, deadline_seconds)
    return replace(status, state="healthy")


def restless(self, deadline_seconds):
    status = CollectingSink.stop(self, deadline_seconds)
    self._offered += 1
    self._rejected["late"] = self._rejected.get("late", 0) + 1
    return status


ANSWERS = {
    1: "after start()",
    2: "after 1 messages",
    63: "after 62 messages",
    64: "after an event that is not JSON",
    65: "after an event that is not JSON",
    66: "after stop()",
    68: "after a message after stop()",
}
"""When the contract asks a sink for its status; the 67th time is the second ``stop``."""


def wrong_once(call):
    """A sink of which one of the answers of ``status`` breaks the law."""

    class WrongOnce(CollectingSink):
        answered = 0

        def status(self):
            status = super().status()
            self.answered += 1
            return replace(status, offered=-1) if self.answered == call else status

    return WrongOnce


def forgetful(self, deadline_seconds):
    status = CollectingSink.stop(self, deadline_seconds)
    return replace(status, delivered=status.delivered - 1, buffered=1)


def accepting_when_closed(self, message):
    result = CollectingSink.emit(self, message)
    return EmitResult("accepted") if result.reason == "closed" else result


SINK_BREACHES = {
    "raises": (broken_sink(emit=raising), "emit raised OSError: disk full"),
    "answers nothing": (broken_sink(emit=lambda _self, _message: None), "emit returned None"),
    "odd answer": (broken_sink(emit=lambda _self, _message: EmitResult("lost")), "unknown status 'lost'"),
    "nan": (broken_sink(emit=swallowing), "with NaN"),
    "nan, dropped": (
        broken_sink(emit=instead_of_a_reason("dropped", "not_json")),
        "emit returned 'dropped' for",
    ),
    "nan, without a reason": (broken_sink(emit=instead_of_a_reason("rejected", "")), "with a reason"),
    "offered": (
        counting(lambda s: replace(s, offered=s.offered + 1)),
        "offered is 1, but emit was called 0 times",
    ),
    "emitted": (counting(lambda s: replace(s, emitted=s.emitted + 1)), "is not emitted 1"),
    "lost": (counting(lambda s: replace(s, delivered=0)), "emitted 1 is not delivered 0"),
    **{
        f"wrong answer {call}": (wrong_once(call), rf"^{re.escape(when)}: offered is -1, but emit was called")
        for call, when in ANSWERS.items()
    },
    "name": (counting(lambda s: replace(s, name="")), "name is empty"),
    "open": (broken_sink(stop=reopened), r"the state after stop\(\) is 'healthy'"),
    "two states": (broken_sink(state="healthy"), r"the property state is 'healthy', but .* is 'closed'"),
    "forgetful": (broken_sink(stop=forgetful), r"stop\(\) left 1 messages in memory"),
    "late": (broken_sink(emit=accepting_when_closed), r"emit accepted a message after stop\(\)"),
    "restless": (broken_sink(stop=restless), r"a second stop\(\) changed the counters"),
}


def test_an_honest_sink_passes():
    sink = CollectingSink()
    check_sink(lambda: sink, ticks=20, observations=True)
    kinds = Counter(type(message) for message in sink.messages)
    assert kinds == {PlanMessage: 1, Fact: 40, StateFrame: 20, ObservationMessage: 20, Diagnostic: 1}


def test_a_sink_is_checked_through_its_whole_life():
    called = []

    class Noting(CollectingSink):
        def start(self):
            called.append("start")
            return super().start()

        def emit(self, message):
            called.append("emit")
            return super().emit(message)

        def stop(self, deadline_seconds):
            called.append("stop")
            return super().stop(deadline_seconds)

    check_sink(Noting, ticks=3)
    assert called == ["start", *["emit"] * (1 + 3 * 3 + 1 + 2), "stop", "stop", "emit"]


@pytest.mark.parametrize(("sink", "message"), SINK_BREACHES.values(), ids=SINK_BREACHES)
def test_a_breach_of_the_sinks_contract_is_found(sink, message):
    with pytest.raises(ContractError, match=message):
        check_sink(sink)
