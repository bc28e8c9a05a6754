"""Reads what earlier runs of a collector left in its folder, without changing it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from townlet_adapters.telemetry.collector.checking import LineError, check_line, file_stem
from townlet_adapters.telemetry.collector.shelf import FILE_SUFFIX, Shelf, digest_of, load_index
from townlet_adapters.telemetry.envelope import LINE_START, MAX_EVENT_BYTES
from townlet_core.errors import OutputError

_BLOCK: Final = 1 << 20


def read_folder(folder: Path) -> Iterator[Shelf]:
    """Read every file of a folder, in the order of their names; files without a whole line are left out.

    Raises:
        OutputError: when a file is not one that a collector wrote, or is damaged.
    """
    for path in sorted(folder.glob(f"*{FILE_SUFFIX}")):
        shelf = _read_file(path)
        if shelf is not None:
            yield shelf


def _read_file(path: Path) -> Shelf | None:
    index = load_index(path)  # first: while a collector writes, the file is never behind its index
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _foreign(path, "is not a regular file")
        shelf = _believe(fd, path, index, status.st_size)
        return _scan(fd, path, shelf, status.st_size)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error
    finally:
        os.close(fd)


def _believe(fd: int, path: Path, index: Shelf | None, size: int) -> Shelf | None:
    """Return the index if the file has the line that it ends with."""
    if index is None or not _belongs(path, index.source):
        return None
    if index.size > size:
        raise _foreign(path, f"has {size} bytes, but {index.size} were acknowledged; it was cut")
    length, digest = index.last_line
    return index if digest_of(os.pread(fd, length, index.size - length)) == digest else None


def _scan(fd: int, path: Path, shelf: Shelf | None, size: int) -> Shelf | None:
    """Read the lines behind those that the index covers."""
    at = shelf.size if shelf is not None else 0
    last = b""
    for line in _lines(fd, at, size):
        if not line.endswith(b"\n"):
            _require_unfinished(path, line, at)
            if shelf is not None:
                shelf.unfinished = size - at
            break
        try:
            event = check_line(line, shelf.source if shelf is not None else None)
        except LineError as error:
            raise _foreign(path, f"byte {at}: {error.detail}") from error
        if shelf is None:
            if not _belongs(path, event.source):
                raise _foreign(path, f"holds events of {event.source}, whose file has another name")
            shelf = Shelf(event.source, path)
        # A line is stored in this form only, and once.
        if event.line != line or event.sequence in shelf.stored:
            raise _foreign(path, f"byte {at}: a line that a collector did not write there")
        shelf.take(event)
        at, last = at + len(line), line
    if shelf is not None and last:
        shelf.end_with(last)
    return shelf


def _belongs(path: Path, source: str) -> bool:
    return path.name == file_stem(source) + FILE_SUFFIX


def _lines(fd: int, at: int, end: int) -> Iterator[bytes]:
    """Return the lines with their newlines; what follows the last newline comes last, without one."""
    rest = b""
    while at < end and len(rest) <= 2 * MAX_EVENT_BYTES:
        block = os.pread(fd, min(_BLOCK, end - at), at)
        if not block:
            break
        at += len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


def _require_unfinished(path: Path, rest: bytes, at: int) -> None:
    """Make sure that the file ends in a half line of an event; after a power failure zeros may follow."""
    begin = rest.rstrip(b"\0")[: len(LINE_START)]
    if len(rest) > MAX_EVENT_BYTES or not LINE_START.startswith(begin):
        raise _foreign(path, f"byte {at}: it ends in something that is not an event")


def _foreign(path: Path, found: str) -> OutputError:
    return OutputError(
        f"{path}: {found}; nothing was changed: move it and its index away, or name another folder"
    )
