"""What the town obeys: commands become interventions, and what came of those becomes results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.batch import Intervention
from townlet_adapters.worlds.town.vocabulary import COMMANDS
from townlet_core.dto.command import Command, CommandResult, CommandSpec, ErrorCode
from townlet_core.naming import nearest

_SPECS: Final[Mapping[str, CommandSpec]] = {spec.name: spec for spec in COMMANDS}


@dataclass(frozen=True, slots=True)
class Order:
    """What the town is to do for one command.

    Attributes:
        command: the command.
        refused: why nothing is to be done, None when something is.
        interventions: what is to be done, in order.
    """

    command: Command
    refused: CommandResult | None
    interventions: tuple[Intervention, ...] = ()

    def result(self, tick: int, carried_out: Sequence[bool]) -> CommandResult:
        """Tell what came of it in a tick.

        Args:
            tick: the executed tick.
            carried_out: which of its interventions were carried out.
        """
        if self.refused is not None:
            return self.refused
        if all(carried_out):
            return self.command.done(tick, self.command.args)
        message = "there is a wall, water, an object or somebody, or the map ends; a free tile is needed"
        return self.command.refused(tick, "blocked_tile", message, self.command.args)


class _WrongError(Exception):
    """A command asks for what cannot be done. Never leaves this module."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


def order_of(command: Command, agent_ids: Sequence[str], tick: int) -> Order:
    """Find out what a command wants done.

    Args:
        command: what is asked, perhaps by a caller who has checked nothing.
        agent_ids: the resident of each slot, empty text where there is none.
        tick: the tick about to be executed.
    """
    try:
        return Order(command, None, _interventions(command, agent_ids))
    except _WrongError as wrong:
        return Order(command, command.refused(tick, wrong.code, wrong.message))


def _interventions(command: Command, agent_ids: Sequence[str]) -> tuple[Intervention, ...]:
    spec = _SPECS.get(command.name)
    if spec is None:
        known = nearest(command.name, _SPECS)
        raise _WrongError("unknown_command", f"this town knows no command {command.name!r}; {known}")
    try:
        args = spec.read(command.args)
    except ValueError as error:
        raise _WrongError("invalid_args", str(error)) from error
    slot = _slot_of(str(args["agent_id"]), agent_ids)
    if spec.name == "teleport":
        x, y = cast("Sequence[int]", args["position"])
        # A kernel's numbers are compared with the map's, so they need not lie on it.
        return (Intervention(0, codes.TELEPORT, slot, x, y),)
    return _needs(slot, cast("Mapping[str, float]", args["needs"]))


def _slot_of(agent_id: str, agent_ids: Sequence[str]) -> int:
    if not agent_id or agent_id not in agent_ids:
        raise _WrongError("not_found", f"nobody called {agent_id!r:.80} lives in town")
    return agent_ids.index(agent_id)


def _needs(slot: int, needs: Mapping[str, float]) -> tuple[Intervention, ...]:
    for need, value in needs.items():
        if need not in codes.NEEDS:
            raise _WrongError("invalid_args", f"there is no need {need!r:.80}; {nearest(need, codes.NEEDS)}")
        if not 0.0 <= value <= 1.0:
            raise _WrongError("invalid_args", f"{need} is {value}; allowed: 0 to 1, where 1 is satisfied")
    return tuple(
        Intervention(0, codes.SET_NEED, slot, codes.NEEDS.index(need), value=value)
        for need, value in needs.items()
    )
