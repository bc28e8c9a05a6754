"""What an operator asks of a world, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from townlet_core.jsonvalue import JsonValue


@dataclass(frozen=True, slots=True)
class Command:
    """One authorised request to a world.

    Attributes:
        name: name of the command.
        args: its arguments.
        cmd_id: the issuer's key for this request; a repeated one is executed once.
        issuer: who asked.
    """

    name: str
    args: Mapping[str, JsonValue] = field(default_factory=dict)
    cmd_id: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What became of a command.

    Attributes:
        name: name of the command.
        cmd_id: the request's key.
        status: ``ok`` or ``error``.
        tick: the tick in which it was executed or refused.
        code: error code, empty when ok.
        message: what went wrong and what is allowed, empty when ok.
        result: what the command returned.
    """

    name: str
    cmd_id: str
    status: Literal["ok", "error"]
    tick: int
    code: str = ""
    message: str = ""
    result: Mapping[str, JsonValue] = field(default_factory=dict)
