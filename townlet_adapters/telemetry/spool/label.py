"""The label of a segment: a small file beside the rows, which is there when the rows cannot be read.

A label is one line: ``townlet-outbox CHECKSUM FORMAT JSON``. Notes follow it, a line each. An empty line
comes before each note, so that it can be read when the note before it was not finished.
"""

import json
import os
import threading
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from townlet_adapters.telemetry.ranges import Range
from townlet_adapters.telemetry.spool.base import Before, Loss, Numbers
from townlet_adapters.telemetry.spool.control import UnreadableError
from townlet_adapters.telemetry.spool.folder import FORMAT, Folder, segment_name

_MAGIC: Final = b"townlet-outbox"
_FIELDS: Final = 4
_LARGEST: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Label:
    """What a segment is.

    Attributes:
        number: its place in the order of segments; never used again.
        source: source of its rows.
        base: position in the queue of that source's number 0.
        first: its rows have this number or higher ones.
        before: the segment before it; None for the first one ever.
        noted: losses that no row of an earlier segment declares: those known when it began, and those found
            while it was written. Rows of this segment may declare them.
        damaged: numbers of rows of this segment that were found damaged.
    """

    number: int
    source: str
    base: int
    first: int
    before: Before | None
    noted: tuple[Loss, ...] = ()
    damaged: tuple[Range, ...] = ()

    @property
    def start(self) -> int:
        """Position in the queue at which the segment begins."""
        return self.base + self.first


def losses_to_json(losses: Sequence[Loss]) -> bytes:
    """Format losses as JSON."""
    return json.dumps(
        [[each.source, each.reason, each.ranges] for each in losses], ensure_ascii=False
    ).encode()


def losses_from_json(text: bytes | str) -> tuple[Loss, ...]:
    """Read what ``losses_to_json`` wrote.

    Raises:
        ValueError: when it is something else.
    """
    try:
        return tuple(
            Loss(source, reason, tuple(Range(*pair) for pair in ranges))
            for source, reason, ranges in json.loads(text)
        )
    except TypeError as error:
        raise ValueError(str(error)) from error


def label_to_bytes(label: Label) -> bytes:
    """Format a label without its notes."""
    content: dict[str, object] = {
        "number": label.number,
        "source": label.source,
        "base": label.base,
        "first": label.first,
        "before": None if label.before is None else list(label.before),
        "undeclared": losses_to_json(label.noted).decode(),
    }
    return _line(json.dumps(content, ensure_ascii=False).encode())


def note_of_losses(losses: Sequence[Loss]) -> bytes:
    """Format a note that adds to ``noted``."""
    return b"\n" + _line(losses_to_json(losses))


def note_of_damage(ranges: Sequence[Range]) -> bytes:
    """Format a note that adds to ``damaged``."""
    return b"\n" + _line(json.dumps({"damaged": ranges}).encode())


def _line(content: bytes) -> bytes:
    body = b"%d %b" % (FORMAT, content)
    return b"%b %08x %b\n" % (_MAGIC, zlib.crc32(body), body)


def read_label(path: Path) -> Label:
    """Read a label with its notes. A note that is damaged, or was not finished when a kill came, is left out.

    Raises:
        UnreadableError: when the label is not what was written.
        OSError: when it cannot be read, or is a link.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        return label_from_bytes(file.read(_LARGEST))


def label_from_bytes(data: bytes) -> Label:
    """Read a label and the notes behind it; see ``read_label``.

    Raises:
        UnreadableError: when the label is not what was written.
    """
    first, *others = data.split(b"\n")
    try:
        label = _parse(json.loads(_content_of(first)))
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableError(f"is not a label: {error}") from error
    for each in others:
        try:
            note = _content_of(each)
        except (UnreadableError, ValueError):
            continue
        if note.startswith(b"{"):
            ranges = tuple(Range(*pair) for pair in json.loads(note)["damaged"])
            label = replace(label, damaged=label.damaged + ranges)
        else:
            label = replace(label, noted=label.noted + losses_from_json(note))
    return label


def _parse(content: dict[str, object]) -> Label:
    match content:
        case {
            "number": int(number),
            "source": str(source),
            "base": int(base),
            "first": int(first),
            "before": before,
            "undeclared": str(noted),
        }:
            told = Before(*before) if isinstance(before, list) else None
            return Label(number, source, base, first, told, losses_from_json(noted))
    raise ValueError("a field is missing")


def _content_of(line: bytes) -> bytes:
    parts = line.split(b" ", _FIELDS - 1)
    if len(parts) != _FIELDS or parts[0] != _MAGIC:
        raise UnreadableError("is not the label of a segment")
    _, crc, version, content = parts
    if crc != b"%08x" % zlib.crc32(version + b" " + content):
        raise UnreadableError("does not match its checksum")
    if not 1 <= int(version) <= FORMAT:
        raise UnreadableError(f"has the format {int(version)}; known: 1 to {FORMAT}", int(version))
    return content


class LabelFile:
    """The label of a segment on the disk.

    Safe to use from several threads: the committer and the sender may both have something to note.

    Attributes:
        label: what it says, with the notes made since.
        size: bytes that it takes on the disk.
    """

    def __init__(self, folder: Folder, label: Label) -> None:
        """Stand for the file of a label; touches nothing."""
        self.label = label
        self.size = 0
        self._folder = folder
        self._name = f"{segment_name(label.number)}.label"
        self._lock = threading.Lock()
        self._known = Numbers(label.noted)

    def measure(self) -> None:
        """Find out what it takes on the disk."""
        with suppress(OSError):
            self.size = (self._folder.path / self._name).stat().st_size

    def write(self) -> None:
        """Make the file, or make it anew when it could not be read.

        Raises:
            OSError: when the disk does not take it; a file that is there stays as it was.
        """
        data = label_to_bytes(self.label)
        os.close(self._folder.put(self._name, data))
        self.size = len(data)

    def note(self, losses: Sequence[Loss]) -> None:
        """Add losses that are not in it: they are known then if the rows are destroyed.

        Raises:
            OSError: when the disk does not take it.
        """
        with self._lock:
            new = self._known.add(losses)
            if not new:
                return
            try:
                self._append(note_of_losses(new))
            except OSError:
                self._known = Numbers(self.label.noted)
                raise
            self.label = replace(self.label, noted=self.label.noted + new)

    def note_damage(self, ranges: Sequence[Range], *, is_there: bool) -> None:
        """Add rows that are damaged; only remember them when the file is gone.

        Raises:
            OSError: when the disk does not take it.
        """
        with self._lock:
            self.label = replace(self.label, damaged=(*self.label.damaged, *ranges))
            if is_there:
                self._append(note_of_damage(ranges))

    def remove(self) -> None:
        """Remove the file.

        Raises:
            OSError: when it cannot be removed.
        """
        (self._folder.path / self._name).unlink(missing_ok=True)

    def _append(self, data: bytes) -> None:
        self._folder.append(self._name, data)
        self.size += len(data)
