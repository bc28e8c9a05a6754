"""Turns errors into exit codes and lines on standard error; no other module does."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import click

from townlet_core.errors import (
    ArgumentError,
    ConfigError,
    ContractError,
    EmptyTownError,
    EnvironmentRefusedError,
    LoopFailedError,
    MissingExtraError,
    NoRunFolderError,
    OutputError,
    OutputLostError,
    PluginError,
    PolicyError,
    SnapshotError,
    TownletError,
    UnknownNameError,
    WorldError,
)

DONE = 0
FAILED = 1
WRONG_INPUT = 2
PLUGIN = 3
INTERRUPTED = 130

EXIT_CODES: Mapping[type[TownletError], int] = MappingProxyType(
    {
        ConfigError: WRONG_INPUT,
        UnknownNameError: WRONG_INPUT,
        PluginError: PLUGIN,
        SnapshotError: WRONG_INPUT,
        OutputError: WRONG_INPUT,
        OutputLostError: FAILED,
        NoRunFolderError: WRONG_INPUT,
        EnvironmentRefusedError: WRONG_INPUT,
        MissingExtraError: WRONG_INPUT,
        ArgumentError: FAILED,
        ContractError: FAILED,
        WorldError: FAILED,
        PolicyError: FAILED,
        LoopFailedError: FAILED,
        EmptyTownError: FAILED,
    }
)
"""Exit code of every kind of error."""


def exit_code(error: TownletError) -> int:
    """Return the exit code of an error; the nearest class above it in the tree decides."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), FAILED)


def printable(text: str) -> str:
    """Escape what the author of a file could use to command the terminal; ends of lines are escaped, too."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def lines_of(error: TownletError) -> Iterator[str]:
    """Format an error, one line for each problem; it may quote a file from another person."""
    if isinstance(error, ConfigError):
        texts = [str(problem) for problem in error.problems]
    elif isinstance(error, SnapshotError):
        texts = [f"error: {error} ({error.code})"]
    else:
        texts = [f"error: {error}"]
    for text in texts:
        yield from map(printable, text.split("\n"))


def usage_text(error: click.ClickException) -> str:
    """Format wrong usage as one line with the way to help; a group without a command as its help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context is not None else "townlet"
    return f"{command}: {' '.join(error.format_message().split())} (see {command} --help)"
