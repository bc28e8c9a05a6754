"""Takes the events behind a snapshot out of a stream of events, so that a resumed run can append to it.

The events are copied into a file of their own first, which is synced and gets its name before anything is
taken away. A crash at any point leaves every event in one place at least, and the next attempt ends in the
same files.
"""

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from townlet_adapters.disk import DISK, Disk
from townlet_adapters.eventfiles import fact_number, is_event_line, list_parts
from townlet_core.errors import OutputError

_CHUNK: Final = 1 << 20
_LONGEST_LINE: Final = 1 << 20
_LOOK_BACK: Final = 4 << 20
_OPEN: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class _Place(NamedTuple):
    """A line: the index of its part, and where it starts there."""

    part: int
    offset: int


def last_fact(path: Path) -> int | None:
    """Return the number of the last fact in a stream of events; None when it has no fact.

    Args:
        path: the newest part; it may be missing.

    Raises:
        OutputError: when a part cannot be read, or is not a file of events.
    """
    with _reporting(path):
        for part in reversed(list_parts(path)):
            with _opened(part, os.O_RDONLY) as file:
                size = os.fstat(file).st_size
                start = max(0, size - _LOOK_BACK)
                block = _read(file, start, size - start)
                # What stands before the first newline may be the end of a line, and that behind the last one
                # the beginning of one.
                lines = block.split(b"\n")[1 if start else 0 : -1]
                numbers = (fact_number(line) for line in reversed(lines))
                found = next((number for number in numbers if number is not None), None)
                if found is None and start:
                    facts = [number for _, number in _facts(part, file)]
                    found = facts[-1] if facts else None
                if found is not None:
                    return found
    return None


def cut_events(path: Path, tick: int, first: int, disk: Disk = DISK) -> Path | None:
    """Move the facts from number ``first`` on, and all that stands behind them, into a file of their own.

    Args:
        path: the newest part of the stream; it may be missing.
        tick: the tick at which the run is resumed, for the name ``events.cut-<tick>.ndjson``.
        first: number of the first fact to move.
        disk: where the files are made durable.

    Returns:
        The file with the events that were moved, None when there were none. An earlier file of that tick is
        never overwritten: the next one has a number behind the tick.

    Raises:
        OutputError: when a part is not a file of events, is written by another run, or cannot be changed.
    """
    with _reporting(path):
        parts = list_parts(path)
        place = _find(parts, first)
        if place is None:
            return None
        cut, offset = parts[place.part :], place.offset
        with _locked(cut):
            target, is_there = _target(path, tick, cut, offset)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                if not is_there:
                    _write(target, cut, offset, folder, disk)
                # The newest first, so that what a crash leaves is the beginning of what was copied.
                for part in reversed(cut[1:]):
                    part.unlink()
                if offset == 0 and cut[0] != path:
                    cut[0].unlink()
                else:
                    _truncate(cut[0], offset, disk)
                disk.sync_folder(folder)
            finally:
                os.close(folder)
        return target


def _find(parts: Sequence[Path], first: int) -> _Place | None:
    """Find the first line with a fact from ``first`` on."""
    for index in range(len(parts)):
        if index + 1 < len(parts) and _begins_before(parts[index + 1], first):
            continue
        with _opened(parts[index], os.O_RDONLY) as file:
            for offset, number in _facts(parts[index], file):
                if number >= first:
                    return _Place(index, offset)
    return None


def _begins_before(part: Path, first: int) -> bool:
    """Whether the first fact of a part comes before ``first``, and with it every part before this one."""
    with _opened(part, os.O_RDONLY) as file:
        number = next((number for _, number in _facts(part, file)), None)
    return number is not None and number < first


def _facts(part: Path, file: int) -> Iterator[tuple[int, int]]:
    """Read the whole lines of a part; yields where each fact starts, and its number."""
    offset = 0
    with open(file, "rb", closefd=False) as stream:
        stream.seek(0)
        while line := stream.readline(_LONGEST_LINE + 1):
            if not line.endswith(b"\n"):
                if len(line) > _LONGEST_LINE:
                    raise OutputError(f"{part}: holds a line of more than {_LONGEST_LINE} bytes; {_ADVICE}")
                return
            if offset == 0 and not is_event_line(line):
                raise OutputError(f"{part}: does not begin with an event line; {_ADVICE}")
            number = fact_number(line)
            if number is not None:
                yield offset, number
            offset += len(line)


def _target(path: Path, tick: int, cut: Sequence[Path], offset: int) -> tuple[Path, bool]:
    """Return where the events go, and whether they are there already, from an attempt that was broken off."""
    number = 1
    while True:
        name = f"{path.stem}.cut-{tick}{'' if number == 1 else f'-{number}'}{path.suffix}"
        target = path.with_name(name)
        if not target.exists():
            return target, False
        if _begins_with(target, cut, offset):
            return target, True
        number += 1


def _begins_with(target: Path, cut: Sequence[Path], offset: int) -> bool:
    with _opened(target, os.O_RDONLY) as file:
        position = 0
        for chunk in _chunks(cut, offset):
            if _read(file, position, len(chunk)) != chunk:
                return False
            position += len(chunk)
    return True


def _write(target: Path, cut: Sequence[Path], offset: int, folder: int, disk: Disk) -> None:
    temporary = f".{target.name}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _OPEN
    with os.fdopen(os.open(temporary, flags, 0o644, dir_fd=folder), "wb") as stream:
        for chunk in _chunks(cut, offset):
            stream.write(chunk)
        stream.flush()
        disk.sync(stream.fileno())
    disk.replace(temporary, target.name, folder)
    disk.sync_folder(folder)


def _truncate(part: Path, offset: int, disk: Disk) -> None:
    with _opened(part, os.O_WRONLY) as file:
        os.ftruncate(file, offset)
        disk.sync(file)


def _chunks(cut: Sequence[Path], offset: int) -> Iterator[bytes]:
    """Read the first part from ``offset`` on, and the others from their beginning."""
    for part in cut:
        with _opened(part, os.O_RDONLY) as file:
            while chunk := _read(file, offset, _CHUNK):
                yield chunk
                offset += len(chunk)
        offset = 0


def _read(file: int, offset: int, size: int) -> bytes:
    """Read so many bytes, fewer only at the end of the file."""
    blocks: list[bytes] = []
    while size and (block := os.pread(file, size, offset)):
        blocks.append(block)
        offset, size = offset + len(block), size - len(block)
    return b"".join(blocks)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | _OPEN)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OutputError(f"{path}: is not a regular file; {_ADVICE}")
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _locked(parts: Sequence[Path]) -> Iterator[None]:
    """Hold the lock that the file sink of another run would hold."""
    with _opened(parts[-1], os.O_RDWR) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{parts[-1]}: another run is writing to it; wait until that run ends"
            raise OutputError(message) from error
        yield


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = error.filename or path
        raise OutputError(f"{name}: cannot be continued: {error.strerror or error}") from error


_ADVICE: Final = "move it away, or go on in another folder with --out"
