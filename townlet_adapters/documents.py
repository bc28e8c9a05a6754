"""Reads YAML texts as plain values with the line of every part.

A config, a map and a manifest are read the same way: bytes -> YAML events -> one JSON value and a line for
each of its parts. Other features of YAML (anchors, tags, several documents, guesses such as ``no`` for false)
are refused or stay text. So a file means what it seems to mean, and reading it costs no more than its size.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn, TypeAlias

import yaml
from yaml.cyaml import CSafeLoader

from townlet_adapters.files import read_regular
from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import JsonObject, JsonValue

KeyPath: TypeAlias = tuple[str | int, ...]
"""The place of a part in a document: names of keys and indices of items, from the top."""

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32

_PLAIN_KEY = re.compile(r"[^\W\d][\w@/:-]*")
_KEY_STEP = re.compile(r'\.?([^\W\d][\w@/:-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')

_WORDS: Mapping[str, bool | None] = MappingProxyType(
    {
        **dict.fromkeys(("", "~", "null", "Null", "NULL")),
        **dict.fromkeys(("true", "True", "TRUE"), True),
        **dict.fromkeys(("false", "False", "FALSE"), False),
    }
)
# A leading zero is octal to some readers and decimal to others: such a scalar stays text.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# Sign and digits of the longest 64-bit number; a longer text is not converted at all.
_LONGEST_INTEGER = 21


def spell_key(path: KeyPath) -> str:
    """Format a path as people write it: ``telemetry.sinks[0].options``, ``prices["home.meal"]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def read_key(key: str) -> KeyPath:
    """Parse a path as ``spell_key`` formats it.

    Raises:
        ValueError: when the text is not such a path.
    """
    path: list[str | int] = []
    position = 0
    while position < len(key):
        step = _KEY_STEP.match(key, position)
        if step is None:
            raise ValueError(f"{key!r} is not a path of keys: name.name[0].name")
        name, index, quoted = step.groups()
        path.append(
            name if name is not None else int(index) if index is not None else str(json.loads(quoted))
        )
        position = step.end()
    return tuple(path)


@dataclass(frozen=True, slots=True)
class Document:
    """A value with the place where each of its parts was written.

    Attributes:
        value: the content; its mappings and lists belong to the document and must not be changed.
        file: its origin as shown in messages: a path or a name such as ``--set``.
        lines: line of each part, from 1, by its path; a part without an entry has the line of its parent.
        at: path of this value in a larger document; the keys of problems start with it.
        quotable: whether messages may quote its values; not those of a file that a config names, which may be
            a private file of the operator.
    """

    value: JsonValue
    file: str
    lines: Mapping[KeyPath, int] = field(default_factory=lambda: MappingProxyType({}))
    at: KeyPath = ()
    quotable: bool = True

    def line_of(self, path: KeyPath) -> int | None:
        """Return the line of a part or of the nearest part around it, None when no line is known."""
        for length in range(len(path), -1, -1):
            line = self.lines.get(path[:length])
            if line is not None:
                return line
        return None

    def problem(self, path: KeyPath, found: str, allowed: str) -> Problem:
        """Build the problem of the part at ``path``."""
        return Problem(spell_key((*self.at, *path)), found, allowed, self.file, self.line_of(path))

    def locate(self, problem: Problem) -> Problem:
        """Add file and line to a problem whose key starts at this value; one with a file stays unchanged."""
        if problem.file:
            return problem
        return self.problem(read_key(problem.key), problem.found, problem.allowed)

    def child(self, path: KeyPath) -> "Document":
        """Return the part at ``path``: its paths start there, the keys of its problems still at the top.

        Raises:
            KeyError: when there is no such part.
        """
        value = self.value
        for step in path:
            if isinstance(value, Mapping) and isinstance(step, str) and step in value:
                value = value[step]
                continue
            if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
                value = value[step]
                continue
            raise KeyError(spell_key(path))
        depth = len(path)
        lines = {known[depth:]: line for known, line in self.lines.items() if known[:depth] == path}
        return Document(value, self.file, MappingProxyType(lines), (*self.at, *path), self.quotable)


