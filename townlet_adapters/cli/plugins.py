"""``townlet plugins``: list, pin, verify, files; ``new`` has a module of its own."""

import json
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from townlet_adapters.cli import errors, new, scaffold
from townlet_adapters.cli.allowing import reads_config, reads_plugins
from townlet_core.errors import PluginError, Problem, UnknownNameError
from townlet_core.records import record_to_json
from townlet_plugins.access import Allowed
from townlet_plugins.allowlist import NOBODY, Allowlist, Permit, normalised
from townlet_plugins.catalogue import PluginRow, load_catalogue, verify_allowed
from townlet_plugins.integrity import read_content
from townlet_plugins.listing import OWN_DISTRIBUTION, Listing, list_entry_points


@click.group("plugins")
def command() -> None:
    """List, pin and verify plugins, and write new ones.

    \b
    Examples:
      townlet plugins list
      townlet plugins pin townlet-bakery
      townlet plugins verify my.yaml
      townlet plugins new townlet-bakery --kind hooks
    """


command.add_command(new.command)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@reads_plugins
def show(
    config: str | None, *, allow_env: tuple[str, ...], allow_path: tuple[Path, ...], as_json: bool
) -> None:
    """List every installed plugin; only built-in and allowed plugins are imported.

    \b
    Examples:
      townlet plugins list
      townlet plugins list --json
      townlet plugins list --config my.yaml
    """
    catalogue = load_catalogue(_allowlist(config, Allowed(allow_env, allow_path)))
    if as_json:
        click.echo(json.dumps([_as_json(row) for row in catalogue.rows], indent=2))
    else:
        _print_table(catalogue.rows)
    for fault in catalogue.faults:
        click.echo(fault.reason, err=True)


@command.command("pin")
@click.argument("distributions", nargs=-1, required=True, metavar="DIST...")
def pin(distributions: tuple[str, ...]) -> None:
    """Print the entries of plugins.allow that allow exactly what is installed now.

    Nothing of it is imported. Read the package before you pin it: an allowed plugin is trusted. The output is
    a whole section; in a config that has the section already, add the entries to it.

    \b
    Example:
      townlet plugins pin townlet-bakery
    """
    installed = list_entry_points()
    permits = [permit for name in distributions for permit in _pins(name, installed)]
    click.echo("plugins:\n  allow:")
    for permit in permits:
        click.echo(f"    {permit.as_yaml()}")


@command.command("verify")
@click.argument("config", required=False, metavar="[CONFIG]")
@reads_config
def verify(config: str | None, *, allow_env: tuple[str, ...], allow_path: tuple[Path, ...]) -> int:
    """Check that the plugins that a config allows are installed and match their pins, without importing them.

    \b
    Example:
      townlet plugins verify my.yaml
    """
    verdicts, faults = verify_allowed(_allowlist(config, Allowed(allow_env, allow_path)))
    if not any(verdict.permit for verdict in verdicts) and not faults:
        click.echo("only built-in plugins are allowed")
    for verdict in verdicts:
        if verdict.permit is None or verdict.refusal:
            continue
        listing, pinned = verdict.listing, verdict.permit.content_sha256 is not None
        how = "pinned" if pinned else "editable" if verdict.content is None else "not pinned"
        click.echo(f"{listing.distribution} {listing.version} ({listing.entry_point}): ok, {how}")
    for fault in faults:
        click.echo(fault.reason)
    return errors.PLUGIN if faults else errors.DONE


@command.command("files")
@click.argument("distribution", metavar="DIST")
@click.option("--out", metavar="DIR", help="Folder to create and copy them to; without it, they are listed.")
def files(distribution: str, out: str | None) -> None:
    """List or copy the YAML files of a distribution: maps, manifests, configs.

    Nothing of it is imported. Files are verified against its RECORD before they are copied.

    \b
    Example:
      townlet plugins files townlet-bakery --out village
    """
    listings = _listings(distribution, list_entry_points())
    try:
        content = read_content(listings[0])
    except PluginError as error:
        raise PluginError(f"{distribution} cannot be read: {error}") from error
    found = {path: data for path, data in content.files.items() if path.endswith((".yaml", ".yml"))}
    if not found:
        raise UnknownNameError(Problem("", f"{distribution} contains no YAML files", "see its README"))
    if out is None:
        for path in found:
            click.echo(path)
        return
    base = posixpath.commonpath([posixpath.dirname(path) for path in found])
    copied = {posixpath.relpath(path, base or "."): data for path, data in found.items()}
    scaffold.write(copied, Path(out).expanduser(), scaffold.CHOOSE_OUT)
    for path in copied:
        click.echo(Path(out) / path)


def _allowlist(config: str | None, allowed: Allowed) -> Allowlist:
    """Read which plugins a config allows."""
    if config is None:
        return NOBODY
    from townlet_adapters.cli.options import allowlist_in  # noqa: PLC0415 - a list without a config needs no YAML

    return allowlist_in(config, allowed)


def _listings(name: str, installed: Iterable[Listing]) -> list[Listing]:
    """Return the entry points of a third party's distribution."""
    if normalised(name) == OWN_DISTRIBUTION:
        raise UnknownNameError(
            Problem("", f"'{name}' is built in and needs no entry", "name another package")
        )
    others = [listing for listing in installed if not listing.builtin]
    listings = [listing for listing in others if listing.distribution == normalised(name)]
    if not listings:
        known = ", ".join(sorted({listing.distribution for listing in others})) or "none"
        found = f"'{name}' is not installed or offers no plugin"
        raise UnknownNameError(Problem("", found, f"packages with plugins: {known}"))
    return listings


def _pins(name: str, installed: Iterable[Listing]) -> Iterator[Permit]:
    """Yield an entry for each entry point of a distribution."""
    for listing in _listings(name, installed):
        if listing.broken:
            raise PluginError(f"{name} ({listing.entry_point}) cannot be pinned: {listing.broken}")
        try:
            content = read_content(listing)
        except PluginError as error:
            raise PluginError(f"{name} ({listing.entry_point}) cannot be pinned: {error}") from error
        permit = Permit(listing.distribution, listing.entry_point, listing.version, content.sha256)
        if content.native:
            click.echo(f"{name} contains compiled code: {', '.join(content.native)}", err=True)
        yield replace(permit, allow_native=bool(content.native))


def _print_table(rows: tuple[PluginRow, ...]) -> None:
    from rich.table import Table  # noqa: PLC0415 - not needed for JSON

    from townlet_adapters.cli.console import stdout_console  # noqa: PLC0415 - as above

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
