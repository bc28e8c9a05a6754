"""Reads a config as it was given: a document, and values that replace its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from townlet_adapters.documents import (
    Document,
    KeyPath,
    parse_document,
    plain_document,
    read_document,
    read_key,
    spell_key,
)
from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import JsonValue
from townlet_plugins.access import NOTHING_ELSE, Access, Allowed

SHIPPED = Path(__file__).resolve().parent / "shipped"
"""The folder of the configs in the package."""

DEFAULT_CONFIG = "town"
"""Name of the shipped config that a run without a config uses."""


@dataclass(frozen=True, slots=True)
class Override:
    """One value that replaces what a config says.

    Attributes:
        path: its place in the config.
        value: the new value.
        origin: option of the command line that it came from.
    """

    path: KeyPath
    value: JsonValue
    origin: str

    @classmethod
    def of(cls, key: str, value: JsonValue) -> Self:
        """Replace the value at a dotted key.

        Raises:
            ConfigError: when the key is not a key path.
        """
        try:
            path = read_key(key)
        except ValueError as error:
            raise ConfigError(
                Problem("", repr(key), "a key path such as world.options.town", "overrides")
            ) from error
        return cls(path, plain_document(value, "overrides", path).value, "overrides")


@dataclass(frozen=True, slots=True)
class Source:
    """A config with the origin of its values.

    Attributes:
        document: the values with all overrides applied.
        written: the text without the overrides.
        overrides: the overrides, in order.
        access: what the config may read; its folder is where relative paths start.
    """

    document: Document
    written: Document
    overrides: tuple[Override, ...]
    access: Access

    @contextmanager
    def blame(self) -> Iterator[None]:
        """Report a problem with an overridden value at the option that it came from.

        Raises:
            ConfigError: in place of the one raised inside, with the problems moved.
        """
        try:
            yield
        except ConfigError as error:
            problems = [self._placed(problem) for problem in error.problems]
            raise type(error)(*problems) from error

    def _placed(self, problem: Problem) -> Problem:
        if problem.file != self.document.file:
            return problem
        path = read_key(problem.key)
        for override in reversed(self.overrides):
            inside = path[: len(override.path)] == override.path
            around = override.path[: len(path)] == path and not _stands(self.written, path)
            if inside or around:
                return replace(problem, file=override.origin, line=None)
        return problem


def find_config(name: str) -> Path:
    """Find a config file: the path itself, or the shipped file for ``configs/NAME.yaml``.

    Raises:
        ConfigError: when neither exists.
    """
    path = Path(name)
    if path.exists():
        return path
    if path.suffix == ".yaml" and path.parts[:1] == ("configs",) and ".." not in path.parts:
        shipped = SHIPPED.joinpath(*path.parts[1:])
        if shipped.exists():
            return shipped
    names = ", ".join(sorted(f"configs/{each.relative_to(SHIPPED)}" for each in SHIPPED.rglob("*.yaml")))
    found = "there is no such file"
    raise ConfigError(Problem("", found, f"name a YAML file or a shipped one: {names}", name))


def default_config() -> Path:
    """Return the shipped config that a run without a config uses."""
    return SHIPPED / f"{DEFAULT_CONFIG}.yaml"


def read_source(path: Path, overrides: Sequence[Override] = (), allowed: Allowed = NOTHING_ELSE) -> Source:
    """Read a config file and apply overrides.

    Raises:
        ConfigError: when it cannot be read, is not YAML, or an override does not fit.
    """
    return with_overrides(read_document(path), Access(path.parent, allowed), overrides)


def with_overrides(written: Document, access: Access, overrides: Sequence[Override] = ()) -> Source:
    """Apply overrides to a document.

    Raises:
        ConfigError: when the document is not a mapping, or an override is below a value.
    """
    if not isinstance(written.value, Mapping):
        raise ConfigError(written.problem((), "not a config", "a mapping: townlet: 1, seed: 7, world: ..."))
    value: JsonValue = written.value
    for override in overrides:
        value = _replaced(value, override, 0)
    document = Document(value, written.file, written.lines)
    return Source(document, written, tuple(overrides), access)


def parse_override(text: str) -> Override:
    """Read the argument of ``--set``: ``key.path=value``, the value in YAML.

    Raises:
        ConfigError: when it does not have this form.
    """
    key, equals, value = text.partition("=")
    try:
        path = read_key(key)
    except ValueError:
        path = ()
    if not equals or not path:
        raise ConfigError(
            Problem("", repr(text), "key.path=value, as in world.options.town=hamlet_24", "--set")
        )
    try:
        return Override(path, parse_document(value, "--set").value, "--set")
    except ConfigError as error:
        raise ConfigError(*(replace(problem, key=key, line=None) for problem in error.problems)) from error


def _replaced(value: JsonValue, override: Override, depth: int) -> JsonValue:
    """Copy a value with one part replaced; missing sections on the way are created, list items are not."""
    if depth == len(override.path):
        return override.value
    step = override.path[depth]
    if isinstance(step, str) and (value is None or isinstance(value, Mapping)):
        members = value or {}
        return {**members, step: _replaced(members.get(step), override, depth + 1)}
    if isinstance(step, int) and isinstance(value, list) and step < len(value):
        return [_replaced(item, override, depth + 1) if at == step else item for at, item in enumerate(value)]
    around = spell_key(override.path[:depth])
    if isinstance(step, int):
        count = len(value) if isinstance(value, list) else 0
        found, allowed = f"'{around}' has {count} items", "give the whole list, as in key=[a, b]"
    else:
        found, allowed = f"'{around}' holds a value", "a value has no keys below it"
    raise ConfigError(Problem(spell_key(override.path), found, allowed, override.origin))


def _stands(written: Document, path: KeyPath) -> bool:
    """Return whether a text has a part at ``path``."""
    try:
        written.child(path)
    except KeyError:
        return False
    return True
