"""The results of commands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonValue


@dataclass(frozen=True, slots=True)
class CommandFault:
    """The reason why a command was not executed.

    Attributes:
        code: the kind of error, one of ``townlet_core.dto.command.ERROR_CODES``.
        message: what is wrong and what is allowed.
        details: the same for a program, by name.
    """

    code: str
    message: str
    details: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConsoleResult(Event):
    """A command was executed, or refused by the world or by the plugin that offers it.

    Emitted before the other facts of its tick, in the order in which commands were accepted. ``error`` has
    the code, what is wrong and what is allowed; it is null when ``status`` is ``ok``. A request that the
    command bus refuses (role, name, arguments) causes no event; only its issuer gets the answer.
    """

    kind: ClassVar[str] = "console.result"
    name: str
    status: Literal["ok", "error"]
    result: Mapping[str, JsonValue]
    error: CommandFault | None
    cmd_id: str
    issuer: str
    tick: int
