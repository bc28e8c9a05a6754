"""Loads a config from wherever it is given and validates it in both passes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from townlet_adapters.config.model import RunConfig
from townlet_adapters.config.resolve import ResolvedConfig, SinkRequest, allowlist_of, resolve
from townlet_adapters.config.source import Override, Source, read_source, with_overrides
from townlet_adapters.config.timeline import with_commands
from townlet_adapters.documents import plain_document
from townlet_core.jsonvalue import JsonValue
from townlet_plugins.access import NOTHING_ELSE, Access, Allowed
from townlet_plugins.catalogue import load_catalogue


def load_config(
    config: Path | RunConfig | Mapping[str, JsonValue],
    overrides: Sequence[Override] = (),
    allowed: Allowed = NOTHING_ELSE,
) -> ResolvedConfig:
    """Load the plugins that a config allows and validate it in both passes; nothing is built.

    Args:
        config: a config file, or the config itself, whose folder is the working directory.
        overrides: values instead of the config's.
        allowed: variables and folders that it may read in addition.

    Raises:
        ConfigError: with every problem of the pass that found one.
        PluginError: when it names a plugin that is not allowed.
    """
    return validated(source_of(config, overrides, allowed))


def validated(source: Source, sinks: Sequence[SinkRequest] | None = None) -> ResolvedConfig:
    """Load the plugins that a config allows and validate the whole config."""
    source = with_commands(source)
    return resolve(source, load_catalogue(allowlist_of(source)), sinks)


def source_of(
    config: Path | RunConfig | Mapping[str, JsonValue], overrides: Sequence[Override], allowed: Allowed
) -> Source:
    """Read a config from a file, a model or a mapping."""
    if isinstance(config, Path):
        return read_source(config, overrides, allowed)
    value = config.model_dump(mode="json") if isinstance(config, RunConfig) else config
    return with_overrides(plain_document(value, "config"), Access(Path.cwd(), allowed), overrides)
