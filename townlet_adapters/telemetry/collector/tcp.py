"""The receiving end of the frames of TLS-TCP: greetings, events and refusals."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from townlet_adapters.telemetry.collector.checking import Event, LineError, check_line, require_source
from townlet_adapters.telemetry.collector.committer import Committer
from townlet_adapters.telemetry.collector.credentials import Tokens
from townlet_adapters.telemetry.collector.figures import Figures
from townlet_adapters.telemetry.collector.plan import Trouble
from townlet_adapters.telemetry.collector.store import Lane, Outcome, Store, Submission
from townlet_adapters.telemetry.collector.stream import Stream
from townlet_adapters.telemetry.wire.frames import (
    FROM_CLIENT,
    VERSION,
    WINDOW,
    Ack,
    Bye,
    Data,
    Frame,
    FrameError,
    FrameReader,
    FrameType,
    Hello,
    HelloAck,
    Nack,
    Ping,
    Pong,
    encode,
)

NACKS: Final[Mapping[Trouble, Nack]] = MappingProxyType(
    {
        "no_space": Nack("unavailable", 5),
        "storage_failed": Nack("unavailable", 5),
        "folder_full": Nack("unavailable", 60),
        "too_many_gaps": Nack("overloaded", 60),
        "too_many_sources": Nack("overloaded", 60),
        "other_owner": Nack("forbidden"),
    }
)
"""The answer to each reason for which nothing can be stored, with the time to wait before a retry."""

Farewell: TypeAlias = Nack | Bye


class _Stored(NamedTuple):
    """Events that are on their way to the disk."""

    events: Sequence[Event]
    outcome: asyncio.Future[Outcome]


class FrameService:
    """Serves connections that speak frames."""

    def __init__(self, store: Store, committer: Committer, figures: Figures, tokens: Tokens) -> None:
        """Serve clients that have one of the tokens; without tokens, those with a client certificate."""
        self._store = store
        self._committer = committer
        self._figures = figures
        self._tokens = tokens

    async def serve(self, stream: Stream) -> None:
        """Serve one connection until it ends.

        Raises:
            OSError: when it breaks.
        """
        frames = FrameReader(frozenset({FrameType.HELLO}))
        try:
            hello = await read_frame(stream, frames, stream.limits.handshake_seconds)
        except FrameError as error:
            await stream.write(encode(refuse_frame(self._figures, stream, error)))
            return
        except TimeoutError:
            self._figures.refuse("slow", stream.peer, "its HELLO did not arrive in time")
            return
        if isinstance(hello, Hello):
            owner = self._authenticate(stream, hello)
            answer = self._admit(stream, hello, owner) if owner is not None else Nack("unauthorized")
            await stream.write(encode(answer))
            if owner is not None and isinstance(answer, HelloAck):
                frames.accepts = FROM_CLIENT
                sender = _Sender(owner, hello.source)
                await _Session(self._committer, self._figures, stream, frames, sender).run()

    def _authenticate(self, stream: Stream, hello: Hello) -> str | None:
        """Return the name of the sender; None when it is refused."""
        if self._tokens:
            owner = self._tokens.name_of(hello.token.encode("ascii"))
            if owner is None:
                self._figures.refuse("wrong_token", stream.peer, "the token of its HELLO is unknown here")
            return owner
        owner = stream.certificate_name()
        if owner is None:
            self._figures.refuse("nameless", stream.peer, "its certificate has no subject")
        return owner

    def _admit(self, stream: Stream, hello: Hello, owner: str) -> HelloAck | Nack:
        """Decide whether an authenticated sender may send what it announces."""
        if not hello.oldest <= VERSION <= hello.newest:
            found = f"it speaks versions {hello.oldest} to {hello.newest}, and this collector {VERSION}"
            self._figures.refuse("version", stream.peer, found)
            return Nack("version")
        try:
            require_source(hello.source)
        except LineError as error:
            self._figures.refuse(error.reason, stream.peer, error.detail)
            return Nack("forbidden")
        standing = self._store.standing(hello.source)
        if standing.owner not in {None, owner}:
            found = f"{owner} sends {hello.source}, which is owned by {standing.owner}"
            self._figures.refuse("other_owner", stream.peer, found)
            return Nack("forbidden")
        return HelloAck(standing.settled_through)


class _Sender(NamedTuple):
    """The name that a connection's token or certificate proves, and the source that it sends."""

    owner: str
    source: str


