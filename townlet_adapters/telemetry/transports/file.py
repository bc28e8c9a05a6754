"""NDJSON in a regular file: one event per line, and never half a line."""

import errno
import fcntl
import logging
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from townlet_adapters.disk import DISK, Disk, make_folders
from townlet_adapters.eventfiles import is_event_line, older_parts, part_path
from townlet_adapters.telemetry.envelope import LINE_START, MAX_EVENT_BYTES
from townlet_adapters.telemetry.transports.lines import LineAppender
from townlet_core.errors import OutputError
from townlet_core.ports.transport import Batch, Condition, TransportError

_log = logging.getLogger(__name__)

_BLOCK: Final = 1 << 16
_APPEND: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY
_FIRST_LINE: Final = re.compile(
    re.escape(LINE_START) + rb'"id":"([0-9]{20})","sequence":"\1","source":"urn:townlet:'
)
"""How a first line begins that a crash left unfinished; anything shorter may be part of another program's."""


class FileTransport:
    """Appends to one file, which no other process may append to meanwhile."""

    def __init__(self, path: Path, *, rotate_bytes: int | None = None, disk: Disk = DISK) -> None:
        """Append to a file.

        Args:
            path: the file; it and its folder are made when missing.
            rotate_bytes: size that the file does not exceed: before it would, it becomes an older part and a
                new one begins. At least ``MAX_EVENT_BYTES``; None for a file that grows without bound.
            disk: where it is made durable.
        """
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._disk = disk
        self._folder = self._fd = -1
        self._appender = LineAppender(-1)
        self._is_moved = False  # the file has the name of an older part, and the new one is not made yet
        self._is_name_synced = True
        self._unsynced = self._unsure = 0  # lines since the last sync; lines of syncs that failed

    def open(self) -> None:
        """Open the file, and cut off what a crash left of an unfinished line.

        Raises:
            OutputError: when it cannot be written, or holds something else than events.
        """
        try:
            make_folders(self._path.parent, self._disk)
            self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            self._fd = self._opened(_APPEND)
            self._disk.sync_folder(self._folder)
        except OSError as error:
            self._release()
            raise OutputError(f"{self._path}: cannot be opened for events: {_reason(error)}") from error
        try:
            self._claim()
            self._check_first_line()
            self._cut_unfinished_line()
        except OSError as error:
            self._release()
            raise OutputError(f"{self._path}: cannot be continued: {error.strerror}") from error
        except OutputError:
            self._release()
            raise
        self._appender = LineAppender(self._fd)

    def write(self, batch: Batch) -> int:
        """Append lines; returns how many whole ones stay in the file.

        Raises:
            TransportError: when none could be written; the file still ends in a whole line.
        """
        lines = batch.lines
        try:
            self._sync_name()
            if self._rotate_bytes is not None:
                room = self._make_room(self._rotate_bytes, len(lines[0]))
                lines = _fitting(lines, room)
        except OSError as error:
            raise TransportError.from_os(error) from error
        written = self._appender.append(lines)
        self._unsynced += written
        return written

    def interrupt(self) -> None:
        """Do nothing: a write to a file returns when the operating system lets it."""

    def condition(self) -> Condition:
        """Return whether the file is open, and how many of its lines the disk has not confirmed."""
        return Condition(connected=self._fd >= 0, unsynced=self._unsynced + self._unsure)

    def close(self) -> None:
        """Sync the file to the disk and close it.

        Raises:
            TransportError: when the disk did not take it.
        """
        if self._fd < 0:
            return
        try:
            try:
                self._appender.mend()
            finally:
                self._sync_name()
                self._sync()
        except OSError as error:
            raise TransportError.from_os(error) from error
        finally:
            self._release()

    def abandon(self) -> None:
        """Close the descriptors of a file that the parent of this process writes."""
        self._release()

    # ---- opening -------------------------------------------------------------------------------

    def _opened(self, flags: int) -> int:
        return os.open(self._path.name, flags, 0o644, dir_fd=self._folder)

    def _release(self) -> None:
        for descriptor in (self._fd, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd = self._folder = -1

    def _claim(self) -> None:
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise OutputError(f"{self._path}: is not a regular file; write to a pipe through the stdout sink")
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._taken() from error
        # Another run may have rotated the file away between our opening and our locking it.
        if not os.path.samestat(os.fstat(self._fd), os.stat(self._path.name, dir_fd=self._folder)):
            raise self._taken()

    def _taken(self) -> OutputError:
        return OutputError(
            f"{self._path}: another run is writing to it; name another file, or wait until that run ends"
        )

    def _check_first_line(self) -> None:
        """Refuse a file that another program made: nothing is appended to it, and nothing cut from it."""
        begin = os.pread(self._fd, MAX_EVENT_BYTES + 1, 0)
        line, newline, _ = begin.partition(b"\n")
        if newline:
            is_ours = is_event_line(line)
        else:
            is_ours = len(begin) <= MAX_EVENT_BYTES and _FIRST_LINE.match(begin) is not None
        if is_ours or not begin:
            return
        raise OutputError(
            f"{self._path}: does not begin with an event line, so nothing is appended to it; "
            "move it away, or name another file"
        )

    def _cut_unfinished_line(self) -> None:
        size = os.fstat(self._fd).st_size
        if size == 0 or os.pread(self._fd, 1, size - 1) == b"\n":
            return
        start = self._last_line_start(size)
        begin = os.pread(self._fd, min(len(LINE_START), size - start), start)
        # Anything that does not begin like an event line may be somebody's work.
        if size - start > MAX_EVENT_BYTES or not LINE_START.startswith(begin):
            raise OutputError(
                f"{self._path}: ends in something that is not an event line; "
                "move it away, or name another file"
            )
        os.ftruncate(self._fd, start)
        _log.warning(
            "%s: cut off %d bytes of a line that an earlier run left unfinished", self._path, size - start
        )

    def _last_line_start(self, size: int) -> int:
        end = size
        while end > 0 and size - end <= MAX_EVENT_BYTES:
            begin = max(0, end - _BLOCK)
            newline = os.pread(self._fd, end - begin, begin).rfind(b"\n")
            if newline >= 0:
                return begin + newline + 1
            end = begin
        return end

    # ---- syncing and rotating ------------------------------------------------------------------

    def _sync(self) -> None:
        """Sync the file; what a failed attempt did not take is not confirmed by a later one."""
        try:
            self._disk.sync(self._fd)
        except OSError:
            self._unsure += self._unsynced
            raise
        finally:
            self._unsynced = 0

    def _sync_name(self) -> None:
        """Make the names of a rotation durable."""
        if not self._is_name_synced:
            self._disk.sync_folder(self._folder)
            self._is_name_synced = True

    def _make_room(self, most: int, size: int) -> int:
        """Return how many bytes may be written, after beginning a new file if ``size`` do not fit.

        The full file is synced before it gets its new name. A crash at any point leaves all of its lines,
        under one of the two names.
        """
        self._appender.mend()
        full = os.fstat(self._fd).st_size
        if full and full + size > most:
            if not self._is_moved:
                self._sync()
                number = max(older_parts(self._path), default=0) + 1
                self._disk.replace(self._path.name, part_path(self._path, number).name, self._folder)
                self._is_moved, self._is_name_synced = True, False
            fresh = self._opened(_APPEND | os.O_EXCL)
            os.close(self._fd)
            self._fd, self._appender = fresh, LineAppender(fresh)
            self._is_moved = self._is_name_synced = False
            fcntl.flock(fresh, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sync_name()
            full = 0
        return most - full


def _fitting(lines: Sequence[bytes], room: int) -> Sequence[bytes]:
    """Return the lines from the front that fit, at least one."""
    count, size = 1, len(lines[0])
    while count < len(lines) and size + len(lines[count]) <= room:
        size += len(lines[count])
        count += 1
    return lines[:count]


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link; name the file that it leads to"
    return error.strerror or str(error)
