"""The files that come with the town, and how a config refers to other files."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from townlet_adapters.documents import KeyPath, spell_key
from townlet_core.errors import ConfigError, Problem
from townlet_core.suggestions import nearest
from townlet_plugins.access import Access

_DATA: Final = Path(__file__).parents[1] / "data"

BEFORE: Final = "schema_6/"
"""Leads the names of files as they were shipped while snapshots had schema 6. Towns of that time live on by
them; a migrated snapshot names them."""


def _with_earlier(names: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({**names, **{BEFORE + name: BEFORE + file for name, file in names.items()}})


SHIPPED_VOCABULARIES: Final[Mapping[str, str]] = _with_earlier({"town": "vocabulary"})
"""Name of a shipped vocabulary in a config -> its file."""
SHIPPED_MAPS: Final[Mapping[str, str]] = _with_earlier({"town_48": "town_48", "hamlet_24": "hamlet_24"})
"""Name of a shipped map in a config -> its file."""
SHIPPED_MANIFESTS: Final[Mapping[str, str]] = _with_earlier({"core": "manifest"})
"""Name of a shipped manifest in a config -> its file."""

_STARTER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "town.yaml": "starter",
        "vocabulary.yaml": "vocabulary",
        "map.yaml": "town_48",
        "manifest.yaml": "manifest",
    }
)
"""Name of each file of a town to edit -> the shipped file with its content; the first is the run config."""


def starter_files() -> Mapping[str, bytes]:
    """Return the shipped town as files to edit: name -> content, the run config first."""
    return {name: shipped_file(source).read_bytes() for name, source in _STARTER.items()}


def shipped_file(name: str) -> Path:
    """Return the path of a shipped file; ``name`` has no suffix."""
    return _DATA / f"{name}.yaml"


def find_file(name: str, shipped: Mapping[str, str], access: Access, key: KeyPath) -> Path:
    """Return the file for a value in a config: a shipped file by its name, else a path.

    Args:
        name: the value in the config.
        shipped: names of shipped files.
        access: which files the config may read; a relative path starts in its folder.
        key: the key in the config.

    Raises:
        ConfigError: when there is no such file, or the config may not read it.
    """
    if name in shipped:
        return shipped_file(shipped[name])
    path = access.file(name, spell_key(key))
    if not path.is_file():
        found = f"'{name}' is neither a shipped name nor a file ({path})"
        current = [each for each in shipped if not each.startswith(BEFORE)]
        raise ConfigError(
            Problem(spell_key(key), found, f"{nearest(name, current)}, or the path of a YAML file")
        )
    return path