class _Session:
    """One connection whose HELLO was answered."""

    def __init__(
        self, committer: Committer, figures: Figures, stream: Stream, frames: FrameReader, sender: _Sender
    ) -> None:
        self._committer = committer
        self._figures = figures
        self._stream = stream
        self._frames = frames
        self._owner, self._source = sender
        self._newest = -1
        self._lane = Lane()
        self._window = asyncio.Semaphore(WINDOW)  # answers that are due; beyond that nothing more is read
        self._answers: asyncio.Queue[_Stored | Pong | Farewell] = asyncio.Queue()

    async def run(self) -> None:
        """Receive and answer at the same time until one of them ends, then answer what is left."""
        receiving = asyncio.create_task(self._receive())
        answering = asyncio.create_task(self._answer())
        answering.add_done_callback(lambda ended: _end_with(receiving, ended))
        try:
            await asyncio.wait({receiving})
        except asyncio.CancelledError:
            # The collector stops: what has arrived is still stored and acknowledged.
            receiving.cancel()
            await asyncio.wait({receiving})
        if receiving.cancelled():
            self._answers.put_nowait(Bye())
        elif receiving.exception() is None:
            self._answers.put_nowait(receiving.result())
        else:
            answering.cancel()
        await asyncio.wait({answering})
        errors = [task.exception() for task in (receiving, answering) if not task.cancelled()]
        for error in filter(None, errors):
            raise error

    async def _receive(self) -> Farewell:
        """Receive frames until there is a reason to end; returns the last answer."""
        while True:
            try:
                frame = await read_frame(self._stream, self._frames, self._stream.limits.idle_seconds)
            except FrameError as error:
                return refuse_frame(self._figures, self._stream, error)
            except TimeoutError:
                if self._frames.buffered:
                    self._figures.refuse("slow", self._stream.peer, "a frame was not complete in time")
                return Bye()
            if isinstance(frame, Ping):
                await self._window.acquire()
                self._answers.put_nowait(Pong())
            elif isinstance(frame, Data):
                refusal = await self._take(frame)
                if refusal is not None:
                    return refusal
            elif not isinstance(frame, Pong):
                return Bye()

    async def _take(self, frame: Data) -> Nack | None:
        """Send the lines in front of the first bad one to the disk."""
        await self._window.acquire()
        events: list[Event] = []
        refusal: Nack | None = None
        try:
            self._check(frame, events)
        except LineError as error:
            self._figures.refuse(error.reason, self._stream.peer, f"a line of {self._source}: {error.detail}")
            refusal = Nack("poison")
        except FrameError as error:
            refusal = refuse_frame(self._figures, self._stream, error)
        if events:
            submission = Submission(self._lane, self._owner, self._source, events)
            outcome = await self._committer.submit(submission)
            self._answers.put_nowait(_Stored(events, outcome))
        return refusal

    def _check(self, frame: Data, events: list[Event]) -> None:
        for line in frame.lines:
            event = check_line(line, self._source)
            if not events and event.sequence != frame.first_seq:
                raise FrameError("payload", f"DATA does not begin with {frame.first_seq}, as it claims")
            if event.sequence <= self._newest:
                raise FrameError("payload", f"number {event.sequence} follows {self._newest}")
            self._newest = event.sequence
            events.append(event)

    async def _answer(self) -> None:
        """Answer in the order in which the frames arrived, until the last answer."""
        while True:
            answer = await self._answers.get()
            if isinstance(answer, _Stored):
                outcome = await answer.outcome
                if outcome.stored:
                    await self._send(Ack(answer.events[outcome.stored - 1].sequence))
                if outcome.trouble is not None:
                    self._figures.refuse(outcome.trouble, self._stream.peer, f"events of {self._source}")
                    await self._send(NACKS[outcome.trouble])
                    return
            else:
                await self._send(answer)
                if not isinstance(answer, Pong):
                    return
            self._window.release()

    async def _send(self, frame: Frame) -> None:
        await self._stream.write(encode(frame))


def _end_with(receiving: "asyncio.Task[Farewell]", answering: "asyncio.Task[None]") -> None:
    """Stop receiving what could not be answered, and mark the failure of answering as seen."""
    if not answering.cancelled():
        answering.exception()
    receiving.cancel()


async def read_frame(stream: Stream, frames: FrameReader, quiet_seconds: float) -> Frame | None:
    """Read the next frame; None when the peer has closed.

    Args:
        stream: the connection.
        frames: the reader that cuts it into frames.
        quiet_seconds: longest silence before the frame.

    Raises:
        FrameError: when something else than an expected frame arrived.
        TimeoutError: when nothing arrived, or the frame was not complete in time.
        OSError: when the connection broke.
    """
    deadline, begun = stream.now() + quiet_seconds, False
    while True:
        frame = frames.next_frame()
        if frame is not None:
            return frame
        if frames.buffered and not begun:
            deadline, begun = min(deadline, stream.now() + stream.limits.message_seconds), True
        data = await stream.read(deadline)
        if not data:
            return None
        frames.feed(data)


def refuse_frame(figures: Figures, stream: Stream, error: FrameError) -> Nack:
    """Count a broken frame, and return the answer to its sender."""
    figures.refuse("frame", stream.peer, str(error))
    return Nack("version" if error.code == "version" else "protocol")
