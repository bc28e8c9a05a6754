"""Commands to a running simulation: their specs, the roles that may give them, and their results.

domain.md, section 19 has the rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, Literal, TypeAlias, get_args

from townlet_core.events.console import CommandFault
from townlet_core.jsonvalue import JsonValue

Role: TypeAlias = Literal["viewer", "admin"]
"""The authenticated role of an issuer; an admin may do everything that a viewer may do."""

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

ArgumentType: TypeAlias = Literal["text", "int", "real", "bool", "xy", "reals", "texts"]
"""The type of an argument: printable text, a whole number of 64 bits, a finite number, true or false, a tile
``[x, y]``, finite numbers by name, or a list of printable texts."""

LONGEST_TEXT: Final = 1000
"""Most characters of a text in an argument."""
MOST_NUMBERS: Final = 64
"""Most entries of ``reals`` and ``texts``."""
_INT_LIMIT: Final = 2**63


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command.

    Attributes:
        name: its key in ``Command.args``.
        type: the type of its value.
        required: whether it must be given.
    """

    name: str
    type: ArgumentType
    required: bool = True


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """The name of a command, the role that it needs and its arguments.

    Attributes:
        name: a command of the world has lower-case letters, digits and underscores; a command of a plugin is
            called ``<entry point>.<name>``.
        role: the least role that may give it; only a command for admins may change anything.
        summary: one sentence for the list of commands.
        arguments: the arguments that it takes.
    """

    name: str
    role: Role
    summary: str
    arguments: tuple[Argument, ...] = ()

    def read(self, args: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Check arguments against the spec.

        Returns:
            A new dict in the order of ``arguments``; reals are floats, tiles are lists.

        Raises:
            ValueError: when they do not fit; the message says what is wrong and what is allowed.
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
    """One request; a world receives only requests that were authorised and checked against their spec.

    Attributes:
        name: name of the command.
        args: its arguments.
        cmd_id: the issuer's key for this request; a repeated request is executed once.
        issuer: the sender of the request.
    """

    name: str
    args: Mapping[str, JsonValue] = field(default_factory=dict)
    cmd_id: str = ""
    issuer: str = ""

    def done(self, tick: int, result: Mapping[str, JsonValue] | None = None) -> "CommandResult":
        """Return the result of a command that was executed in a tick."""
        return CommandResult(self.name, "ok", result or {}, None, self.cmd_id, self.issuer, tick)

    def refused(
        self, tick: int, code: ErrorCode, message: str, details: Mapping[str, JsonValue] | None = None
    ) -> "CommandResult":
        """Return the result of a command that was not executed."""
        error = CommandFault(code, message, details or {})
        return CommandResult(self.name, "error", {}, error, self.cmd_id, self.issuer, tick)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a command.

    Attributes:
        name: name of the command.
        status: ``ok`` or ``error``.
        result: the command's output, empty after an error.
        error: the reason for the error, None when ok.
        cmd_id: the request's key.
        issuer: the sender of the request.
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
    """Return whether a value is printable text of at most ``longest`` characters."""
    return type(value) is str and len(value) <= longest and value.isprintable()


def _read_text(value: JsonValue) -> JsonValue:
    if not is_line(value, LONGEST_TEXT):
        raise ValueError(f"must be text of at most {LONGEST_TEXT} printable characters")
    return value


def _read_int(value: JsonValue) -> JsonValue:
    if type(value) is not int or not -_INT_LIMIT <= value < _INT_LIMIT:
        raise ValueError("must be a whole number of 64 bits")
    return value


def _read_real(value: JsonValue) -> JsonValue:
    if type(value) is int and -_INT_LIMIT <= value < _INT_LIMIT:
        return float(value)
    if type(value) is not float or not isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _read_bool(value: JsonValue) -> JsonValue:
    if type(value) is not bool:
        raise ValueError("must be true or false")
    return value


def _read_tile(value: JsonValue) -> JsonValue:
    try:
        if (type(value) is list or type(value) is tuple) and len(value) == 2:  # noqa: PLR2004 - x and y
            return [_read_int(value[0]), _read_int(value[1])]
    except ValueError:
        pass
    raise ValueError("must be a tile: [x, y], two whole numbers")


def _read_reals(value: JsonValue) -> JsonValue:
    if not isinstance(value, Mapping) or not 0 < len(value) <= MOST_NUMBERS:
        raise ValueError(f"must map 1 to {MOST_NUMBERS} names to numbers")
    read: dict[str, JsonValue] = {}
    for name, number in value.items():
        if not is_line(name, LONGEST_TEXT):
            raise ValueError("has a name that is not printable text")
        try:
            read[name] = _read_real(number)
        except ValueError as error:
            raise ValueError(f"has a wrong value at {name:.80}, which {error}") from error
    return read


def _read_texts(value: JsonValue) -> JsonValue:
    if not (type(value) is list or type(value) is tuple) or not 0 < len(value) <= MOST_NUMBERS:
        raise ValueError(f"must be a list of 1 to {MOST_NUMBERS} texts")
    try:
        return [_read_text(each) for each in value]
    except ValueError as error:
        raise ValueError(f"has an entry that {error}") from error


_READERS: Final[Mapping[ArgumentType, Callable[[JsonValue], JsonValue]]] = {
    "text": _read_text,
    "int": _read_int,
    "real": _read_real,
    "bool": _read_bool,
    "xy": _read_tile,
    "reals": _read_reals,
    "texts": _read_texts,
}
