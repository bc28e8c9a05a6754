"""Writes lines to the standard output of the process: a pipe, a file or a terminal.

The descriptor is shared with the parent process and with stderr, so it is never made non-blocking. Instead,
no more is written at once than is known to be taken at once. A reader that stalls costs the worker a short
wait; a reader that goes on finds whole lines.
"""

import fcntl
import os
import select
import stat
import sys
import termios
import time
from collections.abc import Sequence
from typing import Final

from townlet_adapters.telemetry.transports.lines import LineAppender
from townlet_core.errors import OutputError
from townlet_core.ports.transport import Batch, Condition, TransportError

_PATIENCE: Final = 0.05  # seconds to wait for a reader before the worker checks for a stop
_NAP: Final = 0.002  # seconds between two checks of a pipe that must be empty first
_LINUX: Final = sys.platform == "linux"


class StdoutTransport:
    """Writes to an open descriptor."""

    def __init__(self, fd: int = 1) -> None:
        """Write to ``fd``, which the caller closes."""
        self._original = fd
        self._fd = -1
        self._appender: LineAppender | None = None
        self._is_pipe = False
        self._sent = 0  # bytes of the next line that were written already

    def open(self) -> None:
        """Find out whether the descriptor is a pipe or a file.

        Raises:
            OutputError: when it is closed.
        """
        try:
            self._fd = os.dup(self._original)
        except OSError as error:
            raise OutputError(f"standard output cannot be written: {error.strerror}") from error
        mode = os.fstat(self._fd).st_mode
        self._is_pipe = stat.S_ISFIFO(mode)
        if stat.S_ISREG(mode):
            self._appender = LineAppender(self._fd)

    def write(self, batch: Batch) -> int:
        """Write what is taken at once; returns how many whole lines that completed.

        Raises:
            TransportError: when the reader has left or the disk is full.
        """
        lines = batch.lines
        if self._appender is not None:
            return self._appender.append(lines)
        try:
            room = self._room(len(lines[0]) - self._sent)
            if room == 0:
                return 0
            return self._write_at_once(lines, room)
        except OSError as error:
            raise TransportError.from_os(error) from error

    def interrupt(self) -> None:
        """Do nothing: no write waits for more than a twentieth of a second."""

    def condition(self) -> Condition:
        """Return whether the descriptor is open."""
        return Condition(connected=self._fd >= 0)

    def close(self) -> None:
        """Close the duplicate; the descriptor of the process stays open.

        Raises:
            TransportError: when a half line could not be cut off a file.
        """
        if self._fd < 0:
            return
        try:
            if self._appender is not None:
                self._appender.mend()
        finally:
            os.close(self._fd)
            self._fd = -1

    def abandon(self) -> None:
        """Close a duplicate that was opened before a fork, and forget the line that is half written."""
        self._sent = 0
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write_at_once(self, lines: Sequence[bytes], room: int) -> int:
        first = lines[0][self._sent :]
        if len(first) > room:
            self._sent += os.write(self._fd, first[:room])
            return 0
        chunk, total = [first], len(first)
        for line in lines[1:]:
            total += len(line)
            if total > room:
                break
            chunk.append(line)
        written = os.write(self._fd, b"".join(chunk))
        return self._completed(chunk, written)

    def _completed(self, chunk: Sequence[bytes], written: int) -> int:
        for count, piece in enumerate(chunk):
            if written < len(piece):
                self._sent = written + (self._sent if count == 0 else 0)
                return count
            written -= len(piece)
        self._sent = 0
        return len(chunk)

    def _room(self, size: int) -> int:
        """Return how many bytes are taken at once, for a line of which ``size`` are left; 0 if none."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        ready = poll.poll(_PATIENCE * 1000)
        if not ready:
            return 0
        if ready[0][1] & select.POLLERR:
            # The reader has left: what it did not read stays in the pipe, and a write raises the error.
            return select.PIPE_BUF
        if not (self._is_pipe and _LINUX):
            return select.PIPE_BUF
        capacity = self._capacity(size)
        if self._unread() == 0:
            return capacity
        # A short line is taken whole or not at all; a long one needs the whole pipe, or a stall would cut it.
        if size <= select.PIPE_BUF or size > capacity or self._sent:
            return select.PIPE_BUF
        return self._wait_until_empty(capacity)

    def _wait_until_empty(self, capacity: int) -> int:
        until = time.monotonic() + _PATIENCE
        while self._unread():
            if time.monotonic() >= until:
                return 0
            time.sleep(_NAP)
        return capacity

    def _unread(self) -> int:
        return int.from_bytes(fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)), sys.byteorder)

    def _capacity(self, size: int) -> int:
        capacity = fcntl.fcntl(self._fd, fcntl.F_GETPIPE_SZ)
        if size > capacity:
            try:
                capacity = fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, size)
            except OSError:
                # The system allows this user no larger pipe, so the line is written in pieces.
                return capacity
        return capacity