def plain_document(value: object, name: str, at: KeyPath = ()) -> Document:
    """Copy a value that Python code gave into a document of plain dicts and lists.

    Args:
        value: mappings with text as keys, lists, tuples, text, numbers, booleans and None.
        name: what it is called in messages.
        at: path of the value in a larger document.

    Raises:
        ConfigError: when a part of it is something else, or is nested too deeply.
    """
    return Document(_plain(value, Document(None, name, at=at), ()), name, at=at)


def _plain(value: object, whole: Document, path: KeyPath) -> JsonValue:
    if len(path) > MAX_DEPTH:
        raise ConfigError(whole.problem(path[:1], f"more than {MAX_DEPTH} levels", "fewer levels"))
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and is_unicode(value):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float) and math.isfinite(value):
        return float.__float__(value)
    if isinstance(value, list | tuple):
        return [_plain(item, whole, (*path, number)) for number, item in enumerate(value)]
    if isinstance(value, Mapping):
        return _plain_mapping(value, whole, path)
    found = f"a value of the type {type(value).__name__}"
    if isinstance(value, float | str):
        found = repr(value) if isinstance(value, float) else "text with half of a surrogate pair"
    allowed = "a mapping, a list, text, a finite number, true, false or null"
    raise ConfigError(whole.problem(path, found, allowed))


def _plain_mapping(value: Mapping[object, object], whole: Document, path: KeyPath) -> JsonObject:
    copy: dict[str, JsonValue] = {}
    for key, item in value.items():
        if not (isinstance(key, str) and is_unicode(key)):
            raise ConfigError(whole.problem(path, f"the key {key!r}", "keys that are text"))
        copy[str.__str__(key)] = _plain(item, whole, (*path, key))
    return copy


