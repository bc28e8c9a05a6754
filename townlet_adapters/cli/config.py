"""``townlet config``: check, show, schema."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from townlet_adapters.cli import errors
from townlet_adapters.cli.allowing import reads_config, reads_plugins
from townlet_adapters.cli.errors import printable
from townlet_adapters.cli.options import OVERRIDES, catalogue_of, to_overrides
from townlet_adapters.composition import check_config, load_config
from townlet_adapters.config.footprint import Touch, footprint
from townlet_adapters.config.schema import config_schema
from townlet_adapters.config.source import Override, find_config
from townlet_core.errors import TownletError
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.ports import Remark
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead: one object for each file.")
def check(
    files: tuple[str, ...],
    *,
    as_json: bool,
    overrides: tuple[str, ...],
    allow_env: tuple[str, ...],
    allow_path: tuple[Path, ...],
) -> int:
    """Validate configs without running them, maps and manifests included.

    Every error is one line on standard output: FILE:LINE: key.path: what was found; what is allowed. A valid
    config is followed by what its world is: the meaning of every symbol of the map, what the vocabulary has
    beyond the shipped one or without it, what removals leave out, and warnings. Then comes what a run of it
    reads, where it sends to, what it writes, and whose code it runs.

    \b
    Examples:
      townlet config check configs/*.yaml
      townlet config check my.yaml --allow-path /etc/town --json
    """
    changes, allowed = to_overrides(overrides), Allowed(allow_env, allow_path)
    verdicts = [_check(file, changes, allowed) for file in files]
    if as_json:
        click.echo(json.dumps([verdict.to_json() for verdict in verdicts], indent=2, ensure_ascii=False))
    else:
        for verdict in verdicts:
            for line in verdict.lines():
                click.echo(line)
    return max(verdict.code for verdict in verdicts)


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
    """Print the JSON Schema of a run config, with the options of every part that is allowed.

    \b
    Examples:
      townlet config schema > townlet.schema.json
      townlet config schema --config my.yaml > townlet.schema.json
    """
    catalogue = catalogue_of(config, Allowed(allow_env, allow_path))
    click.echo(json.dumps(config_schema(catalogue), indent=2, ensure_ascii=False))


class _Verdict(NamedTuple):
    """What came of the check of one config."""

    file: str
    code: int
    problems: tuple[str, ...]
    touches: tuple[Touch, ...]
    remarks: tuple[Remark, ...] = ()

    def lines(self) -> Iterator[str]:
        """Format it for people."""
        if self.problems:
            yield from self.problems
            return
        yield f"{self.file}: ok"
        for remark in self.remarks:
            yield f"  {printable(remark.topic):<8}  {printable(remark.text)}"
        for each in self.touches:
            yield f"  {each.verb:<8}  {each.kind:<10}  {printable(each.name)}"

    def to_json(self) -> JsonObject:
        """Format it for programs."""
        touches: list[JsonValue] = [each._asdict() for each in self.touches]
        remarks: list[JsonValue] = [each._asdict() for each in self.remarks]
        return {
            "file": self.file,
            "problems": list(self.problems),
            "remarks": remarks,
            "touches": touches,
        }


def _check(file: str, overrides: tuple[Override, ...], allowed: Allowed) -> _Verdict:
    """Check one config; another one may still be right when this one is wrong."""
    try:
        config = load_config(find_config(file), overrides, allowed)
        remarks = check_config(config)
    except TownletError as error:
        return _Verdict(file, errors.exit_code(error), tuple(errors.lines_of(error)), ())
    touches = footprint(config.shown, config.access.inputs, config.catalogue.rows)
    return _Verdict(file, errors.DONE, (), touches, remarks)
