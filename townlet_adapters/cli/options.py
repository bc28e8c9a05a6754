"""Options that several commands share."""

import math
from collections.abc import Iterable

import click

from townlet_adapters.config.resolve import allowlist_of
from townlet_adapters.config.source import Override, find_config, parse_override, read_source
from townlet_core.errors import PluginError
from townlet_plugins.access import Allowed
from townlet_plugins.allowlist import NOBODY, Allowlist
from townlet_plugins.catalogue import Catalogue, load_catalogue

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


def allowlist_in(file: str | None, allowed: Allowed) -> Allowlist:
    """Read which plugins a config allows; none without a config.

    Args:
        file: the config, or None.
        allowed: variables and folders that it may read in addition.

    Raises:
        ConfigError: when the file cannot be read, or that section of it is wrong.
    """
    return NOBODY if file is None else allowlist_of(read_source(find_config(file), (), allowed))


def catalogue_of(file: str | None, allowed: Allowed) -> Catalogue:
    """Load every plugin that a config allows.

    Args:
        file: the config, or None.
        allowed: variables and folders that it may read in addition.

    Raises:
        ConfigError: when the file cannot be read, or that section of it is wrong.
        PluginError: when a plugin that it names cannot be loaded.
    """
    catalogue = load_catalogue(allowlist_in(file, allowed))
    if catalogue.faults:
        raise PluginError("; ".join(fault.reason for fault in catalogue.faults))
    return catalogue


def require_finite(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse what no range excludes: a value that is not a number, or infinite."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a number of seconds")
    return value
