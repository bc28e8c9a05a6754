"""Options that several commands share."""

import math
from collections.abc import Iterable

import click

from townlet_adapters.config.resolve import allowlist_of
from townlet_adapters.config.source import Override, find_config, parse_override, read_source
from townlet_core.errors import PluginError
from townlet_plugins.allowlist import NOBODY, Allowlist
from townlet_plugins.catalogue import Catalogue, load_catalogue

OVERRIDES = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.PATH=VALUE",
    help="Value, in YAML, instead of the config's; can be repeated.",
)

ALLOWING = click.option(
    "--config", metavar="FILE", help="Config whose plugins are let in; without it, nobody but ours."
)


def to_overrides(texts: Iterable[str]) -> tuple[Override, ...]:
    """Read every ``--set``."""
    return tuple(map(parse_override, texts))


def allowlist_in(file: str | None) -> Allowlist:
    """Read whom a config lets in; nobody without one.

    Raises:
        ConfigError: when the file is none, or that section of it is wrong.
    """
    return NOBODY if file is None else allowlist_of(read_source(find_config(file)))


def catalogue_of(file: str | None) -> Catalogue:
    """Load everything that a config lets in.

    Raises:
        ConfigError: when the file is none, or that section of it is wrong.
        PluginError: when somebody whom it names cannot come in.
    """
    catalogue = load_catalogue(allowlist_in(file))
    if catalogue.faults:
        raise PluginError("; ".join(fault.reason for fault in catalogue.faults))
    return catalogue


def require_finite(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse what no range excludes: a number that is none, or without end."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number of seconds")
    return value
