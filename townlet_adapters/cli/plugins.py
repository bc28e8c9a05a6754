"""``townlet plugins``: list."""

import json

import click
from rich.table import Table

from townlet_adapters.cli.console import stdout_console
from townlet_core.records import record_to_json
from townlet_plugins.catalogue import PluginRow, load_catalogue


@click.group("plugins")
def command() -> None:
    """Tell which plugins are installed.

    \b
    Example:
      townlet plugins list
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show(*, as_json: bool) -> None:
    """List every plugin found; one that is not allowed is not imported for it.

    \b
    Examples:
      townlet plugins list
      townlet plugins list --json
    """
    rows = load_catalogue().rows
    if as_json:
        click.echo(json.dumps([_as_json(row) for row in rows], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("distribution", "version", "name", "kind", "state", "class"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            row.distribution, row.version, row.name or row.entry_point, row.kind or "-", row.state, row.target
        )
    stdout_console().print(table, markup=False)


def _as_json(row: PluginRow) -> dict[str, object]:
    fields = record_to_json(row)
    return {**fields, "name": row.name or row.entry_point, "class": fields.pop("target")}
