"""``townlet config``: check, show, schema."""

import json
from collections.abc import Iterator

import click

from townlet_adapters.cli import errors
from townlet_adapters.cli.options import ALLOWING, OVERRIDES, catalogue_of, to_overrides
from townlet_adapters.composition import check_config, load_config
from townlet_adapters.config.schema import config_schema
from townlet_adapters.config.source import Override, find_config
from townlet_core.errors import TownletError


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
def check(files: tuple[str, ...], overrides: tuple[str, ...]) -> int:
    """Validate configs without running them, maps and manifests included.

    Every error is one line on standard output: FILE:LINE: key.path: what was found; what is allowed.

    \b
    Example:
      townlet config check configs/*.yaml
    """
    changes = to_overrides(overrides)
    worst = errors.DONE
    for file in files:
        found = list(_problems(file, changes))
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
def show(file: str, overrides: tuple[str, ...]) -> None:
    """Print the resolved config with its digests, as JSON; secrets are masked.

    \b
    Example:
      townlet config show configs/town.yaml --set seed=3
    """
    config = load_config(find_config(file), to_overrides(overrides))
    digests = {"config_digest": config.config_digest, "sim_digest": config.sim_digest}
    click.echo(json.dumps({**digests, "config": config.shown}, indent=2, ensure_ascii=False))


@command.command("schema")
@ALLOWING
def schema(config: str | None) -> None:
    """Print the JSON Schema of a run config, with the options of every part that may come in.

    \b
    Examples:
      townlet config schema > townlet.schema.json
      townlet config schema --config my.yaml > townlet.schema.json
    """
    click.echo(json.dumps(config_schema(catalogue_of(config)), indent=2, ensure_ascii=False))


def _problems(file: str, overrides: tuple[Override, ...]) -> Iterator[TownletError]:
    """Give what is wrong with one config; another one may still be right."""
    try:
        check_config(load_config(find_config(file), overrides))
    except TownletError as error:
        yield error
