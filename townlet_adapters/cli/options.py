"""Options that several commands share."""

from collections.abc import Iterable

import click

from townlet_adapters.config.source import Override, parse_override

OVERRIDES = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.PATH=VALUE",
    help="Value, in YAML, instead of the config's; can be repeated.",
)


def to_overrides(texts: Iterable[str]) -> tuple[Override, ...]:
    """Read every ``--set``."""
    return tuple(map(parse_override, texts))
