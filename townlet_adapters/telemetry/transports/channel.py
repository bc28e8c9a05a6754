"""A connection that keeps its deadlines: a TCP socket, usually under TLS, for one thread at a time.

The socket never blocks. All waiting is done in one place, for the socket, the deadline and an ``Interrupt``
at the same time. So no peer can hold a thread: neither a silent one, nor one that drips bytes or accepts
none, nor one that never finishes its handshake. Deadlines are points in ``time.monotonic()``.
"""

import contextlib
import math
import select
import socket
import ssl
import threading
import time
from typing import Final

from townlet_adapters.telemetry.transports import diagnosis
from townlet_core.ports.transport import TransportError

_CHUNK: Final = 1 << 18  # bytes handed to the socket at once
_LAST_WORDS: Final = 1 << 14


class Interrupt:
    """Ends all waits on it, once and for all; ``set`` may be called from any thread."""

    def __init__(self) -> None:
        """Create the pair of sockets that a waiting thread polls."""
        self._ours, self._theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._closed = False
        self._set = False

    def set(self) -> None:
        """End every wait, and every later one."""
        with self._lock:
            first, self._set = not self._set, True
            if first and not self._closed:
                # A byte that is never read: closing has no effect while a forked child also holds the socket.
                self._theirs.send(b"!")

    def is_set(self) -> bool:
        """Return whether ``set`` was called."""
        return self._set

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._ours.fileno()

    def close(self) -> None:
        """Close the sockets; no thread may wait any more."""
        with self._lock:
            self._closed = True
            self._ours.close()
            self._theirs.close()


class Channel:
    """A connection; ``dialing.connect`` creates one.

    Attributes:
        certificate_expires: when the peer's or the own certificate expires, whichever comes first, in
            seconds since 1970; None without TLS.
    """

    def __init__(self, connection: socket.socket, peer: str, interrupt: Interrupt) -> None:
        """Take over a connected, non-blocking socket."""
        self._socket = connection
        self._peer = peer
        self._interrupt = interrupt
        self._read_ahead = b""
        self.certificate_expires: float | None = None

    def send_all(self, data: bytes, deadline: float) -> None:
        """Pass all bytes to the operating system.

        After a failure, ``receive`` may still return what the peer sent before.

        Raises:
            TransportError: when it failed or the deadline passed; a part may have been sent.
        """
        view = memoryview(data)
        while view:
            self._require_leave(deadline, "sending")
            try:
                view = view[self._socket.send(view[:_CHUNK]) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(select.POLLOUT, deadline)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, deadline)
            except OSError as error:
                raise self._why_not_sent(error) from error

    def receive(self, limit: int, deadline: float) -> bytes:
        """Wait for bytes, and return at most ``limit`` of those available; empty at an orderly end.

        Raises:
            TransportError: when none arrived by the deadline, or the connection broke.
        """
        while True:
            self._require_leave(deadline, "waiting for its answer")
            data = self._receive_once(limit)
            if data is not None:
                return data
            self._wait(select.POLLIN, deadline)

    def receive_ready(self, limit: int) -> bytes | None:
        """Return the available bytes without waiting: None when there are none; empty at an orderly end.

        Raises:
            TransportError: when the connection broke.
        """
        return self._receive_once(limit)

    def close(self) -> None:
        """Send close_notify if the peer accepts it at once, and close; never waits."""
        if isinstance(self._socket, ssl.SSLSocket):
            # The own close_notify is sent first. The error for the peer's missing one is irrelevant.
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap()
        self._socket.close()

    def abandon(self) -> None:
        """Close the descriptor without sending anything: after a fork the connection is the parent's."""
        self._socket.close()

    def shake_hands(self, deadline: float) -> None:
        """Complete the TLS handshake, if there is one.

        Raises:
            TransportError: when it failed, or took longer than the deadline.
        """
        while isinstance(self._socket, ssl.SSLSocket):
            self._require_leave(deadline, "shaking hands")
            try:
                self._socket.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, deadline)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT, deadline)
            except OSError as error:
                raise diagnosis.of_error(error, self._peer) from error

    def _receive_once(self, limit: int) -> bytes | None:
        if self._read_ahead:
            data, self._read_ahead = self._read_ahead[:limit], self._read_ahead[limit:]
            return data
        try:
            return self._socket.recv(limit)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            raise diagnosis.of_error(error, self._peer) from error

    def _why_not_sent(self, error: OSError) -> TransportError:
        """Return the reason why the peer accepts nothing: it may have sent one before it closed.

        A client certificate that a TLS 1.3 server refuses, in particular, shows in no other way.
        """
        try:
            self._read_ahead += self._socket.recv(_LAST_WORDS)
        except ssl.SSLError as reason:
            if reason.reason is not None:
                return diagnosis.of_error(reason, self._peer)
        except OSError:
            pass
        return diagnosis.of_error(error, self._peer)

    def _require_leave(self, deadline: float, doing: str) -> None:
        # Before every step, because a peer that always has one more byte never causes a wait.
        if self._interrupt.is_set():
            raise diagnosis.interrupted(self._peer)
        if time.monotonic() >= deadline:
            raise diagnosis.timeout(self._peer, doing)

    def _wait(self, events: int, deadline: float) -> None:
        wait_for(self._socket, events, deadline, self._interrupt)


def wait_for(connection: socket.socket, events: int, deadline: float, interrupt: Interrupt) -> bool:
    """Wait for events on a socket; returns False when the deadline or an interrupt came first."""
    poller = select.poll()
    poller.register(connection, events)
    poller.register(interrupt, select.POLLIN)
    left = max(0.0, deadline - time.monotonic())
    ready = {descriptor for descriptor, _ in poller.poll(math.ceil(left * 1000))}
    return connection.fileno() in ready and not interrupt.is_set()
