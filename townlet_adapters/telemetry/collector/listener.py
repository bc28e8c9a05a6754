"""Sockets that peers connect to; no connection can harm another one."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

from townlet_adapters.telemetry.collector.figures import Figures
from townlet_adapters.telemetry.collector.stream import PeerLimits, Stream, format_address

_log = logging.getLogger(__name__)

_BACKLOG: Final = 256
_PAUSE: Final = 0.1  # seconds, when the system has no descriptor left


Serve: TypeAlias = Callable[[Stream], Awaitable[None]]
"""Serves one connection until it ends; may raise ``OSError`` (which ``TimeoutError`` is)."""


class Service(NamedTuple):
    """The protocol of an address.

    Attributes:
        scheme: the beginning of its URL, and its name in the figures.
        serve: serves one connection.
    """

    scheme: str
    serve: Serve


class Listener:
    """One address that peers connect to. Everything happens on the loop's thread.

    Attributes:
        url: where it listens, with the real port.
    """

    def __init__(
        self,
        service: Service,
        sockets: Sequence[socket.socket],
        context: Callable[[], ssl.SSLContext] | None,
        limits: PeerLimits,
        figures: Figures,
    ) -> None:
        """Serve every connection of ``sockets``, which the listener owns and closes.

        Args:
            service: the protocol.
            sockets: bound and listening.
            context: returns the TLS of a new connection; None for plaintext.
            limits: the limits of each connection.
            figures: the counters.
        """
        self._scheme = service.scheme
        self._sockets = sockets
        self._serve = service.serve
        self._context = context
        self._limits = limits
        self._figures = figures
        self._accepting: list[asyncio.Task[None]] = []
        self._peers: set[asyncio.Task[None]] = set()
        self.url = f"{service.scheme}://{format_address(sockets[0].getsockname())}"

    def start(self) -> None:
        """Begin to accept."""
        self._accepting = [asyncio.create_task(self._accept(each)) for each in self._sockets]

    async def stop(self, seconds: float) -> None:
        """Accept no more connections, and wait so many seconds for those that are open to finish."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for each in self._sockets:
            each.close()
        for task in self._peers:
            task.cancel()
        if self._peers:
            await asyncio.wait(self._peers, timeout=seconds)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                _log.warning("%s: cannot accept: %s", self.url, error.strerror)
                await asyncio.sleep(_PAUSE)
                continue
            if len(self._peers) >= self._limits.connections:
                accepted.close()
                detail = f"more than {self._limits.connections} connections at {self.url}"
                self._figures.refuse("too_many_connections", format_address(address), detail)
                continue
            task = asyncio.create_task(self._serve_one(accepted))
            self._peers.add(task)
            task.add_done_callback(self._peers.discard)

    async def _serve_one(self, accepted: socket.socket) -> None:
        """Serve one connection; an error in it ends this connection only."""
        figures = self._figures
        figures.connections[self._scheme] += 1
        figures.open_connections[self._scheme] += 1
        stream: Stream | None = None
        try:
            stream = Stream(accepted, self._limits, figures)
            if self._context is None or await self._encrypt(stream, self._context()):
                await self._serve(stream)
        except OSError as error:
            _log.debug("%s: a connection broke: %s", self.url, error)
        except Exception:  # noqa: BLE001 - logged with its traceback; the others go on
            _log.exception("%s: a connection ended by a defect of the collector", self.url)
        finally:
            try:
                if stream is None:
                    accepted.close()
                else:
                    await stream.close()
            finally:
                figures.open_connections[self._scheme] -= 1

    async def _encrypt(self, stream: Stream, context: ssl.SSLContext) -> bool:
        try:
            await stream.encrypt(context)
        except OSError as error:
            self._figures.handshakes_rejected += 1
            reason = error.reason if isinstance(error, ssl.SSLError) else type(error).__name__
            self._figures.refuse("handshake", stream.peer, f"no TLS at {self.url}: {reason}")
            return False
        return True


def bind(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a host.

    Raises:
        OSError: when one of them cannot be listened at; none is kept then.
    """
    sockets: list[socket.socket] = []
    try:
        for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            where = (address[0], port)
            listening = socket.create_server(where, family=family, backlog=_BACKLOG)
            listening.setblocking(False)  # noqa: FBT003 - the name of the standard library
            sockets.append(listening)
            port = listening.getsockname()[1]
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets
