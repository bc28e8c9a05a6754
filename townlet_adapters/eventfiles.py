"""Files of events: which lines are Townlet's, and which files one stream of events is kept in.

A file that is rotated has parts. The newest one has the name that the config gives it, ``events.ndjson``;
older ones have a number in it, ``events-000001.ndjson`` being the oldest. Together they are one stream.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from townlet_core.jsonvalue import JsonObject

_NUMBER: Final = re.compile(r"[0-9]{20}")
_SOURCE: Final = re.compile(r"urn:townlet:run:.+:p[0-9]+")
_TYPE: Final = "townlet."
_KIND_FOLLOWS: Final = b'"type":"townlet.'
_ENVELOPE: Final = 512


class StoredEvent(NamedTuple):
    """One line of a file of events.

    Attributes:
        kind: its kind, as in ``queue.join``.
        tick: the executed tick.
        data: the payload.
    """

    kind: str
    tick: int
    data: JsonObject


def read_event(line: bytes) -> StoredEvent | None:
    """Read a line, with or without its newline; None when it is not an event that Townlet wrote."""
    event = _event_of(line)
    number, source, kind = event.get("id"), event.get("source"), event.get("type")
    tick, data = event.get("tick"), event.get("data")
    if (
        event.get("specversion") == "1.0"
        and isinstance(number, str)
        and _NUMBER.fullmatch(number) is not None
        and event.get("sequence") == number
        and isinstance(source, str)
        and _SOURCE.fullmatch(source) is not None
        and isinstance(kind, str)
        and kind.startswith(_TYPE)
        and type(tick) is int
        and isinstance(data, dict)
    ):
        return StoredEvent(kind.removeprefix(_TYPE), tick, data)
    return None


def kind_of(line: bytes) -> str:
    """Return the kind of a line that Townlet wrote without reading the line; empty when it is hidden."""
    start = line.find(_KIND_FOLLOWS, 0, _ENVELOPE)
    end = line.find(b'"', start + len(_KIND_FOLLOWS))
    return line[start + len(_KIND_FOLLOWS) : end].decode("ascii", "replace") if 0 <= start < end else ""


def is_event_line(line: bytes) -> bool:
    """Return whether a line, with or without its newline, is an event that Townlet wrote."""
    return read_event(line) is not None


def fact_number(line: bytes) -> int | None:
    """Return the ``seq`` of the fact in a line; None when the line is not a fact."""
    number = _event_of(line).get("seq")
    return number if type(number) is int else None


def part_path(path: Path, number: int) -> Path:
    """Return where the part ``number``, from 1, of a rotated file is kept."""
    return path.with_name(f"{path.stem}-{number:06d}{path.suffix}")


def older_parts(path: Path, packed: str = "") -> dict[int, Path]:
    """Return the older parts of a rotated file by number, the oldest first; empty when there are none.

    Args:
        path: the newest part.
        packed: what the names of parts end in that a person compressed, such as ``.gz``.

    Raises:
        OSError: when the folder cannot be read.
    """
    if not path.parent.is_dir():
        return {}
    pattern = re.compile(rf"{re.escape(path.stem)}-([0-9]{{6,}}){re.escape(path.suffix + packed)}")
    found = {int(match[1]): each for each in path.parent.iterdir() if (match := pattern.fullmatch(each.name))}
    return dict(sorted(found.items()))


def list_parts(path: Path) -> list[Path]:
    """Return every file of a stream of events, the oldest first and ``path`` itself last.

    A file that was never rotated is its only part. A missing ``path`` is left out: a crash between two steps
    of a rotation leaves older parts only.

    Raises:
        OSError: when the folder cannot be read.
    """
    return [*older_parts(path).values(), *([path] if path.exists() else [])]


def _event_of(line: bytes) -> Mapping[str, object]:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}
