"""The contract of ``TelemetrySinkProtocol``."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.health import SinkStatus
from townlet_core.dto.plan import PlanMessage, TileKind, TownPlan
from townlet_core.dto.seen import AgentReward, AgentsSeen, ObservationMessage, SeenContext
from townlet_core.dto.spec import TICKS_PER_DAY
from townlet_core.errors import ContractError
from townlet_core.events.base import Diagnostic, Event, Fact
from townlet_core.events.loop import LoopFailure, LoopTick
from townlet_core.plans import plan_hash
from townlet_core.ports.telemetry import EmitResult, Message, TelemetrySinkProtocol
from townlet_core.testing.contracts.arrays import require
from townlet_core.testing.events import FakeStart

_DEADLINE_SECONDS: Final = 5.0
_STATUSES: Final = ("accepted", "dropped", "rejected")


_SEEN: Final = AgentsSeen(
    next_tick=0,
    layout_version=1,
    agent_ids=("agent_1",),
    features={"need_drink": (0.5,)},
    map_channels=("agents",),
    map=((((1,),),),),
    action_names=("wait",),
    mask=((1,),),
    reward=(AgentReward(0.0),),
    context=SeenContext(0, 0, TICKS_PER_DAY, 1),
)

_PLAN: Final = TownPlan("contract", 2, 1, TICKS_PER_DAY, (TileKind("sand", walkable=True),), ((0, 2),))


@dataclass(frozen=True, slots=True)
class _NotJson(Event):
    """An event with a value that is not JSON."""

    kind: ClassVar[str] = "contract.not_json"
    value: float = float("nan")


def check_sink(
    make_sink: Callable[[], TelemetrySinkProtocol], *, ticks: int = 20, observations: bool = False
) -> None:
    """Check that a sink keeps the contract of ``TelemetrySinkProtocol``.

    Args:
        make_sink: builds a fresh sink whose destination can be reached.
        ticks: number of ticks to emit.
        observations: whether the sink also carries observations, which a config must enable.

    Raises:
        ContractError: when it does not.
    """
    sink = make_sink()
    sink.start()
    _require_law(sink.status(), 0, "after start()")
    offered = 0
    for message in _messages(ticks, observations=observations):
        _emit(sink, message)
        offered += 1
        _require_law(sink.status(), offered, f"after {offered} messages")
    for _ in range(2):
        result = _emit(sink, Fact(ticks * 2, ticks, _NotJson()))
        offered += 1
        require(
            result.status == "rejected" and result.reason,
            f"emit returned '{result.status}' for an event with NaN; reject it in emit, with a reason",
        )
        _require_law(sink.status(), offered, "after an event that is not JSON")
    stopped = sink.stop(_DEADLINE_SECONDS)
    _require_law(stopped, offered, "after stop()")
    require(stopped.state == "closed", f"the state after stop() is '{stopped.state}'; it must be 'closed'")
    require(
        sink.state == stopped.state,
        f"after stop() the property state is '{sink.state}', but the state in the account is "
        f"'{stopped.state}'; they must be equal",
    )
    require(
        stopped.buffered == 0, f"stop() left {stopped.buffered} messages in memory; account for each of them"
    )
    again = sink.stop(_DEADLINE_SECONDS)
    require(again == stopped, "a second stop() changed the counters; it must do nothing")
    late = _emit(sink, Fact(0, 0, FakeStart("agent", "object", "use")))
    require(late.status != "accepted", "emit accepted a message after stop(); it will not be delivered")
    _require_law(sink.status(), offered + 1, "after a message after stop()")


def _messages(ticks: int, *, observations: bool) -> list[Message]:
    """Return the messages of a short run."""
    messages: list[Message] = [PlanMessage(0, _PLAN, plan_hash(_PLAN))]
    for tick in range(ticks):
        messages.append(Fact(2 * tick, tick, FakeStart("agent_1", "thing_1", f"use_{tick}")))
        numbers = LoopTick(0, tick, 2, 0, 0, {"wait": 2}, {}, 1, 0.0, {"seats": tick})
        messages.append(Fact(2 * tick + 1, tick, numbers))
        messages.append(StateFrame(tick, TownFrame(tick, {"tod": tick}, {"agent_1": {"slot": 0}})))
        if observations:
            messages.append(ObservationMessage(tick, replace(_SEEN, next_tick=tick + 1)))
    messages.append(Diagnostic(ticks, LoopFailure(ticks, None, None, "for the contract's sake", None)))
    return messages


def _emit(sink: TelemetrySinkProtocol, message: Message) -> EmitResult:
    try:
        result = sink.emit(message)
    except Exception as error:
        raise ContractError(
            f"emit raised {type(error).__name__}: {error}; count the message as rejected instead"
        ) from error
    require(isinstance(result, EmitResult), f"emit returned {result!r}; it must return an EmitResult")
    require(result.status in _STATUSES, f"unknown status '{result.status}'; known: {', '.join(_STATUSES)}")
    return result


def _require_law(status: SinkStatus, offered: int, when: str) -> None:
    """Check the counters against the conservation law."""
    require(status.name, "status().name is empty; it is the sink's name within the run")
    require(
        status.offered == offered, f"{when}: offered is {status.offered}, but emit was called {offered} times"
    )
    wrong = status.imbalance()
    require(not wrong, f"{when}: {wrong}")
