"""What may be asked of a running simulation, who may ask it, and what is answered (DOMAIN section 19)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, Literal, TypeAlias, get_args

from townlet_core.events.console import CommandFault
from townlet_core.jsonvalue import JsonValue

Role: TypeAlias = Literal["viewer", "admin"]
"""Who somebody is, once that has been established; an admin may do what a viewer may."""

ErrorCode: TypeAlias = Literal[
    "invalid_args",
    "unknown_command",
    "not_found",
    "unauthorized",
    "forbidden",
    "rate_limited",
    "conflict",
    "blocked_tile",
    "busy_target",
    "already_possessed",
    "unsupported",
    "not_ready",
    "snapshot_schema",
    "snapshot_config",
    "snapshot_identity",
    "snapshot_corrupt",
    "io_error",
    "internal",
]
ERROR_CODES: Final[frozenset[str]] = frozenset(get_args(ErrorCode))

ArgumentType: TypeAlias = Literal["text", "int", "real", "bool", "xy", "reals"]
"""What an argument is: printable text, a whole number of 64 bits, a finite number, true or false, a tile
``[x, y]``, or finite numbers by name."""

LONGEST_TEXT: Final = 1000
"""Characters of a text in an argument."""
MOST_NUMBERS: Final = 64
"""Entries of ``reals``."""
_INT_LIMIT: Final = 2**63


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command.

    Attributes:
        name: its key in ``Command.args``.
        type: what it must be.
        required: whether it must be given.
    """

    name: str
    type: ArgumentType
    required: bool = True


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """What a command is called, who may give it, and with what.

    Attributes:
        name: a world's own has lower-case letters, digits and underscores; a plugin's is
            ``<entry point>.<name>``.
        role: the least role that may give it; only an admin's command may change anything.
        summary: one sentence for who looks for it.
        arguments: what it takes.
    """

    name: str
    role: Role
    summary: str
    arguments: tuple[Argument, ...] = ()

    def read(self, args: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Check arguments against what the command takes.

        Returns:
            A copy of its own in the order of ``arguments``; reals are floats, tiles are lists.

        Raises:
            ValueError: when they do not fit; it says what is wrong and what is allowed.
        """
        taken = ", ".join(each.name for each in self.arguments) or "nothing"
        for name in args:
            if not any(each.name == name for each in self.arguments):
                raise ValueError(f"{self.name} has no argument {name!r:.80}; it takes {taken}")
        read: dict[str, JsonValue] = {}
        for each in self.arguments:
            if each.name in args:
                try:
                    read[each.name] = _READERS[each.type](args[each.name])
                except ValueError as error:
                    raise ValueError(f"{self.name}: {each.name} {error}") from error
            elif each.required:
                raise ValueError(f"{self.name} needs {each.name}; it takes {taken}")
        return read


@dataclass(frozen=True, slots=True)
class Command:
    """One request; a world is given none that was not authorised and checked against its spec.

    Attributes:
        name: name of the command.
        args: its arguments.
        cmd_id: the issuer's key for this request; a repeated one is executed once.
        issuer: who asks.
    """

    name: str
    args: Mapping[str, JsonValue] = field(default_factory=dict)
    cmd_id: str = ""
    issuer: str = ""

    def done(self, tick: int, result: Mapping[str, JsonValue] | None = None) -> "CommandResult":
        """Answer that it was executed in a tick."""
        return CommandResult(self.name, "ok", result or {}, None, self.cmd_id, self.issuer, tick)

    def refused(
        self, tick: int, code: ErrorCode, message: str, details: Mapping[str, JsonValue] | None = None
    ) -> "CommandResult":
        """Answer that it was not executed."""
        error = CommandFault(code, message, details or {})
        return CommandResult(self.name, "error", {}, error, self.cmd_id, self.issuer, tick)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What became of a command.

    Attributes:
        name: name of the command.
        status: ``ok`` or ``error``.
        result: what it came to, empty after an error.
        error: what went wrong, None when ok.
        cmd_id: the request's key.
        issuer: who asked.
        tick: the tick in which it was executed or refused.
    """

    name: str
    status: Literal["ok", "error"]
    result: Mapping[str, JsonValue]
    error: CommandFault | None
    cmd_id: str
    issuer: str
    tick: int


def is_line(value: object, longest: int) -> bool:
    """Tell whether something is printable text, which every encoding of ours can carry."""
    return type(value) is str and len(value) <= longest and value.isprintable()


def _read_text(value: JsonValue) -> JsonValue:
    if not is_line(value, LONGEST_TEXT):
        raise ValueError(f"is no text of at most {LONGEST_TEXT} printable characters")
    return value


def _read_int(value: JsonValue) -> JsonValue:
    if type(value) is not int or not -_INT_LIMIT <= value < _INT_LIMIT:
        raise ValueError("is no whole number of 64 bits")
    return value


def _read_real(value: JsonValue) -> JsonValue:
    if type(value) is int and -_INT_LIMIT <= value < _INT_LIMIT:
        return float(value)
    if type(value) is not float or not isfinite(value):
        raise ValueError("is no finite number")
    return value


def _read_bool(value: JsonValue) -> JsonValue:
    if type(value) is not bool:
        raise ValueError("is neither true nor false")
    return value


def _read_tile(value: JsonValue) -> JsonValue:
    try:
        if (type(value) is list or type(value) is tuple) and len(value) == 2:  # noqa: PLR2004 - x and y
            return [_read_int(value[0]), _read_int(value[1])]
    except ValueError:
        pass
    raise ValueError("is no tile; one is spelt [x, y], in whole numbers")


def _read_reals(value: JsonValue) -> JsonValue:
    if not isinstance(value, Mapping) or not 0 < len(value) <= MOST_NUMBERS:
        raise ValueError(f"is no mapping of 1 to {MOST_NUMBERS} names to numbers")
    read: dict[str, JsonValue] = {}
    for name, number in value.items():
        if not is_line(name, LONGEST_TEXT):
            raise ValueError("has a name that is no printable text")
        try:
            read[name] = _read_real(number)
        except ValueError as error:
            raise ValueError(f"is wrong at {name:.80}, which {error}") from error
    return read


_READERS: Final[Mapping[ArgumentType, Callable[[JsonValue], JsonValue]]] = {
    "text": _read_text,
    "int": _read_int,
    "real": _read_real,
    "bool": _read_bool,
    "xy": _read_tile,
    "reals": _read_reals,
}
