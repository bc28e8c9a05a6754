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
    """Tell which plugins are installed, and say exactly which ones may come in.

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
    """List every plugin found; one that is not allowed is not imported for it.

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
    """Print the entries of plugins.allow that let in what is installed now, and nothing else.

    Nothing of it is imported. Read what you pin: an entry is trust. The section is whole; a config that has
    one already takes the entries alone, since no key may stand there twice.

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
    """Check that what a config lets in is installed and is what was pinned; nothing of it is imported.

    \b
    Example:
      townlet plugins verify my.yaml
    """
    verdicts, faults = verify_allowed(_allowlist(config, Allowed(allow_env, allow_path)))
    if not any(verdict.permit for verdict in verdicts) and not faults:
        click.echo("nobody but our own plugins is let in")
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
@click.option(
    "--out", metavar="DIR", help="Folder to copy them to, made for it; without it, they are listed."
)
def files(distribution: str, out: str | None) -> None:
    """List or copy the YAML files that a distribution brings: maps, manifests, configs.

    Nothing of it is imported, and nothing of it runs; what is copied is what its RECORD names.

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
        raise UnknownNameError(Problem("", f"{distribution} brings no YAML files", "see its README"))
    if out is None:
        for path in found:
            click.echo(path)
        return
    base = posixpath.commonpath([posixpath.dirname(path) for path in found])
    copied = {posixpath.relpath(path, base or "."): data for path, data in found.items()}
    scaffold.write(copied, Path(out).expanduser())
    for path in copied:
        click.echo(Path(out) / path)


def _allowlist(config: str | None, allowed: Allowed) -> Allowlist:
    """Read which plugins a config allows."""
    if config is None:
        return NOBODY
    from townlet_adapters.cli.options import allowlist_in  # noqa: PLC0415 - a list without a config needs no YAML

    return allowlist_in(config, allowed)


def _listings(name: str, installed: Iterable[Listing]) -> list[Listing]:
    """Find the entry points of a distribution that is not ours."""
    if normalised(name) == OWN_DISTRIBUTION:
        raise UnknownNameError(
            Problem("", f"'{name}' is ours and needs no entry", "name the package of somebody else")
        )
    others = [listing for listing in installed if not listing.builtin]
    listings = [listing for listing in others if listing.distribution == normalised(name)]
    if not listings:
        known = ", ".join(sorted({listing.distribution for listing in others})) or "none"
        found = f"'{name}', which offers no plugin here"
        raise UnknownNameError(Problem("", found, f"installed distributions that do: {known}"))
    return listings


def _pins(name: str, installed: Iterable[Listing]) -> Iterator[Permit]:
    """Give an entry for each entry point of a distribution."""
    for listing in _listings(name, installed):
        if listing.broken:
            raise PluginError(f"{name} ({listing.entry_point}) cannot be pinned: {listing.broken}")
        try:
            content = read_content(listing)
        except PluginError as error:
            raise PluginError(f"{name} ({listing.entry_point}) cannot be pinned: {error}") from error
        permit = Permit(listing.distribution, listing.entry_point, listing.version, content.sha256)
        if content.native:
            click.echo(f"{name} brings compiled code: {', '.join(content.native)}", err=True)
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
