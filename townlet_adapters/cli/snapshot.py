"""``townlet snapshot``: inspects, verifies and migrates snapshot files."""

import json
from pathlib import Path

import click
from rich.table import Table

from townlet_adapters.cli.allowing import reads_plugins
from townlet_adapters.cli.console import stdout_console
from townlet_adapters.cli.errors import printable
from townlet_adapters.cli.options import catalogue_of
from townlet_adapters.composition.migration import migrate_file
from townlet_adapters.storage.snapshots import SnapshotFile, read_snapshot
from townlet_core.jsonvalue import JsonValue, canonical_json
from townlet_plugins.access import Allowed

_FILE = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")


@click.group("snapshot")
def command() -> None:
    """Inspect, verify and migrate snapshot files.

    \b
    Examples:
      townlet snapshot inspect runs/mine/snapshots/snapshot-500.json.gz
      townlet snapshot verify runs/mine
    """


@command.command("inspect")
@_FILE
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def inspect(file: Path, *, as_json: bool) -> None:
    """Print the identity, tick, sizes and digests of a snapshot; of a folder, of the newest valid one in it.

    \b
    Example:
      townlet snapshot inspect runs/mine/snapshots/snapshot-500.json.gz --json
    """
    described = _describe(read_snapshot(file))
    if as_json:
        click.echo(json.dumps(described, indent=2, ensure_ascii=False))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in described.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(key, printable(text))
    stdout_console().print(table, markup=False)


@command.command("verify")
@_FILE
def verify(file: Path) -> None:
    """Check that a snapshot is whole; the exit code is 0 if it is, and 2 with the reason if it is not.

    \b
    Example:
      townlet snapshot verify runs/mine
    """
    stored = read_snapshot(file)
    click.echo(f"{stored.path}: ok, tick {stored.snapshot.tick}, sha256 {stored.sha256}")


@command.command("migrate")
@_FILE
@reads_plugins
def migrate(
    file: Path, config: str | None, *, allow_env: tuple[str, ...], allow_path: tuple[Path, ...]
) -> None:
    """Write a snapshot of an older schema anew, as snapshot-<tick>.json.gz beside FILE.

    The old content of that file is kept as schema-<number>-<tick>.json.gz. Of a folder, the newest valid
    snapshot is migrated.

    \b
    Example:
      townlet snapshot migrate runs/mine/snapshots/snapshot-500.json.gz
    """
    allowed = Allowed(allow_env, allow_path)
    migrated, kept = migrate_file(file, catalogue_of(config, allowed), allowed)
    click.echo(f"{migrated}: written" + (f"; the old content is in {kept}" if kept else ""))


def _describe(stored: SnapshotFile) -> dict[str, JsonValue]:
    snapshot = stored.snapshot
    return {
        "file": str(stored.path),
        "schema": snapshot.schema_version,
        "tick": snapshot.tick,
        "seed": stored.simulation.get("seed"),
        **snapshot.identity,
        "sha256": stored.sha256,
        "file_bytes": stored.file_bytes,
        "text_bytes": stored.text_bytes,
        "parts": {name: len(canonical_json(part)) for name, part in snapshot.parts.items()},
    }
