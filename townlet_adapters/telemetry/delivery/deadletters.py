"""Events that their destination refuses for good, kept for an operator to inspect, within limits."""

import errno
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from townlet_adapters.disk import DISK, Disk, make_folders
from townlet_adapters.telemetry.transports.lines import LineAppender
from townlet_core.ports.transport import TransportError

_log = logging.getLogger(__name__)

MOST_FILES: Final = 16
_NAME: Final = re.compile(r"dead-(\d{8})\.ndjson")
_BLOCK: Final = 1 << 20
_SAFE: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class DeadLetters:
    """A folder of NDJSON files; each entry has ``code``, ``reason``, ``time`` and the original ``line``.

    One worker adds to it; no other process may use the folder at the same time.

    Attributes:
        deleted: entries deleted so far to make room for newer ones.
    """

    def __init__(
        self, folder: Path, most_bytes: int, most_files: int = MOST_FILES, disk: Disk = DISK
    ) -> None:
        """Keep at most this many bytes in this many files; nothing is created before the first entry.

        An entry larger than its share of the bytes gets its own file.
        """
        self._folder = folder
        self._most_bytes, self._most_files = most_bytes, most_files
        self._disk = disk
        self.deleted = 0

    def put(self, line: bytes, code: str, reason: str, wall: float) -> None:
        """Add a line; it is on the disk when this returns.

        Args:
            line: the envelope with its newline.
            code: the error's short name.
            reason: what the destination answered.
            wall: seconds since 1970, for people.

        Raises:
            TransportError: when it could not be kept; then nothing of the entry remains.
        """
        entry = orjson.dumps(
            {
                "code": code,
                "reason": reason,
                "time": datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds"),
                "line": line.decode("utf-8").removesuffix("\n"),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        try:
            make_folders(self._folder, self._disk, mode=0o700)
            self._append(entry)
        except OSError as error:
            raise TransportError.from_os(error) from error

    def _append(self, entry: bytes) -> None:
        with _opened(self._folder, os.O_RDONLY | os.O_DIRECTORY) as folder:
            path = self._room_for(len(entry))
            with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _SAFE) as file:
                size = _size_of_regular(file, path)
                LineAppender(file).append([entry])
                try:
                    self._disk.sync(file)
                    if not size:
                        self._disk.sync_folder(folder)
                except OSError:
                    # The event is about to be counted as dropped, so it must not appear here.
                    os.ftruncate(file, size)
                    raise

    def _room_for(self, size: int) -> Path:
        """Return the file for an entry of this size, after deleting the oldest ones until there is room."""
        files = self._files()
        newest = max(files, default=0)
        share = self._most_bytes // self._most_files
        if not files or files[newest] + size > share:
            newest += 1
            files[newest] = 0
        while len(files) > 1 and (
            len(files) > self._most_files or sum(files.values()) + size > self._most_bytes
        ):
            oldest = min(files)
            self._delete(oldest)
            del files[oldest]
        return self._path(newest)

    def _delete(self, number: int) -> None:
        path = self._path(number)
        with _opened(path, os.O_RDONLY | _SAFE) as file:
            _size_of_regular(file, path)
            entries = sum(block.count(b"\n") for block in iter(lambda: os.read(file, _BLOCK), b""))
        path.unlink()
        if not self.deleted:
            _log.warning(
                "%s: %d bytes are full, so the oldest %d dead letters were deleted; from now on the metrics "
                "count them, and a larger dead_letter_bytes keeps more",
                self._folder,
                self._most_bytes,
                entries,
            )
        self.deleted += entries

    def _files(self) -> dict[int, int]:
        """Return the bytes of each file by its number."""
        return {
            int(match[1]): entry.stat(follow_symlinks=False).st_size
            for entry in os.scandir(self._folder)
            if (match := _NAME.fullmatch(entry.name))
        }

    def _path(self, number: int) -> Path:
        return self._folder / f"dead-{number:08d}.ndjson"


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _size_of_regular(file: int, path: Path) -> int:
    """Return the size of an open file, which must be a regular one: a FIFO would lose entries."""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, f"{path.name} is not a regular file; move it away")
    return status.st_size