def is_unicode(text: str) -> bool:
    """Return whether text can be encoded; half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_document(path: Path, *, quotable: bool = True) -> Document:
    """Read and parse a file.

    Args:
        path: the file.
        quotable: whether messages may quote its values.

    Raises:
        ConfigError: when it is missing or unreadable, or ``parse_document`` refuses it.
    """
    return parse_document(read_text(path), str(path), quotable=quotable)


def read_text(path: Path) -> bytes:
    """Read the bytes of a regular file of at most ``MAX_BYTES``.

    Raises:
        ConfigError: when it is missing, unreadable, larger, or not a regular file.
    """
    try:
        return read_regular(path, MAX_BYTES)
    except OSError as error:
        found = f"cannot read the file: {error.strerror}"
        raise ConfigError(Problem("", found, "name a YAML file of at most 1 MiB", str(path))) from error


def parse_document(text: str | bytes, file: str, *, quotable: bool = True) -> Document:
    """Parse one YAML document.

    Allowed are mappings with text keys, lists, and scalars: null, true, false, decimal whole numbers of 64
    bits, finite decimal numbers and text. ``no``, ``on``, ``22:22``, dates and ``0x10`` are text.

    Args:
        text: the document; bytes are UTF-8.
        file: its name in messages.
        quotable: whether messages may quote its values.

    Raises:
        ConfigError: when the text is larger than ``MAX_BYTES``, is nested deeper than ``MAX_DEPTH``, is not
            YAML, or contains a second document, an anchor, an alias, a tag, a repeated key, a key that is not
            text, or a number out of range; with file and line.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > MAX_BYTES:
        raise ConfigError(Problem("", f"larger than {MAX_BYTES} bytes", "at most 1 MiB", file, 1))
    try:
        data.decode("utf-8")
        return _Reader(file, quotable=quotable).document(yaml.parse(data, Loader=CSafeLoader))
    except UnicodeDecodeError as error:
        line, found, allowed = _line_at(data, error.start), "not UTF-8 text", "write the file in UTF-8"
        raise ConfigError(Problem("", found, allowed, file, line)) from error
    except yaml.reader.ReaderError as error:
        line = _line_at(data, error.position)
        raise ConfigError(Problem("", "a character that YAML forbids", "remove it", file, line)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # The parser reports the end of a text on the line after the last one.
        at = min(mark.line + 1, len(data.splitlines())) if mark is not None else None
        found = f"not YAML: {error.problem or error.context}"
        raise ConfigError(Problem("", found, "check indentation, quotes and brackets", file, at)) from error


def _line_of(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _line_at(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


class _Reader:
    """Builds a value and its lines from parser events, in one pass and at most ``MAX_DEPTH`` calls deep."""

    def __init__(self, file: str, *, quotable: bool) -> None:
        self._file = file
        self._quotable = quotable
        self._lines: dict[KeyPath, int] = {}

    def document(self, events: Iterator[yaml.Event]) -> Document:
        value: JsonValue = None
        seen = False
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    self._refuse((), event, "a second document", "one document in a file")
                seen = True
                value = self._value(next(events), (), events)
        return Document(value, self._file, MappingProxyType(self._lines), quotable=self._quotable)

    def _value(self, event: yaml.Event, path: KeyPath, events: Iterator[yaml.Event]) -> JsonValue:
        """Build the value that starts with ``event`` from the events that belong to it."""
        if isinstance(event, yaml.AliasEvent):
            self._refuse(path, event, "an alias", "write the value out; aliases are not supported")
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # noqa: S101 - the parser's grammar
        if event.anchor is not None:
            self._refuse(path, event, "an anchor", "remove it; anchors are not supported")
        if event.tag is not None:
            self._refuse(path, event, "a tag", "remove it; tags are not supported")
        self._lines.setdefault(path, _line_of(event))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if len(path) >= MAX_DEPTH:
            self._refuse(path, event, "too deep nesting", f"at most {MAX_DEPTH} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, events)
        return self._mapping(path, events)

    def _sequence(self, path: KeyPath, events: Iterator[yaml.Event]) -> JsonValue:
        items: list[JsonValue] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items)), events))
        return items

    def _mapping(self, path: KeyPath, events: Iterator[yaml.Event]) -> JsonValue:
        members: dict[str, JsonValue] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._key(event, path)
            if key in members:
                first = self._lines[*path, key]
                self._refuse(
                    (*path, key), event, f"a repeated key (first on line {first})", "keep one of the two"
                )
            self._lines[*path, key] = _line_of(event)
            members[key] = self._value(next(events), (*path, key), events)
        return members

    def _key(self, event: yaml.Event, path: KeyPath) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None or event.tag is not None:
            allowed = "keys are text without anchors, aliases or tags"
            self._refuse(path, event, "a key that is not plain text", allowed)
        key = self._scalar(event, path)
        if not isinstance(key, str):
            self._refuse(path, event, "a key that is not text", "write the key in quotes")
        return key

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> JsonValue:
        text = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            number = int(text) if len(text) <= _LONGEST_INTEGER else 2**64
            if -(2**63) <= number < 2**64:
                return number
            self._refuse(path, event, "a whole number that 64 bits cannot hold", "from -2^63 to 2^64 - 1")
        if _FLOAT.fullmatch(text):
            real = float(text)
            if math.isfinite(real):
                return real
            self._refuse(path, event, "a number that a double cannot hold", "a finite number")
        if _NOT_FINITE.fullmatch(text):
            self._refuse(path, event, "a number that is not finite", "a finite number")
        return text

    def _refuse(self, path: KeyPath, event: yaml.Event, found: str, allowed: str) -> NoReturn:
        line = _line_of(event)
        raise ConfigError(Problem(spell_key(path), found, allowed, self._file, line))
