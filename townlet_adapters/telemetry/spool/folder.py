"""The folder of an outbox: its files, who may use it, and how files in it are written.

control                   numbers given and acknowledged
lock                      held by the process that uses the outbox
segment-00000007.rows     rows (``segment-00000007.db`` in an outbox of an earlier version)
segment-00000007.label    what that segment is
quarantine/               damaged segments whose loss is declared
"""

import errno
import fcntl
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from townlet_adapters.disk import DISK, Disk
from townlet_core.errors import OutputError

_log = logging.getLogger(__name__)

CONTROL_FILE: Final = "control"
LOCK_FILE: Final = "lock"
QUARANTINE: Final = "quarantine"
MOST_QUARANTINED: Final = 8
FORMAT: Final = 2
"""Format of control pages and labels; format 1 kept the rows in SQLite."""

_NAME: Final = re.compile(r"segment-(\d{8})\.(?:rows|label|db(?:-(?:wal|shm|journal))?|lost-\d+-\d+)")
_UNFINISHED: Final = re.compile(r"(?:control|segment-\d{8}\.label)\.new")
_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class Folder:
    """An outbox's folder, and the way to write to it.

    Attributes:
        path: where it is.
        disk: makes written bytes durable.
        durable: whether files are synced before they count (durability ``power``).
    """

    def __init__(self, path: Path, disk: Disk = DISK, *, durable: bool = False) -> None:
        """Stand for a folder; touches nothing."""
        self.path, self.disk, self.durable = path, disk, durable
        self._fd = self._lock = -1

    def take(self) -> None:
        """Make the folder when it is missing, check it, and lock other processes out until ``release``.

        Raises:
            OutputError: when it cannot be used, or another process uses it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            check(self.path)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
            self._lock = take_lock(self.path)
        except BlockingIOError as error:
            self.release()
            raise OutputError(
                f"{self.path}: another process uses this outbox; wait until it ends, or name another folder"
            ) from error
        except OSError as error:
            self.release()
            raise OutputError(f"{self.path}: cannot be used as an outbox: {error.strerror}") from error
        for path in entries(self.path):
            if _UNFINISHED.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def release(self) -> None:
        """Unlock the folder."""
        for fd in (self._fd, self._lock):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock = -1

    @property
    def is_taken(self) -> bool:
        """Whether this process holds it."""
        return self._lock >= 0

    def is_in_place(self) -> bool:
        """Return whether the folder and its lock are still what the path leads to."""
        return is_at(self._fd, self.path) and is_at(self._lock, self.path / LOCK_FILE)

    def sync(self) -> None:
        """Make the folder's entries durable, where that is asked for.

        Raises:
            OSError: when the disk did not take them.
        """
        if self.durable:
            self.disk.sync_folder(self._fd)

    def put(self, name: str, data: bytes) -> int:
        """Write a file whole or not at all; returns its descriptor, open for reading and writing.

        Raises:
            OSError: when the disk does not take it; a file of that name stays as it was.
        """
        new = self.path / f"{name}.new"
        new.unlink(missing_ok=True)
        fd = self.create(new.name)
        try:
            write_at(fd, data, 0)
            if self.durable:
                self.disk.sync(fd)
            self.disk.replace(new.name, name, self._fd)
            self.sync()
        except OSError:
            os.close(fd)
            new.unlink(missing_ok=True)
            raise
        return fd

    def create(self, name: str) -> int:
        """Make an empty file that was not there; returns its descriptor, open for reading and writing.

        Raises:
            OSError: when the disk does not take it.
        """
        return os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)

    def open(self, name: str, flags: int) -> int:
        """Open a file that is there; returns its descriptor.

        A run opens the segments of earlier runs as late as it reads them, long after ``check`` has looked.

        Raises:
            FileNotFoundError: when there is none.
            OSError: when it cannot be opened, or ``check`` would refuse it.
        """
        path = self.path / name
        fd = os.open(path, flags | os.O_NONBLOCK | _FLAGS)
        wrong = _what_is_wrong(os.fstat(fd))
        if wrong:
            os.close(fd)
            raise OSError(errno.EPERM, wrong, str(path))
        return fd

    def append(self, name: str, data: bytes) -> None:
        """Add bytes to a file: all, or none.

        Raises:
            OSError: when the disk does not take them.
        """
        fd = self.open(name, os.O_WRONLY)
        try:
            append_at(fd, data, os.fstat(fd).st_size, self)
        finally:
            os.close(fd)


def segment_name(number: int) -> str:
    """Return the name that the files of a segment have in common."""
    return f"segment-{number:08d}"


def append_at(fd: int, data: bytes, offset: int, folder: Folder) -> None:
    """Write bytes at the end of a file, and sync it where that is asked for: all, or none.

    Raises:
        OSError: when the disk does not take them; the file ends at ``offset`` again if the disk allows.
    """
    try:
        write_at(fd, data, offset)
        if folder.durable:
            folder.disk.sync(fd)
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, offset)
        raise


def write_at(fd: int, data: bytes, offset: int) -> None:
    """Write all bytes at an offset.

    Raises:
        OSError: when the disk does not take them; some may have been written.
    """
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view, offset = view[count:], offset + count


def is_at(fd: int, path: Path) -> bool:
    """Return whether an open file is still the one at a path."""
    try:
        there = path.lstat()
    except OSError:
        return False
    return fd >= 0 and os.path.samestat(os.fstat(fd), there)


def check(folder: Path) -> None:
    """Refuse a folder or file of an outbox that is a link, or that another user owns or may write.

    Raises:
        OutputError: naming the path.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise OutputError(f"{folder}: is a link or not a folder; an outbox needs a folder of its own")
    for path in (folder, *entries(folder)):
        wrong = _what_is_wrong(path.lstat(), folder=path == folder or path.name == QUARANTINE)
        if wrong:
            raise OutputError(f"{path}: {wrong}")


