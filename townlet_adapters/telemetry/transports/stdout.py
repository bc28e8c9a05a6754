"""Lines to the process's standard output, whatever stands behind it: a pipe, a file, a terminal.

The descriptor is shared with our parent and with stderr, so it is never made non-blocking. Instead, no
more is written at once than is known to be taken at once; a reader that stalls costs its worker a short
wait, and a reader that comes back finds whole lines.
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

_PATIENCE: Final = 0.05  # seconds to wait for a reader before the worker looks up again
_NAP: Final = 0.002  # seconds between two looks at a pipe that must be empty first
_LINUX: Final = sys.platform == "linux"


class StdoutTransport:
    """Writes to an open descriptor."""

    def __init__(self, fd: int = 1) -> None:
        """Write to ``fd``, which stays the caller's."""
        self._original = fd
        self._fd = -1
        self._appender: LineAppender | None = None
        self._is_pipe = False
        self._sent = 0  # bytes of the next line that were already handed over

    def open(self) -> None:
        """Find out what stands behind the descriptor.

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
        """Hand over what is taken at once; returns how many whole lines that completed.

        Raises:
            TransportError: when the reader is gone or the disk behind it is full.
        """
        lines = batch.lines
        if self._appender is not None:
            return self._appender.append(lines)
        try:
            room = self._room(len(lines[0]) - self._sent)
            if room == 0:
                return 0
            return self._hand_over(lines, room)
        except OSError as error:
            raise TransportError.from_os(error) from error

    def interrupt(self) -> None:
        """Do nothing: no write waits for longer than its patience."""

    def condition(self) -> Condition:
        """Tell whether the descriptor is open."""
        return Condition(connected=self._fd >= 0)

    def close(self) -> None:
        """Let go of our own handle; the process's descriptor stays open.

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
        """Let go of a handle that was opened before a fork, and of the line that it is in the midst of."""
        self._sent = 0
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _hand_over(self, lines: Sequence[bytes], room: int) -> int:
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
        """Bytes that are taken at once, for a line of which ``size`` are left; 0 when patience ran out."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        if not poll.poll(_PATIENCE * 1000):
            return 0
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
        give_up = time.monotonic() + _PATIENCE
        while self._unread():
            if time.monotonic() >= give_up:
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
                # The system allows this user no larger pipe: such a line goes in pieces.
                return capacity
        return capacity
