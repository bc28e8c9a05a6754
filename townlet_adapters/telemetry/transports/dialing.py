"""Opens a connection by a deadline: resolve the name, try each address, do the handshake, check the pin."""

import contextlib
import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from townlet_adapters.telemetry.transports import diagnosis
from townlet_adapters.telemetry.transports.channel import Channel, Interrupt, wait_for
from townlet_adapters.telemetry.wire import tls
from townlet_adapters.telemetry.wire.certificates import Leaf
from townlet_adapters.telemetry.wire.endpoint import Endpoint, is_literal, is_loopback
from townlet_adapters.telemetry.wire.tls import TlsSettings
from townlet_core.errors import ConfigError
from townlet_core.ports.transport import INTERRUPTED, TransportError

Lookup: TypeAlias = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a name for a port, best first. It may block, and raises OSError."""

_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}  # seconds, seconds, times


def look_up(host: str, port: int) -> Sequence[str]:
    """Resolve a name with the operating system.

    Raises:
        OSError: when the name is unknown.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def connect(
    endpoint: Endpoint,
    settings: TlsSettings | None,
    *,
    deadline: float,
    interrupt: Interrupt,
    lookup: Lookup = look_up,
) -> Channel:
    """Open a connection, including TLS and the check of certificates.

    Without settings it is plaintext, and goes to this machine only, whatever the endpoint's name resolves to.
    The files of the settings are read again for each connection.

    Args:
        endpoint: the destination.
        settings: TLS, or None for plaintext.
        deadline: when to stop trying, in ``time.monotonic()``.
        interrupt: stops trying at once.
        lookup: resolves names. It runs in a separate thread, which is abandoned if it does not return.

    Raises:
        TransportError: when it could not be opened, and why.
    """
    peer = endpoint.authority
    if interrupt.is_set():
        raise diagnosis.interrupted(peer)
    if settings is None:
        return Channel(_reach(endpoint, deadline, interrupt, lookup, only_here=True), peer, interrupt)
    try:
        context, own = tls.client_context(settings), tls.own_leaf(settings)
    except ConfigError as error:
        raise TransportError("tls_files", str(error), verdict="pause") from error
    connection = _reach(endpoint, deadline, interrupt, lookup, only_here=False)
    try:
        secured = context.wrap_socket(
            connection,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,  # an end without close_notify may be a truncation attack
            server_hostname=endpoint.host,
        )
    except OSError as error:
        connection.close()
        raise diagnosis.of_error(error, peer) from error
    channel = Channel(secured, peer, interrupt)
    try:
        channel.shake_hands(deadline)
        leaf = tls.peer_leaf(secured)
        _require_pin(leaf, settings, peer)
    except BaseException:
        channel.abandon()
        raise
    channel.certificate_expires = min(
        (each.expires for each in (leaf, own) if each is not None), default=None
    )
    return channel


def _require_pin(leaf: Leaf | None, settings: TlsSettings, peer: str) -> None:
    if settings.key_sha256 and (leaf is None or leaf.key_sha256 not in settings.key_sha256):
        message = (
            f"{peer} has another key than tls.key_sha256 allows: check that it was rotated before a change"
        )
        raise TransportError("tls_pin", message, verdict="pause")


def _addresses(endpoint: Endpoint, lookup: Lookup, deadline: float, interrupt: Interrupt) -> Sequence[str]:
    if is_literal(endpoint.host):
        return [endpoint.host]
    found: list[Sequence[str]] = []
    failed: list[OSError] = []
    ours, theirs = socket.socketpair()

    def ask() -> None:
        try:
            found.append(lookup(endpoint.host, endpoint.port))
        except OSError as error:
            failed.append(error)
        finally:
            theirs.close()

    # Resolvers have no deadline that could be set.
    threading.Thread(target=ask, name="lookup", daemon=True).start()
    with ours:
        answered = wait_for(ours, select.POLLIN, deadline, interrupt)
    if interrupt.is_set():
        raise diagnosis.interrupted(endpoint.authority)
    if not answered:
        raise diagnosis.timeout(endpoint.authority, "resolving its name")
    if not found or not found[0]:
        reason = failed[0].strerror if failed else "it has no address"
        message = f"the name {endpoint.host} cannot be resolved ({reason}): check the name and the network"
        raise TransportError("dns", message) from (failed[0] if failed else None)
    return found[0]


def _reach(
    endpoint: Endpoint, deadline: float, interrupt: Interrupt, lookup: Lookup, *, only_here: bool
) -> socket.socket:
    """Try each address, with an equal share of the remaining time."""
    peer = endpoint.authority
    addresses = _addresses(endpoint, lookup, deadline, interrupt)
    if only_here:
        addresses = [address for address in addresses if is_loopback(address)]
    fault = TransportError(
        "plaintext",
        f"{peer} is not on this machine, and plaintext may not leave it: use TLS",
        verdict="pause",
    )
    for index, address in enumerate(addresses):
        now = time.monotonic()
        until = now + (deadline - now) / (len(addresses) - index)
        try:
            return _reach_one(peer, address, endpoint.port, until, interrupt)
        except TransportError as error:
            if error.code == INTERRUPTED:
                raise
            fault = error
    raise fault


def _reach_one(peer: str, address: str, port: int, deadline: float, interrupt: Interrupt) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        connection = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise diagnosis.of_error(error, peer) from error
    try:
        connection.settimeout(0)
        _tune(connection)
        _complete(connection, (address, port), peer, deadline, interrupt)
    except OSError as error:
        connection.close()
        raise diagnosis.of_error(error, peer) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _complete(
    connection: socket.socket, address: tuple[str, int], peer: str, deadline: float, interrupt: Interrupt
) -> None:
    number = connection.connect_ex(address)
    if number == errno.EINPROGRESS:
        if not wait_for(connection, select.POLLOUT, deadline, interrupt):
            raise diagnosis.interrupted(peer) if interrupt.is_set() else diagnosis.timeout(peer, "connecting")
        number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))
    # When no process listens on a port of this machine, TCP may connect the socket to itself.
    if connection.getpeername() == connection.getsockname():
        raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def _tune(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        # Not every system has these options.
        with contextlib.suppress(AttributeError, OSError):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
