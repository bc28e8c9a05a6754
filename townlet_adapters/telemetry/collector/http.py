"""Requests over HTTP/1.1, one after the other on each connection, each within its bounds."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

import h11
import orjson

from townlet_adapters.telemetry.collector.figures import Figures
from townlet_adapters.telemetry.collector.stream import Stream
from townlet_core.jsonvalue import JsonObject

MOST_HEAD: Final = 16384  # bytes of a request line with its headers


class Head(NamedTuple):
    """A request without its body.

    Attributes:
        method: such as ``POST``.
        path: without the query.
        headers: names in lower case, and values.
        length: bytes of its body; None without a content-length.
    """

    method: str
    path: str
    headers: Sequence[tuple[bytes, bytes]]
    length: int | None

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header; None when it is missing."""
        return next((value for each, value in self.headers if each == name), None)


class Answer(NamedTuple):
    """The answer to a request.

    Attributes:
        status: the status code.
        body: the content, as JSON.
        headers: headers beside the usual ones.
    """

    status: int
    body: JsonObject
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Handler(Protocol):
    """Answers requests."""

    def refuse(self, stream: Stream, head: Head) -> Answer | None:
        """Return the answer to a request that is refused by its head alone; None to read its body.

        A request that is not refused has a length.
        """
        ...

    async def answer(self, stream: Stream, head: Head, body: bytes) -> Answer:
        """Answer a request."""
        ...


class HttpService:
    """Serves connections that speak HTTP/1.1."""

    def __init__(self, handler: Handler, figures: Figures) -> None:
        """Serve requests that ``handler`` answers."""
        self._handler = handler
        self._figures = figures

    async def serve(self, stream: Stream) -> None:
        """Serve one connection until it ends.

        Raises:
            OSError: when it breaks.
        """
        session = _Session(self._handler, self._figures, stream)
        quiet_seconds = stream.limits.handshake_seconds
        while await session.serve_one(quiet_seconds):
            quiet_seconds = stream.limits.idle_seconds


class _Session:
    """One connection."""

    def __init__(self, handler: Handler, figures: Figures, stream: Stream) -> None:
        self._handler = handler
        self._figures = figures
        self._stream = stream
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        self._begun = False

    async def serve_one(self, quiet_seconds: float) -> bool:
        """Serve one request that begins within these seconds; returns whether another one may follow."""
        self._begun = bool(self._http.trailing_data[0])
        stopping = False
        try:
            head = await self._read_head(quiet_seconds)
            if head is None:
                return False
            answer = self._handler.refuse(self._stream, head)
            if answer is None:
                body = await self._read_body()
                answer, stopping = await self._answer(head, body)
        except h11.RemoteProtocolError as error:
            self._figures.refuse("bad_request", self._stream.peer, str(error))
            answer = Answer(error.error_status_hint, {"error": "bad_request", "detail": str(error)})
        except TimeoutError:
            if not self._begun:
                return False
            self._figures.refuse("slow", self._stream.peer, "a request was not complete in time")
            answer = Answer(408, {"error": "slow", "detail": "the request was not complete in time"})
        keep = self._http.their_state is h11.DONE and not stopping
        await self._send(answer, keep=keep)
        if not keep or self._http.our_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _read_head(self, quiet_seconds: float) -> Head | None:
        deadline = self._stream.now() + (
            self._stream.limits.message_seconds if self._begun else quiet_seconds
        )
        event = await self._next_event(deadline)
        if not isinstance(event, h11.Request):
            return None
        headers = list(event.headers)
        lengths = [value for name, value in headers if name == b"content-length"]
        length = int(lengths[0]) if lengths else None
        path = event.target.decode("ascii", "replace").partition("?")[0]
        return Head(event.method.decode("ascii"), path, headers, length)

    async def _read_body(self) -> bytes:
        if self._http.they_are_waiting_for_100_continue:
            proceed = h11.InformationalResponse(status_code=100, headers=[])
            await self._stream.write(self._http.send(proceed) or b"")
        deadline = self._stream.now() + self._stream.limits.message_seconds
        parts: list[bytes] = []
        while isinstance(event := await self._next_event(deadline), h11.Data):
            parts.append(bytes(event.data))
        if not isinstance(event, h11.EndOfMessage):
            raise ConnectionResetError("the peer closed the connection in the middle of a request")
        return b"".join(parts)

    async def _next_event(self, deadline: float) -> h11.Event | type[h11.PAUSED] | None:
        """Read until an event is complete; None when the peer has closed."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._stream.read(deadline)
            if data and not self._begun:
                self._begun = True
                deadline = min(deadline, self._stream.now() + self._stream.limits.message_seconds)
            self._http.receive_data(data)
        return None if isinstance(event, h11.ConnectionClosed | type) else event

    async def _answer(self, head: Head, body: bytes) -> tuple[Answer, bool]:
        """Return the answer, even if the collector stops meanwhile, and whether it stops."""
        answering = asyncio.create_task(self._handler.answer(self._stream, head, body))
        try:
            return await asyncio.shield(answering), False
        except asyncio.CancelledError:
            return await answering, True

    async def _send(self, answer: Answer, *, keep: bool) -> None:
        body = orjson.dumps(answer.body, option=orjson.OPT_APPEND_NEWLINE)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            *answer.headers,
            *(() if keep else ((b"connection", b"close"),)),
        ]
        reason = HTTPStatus(answer.status).phrase.encode("ascii")
        response = h11.Response(status_code=answer.status, reason=reason, headers=headers)
        events = (response, h11.Data(body), h11.EndOfMessage())
        await self._stream.write(b"".join(self._http.send(event) or b"" for event in events))
