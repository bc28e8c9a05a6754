"""What came of commands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonValue


@dataclass(frozen=True, slots=True)
class CommandFault:
    """Why a command was not executed.

    Attributes:
        code: what kind of error, one of ``townlet_core.dto.command.ERROR_CODES``.
        message: what is wrong and what is allowed.
        details: the same for a program, by name.
    """

    code: str
    message: str
    details: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConsoleResult(Event):
    """A command was executed, or refused by the world or the plugin that it was for.

    Told before the other facts of its tick, in the order in which commands were accepted. ``error`` has a
    code, what is wrong and what is allowed, and is null when ``status`` is ``ok``. What is refused at the
    door (role, name, arguments) is told to nobody but who asked.
    """

    kind: ClassVar[str] = "console.result"
    name: str
    status: Literal["ok", "error"]
    result: Mapping[str, JsonValue]
    error: CommandFault | None
    cmd_id: str
    issuer: str
    tick: int
