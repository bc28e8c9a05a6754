"""The context that a plugin's command receives, and the answers that it may return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from townlet_core import seeding
from townlet_core.dto.command import Command, CommandSpec, ErrorCode
from townlet_core.dto.draws import Draws, own_index
from townlet_core.jsonvalue import JsonValue

MOST_COMMANDS: Final = 16
"""Most commands to the world in one answer."""
LONGEST_REFUSAL: Final = 200
"""Most characters of the reason of a refusal."""
LARGEST_RESULT: Final = 10_000
"""Most values and characters of a result, together."""


@dataclass(frozen=True, slots=True)
class ResidentSeen:
    """One resident at the start of the tick.

    Attributes:
        agent_id: the resident.
        serial: its number within the run.
        position: tile (x, y); None in a world whose view has no column ``xy``.
        needs: need -> value in [0, 1], 1 is satisfied, as named by the world's spec; empty in a world whose
            view has no column ``needs``.
        values: column -> number: the columns of the world's view with one number for each agent.
        inventory: item -> number carried, from the column ``inventory``; empty in a world without it.
    """

    agent_id: str
    serial: int
    position: tuple[int, int] | None
    needs: Mapping[str, float]
    values: Mapping[str, float]
    inventory: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CommandContext(Draws):
    """One request at the start of the tick that answers it; every call gets its own copy.

    A draw depends only on seed, tick, command, ``cmd_id`` and index.

    Attributes:
        command: full name of the command.
        args: its arguments, checked against its spec.
        cmd_id: the request's key; a viewer's request may have none.
        issuer: the sender of the request.
        tick: the tick about to be executed.
        day: its day.
        tod: its number within that day.
        residents: the living residents by id, in the order of slots.
        seed: the run's seed, for ``draw``.
    """

    command: str
    args: Mapping[str, JsonValue]
    cmd_id: str
    issuer: str
    tick: int
    day: int
    tod: int
    residents: Mapping[str, ResidentSeen]
    seed: int = field(repr=False)

    def _key(self, index: int) -> tuple[int, int, int, int, int]:
        entity = seeding.text_key(self.cmd_id)
        return self.seed, seeding.WORLD, self.tick, entity, own_index(self.command, index)


@dataclass(frozen=True, slots=True)
class CommandDone:
    """A plugin grants its command.

    Attributes:
        commands: the commands that the world executes for it in this tick, at most 16, in this order; only
            commands of the world, and only those that the command's own role may give. ``cmd_id`` and
            ``issuer`` are those of the request.
        result: the output for the issuer, as JSON, when the world has executed all of them.
    """

    commands: tuple[Command, ...] = ()
    result: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """A plugin refuses its command.

    Attributes:
        reason: what is wrong and what is allowed, in 1 to 200 printable characters.
        code: the kind of error.
    """

    reason: str
    code: ErrorCode = "conflict"


CommandFunction: TypeAlias = Callable[[CommandContext], CommandDone | CommandRefused]
"""Answers one request: a pure function of its context, within ``plugins.hook_budget_ms``."""


@dataclass(frozen=True, slots=True)
class OfferedCommand:
    """A command that a plugin adds to those of the world.

    Attributes:
        spec: its name, role and arguments.
        function: answers it.
    """

    spec: CommandSpec
    function: CommandFunction
