"""The town's commands: translated to interventions, whose outcome becomes the results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.command_specs import COMMANDS
from townlet_adapters.worlds.town.compiled.rows import serial_of
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_core.dto.command import Command, CommandResult, CommandSpec, ErrorCode
from townlet_core.suggestions import nearest

_FAULTS: Final[Mapping[int, tuple[ErrorCode, str]]] = {
    codes.NOT_EXECUTED: ("internal", "the town has no answer; please report this as a bug"),
    codes.BLOCKED_TILE: (
        "blocked_tile",
        "the tile is not free: it is outside of the map, impassable or occupied",
    ),
    codes.GONE: ("not_found", "the resident does not live in town any more"),
}
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


def results_of(orders: Sequence[Order], answers: Sequence[int], tick: int) -> tuple[CommandResult, ...]:
    """Return the results of all orders of a tick.

    Args:
        orders: the town's orders, in order.
        answers: what became of their interventions, one after the other.
        tick: the executed tick.
    """
    given = iter(answers)
    results: list[CommandResult] = []
    for order in orders:
        command = order.command
        own = [answer for _, answer in zip(order.interventions, given, strict=False)]
        fault = next((_FAULTS[answer] for answer in own if answer != codes.EXECUTED), None)
        if order.refused is not None:
            results.append(order.refused)
        elif fault is None:
            results.append(command.done(tick, command.args))
        else:
            about = command.args if fault[0] == "blocked_tile" else None
            results.append(command.refused(tick, *fault, about))
    return tuple(results)


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
    serial = serial_of(agent_ids[slot])
    if spec.name == "teleport":
        x, y = cast("Sequence[int]", args["position"])
        # Kernels compare the numbers with the map's size, so they may be outside of the map.
        return (Intervention(0, codes.TELEPORT, slot, x, y, serial=serial),)
    if spec.name == "interrupt":
        return (Intervention(0, codes.INTERRUPT, slot, int(bool(args.get("idle"))), serial=serial),)
    levels = _levels(cast("Mapping[str, float]", args["needs"]), needs)
    return tuple(
        Intervention(0, codes.SET_NEED, slot, need, x=level, serial=serial) for need, level in levels
    )


def _slot_of(agent_id: str, agent_ids: Sequence[str]) -> int:
    if not agent_id or agent_id not in agent_ids:
        raise _WrongError("not_found", f"no resident {agent_id!r:.80} lives in town")
    return agent_ids.index(agent_id)


def _levels(levels: Mapping[str, float], known: Sequence[str]) -> list[tuple[int, float]]:
    """Return the numbers of needs with their levels."""
    for need, value in levels.items():
        if need not in known:
            raise _WrongError("invalid_args", f"unknown need {need!r:.80}; {nearest(need, known)}")
        if not 0.0 <= value <= 1.0:
            raise _WrongError("invalid_args", f"{need} {value} is out of range (0 to 1, 1 is satisfied)")
    return [(known.index(need), value) for need, value in levels.items()]
