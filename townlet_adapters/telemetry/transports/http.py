"""Sends events to an HTTP receiver: signed POST requests over a plain socket, with one deadline for each.

A receiver that closes an idle connection may do so while the next request is in transit. So a request that
was not answered on a reused connection is sent once more on a new one; its ``webhook-id`` shows the receiver
that it is the same.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

import h11

from townlet_adapters.telemetry.envelope import MAX_EVENT_BYTES
from townlet_adapters.telemetry.transports import diagnosis
from townlet_adapters.telemetry.transports.channel import Channel, Interrupt
from townlet_adapters.telemetry.transports.dialing import connect
from townlet_adapters.telemetry.transports.replies import Reply, refusal
from townlet_adapters.telemetry.wire.endpoint import Url, require_local
from townlet_adapters.telemetry.wire.signing import Signatures
from townlet_adapters.telemetry.wire.tls import TlsSettings, client_context, own_leaf
from townlet_core.errors import ContractError
from townlet_core.ports.transport import Batch, Condition, TransportError

_log = logging.getLogger(__name__)

MOST_EVENTS: Final = 512
MOST_BYTES: Final = MAX_EVENT_BYTES
MOST_REPLY: Final = 4096  # bytes of a reply's body; the rest of a longer one is ignored

_MOST_HEAD: Final = 16384  # bytes of a reply's status line and headers
_MOST_HINTS: Final = 16  # replies 1xx before the final one
_CHUNK: Final = 8192
_LEFT: Final = ("closed", "reset")  # codes of a connection that its peer closed while it was idle
_BOTH_DONE: Final = {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}
_REFUSALS: Final = 300  # this and greater statuses
_FIXED_HEADERS: Final = (
    (b"user-agent", b"townlet"),
    (b"content-type", b"application/cloudevents-batch+json"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"identity"),
)


class HttpTransport:
    """Posts to one URL, over one kept connection if the receiver allows it."""

    def __init__(
        self,
        url: Url,
        tls: TlsSettings | None,
        signatures: Signatures,
        *,
        timeout: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; the receiver is not contacted before the first ``write``.

        Args:
            url: the destination.
            tls: the requirements on the receiver; None for plaintext to this machine.
            signatures: the keys to sign with.
            timeout: seconds for one exchange as a whole, including connecting.
            wall: seconds since 1970, as receivers read them in signatures.
        """
        self._url = url
        self._tls = tls
        self._signatures = signatures
        self._timeout = timeout
        self._wall = wall
        self._interrupt: Interrupt | None = None
        self._session: _Session | None = None
        self._connected = False
        self._certificate_expires: float | None = None

    def open(self) -> None:
        """Check certificates and keys, so that a wrong one is reported before the first tick.

        Raises:
            ConfigError: when one cannot be used, or plaintext would leave this machine.
        """
        if self._tls is None:
            require_local(self._url.endpoint, "url")
            _log.warning("sink http: sends events in plaintext to %s", self._url.endpoint.authority)
        else:
            client_context(self._tls)
            own = own_leaf(self._tls)
            self._certificate_expires = None if own is None else own.expires
        self._interrupt = Interrupt()

    def write(self, batch: Batch) -> int:
        """Post lines from the front of the batch in one request; returns their number.

        Raises:
            TransportError: when the receiver has not confirmed that it stored them.
        """
        body, count = _compose(batch.lines)
        message_id = _message_id(batch.source, batch.sequences[0], batch.sequences[count - 1])
        self._connected = False
        reply = self._post(message_id, body, time.monotonic() + self._timeout)
        self._connected = True
        error = refusal(reply, self._url.endpoint.authority, self._wall())
        if error is not None:
            raise error
        return count

    def interrupt(self) -> None:
        """End a waiting ``write`` at once, and every later one; from any thread, for good."""
        if self._interrupt is not None:
            self._interrupt.set()

    def condition(self) -> Condition:
        """Return whether the last request was answered, and until when certificates are valid."""
        return Condition(self._connected, self._certificate_expires)

    def close(self) -> None:
        """Close the connection; acknowledged events are the receiver's, so nothing else is left to do."""
        if self._session is not None:
            self._session.channel.close()
            self._session = None
        if self._interrupt is not None:
            self._interrupt.close()

    def abandon(self) -> None:
        """Release a connection that belongs to the parent process."""
        if self._session is not None:
            self._session.channel.abandon()
            self._session = None
        if self._interrupt is not None:
            self._interrupt.close()

    def _post(self, message_id: str, body: bytes, deadline: float) -> Reply:
        kept, self._session = self._session, None
        if kept is not None and kept.is_quiet():
            try:
                return self._exchange(kept, message_id, body, deadline)
            except TransportError as error:
                if error.code not in _LEFT:
                    raise
        elif kept is not None:
            kept.channel.close()
        endpoint = self._url.endpoint
        if self._interrupt is None:
            raise ContractError("write() of the http transport was called before open()")
        channel = connect(endpoint, self._tls, deadline=deadline, interrupt=self._interrupt)
        self._certificate_expires = channel.certificate_expires
        return self._exchange(_Session(channel, endpoint.authority), message_id, body, deadline)

    def _exchange(self, session: "_Session", message_id: str, body: bytes, deadline: float) -> Reply:
        headers = [
            (b"host", self._url.host_header.encode()),
            *_FIXED_HEADERS,
            (b"content-length", b"%d" % len(body)),
            # The time of this attempt: an older one would look like a replay.
            *self._signatures.sign(message_id, int(self._wall()), body),
        ]
        request = h11.Request(method=b"POST", target=self._url.target.encode(), headers=headers)
        try:
            reply = session.post(request, body, deadline)
        except BaseException:
            session.channel.close()
            raise
        if session.reusable:
            self._session = session
        else:
            session.channel.close()
        return reply


