"""Writes the reference page of the command line from the commands."""

import inspect
from collections.abc import Iterator

import click

from townlet_adapters.cli import errors
from townlet_adapters.cli.main import townlet

_INTRODUCTION = """\
# Command line

Data goes to standard output, everything else to standard error. An error is one line for each problem. A
terminal gets a progress bar and colours (`NO_COLOR` turns the colours off), a pipe gets neither. With a
sink on standard output, the summary goes to standard error. `python -m townlet` starts the same program.

This page is written from the commands by `townlet_adapters.cli.reference`, and a test compares the two.
"""

_NOTES = """
A group without a command prints its help and ends with code 2.

A run of which all sinks write to standard output ends when the reader of standard output leaves, as in
`townlet run --sink stdout | head`: with code 1, without a message, and with its summary in the run folder.
"""

_MEANINGS = (
    (errors.DONE, "done"),
    (errors.FAILED, "the run failed, its town was empty at the end, or the reader of standard output left"),
    (errors.WRONG_INPUT, "wrong usage, config, snapshot or output; nothing was left half-written"),
    (errors.PLUGIN, "the config names an installed plugin that is not allowed, does not verify or is broken"),
    (errors.INTERRUPTED, "interrupted: the first interrupt ends the run in good order, the second at once"),
)


def cli_markdown() -> str:
    """Write the page: exit codes and their errors, then every command with its options."""
    lines = [_INTRODUCTION, "## Exit codes", "", "| code | meaning | errors |", "|---|---|---|"]
    for code, meaning in _MEANINGS:
        kinds = ", ".join(f"`{kind.__name__}`" for kind, of in errors.EXIT_CODES.items() if of == code)
        lines.append(f"| {code} | {meaning} | {kinds} |")
    lines += _NOTES.splitlines()
    for path, command in _commands(townlet, "townlet"):
        lines += ["", f"## {path}", "", *_page(command)]
    return "\n".join(lines) + "\n"


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """List every command, a group before the commands in it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _commands(inner, f"{path} {name}")


def _page(command: click.Command) -> Iterator[str]:
    """Write the text about one command."""
    text, _, examples = inspect.cleandoc(command.help or "").partition("\b\n")
    yield text.strip()
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    if arguments:
        yield from (
            "",
            "Arguments: "
            + ", ".join(f"`{argument.make_metavar(click.Context(command))}`" for argument in arguments),
        )
    if options:
        yield from ("", "| option | meaning |", "|---|---|")
        yield from map(_row, options)
    _, _, lines = examples.partition("\n")
    if lines:
        yield from ("", "```sh", inspect.cleandoc(lines), "```")


def _row(option: click.Option) -> str:
    metavar = "" if option.is_flag else f" {option.metavar or option.type.name}"
    if isinstance(option.type, click.Choice):
        metavar = " " + "\\|".join(map(str, option.type.choices))
    default = f" Default: {option.default}." if option.show_default else ""
    return f"| `{', '.join(option.opts)}{metavar}` | {option.help}{default} |"
