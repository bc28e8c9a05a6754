"""NDJSON in a regular file: one event per line, and never half a line."""

import fcntl
import logging
import os
import stat
from pathlib import Path
from typing import Final

from townlet_adapters.telemetry.envelope import LINE_START, MAX_EVENT_BYTES
from townlet_adapters.telemetry.transports.base import Batch, Condition, TransportError
from townlet_adapters.telemetry.transports.lines import LineAppender
from townlet_core.errors import OutputError

_log = logging.getLogger(__name__)

_BLOCK: Final = 1 << 16


class FileTransport:
    """Appends to one file, which nobody else may append to meanwhile."""

    def __init__(self, path: Path) -> None:
        """Append to ``path``; it and its folder are made when missing."""
        self._path = path
        self._fd = -1
        self._appender = LineAppender(-1)

    def open(self) -> None:
        """Open the file, and drop what a crash left of an unfinished line.

        Raises:
            OutputError: when it cannot be written, or is not a file of ours.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be opened for events: {error.strerror}") from error
        try:
            self._claim()
            self._drop_unfinished_line()
        except OSError as error:
            self._let_go()
            raise OutputError(f"{self._path}: cannot be continued: {error.strerror}") from error
        except OutputError:
            self._let_go()
            raise
        self._appender = LineAppender(self._fd)

    def write(self, batch: Batch) -> int:
        """Append lines; returns how many whole ones stay in the file.

        Raises:
            TransportError: when none could be written; the file ends in a whole line still.
        """
        return self._appender.append(batch.lines)

    def interrupt(self) -> None:
        """Do nothing: whether the operating system returns from a write to a file is not ours to say."""

    def condition(self) -> Condition:
        """Tell whether the file is open."""
        return Condition(connected=self._fd >= 0)

    def close(self) -> None:
        """Bring the file to the disk, and let go.

        Raises:
            TransportError: when the disk did not take it.
        """
        if self._fd < 0:
            return
        try:
            self._appender.mend()
            os.fsync(self._fd)
        except OSError as error:
            raise TransportError.from_os(error) from error
        finally:
            self._let_go()

    def abandon(self) -> None:
        """Let go of a file that the parent of this process writes."""
        if self._fd >= 0:
            self._let_go()

    def _let_go(self) -> None:
        os.close(self._fd)
        self._fd = -1

    def _claim(self) -> None:
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise OutputError(f"{self._path}: is not a regular file; write to a pipe through the stdout sink")
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"{self._path}: another run is writing to it; name another file, or wait until that run ends"
            ) from error

    def _drop_unfinished_line(self) -> None:
        size = os.fstat(self._fd).st_size
        if size == 0 or os.pread(self._fd, 1, size - 1) == b"\n":
            return
        start = self._last_line_start(size)
        begin = os.pread(self._fd, min(len(LINE_START), size - start), start)
        # Whatever does not begin like a line of ours may be somebody's work: it is not ours to cut.
        if size - start > MAX_EVENT_BYTES or not LINE_START.startswith(begin):
            raise OutputError(
                f"{self._path}: ends in something that is not an event line; "
                "move it away, or name another file"
            )
        os.ftruncate(self._fd, start)
        _log.warning(
            "%s: dropped %d bytes of a line that an earlier run left unfinished", self._path, size - start
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
