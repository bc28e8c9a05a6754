"""One connection, in plaintext or TLS. A peer takes bounded time and does not delay other peers.

asyncio's own TLS drops the alert of a handshake that failed, so that a client whose certificate is refused
would see only a closed connection. Here OpenSSL has the socket, and sends the alert.
"""

import asyncio
import hashlib
import socket
import ssl
import struct
from contextlib import suppress
from typing import Final, NamedTuple

from townlet_adapters.telemetry.collector.figures import Figures

_READ: Final = 1 << 16
_LONGEST_SUBJECT: Final = 512
_PARTING_SECONDS: Final = 1.0
_PARTING_BYTES: Final = 4 << 20
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: what was not sent yet is discarded
_IN_GOOD_ORDER: Final = struct.pack("ii", 0, 0)


class PeerLimits(NamedTuple):
    """The limits of one connection.

    Attributes:
        connections: most connections of all peers at one address.
        handshake_seconds: time to agree on TLS, and as long again to begin the first message.
        message_seconds: time from the first byte of a frame or request to its last.
        idle_seconds: longest silence of a connection.
        reply_seconds: longest time in which a peer does not read its answers.
    """

    connections: int = 256
    handshake_seconds: float = 10
    message_seconds: float = 30
    idle_seconds: float = 300
    reply_seconds: float = 10


class Stream:
    """A connected socket on a loop. One task at a time may read, and one may write.

    Attributes:
        limits: the limits of the connection.
        peer: the other end's address, for people.
    """

    def __init__(self, connected: socket.socket, limits: PeerLimits, figures: Figures) -> None:
        """Use ``connected``, which the stream owns and closes."""
        connected.setblocking(False)  # noqa: FBT003 - the standard library has it so
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connected
        self._figures = figures
        self.limits = limits
        self.peer = format_address(connected.getpeername())

    def now(self) -> float:
        """Return the time of the loop's clock, in seconds."""
        return asyncio.get_running_loop().time()

    async def encrypt(self, context: ssl.SSLContext) -> None:
        """Agree on TLS.

        Raises:
            TimeoutError: when that took too long.
            OSError: when it failed; the peer was sent the reason.
        """
        deadline = self.now() + self.limits.handshake_seconds
        encrypted = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._socket = encrypted
        while True:
            try:
                encrypted.do_handshake()
            except ssl.SSLWantReadError:
                await self._readable(deadline)
            except ssl.SSLWantWriteError:
                await self._writable(deadline)
            else:
                return

    def certificate_name(self) -> str | None:
        """Return the subject of the peer's verified certificate; None without one, or with an empty subject.

        An attribute is ``name=value``, several are joined by commas, such as
        ``organizationName=Example,commonName=town-a``.
        """
        if not isinstance(self._socket, ssl.SSLSocket):
            return None
        subject = (self._socket.getpeercert() or {}).get("subject", ())
        return format_subject(subject)

    async def read(self, deadline: float) -> bytes:
        """Read what has arrived; empty at the end.

        Args:
            deadline: time of the loop's clock by which something must arrive.

        Raises:
            TimeoutError: when nothing arrived.
            OSError: when the connection broke.
        """
        # Other connections get their turn even if this peer never pauses.
        await asyncio.sleep(0)
        while True:
            try:
                data = self._socket.recv(_READ)
            except (BlockingIOError, ssl.SSLWantReadError):
                await self._readable(deadline)
            except ssl.SSLWantWriteError:
                await self._writable(deadline)
            except ssl.SSLEOFError:
                return b""
            else:
                self._figures.bytes_received += len(data)
                return data

    async def write(self, data: bytes) -> None:
        """Send everything.

        Raises:
            TimeoutError: when the peer does not read.
            OSError: when the connection broke.
        """
        deadline, rest = self.now() + self.limits.reply_seconds, memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                await self._writable(deadline)

    async def close(self) -> None:
        """Announce the end, wait until the peer has read everything, and close.

        Closing while the peer is sending would reset the connection and lose the last answer. A peer that
        neither reads nor closes in time is reset on purpose: it might not notice otherwise.
        """
        with suppress(OSError, asyncio.CancelledError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            if isinstance(self._socket, ssl.SSLSocket):
                with suppress(ssl.SSLError):
                    self._socket = self._socket.unwrap()
            self._socket.shutdown(socket.SHUT_WR)
            deadline, left = self.now() + _PARTING_SECONDS, _PARTING_BYTES
            while left > 0 and (data := await self.read(deadline)):
                left -= len(data)
            if not data:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _IN_GOOD_ORDER)
        self._socket.close()

    async def _readable(self, deadline: float) -> None:
        loop, number = asyncio.get_running_loop(), self._socket.fileno()
        future = loop.create_future()
        loop.add_reader(number, _wake, future)
        try:
            async with asyncio.timeout_at(deadline):
                await future
        finally:
            loop.remove_reader(number)

    async def _writable(self, deadline: float) -> None:
        loop, number = asyncio.get_running_loop(), self._socket.fileno()
        future = loop.create_future()
        loop.add_writer(number, _wake, future)
        try:
            async with asyncio.timeout_at(deadline):
                await future
        finally:
            loop.remove_writer(number)


def format_address(address: object) -> str:
    """Format a socket's address, for people."""
    match address:
        case (str(host), int(port), *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return "an unknown address"


def format_subject(subject: object) -> str | None:
    """Format a certificate's subject, as ``ssl`` returns it, so that two subjects never look the same.

    The text is one line of printable characters; a long one is replaced by its SHA-256.
    """
    if not isinstance(subject, tuple) or not subject:
        return None
    parts = [f"{name}={_escape(str(value))}" for names in subject for name, value in names]
    text = ",".join(parts)
    if len(text) > _LONGEST_SUBJECT:
        return f"sha256={hashlib.sha256(text.encode()).hexdigest()}"
    return text


def _escape(value: str) -> str:
    def written(letter: str) -> str:
        if not letter.isprintable():
            return rf"\u{ord(letter):06x}"
        return f"\\{letter}" if letter in "\\,=" else letter

    return "".join(map(written, value))


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
