"""Metrics for Prometheus, answered over HTTP. Imported only when metrics are asked for."""

import logging
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

import h11
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from townlet_adapters.telemetry.wire.endpoint import Endpoint, is_loopback
from townlet_core.errors import ConfigError, Problem

_log = logging.getLogger(__name__)

PATH: Final = "/metrics"

REQUEST_SECONDS: Final = 5.0
"""Seconds in which a request must be complete, however it arrives; its answer must be read within as many."""

_CLIENTS: Final = 8  # connections at once
_MOST_THREADS: Final = 2 * _CLIENTS  # those of closed connections included
_MOST_HEAD: Final = 8192  # bytes of a request
_MOST_UNREAD: Final = 16  # reads of what a client sends after its request, before the connection is closed
_READ: Final = 1 << 12
_HOST: Final = re.compile(r"(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


@contextmanager
def serve_metrics(
    endpoint: Endpoint, registry: CollectorRegistry, key: str, seconds: float = REQUEST_SECONDS
) -> Iterator[Endpoint]:
    """Answer scrapes on threads of their own until the block is left.

    There is neither encryption nor authentication: any client that reaches the address may read. A request
    that comes in over the loopback interface must name this machine as its host, so that a page in a browser
    on this machine cannot read the metrics through a name of its own (DNS rebinding).

    Args:
        endpoint: where to listen; port 0 for any free one.
        registry: what is read at each scrape; may be filled later.
        key: what a message calls the address.
        seconds: see ``REQUEST_SECONDS``.

    Yields:
        The address it listens at, with the real port.

    Raises:
        ConfigError: when the address cannot be listened at.
    """
    try:
        listening = _bind(endpoint)
    except OSError as error:
        allowed = "name another port, or 0 for any free one, and an address of this machine"
        found = f"cannot listen on {endpoint.authority}: {error.strerror or error}"
        raise ConfigError(Problem(key, found, allowed)) from error
    host, port, *_ = listening.getsockname()
    server = _Server(listening, registry, endpoint.host, seconds)
    try:
        yield Endpoint(str(host), int(port))
    finally:
        server.stop()


class _Request(NamedTuple):
    """The part of a request that decides the answer."""

    method: str
    path: str
    host: str | None
    accept: str


class _Answer(NamedTuple):
    """An answer as it is sent."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    allow: str | None = None


class _Server:
    """Accepts on one thread and answers each connection on another one.

    Where all places are taken, the oldest connection makes room for the new one. So each has time until as
    many newer ones have come, and clients that send slowly or nothing, that do not read, or that do not
    leave cannot keep a scraper out.
    """

    def __init__(
        self, listening: socket.socket, registry: CollectorRegistry, name: str, seconds: float
    ) -> None:
        self._listening, self._registry, self._name = listening, registry, name
        self._seconds = seconds
        self._guard = threading.Condition()
        self._places: dict[socket.socket, None] = {}  # oldest first
        self._threads = 0
        self._wake, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name="metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; answers that are being sent are not waited for."""
        self._wake.close()
        self._thread.join()

    def _accept(self) -> None:
        with self._listening, self._stopped, selectors.DefaultSelector() as selector:
            selector.register(self._listening, selectors.EVENT_READ)
            selector.register(self._stopped, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._stopped in ready:
                    return
                try:
                    client, _ = self._listening.accept()
                except OSError as error:
                    # A client that left at once, or no descriptor left; the pause keeps the latter cheap.
                    _log.debug("metrics: cannot accept: %s", error)
                    time.sleep(0.05)
                    continue
                self._admit(client)

    def _admit(self, client: socket.socket) -> None:
        with self._guard:
            while len(self._places) >= _CLIENTS:
                oldest = next(iter(self._places))
                del self._places[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            # The thread of a closed connection ends at once, unless it is reading the metrics just now.
            if not self._guard.wait_for(lambda: self._threads < _MOST_THREADS, self._seconds):
                client.close()
                return
            self._places[client] = None
            self._threads += 1
        threading.Thread(target=self._serve, args=(client,), name="metrics-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                self._converse(client)
        except OSError as error:
            _log.debug("metrics: a connection broke: %s", error)
        except Exception:  # noqa: BLE001 - logged with its traceback; other scrapes go on
            _log.exception("metrics: a scrape failed")
        finally:
            with self._guard:
                self._places.pop(client, None)
                self._threads -= 1
                self._guard.notify()

    def _converse(self, client: socket.socket) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEAD)
        try:
            request = _read(client, http, time.monotonic() + self._seconds)
        except h11.RemoteProtocolError as error:
            answer: _Answer | None = _Answer(HTTPStatus(error.error_status_hint), f"{error}\n".encode())
            request = None
        else:
            if request is None:
                return
            answer = self._refusal(request, client.getsockname()[0])
        with self._guard:
            if client not in self._places:
                return  # it made room for another connection
        if answer is None and request is not None:
            answer = self._scrape(request.accept)
        if answer is not None:
            deadline = time.monotonic() + self._seconds
            _send(client, http, answer, deadline)
            _await_close(client, deadline)

    def _refusal(self, request: _Request, local: str) -> _Answer | None:
        if _is_local(local) and not self._names_us(request.host):
            reason = "this address answers requests for this machine only: localhost or 127.0.0.1\n"
            return _Answer(HTTPStatus.MISDIRECTED_REQUEST, reason.encode())
        if request.path != PATH:
            return _Answer(HTTPStatus.NOT_FOUND, f"the metrics are at {PATH}\n".encode())
        if request.method != "GET":
            return _Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"the metrics are read with GET\n", allow="GET")
        return None

    def _names_us(self, host: str | None) -> bool:
        """Whether a Host header means this machine; browsers always send one, plain clients may not."""
        if host is None:
            return True
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["host"].lower().strip("[]")
        return name in {"localhost", self._name} or is_loopback(name)

    def _scrape(self, accept: str) -> _Answer:
        encode, content_type = choose_encoder(accept)
        return _Answer(HTTPStatus.OK, encode(self._registry), content_type)


def _bind(endpoint: Endpoint) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(*endpoint, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2 * _CLIENTS)
        listening.setblocking(False)  # noqa: FBT003 - the standard library's way to say it
    except OSError:
        listening.close()
        raise
    return listening


def _read(client: socket.socket, http: h11.Connection, deadline: float) -> _Request | None:
    """Read a request's head within one deadline; None when the client left or was too slow.

    Raises:
        h11.RemoteProtocolError: when it is not HTTP, or too long.
        OSError: when the connection broke.
    """
    while (event := http.next_event()) is h11.NEED_DATA:
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        client.settimeout(left)
        try:
            http.receive_data(client.recv(_READ))
        except TimeoutError:
            return None
    if not isinstance(event, h11.Request):
        return None
    headers = {name: value.decode("latin-1") for name, value in event.headers}
    path = event.target.decode("latin-1").partition("?")[0]
    method = event.method.decode("latin-1")
    return _Request(method, path, headers.get(b"host"), headers.get(b"accept", ""))


def _send(client: socket.socket, http: h11.Connection, answer: _Answer, deadline: float) -> None:
    """Send an answer within one deadline.

    Raises:
        OSError: when the client does not read it in time, or the connection broke.
    """
    headers = [
        ("content-type", answer.content_type),
        ("content-length", str(len(answer.body))),
        ("connection", "close"),
        *([("allow", answer.allow)] if answer.allow is not None else []),
    ]
    response = h11.Response(status_code=answer.status, headers=headers, reason=answer.status.phrase)
    data = (http.send(response) or b"") + (http.send(h11.Data(answer.body)) or b"")
    client.settimeout(max(deadline - time.monotonic(), 0.001))
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def _await_close(client: socket.socket, deadline: float) -> None:
    """Wait for the client to close: to close while it is still sending would reset the answer, too.

    Raises:
        OSError: when it does not close in time, or the connection broke.
    """
    for _ in range(_MOST_UNREAD):
        client.settimeout(max(deadline - time.monotonic(), 0.001))
        if not client.recv(_READ):
            break


def _is_local(address: str) -> bool:
    found = ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return is_loopback(str(mapped or found))
