"""What a segment is, in a small file beside it: told even when its database is not one any more."""

import json
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from townlet_adapters.telemetry.ranges import Range
from townlet_adapters.telemetry.spool.base import Loss

VERSION: Final = 1

_MAGIC: Final = b"townlet-outbox"
_FIELDS: Final = 4
_LARGEST: Final = 16 << 20


class Before(NamedTuple):
    """The segment before: what it is, and what it came to.

    Attributes:
        number: its place in the order of segments.
        source: whose rows it holds.
        base: position in the queue of that source's number 0.
        first: its rows have this number or higher ones.
        end: its rows have lower numbers than this.
        events: how many rows it holds.
    """

    number: int
    source: str
    base: int
    first: int
    end: int
    events: int


class Label(NamedTuple):
    """One segment.

    Attributes:
        number: its place in the order of segments; never used again.
        source: whose rows it holds.
        base: position in the queue of that source's number 0.
        first: its rows have this number or higher ones.
        before: the segment before it; None for the first one ever.
        undeclared: losses that no row in an earlier segment declares, known when it was begun or found since.
            Rows of this one may declare them; should it be damaged, they are to be declared again.
    """

    number: int
    source: str
    base: int
    first: int
    before: Before | None
    undeclared: tuple[Loss, ...] = ()

    @property
    def start(self) -> int:
        """Position in the queue at which it begins."""
        return self.base + self.first


class UnreadableLabelError(Exception):
    """A label does not say anything.

    Attributes:
        version: the format of a label that is only too new or too old; otherwise None.
    """

    def __init__(self, message: str, version: int | None = None) -> None:
        """Keep the version beside the message."""
        self.version = version
        super().__init__(message)


def losses_to_text(losses: Sequence[Loss]) -> str:
    """Spell losses as JSON."""
    return json.dumps([[each.source, each.reason, each.ranges] for each in losses], ensure_ascii=False)


def losses_from_text(text: str) -> tuple[Loss, ...]:
    """Read what ``losses_to_text`` wrote."""
    return tuple(
        Loss(source, reason, tuple(Range(*pair) for pair in ranges))
        for source, reason, ranges in json.loads(text)
    )


def _framed(body: bytes) -> bytes:
    return b"%s %08x %s\n" % (_MAGIC, zlib.crc32(body), body)


def note_to_bytes(losses: Sequence[Loss]) -> bytes:
    """Spell a line that adds losses to a label."""
    return _framed(b"%d " % VERSION + losses_to_text(losses).encode())


def label_to_bytes(label: Label) -> bytes:
    """Spell a label as one line: magic, format, checksum, content."""
    content: dict[str, object] = {
        "number": label.number,
        "source": label.source,
        "base": label.base,
        "first": label.first,
        "before": None if label.before is None else list(label.before),
        "undeclared": losses_to_text(label.undeclared),
    }
    body = b"%d " % VERSION + json.dumps(content, ensure_ascii=False).encode()
    return _framed(body)


def label_from_bytes(data: bytes) -> Label:
    """Read what ``label_to_bytes`` and ``note_to_bytes`` wrote, the former first.

    A later line that says nothing was not finished when a kill came, and so was the commit that it was for.

    Raises:
        UnreadableLabelError: when it says nothing.
    """
    first, *others = data.split(b"\n")
    told = json.loads(_content_of(first))
    notes: list[Loss] = []
    for each in others:
        with suppress(UnreadableLabelError):
            notes += losses_from_text(_content_of(each).decode())
    return Label(
        told["number"],
        told["source"],
        told["base"],
        told["first"],
        None if told["before"] is None else Before(*told["before"]),
        (*losses_from_text(told["undeclared"]), *notes),
    )


def _content_of(line: bytes) -> bytes:
    parts = line.split(b" ", _FIELDS - 1)
    if len(parts) != _FIELDS or parts[0] != _MAGIC:
        raise UnreadableLabelError("is not a segment's label")
    _, crc, version, content = parts
    if crc != b"%08x" % zlib.crc32(version + b" " + content):
        raise UnreadableLabelError("does not match its checksum")
    if int(version) != VERSION:
        raise UnreadableLabelError(f"has the format {int(version)}, not {VERSION}", int(version))
    return content


def write_label(path: Path, label: Label, *, durable: bool) -> None:
    """Write a label so that it is there whole or not at all.

    Raises:
        OSError: when the disk does not take it.
    """
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        data = label_to_bytes(label)
        while data:
            data = data[os.write(fd, data) :]
        if durable:
            os.fsync(fd)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    new.rename(path)


def add_note(path: Path, losses: Sequence[Loss], *, durable: bool) -> None:
    """Add losses to a label: the whole line, or nothing.

    Raises:
        OSError: when the disk does not take it.
    """
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        data = note_to_bytes(losses)
        try:
            while data:
                data = data[os.write(fd, data) :]
        except OSError:
            os.ftruncate(fd, size)
            raise
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def read_label(path: Path) -> Label:
    """Read a label.

    Raises:
        UnreadableLabelError: when it says nothing.
        OSError: when it cannot be read, or is a link.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        return label_from_bytes(file.read(_LARGEST))
