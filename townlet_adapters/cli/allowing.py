"""Options of commands that read a config: what it may read, and which plugins are allowed."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

CommandT = TypeVar("CommandT", bound=Callable[..., object])

_CONFIG = click.option(
    "--config", metavar="FILE", help="Config whose plugins are allowed; without it, only the built-in ones."
)


def _variables(
    _context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse patterns, which would name nothing, and empty names."""
    for name in names:
        if not name or set(name) & set("*?[]=") or name.isspace():
            raise click.BadParameter(f"{name!r} is not the name of one variable; patterns are not supported")
    return names


_ALLOW_ENV = click.option(
    "--allow-env",
    multiple=True,
    metavar="NAME",
    callback=_variables,
    help="Variable that the config may read, beside those named TOWNLET_*; can be repeated.",
)
_ALLOW_PATH = click.option(
    "--allow-path",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder that the config may read files from, beside its own; can be repeated.",
)


def reads_config(command: CommandT) -> CommandT:
    """Add ``--allow-env`` and ``--allow-path`` to a command that reads a config."""
    return _ALLOW_ENV(_ALLOW_PATH(command))


def reads_plugins(command: CommandT) -> CommandT:
    """Add ``--config`` and what belongs to it to a command that needs the plugins of a config, if any."""
    return _CONFIG(reads_config(command))
