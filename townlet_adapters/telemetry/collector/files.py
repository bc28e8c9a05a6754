"""The files that are being written: opened late, closed when others need the room, without half lines."""

import errno
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

from townlet_adapters.disk import DISK, Disk, sync_folder_at
from townlet_adapters.telemetry.collector.shelf import Shelf
from townlet_adapters.telemetry.delivery.meters import Meter
from townlet_adapters.telemetry.transports.lines import LineAppender
from townlet_core.events.health import Histogram
from townlet_core.ports.transport import TransportError

_log = logging.getLogger(__name__)

_MOST_OPEN: Final = 128
_SYNCS_AT_ONCE: Final = 8
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

DiskTrouble: TypeAlias = Literal["no_space", "storage_failed"]
"""Why a disk did not take something: it is full, or any other reason."""


class OpenFiles:
    """Descriptors of a folder's files. From one thread at a time."""

    def __init__(self, folder: Path, disk: Disk = DISK) -> None:
        """Open nothing yet."""
        self._folder, self._disk = folder, disk
        self._open: OrderedDict[str, int] = OrderedDict()
        self._torn: set[str] = set()  # files that end in what a failed write left
        self._syncs = ThreadPoolExecutor(_SYNCS_AT_ONCE, "townlet-fsync")
        self._seconds = Meter(_BOUNDS)

    def append(self, shelf: Shelf, lines: Sequence[bytes]) -> tuple[int, DiskTrouble | None]:
        """Write lines to the end of a file; ``sync`` brings them to the disk.

        Returns:
            How many whole lines from the front the file has now, and why not the others.
        """
        try:
            kept = LineAppender(self._file(shelf)).append(lines)
        except TransportError as error:
            self._torn.add(shelf.source)
            return 0, self._trouble(shelf, error.__cause__)
        except OSError as error:
            return 0, self._trouble(shelf, error)
        return kept, None if kept == len(lines) else "no_space"

    def sync(self, shelves: Sequence[Shelf]) -> dict[str, DiskTrouble]:
        """Bring what was appended to the disk; returns the sources whose lines are not there, and why.

        After a failure the system may report success the next time, even to another process, without having
        written anything. Those files are cut back to ``Shelf.size`` at once.
        """
        begin = time.monotonic()
        failed: dict[str, DiskTrouble] = {}
        for shelf, error in zip(shelves, self._syncs.map(self._sync_one, shelves), strict=True):
            if error is not None:
                self._torn.add(shelf.source)
                with suppress(OSError):
                    os.ftruncate(self._open[shelf.source], shelf.size)
                failed[shelf.source] = self._trouble(shelf, error)
        self._seconds.add(time.monotonic() - begin)
        return failed

    def seconds(self) -> Histogram:
        """Return how long calls of ``sync`` took; from any thread."""
        return self._seconds.read()

    def close_idle(self) -> list[str]:
        """Close the files that were not used for longest, if there are too many; returns their sources."""
        closed = []
        while len(self._open) > _MOST_OPEN:
            source, fd = self._open.popitem(last=False)
            os.close(fd)
            closed.append(source)
        return closed

    def close(self) -> None:
        """Close all."""
        self._syncs.shutdown()
        while self._open:
            os.close(self._open.popitem()[1])

    def _file(self, shelf: Shelf) -> int:
        fd = self._open.pop(shelf.source, -1)
        if fd < 0:
            fd = self._open_file(shelf)
        self._open[shelf.source] = fd
        if shelf.source in self._torn:
            os.ftruncate(fd, shelf.size)
            self._torn.discard(shelf.source)
        if os.fstat(fd).st_size != shelf.size:
            raise OSError(errno.EIO, "another process has changed it; start the collector again")
        return fd

    def _open_file(self, shelf: Shelf) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        if shelf.size:
            return os.open(shelf.path, flags)
        fd = os.open(shelf.path, flags | os.O_CREAT, 0o644)
        try:
            # A name that is not on the disk would take the file with it.
            sync_folder_at(self._folder, self._disk)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _sync_one(self, shelf: Shelf) -> OSError | None:
        try:
            self._disk.sync(self._open[shelf.source])
        except OSError as error:
            return error
        return None

    def _trouble(self, shelf: Shelf, error: BaseException | None) -> DiskTrouble:
        found = error if isinstance(error, OSError) else OSError(errno.EIO, "unknown")
        return trouble_of(shelf.path, found)


def trouble_of(path: Path, error: OSError) -> DiskTrouble:
    """Log why a file cannot be written, and name it for the peer."""
    _log.error("%s: cannot be written: %s", path, error.strerror)
    return "no_space" if error.errno in _FULL else "storage_failed"


def make_folder(path: Path, disk: Disk) -> None:
    """Make a folder with all above it, and bring each new name to the disk.

    Raises:
        OSError: when one of them cannot be made.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in reversed(missing):
        sync_folder_at(each.parent, disk)


def secure(folder: Path, shelves: Sequence[Shelf], disk: Disk) -> None:
    """Cut unfinished lines off files, and bring the files and their names to the disk.

    A process that was killed may have written lines without waiting for the disk.

    Raises:
        OSError: when that failed.
    """
    for shelf in shelves:
        fd = os.open(shelf.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, shelf.size)
            disk.sync(fd)
        finally:
            os.close(fd)
    if shelves:
        sync_folder_at(folder, disk)
