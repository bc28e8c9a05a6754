"""The program ``townlet``: finds a command, runs it and returns its exit code."""

import errno
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, TextIO

import click

from townlet_adapters.cli import errors
from townlet_adapters.guards import require_plain_numba
from townlet_core.errors import TownletError

_UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF})


class Entry(NamedTuple):
    """The module of a command, and its line in the list of commands."""

    module: str
    summary: str


COMMANDS: Mapping[str, Entry] = MappingProxyType(
    {
        "run": Entry("townlet_adapters.cli.run", "Run a town."),
        "story": Entry("townlet_adapters.cli.story", "Print a resident's day in sentences."),
        "init": Entry("townlet_adapters.cli.init", "Copy the shipped town into a folder to edit."),
        "warmup": Entry("townlet_adapters.cli.warmup", "Compile the town's rules now."),
        "config": Entry("townlet_adapters.cli.config", "Check, show and describe configs."),
        "schema": Entry("townlet_adapters.cli.schema", "Print the schema of what a run sends."),
        "plugins": Entry("townlet_adapters.cli.plugins", "List, verify and write plugins."),
        "collect": Entry("townlet_adapters.cli.collect", "Receive and store what towns send."),
        "snapshot": Entry("townlet_adapters.cli.snapshot", "Inspect and verify snapshot files."),
        "spool": Entry("townlet_adapters.cli.spool", "Inspect and send what waits in outboxes."),
        "bench": Entry("townlet_adapters.cli.bench", "Measure the speed on this machine."),
    }
)
"""Every command; its module is imported only when it is used, and has it under the name ``command``."""


class LazyGroup(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List every command."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        command: click.Command = importlib.import_module(entry.module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="townlet", message="%(prog)s %(version)s")
def townlet() -> None:
    """Townlet: a small town of residents with needs, jobs and queues.

    \b
    Examples:
      townlet run                                   a day in the default town
      townlet run configs/hamlet.yaml --ticks 2880  two days in a smaller one
      townlet config check my.yaml                  lists every mistake in a config
    """
    require_plain_numba()


def _reserve_closed_streams() -> None:
    """Reserve the descriptors of closed standard streams, which a file of the run would get otherwise.

    Writing to standard output still fails as if it were closed; what goes to standard error is discarded.
    """
    if sys.stdout is None:
        sys.stdout = _reserved(1, os.O_RDONLY)
    if sys.stderr is None:
        sys.stderr = _reserved(2, os.O_WRONLY)


def _reserved(number: int, flags: int) -> TextIO:
    nowhere = os.open(os.devnull, flags)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
    return open(number, "w", closefd=False)


def _discard_stdout() -> None:
    """Discard what Python would still write to standard output when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name; by default, what the process was given.

    Returns:
        The exit code.
    """
    _reserve_closed_streams()
    try:
        code = townlet.main(arguments, prog_name="townlet", standalone_mode=False)
        sys.stdout.flush()
    except TownletError as error:
        for line in errors.lines_of(error):
            click.echo(line, err=True)
        return errors.exit_code(error)
    except click.ClickException as error:
        click.echo(errors.usage_text(error), err=True)
        return errors.WRONG_INPUT
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return errors.INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has left; a message would have no reader either.
        _discard_stdout()
        return errors.FAILED
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _discard_stdout()
        where = error.filename or "standard output"
        click.echo(f"error: {where} cannot be written: {error.strerror}", err=True)
        return errors.FAILED
    return code if isinstance(code, int) else errors.DONE
