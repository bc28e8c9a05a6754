"""Metrics for Prometheus, answered over HTTP. Imported only when somebody asks for metrics."""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import TCPServer, ThreadingMixIn
from typing import Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app
from prometheus_client.registry import CollectorRegistry

from townlet_adapters.telemetry.wire.endpoint import Endpoint
from townlet_core.errors import ConfigError, Problem

_log = logging.getLogger(__name__)

_SECONDS: Final = 5.0  # that a client may be silent
_CLIENTS: Final = 8  # answered at once; further ones are turned away
_POLL: Final = 0.1  # seconds after which a stop is noticed


@contextmanager
def serve_metrics(endpoint: Endpoint, registry: CollectorRegistry, key: str) -> Iterator[Endpoint]:
    """Answer scrapes on threads of their own until the block is left.

    There is neither encryption nor authentication: whoever reaches the address may read.

    Args:
        endpoint: where to listen; port 0 for any free one.
        registry: what is told; may be filled later.
        key: what a message calls the address.

    Yields:
        Where it listens.

    Raises:
        ConfigError: when nobody can listen there.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(*endpoint, type=socket.SOCK_STREAM)[0]
        server = _Server(family, (str(address[0]), int(address[1])))
    except OSError as error:
        allowed = "name another port, or 0 for any free one, and an address of this machine"
        found = f"cannot listen on {endpoint.authority}: {error.strerror or error}"
        raise ConfigError(Problem(key, found, allowed)) from error
    server.set_app(make_wsgi_app(registry))
    thread = threading.Thread(target=server.serve_forever, args=(_POLL,), name="metrics", daemon=True)
    thread.start()
    try:
        yield Endpoint(str(server.server_address[0]), int(server.server_address[1]))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(WSGIRequestHandler):
    timeout = _SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing: a scrape every few seconds is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 2 * _CLIENTS
    # Whoever is still reading when the town ends is not waited for.
    block_on_close = False

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int]) -> None:
        self.address_family = family
        self._places = threading.BoundedSemaphore(_CLIENTS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server what this machine is called."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client: object) -> None:
        """Answer on a thread of its own, if one is free."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client: object
    ) -> None:
        """Answer, and free the thread."""
        try:
            super().process_request_thread(request, client)
        finally:
            self._places.release()

    def handle_error(self, request: object, client: object) -> None:
        """Keep a client that went away from the standard error of the run."""
        del request
        _log.debug("metrics: the answer to %s failed", client, exc_info=True)
