"""The timeline of a config: a list of commands, or a file with one command a line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from townlet_adapters.config.source import Override, Source, with_overrides
from townlet_adapters.documents import parse_document, read_text
from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import JsonValue
from townlet_core.timeline import KEY

OPTION: Final = "--commands"
"""The option that appends the commands of a file."""


def with_commands(source: Source, file: Path | None = None) -> Source:
    """Replace the name of a file in ``commands`` by the commands in it, and append those of another file.

    Args:
        source: the config.
        file: a file of the user's, which may lie anywhere.

    Raises:
        ConfigError: when a file cannot be read, or the config may not read it, or a line is not a mapping.
    """
    value = source.document.value
    written = value.get(KEY) if isinstance(value, Mapping) else None
    if not isinstance(written, str) and file is None:
        return source
    entries: JsonValue = written
    origin = OPTION
    if isinstance(written, str):
        with source.blame():
            named = source.access.file(written, KEY)
        entries, origin = read_commands(named), str(named)
    if file is not None and (entries is None or isinstance(entries, list)):
        entries = [*(entries or []), *read_commands(file)]
    override = Override((KEY,), entries, origin)
    return with_overrides(source.written, source.access, (*source.overrides, override))


def read_commands(path: Path) -> list[JsonValue]:
    """Read a timeline: ``{tick, name, args}`` on each line, in JSON or YAML; empty lines are left out.

    Raises:
        ConfigError: when the file cannot be read, or a line is not a mapping.
    """
    entries: list[JsonValue] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = parse_document(line, str(path)).value
        except ConfigError as error:
            problem = error.problems[0]
            raise ConfigError(
                Problem(problem.key, problem.found, problem.allowed, str(path), number)
            ) from error
        if not isinstance(entry, Mapping):
            allowed = 'one command: {"tick": 60, "name": "teleport", "args": {...}}'
            raise ConfigError(Problem("", "not a command", allowed, str(path), number))
        entries.append(entry)
    return entries