class _Session:
    """One connection and its HTTP state.

    Attributes:
        channel: the connection.
        reusable: whether another request may follow.
    """

    def __init__(self, channel: Channel, receiver: str) -> None:
        self.channel = channel
        self.reusable = False
        self._receiver = receiver
        self._at_end = False
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD)

    def is_quiet(self) -> bool:
        """Return whether the peer has neither closed nor sent anything unexpected."""
        try:
            return self.channel.receive_ready(1) is None
        except TransportError:
            return False

    def post(self, request: h11.Request, body: bytes, deadline: float) -> Reply:
        """Send a request and read the reply to it.

        Raises:
            TransportError: when there is none by the deadline, or it is invalid.
        """
        self.reusable = False
        events = (request, h11.Data(body), h11.EndOfMessage())
        data = b"".join(self._http.send(event) for event in events)
        try:
            self.channel.send_all(data, deadline)
        except TransportError:
            early = self._early_refusal()
            if early is None:
                raise
            return early
        return self._reply(deadline)

    def _early_refusal(self) -> Reply | None:
        """Return the reply of a receiver that did not read to the end; it may hold the reason."""
        try:
            reply = self._reply(deadline=None)
        except TransportError:
            return None
        self.reusable = False
        # It cannot have accepted what it has not read.
        return reply if reply.status >= _REFUSALS else None

    def _reply(self, deadline: float | None) -> Reply:
        try:
            return self._read(deadline)
        except h11.RemoteProtocolError as error:
            if self._at_end:
                raise diagnosis.closed(self._receiver) from error
            message = f"{self._receiver} does not answer in HTTP/1.1: is this the URL of a receiver?"
            raise TransportError("bad_reply", message) from error

    def _read(self, deadline: float | None) -> Reply:
        hints = size = 0
        head: h11.Response | None = None
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(self._more(deadline))
            elif isinstance(event, h11.InformationalResponse):
                hints += 1
                if hints > _MOST_HINTS:
                    raise h11.RemoteProtocolError("replies without end")
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if head is not None and size > MOST_REPLY:
                    return _reply_of(head, size)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                self._prepare_next()
                return _reply_of(head, size)
            else:
                raise h11.RemoteProtocolError("no reply")

    def _more(self, deadline: float | None) -> bytes:
        """Wait for bytes; without a deadline, return what is available."""
        if deadline is None:
            data = self.channel.receive_ready(_CHUNK) or b""
        else:
            data = self.channel.receive(_CHUNK, deadline)
        self._at_end = not data
        return data

    def _prepare_next(self) -> None:
        # Unexpected bytes after a reply could be taken for the next reply.
        if self._http.states == _BOTH_DONE and self._http.trailing_data == (b"", False):
            self._http.start_next_cycle()
            self.reusable = True


def _compose(lines: Sequence[bytes]) -> tuple[bytes, int]:
    """Put lines from the front into a JSON array; returns it and the number of lines, at least one."""
    size, count = 1, 0
    for line in lines[:MOST_EVENTS]:
        size += len(line)
        if count and size > MOST_BYTES:
            break
        count += 1
    return b"[%b]" % b",".join(line.rstrip(b"\n") for line in lines[:count]), count


def _message_id(source: str, first: int, last: int) -> str:
    """Return the id of a request: the same when it is sent again, and plain for any source."""
    return f"{hashlib.sha256(source.encode()).hexdigest()[:32]}-{first}-{last}"


def _reply_of(head: h11.Response, size: int) -> Reply:
    return Reply(head.status_code, list(head.headers), empty=size == 0)
