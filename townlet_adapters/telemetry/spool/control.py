"""The control page of an outbox: how many numbers the newest source gave, and what was acknowledged.

    0     8        12    16     24      26
    magic version  crc   base   length  JSON ...        checked as a whole, replaced as a whole
    2048  2056     2064     2072
    emitted settled waiting oldest                      counters: 48 bits of number, 16 bits of check each

A counter is written by one ``pwrite`` within one page of memory, so a kill leaves the old or the new value.
The file is never mapped: a process that maps a file dies when another program truncates it.
"""

import json
import os
import struct
import threading
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from townlet_adapters.telemetry.spool.base import Before
from townlet_adapters.telemetry.spool.folder import CONTROL_FILE, FORMAT, Folder, is_at, write_at

_MAGIC: Final = b"TWNOUTBX"
_SIZE: Final = 4096
_HEADER: Final = struct.Struct("<8sIIQH")
_CHECKED: Final = struct.Struct("<IQH")
_COUNTERS: Final = struct.Struct("<4Q")
_EMITTED: Final = 2048
_SETTLED: Final = _EMITTED + 8

_NUMBER: Final = (1 << 48) - 1
_SPREAD: Final = (
    0x9E3779B97F4A7C15  # has no long run of equal bits, so a flipped bit of a number changes its check
)
_SALT: Final = 0xA5C3  # a page of zeros holds no counter


class Control(NamedTuple):
    """The content of a control page.

    Attributes:
        source: the newest source.
        base: position in the queue of its number 0.
        emitted: numbers below this were given; None when the counter is damaged.
        settled: everything before this position was acknowledged; None when the counter is damaged.
        waiting: rows that waited when the page was last written; for people.
        oldest: when the oldest of them was committed, in seconds since 1970; for people.
        before: the latest segment with rows of an earlier source; None when there was none.
    """

    source: str
    base: int
    emitted: int | None
    settled: int | None
    waiting: int = 0
    oldest: float = 0.0
    before: Before | None = None


class UnreadableError(Exception):
    """A control page or label cannot be read.

    Attributes:
        version: its format, when that is the reason; otherwise None.
    """

    def __init__(self, message: str, version: int | None = None) -> None:
        """Keep the version beside the message."""
        self.version = version
        super().__init__(message)


