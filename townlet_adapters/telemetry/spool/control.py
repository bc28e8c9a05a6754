"""One page of memory that the file system keeps: what was emitted and what is settled, however we end.

    0     8        12    16     24      26
    magic version  crc   base   length  source ...          who: checked as a whole, replaced as a whole
    2048  2056     2064     2072
    emitted settled waiting oldest                          counters: 48 bits of number, 16 bits of check each

A counter is stored by one aligned 8-byte store, which no kill can cut in two; its check tells it from
anything else that may come to stand there.
"""

import mmap
import os
import struct
import zlib
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

CONTROL_FILE: Final = "control"
VERSION: Final = 1

_MAGIC: Final = b"TWNOUTBX"
_SIZE: Final = 4096
_HEADER: Final = struct.Struct("<8sIIQH")
_CHECKED: Final = struct.Struct("<IQH")
_FIRST_CELL: Final = 256
_LONGEST_SOURCE: Final = 1024

_NUMBER: Final = (1 << 48) - 1
_SPREAD: Final = (
    0x9E3779B97F4A7C15  # no sixteen equal bits in a row: a flipped bit of a number shows in its check
)
_SALT: Final = 0xA5C3  # a page of zeros holds no counter


class Cell(IntEnum):
    """Which counter; ``SETTLED`` is a position in the queue, ``OLDEST`` milliseconds since 1970."""

    EMITTED = _FIRST_CELL
    SETTLED = _FIRST_CELL + 1
    WAITING = _FIRST_CELL + 2
    OLDEST = _FIRST_CELL + 3


def sealed(number: int) -> int:
    """Join a number with its check."""
    return number | ((number * _SPREAD >> 48 & 0xFFFF) ^ _SALT) << 48


def unsealed(word: int) -> int | None:
    """Give the number back; None when the word was made by nobody."""
    number = word & _NUMBER
    return number if sealed(number) == word else None


class Control(NamedTuple):
    """What a control page says.

    Attributes:
        source: whose numbers.
        base: position in the queue of its number 0.
        emitted: numbers below this were given; None when that cannot be told.
        settled: everything before this position was acknowledged; None when that cannot be told.
        waiting: rows that waited when the page was last touched; for people.
        oldest: when the oldest of them was committed, in seconds since 1970; for people.
    """

    source: str
    base: int
    emitted: int | None
    settled: int | None
    waiting: int = 0
    oldest: float = 0.0


class UnreadableControlError(Exception):
    """A control page does not say anything.

    Attributes:
        version: the format of a page of ours that is only too new or too old; otherwise None.
    """

    def __init__(self, message: str, version: int | None = None) -> None:
        """Keep the version beside the message."""
        self.version = version
        super().__init__(message)


def read_control(folder: Path) -> Control | None:
    """Read the page of an outbox; None when there is none.

    Raises:
        UnreadableControlError: when it says nothing.
        OSError: when it cannot be read, or is a link.
    """
    try:
        fd = os.open(folder / CONTROL_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        page = os.pread(fd, _SIZE + 1, 0)
    finally:
        os.close(fd)
    return _parsed(page)


def _parsed(page: bytes) -> Control:
    if len(page) < _HEADER.size or not page.startswith(_MAGIC):
        raise UnreadableControlError("is not a control page")
    _, version, crc, base, length = _HEADER.unpack_from(page)
    source = page[_HEADER.size : _HEADER.size + length]
    if zlib.crc32(_CHECKED.pack(version, base, length) + source) != crc:
        raise UnreadableControlError("does not match its checksum")
    if version != VERSION:
        raise UnreadableControlError(f"has the format {version}, not {VERSION}", version)
    if len(page) != _SIZE or length > _LONGEST_SOURCE:
        raise UnreadableControlError(f"has {len(page)} bytes, not {_SIZE}")
    words = struct.unpack_from("=4Q", page, _FIRST_CELL * 8)
    emitted, settled, waiting, oldest = map(unsealed, words)
    return Control(
        source.decode(errors="replace"), base, emitted, settled, waiting or 0, (oldest or 0) / 1000
    )


def _spelled(control: Control) -> bytes:
    source = control.source.encode()
    if len(source) > _LONGEST_SOURCE:
        raise ValueError(f"a source has at most {_LONGEST_SOURCE} bytes")
    crc = zlib.crc32(_CHECKED.pack(VERSION, control.base, len(source)) + source)
    page = bytearray(_SIZE)
    _HEADER.pack_into(page, 0, _MAGIC, VERSION, crc, control.base, len(source))
    page[_HEADER.size : _HEADER.size + len(source)] = source
    counters = (control.emitted or 0, control.settled or 0, control.waiting, int(control.oldest * 1000))
    struct.pack_into("=4Q", page, _FIRST_CELL * 8, *map(sealed, counters))
    return bytes(page)


class ControlPage:
    """A page of this run, mapped; it takes the place of the one before by ``install``, as a whole."""

    def __init__(self, folder: Path, control: Control, *, durable: bool) -> None:
        """Write the page beside the one in force; its room on the disk is taken now, for good.

        Raises:
            OSError: when the disk does not take it.
        """
        self._path = folder / CONTROL_FILE
        self._new = folder / f"{CONTROL_FILE}.new"
        self._new.unlink(missing_ok=True)
        fd = os.open(self._new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, _SIZE)
            os.pwrite(fd, _spelled(control), 0)
            if durable:
                os.fsync(fd)
            self._memory = mmap.mmap(fd, _SIZE)
        except OSError:
            self._new.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        self.cells = memoryview(self._memory).cast("Q")

    def install(self) -> None:
        """Put the page in force; needs no room."""
        self._new.rename(self._path)

    def discard(self) -> None:
        """Remove a page that was not put in force."""
        self._new.unlink(missing_ok=True)

    def flush(self) -> None:
        """Bring the page to the disk."""
        self._memory.flush()