def _what_is_wrong(status: os.stat_result, *, folder: bool = False) -> str:
    """Return why an outbox cannot use a file or folder; empty when it can."""
    if not (stat.S_ISDIR(status.st_mode) if folder else stat.S_ISREG(status.st_mode)):
        kind = "folder" if folder else "regular file"
        return f"is not a {kind}, and an outbox follows no links; move it away, or name another folder"
    if status.st_uid != os.geteuid():
        return "belongs to another user; name another folder, or chown it"
    if status.st_mode & _OTHERS_WRITE:
        return "other users can write to it; run chmod go-w, or name another folder"
    return ""


def entries(folder: Path) -> Iterator[Path]:
    """Iterate over the entries with a name that an outbox uses; other files are left alone."""
    for path in sorted(folder.iterdir()):
        if path.name in {CONTROL_FILE, LOCK_FILE, QUARANTINE} or (
            _NAME.fullmatch(path.name) or _UNFINISHED.fullmatch(path.name)
        ):
            yield path


def segment_files(folder: Path) -> dict[int, list[Path]]:
    """List the files of each segment, by number."""
    found: dict[int, list[Path]] = {}
    for path in entries(folder) if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match is not None:
            found.setdefault(int(match[1]), []).append(path)
    return found


def take_lock(folder: Path, *, shared: bool = False) -> int:
    """Lock other processes out; returns the descriptor that holds the lock until it is closed.

    Raises:
        BlockingIOError: when another process holds it.
        OSError: when there is no lock file.
    """
    flags = os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT
    fd = os.open(folder / LOCK_FILE, flags | os.O_NONBLOCK | _FLAGS, 0o600)
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def quarantined(folder: Path) -> dict[int, int]:
    """Return the bytes of each segment in quarantine, by number."""
    return {
        number: sum(path.lstat().st_size for path in paths)
        for number, paths in segment_files(folder / QUARANTINE).items()
    }


class Quarantine:
    """Damaged segments, kept for a person to look at; the oldest are removed to stay within bounds.

    Attributes:
        segments: how many there are.
    """

    def __init__(self, folder: Path, most_bytes: int, segments: int) -> None:
        """Keep at most so many bytes beside an outbox; earlier runs left so many segments."""
        self._folder = folder
        self._most_bytes = most_bytes
        self.segments = segments

    def take(self, number: int) -> None:
        """Move the files of a segment here.

        Raises:
            OSError: when they cannot be moved.
        """
        aside = self._folder / QUARANTINE
        aside.mkdir(mode=0o700, exist_ok=True)
        # The label goes last: what is left after a kill is known by it.
        files = segment_files(self._folder).get(number, ())
        for path in sorted(files, key=lambda path: path.suffix == ".label"):
            path.rename(aside / path.name)
        sizes = quarantined(self._folder)
        while len(sizes) > 1 and (len(sizes) > MOST_QUARANTINED or sum(sizes.values()) > self._most_bytes):
            oldest = min(sizes)
            del sizes[oldest]
            _log.warning(
                "%s: removed segment %d, the oldest in quarantine, to stay within bounds", aside, oldest
            )
            for path in segment_files(aside).get(oldest, ()):
                path.unlink(missing_ok=True)
        self.segments = len(sizes)
