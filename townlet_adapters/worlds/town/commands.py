"""The town's commands: translated to interventions, whose outcome becomes the results."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.arguments import Intervention
from townlet_adapters.worlds.town.command_specs import COMMANDS
from townlet_adapters.worlds.town.events.lifecycle import LifecycleMoved
from townlet_core.dto.command import Command, CommandResult, CommandSpec, ErrorCode
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonValue
from townlet_core.naming import nearest

_TELEPORTED: Final = codes.MOVES[codes.MOVED_TELEPORT]
_SPECS: Final[Mapping[str, CommandSpec]] = {spec.name: spec for spec in COMMANDS}


@dataclass(frozen=True, slots=True)
class Order:
    """The interventions for one command.

    Attributes:
        command: the command.
        refused: the result of a refused command, else None.
        interventions: the interventions, in order.
    """

    command: Command
    refused: CommandResult | None
    interventions: tuple[Intervention, ...] = ()


class _WrongError(Exception):
    """A command requests something impossible. Never leaves this module."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


def order_of(command: Command, agent_ids: Sequence[str], needs: Sequence[str], tick: int) -> Order:
    """Translate a command to interventions, or refuse it.

    Args:
        command: the command; its arguments may be unchecked.
        agent_ids: the resident of each slot, empty text for an empty slot.
        needs: the name of each need.
        tick: the tick about to be executed.
    """
    try:
        return Order(command, None, _interventions(command, agent_ids, needs))
    except _WrongError as wrong:
        return Order(command, command.refused(tick, wrong.code, wrong.message))


def results_of(orders: Sequence[Order], events: Sequence[Event], tick: int) -> tuple[CommandResult, ...]:
    """Return the results of all orders of a tick.

    A teleport records its move, and no other rule moves a resident in that way in phase 1. So a teleport was
    executed if and only if the next recorded move is its own. When two orders ask for the same move, the
    later one finds its tile occupied.

    Args:
        orders: the town's orders, in order.
        events: the events of the tick.
        tick: the executed tick.
    """
    moves = deque(
        (event.agent_id, event.to)
        for event in events
        if isinstance(event, LifecycleMoved) and event.reason == _TELEPORTED
    )
    results: list[CommandResult] = []
    for order in orders:
        command = order.command
        if order.refused is not None:
            results.append(order.refused)
        elif any(each.what != codes.TELEPORT for each in order.interventions):
            results.append(command.done(tick, command.args))
        elif moves and moves[0] == _wanted(order):
            moves.popleft()
            results.append(command.done(tick, command.args))
        else:
            message = "the tile is not free: it is outside of the map, impassable or occupied"
            results.append(command.refused(tick, "blocked_tile", message, command.args))
    return tuple(results)


def _wanted(order: Order) -> tuple[JsonValue, tuple[int, int]]:
    (move,) = order.interventions
    return order.command.args["agent_id"], (move.a, move.b)


def _interventions(
    command: Command, agent_ids: Sequence[str], needs: Sequence[str]
) -> tuple[Intervention, ...]:
    spec = _SPECS.get(command.name)
    if spec is None:
        known = nearest(command.name, _SPECS)
        raise _WrongError("unknown_command", f"unknown command {command.name!r}; {known}")
    try:
        args = spec.read(command.args)
    except ValueError as error:
        raise _WrongError("invalid_args", str(error)) from error
    slot = _slot_of(str(args["agent_id"]), agent_ids)
    if spec.name == "teleport":
        x, y = cast("Sequence[int]", args["position"])
        # Kernels compare the numbers with the map's size, so they may be outside of the map.
        return (Intervention(0, codes.TELEPORT, slot, x, y),)
    return _needs(slot, cast("Mapping[str, float]", args["needs"]), needs)


def _slot_of(agent_id: str, agent_ids: Sequence[str]) -> int:
    if not agent_id or agent_id not in agent_ids:
        raise _WrongError("not_found", f"no resident {agent_id!r:.80} lives in town")
    return agent_ids.index(agent_id)


def _needs(slot: int, levels: Mapping[str, float], known: Sequence[str]) -> tuple[Intervention, ...]:
    for need, value in levels.items():
        if need not in known:
            raise _WrongError("invalid_args", f"unknown need {need!r:.80}; {nearest(need, known)}")
        if not 0.0 <= value <= 1.0:
            raise _WrongError("invalid_args", f"{need} {value} is out of range (0 to 1, 1 is satisfied)")
    return tuple(
        Intervention(0, codes.SET_NEED, slot, known.index(need), value=value)
        for need, value in levels.items()
    )
