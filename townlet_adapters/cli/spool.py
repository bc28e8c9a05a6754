"""``townlet spool``: ls, verify and export; ``send`` is a module of its own."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

import click
from rich.table import Table

from townlet_adapters.cli import resend
from townlet_adapters.cli.console import note, stdout_console
from townlet_adapters.cli.errors import DONE, FAILED
from townlet_adapters.disk import DISK, sync_folder_at
from townlet_adapters.telemetry.spool import inspect
from townlet_core.errors import OutputError
from townlet_core.jsonvalue import JsonValue

_FOLDER = click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
_COLUMNS = ("outbox", "state", "sources", "events", "bytes", "segments", "oldest_age_s", "quarantined")


@click.group("spool")
def command() -> None:
    """Look into outboxes: list what waits for a collector, check it, print it or send it.

    DIR is a spool_dir with the outboxes of several sinks, or one outbox.

    \b
    Examples:
      townlet spool ls runs/mine/spool
      townlet spool verify runs/mine/spool
      townlet spool export runs/mine/spool > waiting.ndjson
      townlet spool send runs/mine/spool my.yaml
    """


command.add_command(resend.command)


@command.command("ls")
@_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def ls(folder: Path, *, as_json: bool) -> None:
    """List what waits in each outbox, also while a run uses it; events as the control page counts them.

    \b
    Example:
      townlet spool ls runs/mine/spool --json
    """
    rows = [_describe(inspect.look(each)) for each in inspect.outboxes_in(folder)]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    table = Table(*_COLUMNS, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in _COLUMNS))
    stdout_console().print(table, markup=False)


@command.command("verify")
@_FOLDER
def verify(folder: Path) -> int:
    """Read and check every row: exit code 0 if all is whole, 1 with a line for each problem if not.

    An outbox that a run uses cannot be read meanwhile: exit code 2.

    \b
    Example:
      townlet spool verify runs/mine/spool/tcp-1
    """
    code = DONE
    for each in inspect.outboxes_in(folder):
        problems = inspect.verify(each)
        for line in problems:
            click.echo(line)
        if problems:
            code = FAILED
        else:
            click.echo(f"{each}: ok")
    return code


@command.command("export")
@_FOLDER
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write this file instead; whole or not at all.",
)
@click.option(
    "--all", "everything", is_flag=True, help="Include acknowledged rows that are still on the disk."
)
def export(folder: Path, out: Path | None, *, everything: bool) -> int:
    """Print what waits, as one event per line, oldest first.

    Damaged rows are left out: exit code 1, with a line for each place. An outbox that a run uses cannot be
    read meanwhile: exit code 2.

    \b
    Examples:
      townlet spool export runs/mine/spool --out waiting.ndjson
      townlet spool export runs/mine/spool/tcp-1 --all | wc -l
    """
    problems: list[str] = []
    lines = chain.from_iterable(
        inspect.export(each, problems, everything=everything) for each in inspect.outboxes_in(folder)
    )
    if out is None:
        count = _write(lines, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        count = _write_file(lines, out)
    for line in problems:
        click.echo(line, err=True)
    note(f"{count} events")
    return FAILED if problems else DONE


def _write(lines: Iterator[bytes], file: IO[bytes]) -> int:
    count = 0
    for line in lines:
        file.write(line)
        count += 1
    return count


def _write_file(lines: Iterator[bytes], out: Path) -> int:
    try:
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}-", delete=False) as file:
            try:
                count = _write(lines, file.file)
                file.flush()
                DISK.sync(file.fileno())
                Path(file.name).replace(out)
                sync_folder_at(out.parent)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror}") from error
    return count


def _describe(shown: inspect.Look) -> dict[str, JsonValue]:
    control = shown.control
    waits = control is not None and control.waiting > 0
    age = max(0.0, time.time() - control.oldest) if control is not None and waits else 0.0
    return {
        "outbox": str(shown.folder),
        "state": shown.state,
        "sources": list(shown.sources),
        "events": control.waiting if control is not None else None,
        "bytes": shown.bytes,
        "segments": shown.segments,
        "oldest_age_s": round(age, 1) if control is not None else None,
        "quarantined": shown.quarantined,
    }


def _cell(value: JsonValue) -> str:
    if value is None:
        return "unknown"
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
