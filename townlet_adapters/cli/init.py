"""``townlet init``."""

import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from townlet_adapters.cli import scaffold
from townlet_adapters.config.model import DEFAULT_WORLD
from townlet_core.errors import OutputError
from townlet_plugins.catalogue import load_catalogue
from townlet_plugins.factory import SupportsStarter


@click.command("init")
@click.argument("folder", metavar="DIR")
def command(folder: str) -> None:
    """Copy the shipped town into a folder to edit: its vocabulary, map and manifest, and a run config.

    DIR must be new or empty. The run config names the files beside it, so that the next run has every change
    of any of them. Until something is changed, the town is the default town.

    \b
    Example:
      townlet init mytown
      townlet config check mytown/town.yaml
      townlet run mytown/town.yaml
    """
    factory = load_catalogue().worlds[DEFAULT_WORLD]
    assert isinstance(factory, SupportsStarter)  # noqa: S101 - the built-in world is one
    files = factory.starter()
    place = Path(folder).expanduser()
    _write(files, place)
    names = list(files)
    config = shlex.quote(str(place / names[0]))
    click.echo(
        f"{place}: {', '.join(names)}; next:\n"
        f"  townlet run {config}\n"
        f"  townlet config check {config}           # after each change: what is wrong, and what it means\n"
        "docs/modelling.md explains what to change."
    )


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files into a folder that is new or empty; what it has already is never touched."""
    try:
        is_empty = folder.is_dir() and not any(folder.iterdir())
    except OSError as error:
        raise OutputError(f"{folder} cannot be read: {error.strerror}") from error
    if not is_empty:
        scaffold.write(files, folder, "choose a folder that is new or empty")
        return
    try:
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        for name in files:
            (folder / name).unlink(missing_ok=True)
        raise OutputError(f"{folder} cannot be written: {error.strerror}") from error
