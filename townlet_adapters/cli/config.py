"""``townlet config``: check, show, schema."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from townlet_adapters.cli import errors
from townlet_adapters.cli.allowing import reads_config, reads_plugins
from townlet_adapters.cli.options import OVERRIDES, catalogue_of, to_overrides
from townlet_adapters.composition import check_config, load_config
from townlet_adapters.config.schema import config_schema
from townlet_adapters.config.source import Override, find_config
from townlet_core.errors import TownletError
from townlet_plugins.access import Allowed


@click.group("config")
def command() -> None:
    """Check, show and describe configs.

    \b
    Examples:
      townlet config check configs/*.yaml
      townlet config show configs/town.yaml --set seed=3
      townlet config schema > townlet.schema.json
    """


@command.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@OVERRIDES
@reads_config
def check(
    files: tuple[str, ...],
    *,
    overrides: tuple[str, ...],
    allow_env: tuple[str, ...],
    allow_path: tuple[Path, ...],
) -> int:
    """Validate configs without running them, maps and manifests included.

    Every error is one line on standard output: FILE:LINE: key.path: what was found; what is allowed.

    \b
    Example:
      townlet config check configs/*.yaml
    """
    changes, allowed = to_overrides(overrides), Allowed(allow_env, allow_path)
    worst = errors.DONE
    for file in files:
        found = list(_problems(file, changes, allowed))
        for error in found:
            worst = max(worst, errors.exit_code(error))
            for line in errors.lines_of(error):
                click.echo(line)
        if not found:
            click.echo(f"{file}: ok")
    return worst


@command.command("show")
@click.argument("file", metavar="FILE")
@OVERRIDES
@reads_config
def show(
    file: str, *, overrides: tuple[str, ...], allow_env: tuple[str, ...], allow_path: tuple[Path, ...]
) -> None:
    """Print the resolved config with its digests, as JSON; secrets are masked.

    \b
    Example:
      townlet config show configs/town.yaml --set seed=3
    """
    config = load_config(find_config(file), to_overrides(overrides), Allowed(allow_env, allow_path))
    digests = {"config_digest": config.config_digest, "sim_digest": config.sim_digest}
    click.echo(json.dumps({**digests, "config": config.shown}, indent=2, ensure_ascii=False))


@command.command("schema")
@reads_plugins
def schema(config: str | None, *, allow_env: tuple[str, ...], allow_path: tuple[Path, ...]) -> None:
    """Print the JSON Schema of a run config, with the options of every part that may come in.

    \b
    Examples:
      townlet config schema > townlet.schema.json
      townlet config schema --config my.yaml > townlet.schema.json
    """
    catalogue = catalogue_of(config, Allowed(allow_env, allow_path))
    click.echo(json.dumps(config_schema(catalogue), indent=2, ensure_ascii=False))


def _problems(file: str, overrides: tuple[Override, ...], allowed: Allowed) -> Iterator[TownletError]:
    """Give what is wrong with one config; another one may still be right."""
    try:
        check_config(load_config(find_config(file), overrides, allowed))
    except TownletError as error:
        yield error
