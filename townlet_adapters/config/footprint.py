"""What a config touches outside of the town: what it reads, where it sends to, and what it writes."""

from collections.abc import Iterator, Mapping
from typing import Final

from townlet_adapters.documents import Document, KeyPath, spell_key
from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_plugins.access import Access

_SECTIONS: Final = ("policy", "telemetry", "observers")
"""Sections whose options name variables and files by key. The options of a world hold data of its own, with
keys of any name; the files that they name are read through ``Access`` when the world is prepared."""
_VARIABLE: Final = "_env"
_FILE: Final = "_file"


def check_inputs(document: Document, shown: JsonObject, access: Access) -> None:
    """Check every variable that a key ``*_env`` names and every file that a key ``*_file`` names.

    Args:
        document: the config as written, for the lines of problems.
        shown: the config with every default filled in.
        access: what it may read.

    Raises:
        ConfigError: with every one that the config may not read.
    """
    problems: list[Problem] = []
    for path, text in _texts({key: shown[key] for key in _SECTIONS}, ()):
        key = path[-1]
        try:
            if isinstance(key, str) and key.endswith(_VARIABLE):
                access.variable(text, spell_key(path))
            elif isinstance(key, str) and key.endswith(_FILE):
                access.file(text, spell_key(path))
        except ConfigError as error:
            problems += map(document.locate, error.problems)
    if problems:
        raise ConfigError(*problems)


def _texts(value: JsonValue, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Walk over every text in a value."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _texts(item, (*path, number))