def read_control(folder: Path) -> Control | None:
    """Read the control page of an outbox; None when there is none.

    Raises:
        UnreadableError: when it does not hold what was written.
        OSError: when it cannot be read, or is a link.
    """
    try:
        fd = os.open(folder / CONTROL_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        return _parse(os.pread(fd, _SIZE + 1, 0))
    finally:
        os.close(fd)


def _parse(page: bytes) -> Control:
    if len(page) < _HEADER.size or not page.startswith(_MAGIC):
        raise UnreadableError("is not a control page")
    _, version, crc, base, length = _HEADER.unpack_from(page)
    content = page[_HEADER.size : _HEADER.size + length]
    if zlib.crc32(_CHECKED.pack(version, base, length) + content) != crc:
        raise UnreadableError("does not match its checksum")
    if not 1 <= version <= FORMAT:
        raise UnreadableError(f"has the format {version}; known: 1 to {FORMAT}", version)
    if len(page) != _SIZE:
        raise UnreadableError(f"has {len(page)} bytes, not {_SIZE}")
    emitted, settled, waiting, oldest = map(_checked, _COUNTERS.unpack_from(page, _EMITTED))
    source, before = content.decode(errors="replace"), None
    if version > 1:
        try:
            source, *rest = json.loads(source)
            before = Before(*rest) if rest else None
        except (TypeError, ValueError) as error:
            raise UnreadableError("does not name a source and the segment before it") from error
    return Control(source, base, emitted, settled, waiting or 0, (oldest or 0) / 1000, before)


def _with_check(number: int) -> int:
    return number | ((number * _SPREAD >> 48 & 0xFFFF) ^ _SALT) << 48


def _checked(word: int) -> int | None:
    number = word & _NUMBER
    return number if _with_check(number) == word else None


class ControlPage:
    """The control page of this run. One thread notes numbers; the rest is safe to use from several.

    Attributes:
        path: where it is.
    """

    _fd = -1

    def __init__(self, folder: Folder, control: Control) -> None:
        """Write the page in place of the one before, as a whole.

        Raises:
            OSError: when the disk does not take it; the page before stays in force.
        """
        self._folder = folder
        self._lock = threading.Lock()  # not taken for each number: the town notes one for every message
        self.path = folder.path / CONTROL_FILE
        self._head = _head(control)
        self._emitted = control.emitted or 0
        self._queue = _queue_of(control)
        self._fd = folder.put(CONTROL_FILE, self._page())

    def __del__(self) -> None:
        """Close the page once no thread can be writing to it any more."""
        if self._fd >= 0:
            os.close(self._fd)

    def note_emitted(self, count: int) -> None:
        """Store how many numbers were given; ``repair`` notices a failure. Not for two threads at once."""
        self._emitted = count
        try:  # noqa: SIM105 - a context manager would cost as much as the write, for every event
            os.pwrite(self._fd, _word(count), _EMITTED)
        except OSError:
            pass

    def note_queue(self, settled: int, waiting: int, oldest: float) -> None:
        """Store what was acknowledged, and the figures for people; ``repair`` notices a failure."""
        with self._lock, suppress(OSError):
            self._queue = b"".join(map(_word, (settled, waiting, int(oldest * 1000))))
            write_at(self._fd, self._queue, _SETTLED)

    def sync(self) -> None:
        """Bring the counters to the disk, where that is asked for.

        Raises:
            OSError: when the disk did not take them.
        """
        if self._folder.durable:
            self._folder.disk.sync(self._fd)

    def repair(self) -> str:
        """Compare the page on the disk with what was written, and write it again when it differs.

        Returns:
            What was wrong; empty when nothing was.

        Raises:
            OSError: when it cannot be written.
        """
        with self._lock:
            return self._repair()

    def _repair(self) -> str:
        if not is_at(self._fd, self.path):
            wrong = "was removed or replaced"
            new = self._folder.put(CONTROL_FILE, self._page())
            # In one step, because the town may be writing to the old one at this moment.
            os.dup2(new, self._fd, inheritable=False)
            os.close(new)
        elif not self._is_whole():
            wrong = "was changed by another program"
            os.ftruncate(self._fd, _SIZE)
            write_at(self._fd, self._page(), 0)
        else:
            return ""
        while True:
            count = self._emitted
            write_at(self._fd, _word(count), _EMITTED)
            if count == self._emitted:
                return wrong

    def _is_whole(self) -> bool:
        least = self._emitted - 1  # the town notes a number before it stores it
        page = os.pread(self._fd, _SIZE + 1, 0)
        head, counters = self._page()[:_EMITTED], page[_SETTLED : _SETTLED + len(self._queue)]
        if len(page) != _SIZE or page[:_EMITTED] != head or counters != self._queue:
            return False
        emitted = _checked(int.from_bytes(page[_EMITTED:_SETTLED], "little"))
        return emitted is not None and least <= emitted <= self._emitted

    def _page(self) -> bytes:
        page = bytearray(_SIZE)
        page[: len(self._head)] = self._head
        page[_EMITTED:_SETTLED] = _word(self._emitted)
        page[_SETTLED : _SETTLED + len(self._queue)] = self._queue
        return bytes(page)


def _word(count: int) -> bytes:
    return _with_check(count).to_bytes(8, "little")


def _queue_of(control: Control) -> bytes:
    counters = (control.settled or 0, control.waiting, int(control.oldest * 1000))
    return b"".join(map(_word, counters))


def _head(control: Control) -> bytes:
    content = json.dumps([control.source, *(control.before or ())], ensure_ascii=False).encode()
    if len(content) > _EMITTED - _HEADER.size:
        raise ValueError(f"a source of {len(control.source)} characters is too long for an outbox")
    crc = zlib.crc32(_CHECKED.pack(FORMAT, control.base, len(content)) + content)
    return _HEADER.pack(_MAGIC, FORMAT, crc, control.base, len(content)) + content
