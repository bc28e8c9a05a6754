"""What a config touches outside of the town: what it reads, where it sends to, and what it writes."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

from townlet_adapters.documents import Document, KeyPath, spell_key
from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_plugins.access import Access, Input
from townlet_plugins.catalogue import ALLOWED, PluginRow

_SECTIONS: Final = ("policy", "telemetry", "observers")
"""Sections whose options name variables and files by key. The options of a world hold data of its own, with
keys of any name; the files that they name are read through ``Access`` when the world is prepared."""
_VARIABLE: Final = "_env"
_FILE: Final = "_file"
_DESTINATIONS: Final = ("endpoint", "url")
_OUTPUTS: Final = ("path", "dir")

Verb = Literal["reads", "sends to", "writes", "runs"]


class Touch(NamedTuple):
    """One thing outside of the town that a run of a config touches.

    Attributes:
        verb: what the run does with it.
        kind: what it is: ``variable``, ``file``, ``code``, ``run folder``, or the sink that does it.
        name: its name, as far as the config says it; values of the environment are left out.
    """

    verb: Verb
    kind: str
    name: str


def footprint(shown: JsonObject, inputs: Iterable[Input], plugins: Iterable[PluginRow]) -> tuple[Touch, ...]:
    """List what a run of a config reads, where it sends to, what it writes, and whose code it runs.

    What a sink of a plugin touches is recognised by the names of its options: ``endpoint``, ``url``, ``path``
    and names that end in one of these or in ``dir``. What the code of a plugin does beyond that is not known.

    Args:
        shown: the config with every default filled in, without values of the environment.
        inputs: what was read within its ``Access`` when world and policy were built.
        plugins: everything installed, as the catalogue lists it.
    """
    touches = [Touch("reads", each.kind, _with_state(each)) for each in inputs]
    match shown:
        case {"telemetry": {"sinks": list(sinks)}}:
            touches += [touch for sink in sinks for touch in _of_sink(sink)]
    touches.append(Touch("writes", "run folder", f"runs/<time>-{shown['name']}-s{shown['seed']}"))
    third = {
        f"{row.distribution} {row.version} ({row.entry_point})": None
        for row in plugins
        if row.state == ALLOWED
    }
    touches += [Touch("runs", "code", name) for name in third]
    return tuple(sorted(dict.fromkeys(touches), key=lambda touch: get_args(Verb).index(touch.verb)))


def _with_state(read: Input) -> str:
    if read.kind == "variable":
        return read.name if read.name in os.environ else f"{read.name} (not set)"
    return read.name if Path(read.name).exists() else f"{read.name} (missing)"


def _of_sink(sink: JsonValue) -> Iterator[Touch]:
    match sink:
        case {"use": "stdout"}:
            yield Touch("sends to", "stdout", "standard output")
        case {"use": str(use), "options": Mapping() as options}:
            plain = " (plaintext)" if options.get("allow_plaintext") is True else ""
            for path, text in _texts(options, ()):
                word = str(path[-1]).rpartition("_")[2]
                if word in _DESTINATIONS:
                    yield Touch("sends to", use, text + plain)
                elif word in _OUTPUTS:
                    yield Touch("writes", use, text + _place_of(text))


def _place_of(text: str) -> str:
    """Return where a path starts, in words; empty for an absolute one and for one that is not known."""
    if text.startswith(("/", "${ENV:")):
        return ""
    # What a variable in the middle holds is not known, and `..` may lead anywhere.
    leads_out = ".." in Path(text).parts or "${ENV:" in text
    return " (relative to the run folder, not in it)" if leads_out else " (in the run folder)"


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
