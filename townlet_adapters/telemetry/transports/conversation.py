"""What is said on one connection to a collector: HELLO, DATA and their answers."""

import contextlib
import logging
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from typing import Final

from townlet_adapters.telemetry.transports import diagnosis
from townlet_adapters.telemetry.transports.channel import Channel
from townlet_adapters.telemetry.wire.frames import (
    FROM_SERVER,
    MAX_DATA_BYTES,
    MAX_LINES,
    NOTHING,
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
    NackCode,
    Ping,
    Pong,
    encode,
)
from townlet_core.ports.transport import INTERRUPTED, Batch, TransportError, Verdict

_log = logging.getLogger(__name__)

_READ: Final = 1 << 16
_GOODBYE: Final = 0.25  # seconds for a last word
_GREETING: Final = frozenset({FrameType.HELLO_ACK, FrameType.NACK})
_ANSWERS: Final = FROM_SERVER - {FrameType.HELLO_ACK}

_REFUSALS: Final[dict[NackCode, tuple[Verdict, str]]] = {
    "unauthorized": ("pause", "does not know our token: check token_env or token_file, and its own list"),
    "forbidden": ("pause", "does not let this token or certificate send this source: see its log"),
    "version": ("pause", f"does not speak version {VERSION} of the protocol: upgrade the older end"),
    "protocol": ("retry", "says we broke the protocol: see its log"),
    "poison": ("split", "will never take one of these lines: see its log"),
    "overloaded": ("retry", "has too much to do"),
    "unavailable": ("retry", "cannot store anything just now: see its log"),
}


class Progress:
    """How far a source has come, over all connections of this process.

    Attributes:
        source: the source.
        stored_through: highest number that is stored for good; ``NOTHING`` when none is known to be.
    """

    def __init__(self, source: str) -> None:
        """Begin with a source of which nothing is known."""
        self.source = source
        self.stored_through = NOTHING
        self._sent_through = NOTHING
        self._claimed: int | None = None  # the least that its next answer can truly say
        self._ceiling = NOTHING  # the most that it can truly say
        self._gapless = True  # whether no number is missing among those stored and sent

    def begin(self, batch: Batch, claim: int, peer: str) -> None:
        """Take up what a collector said in HELLO_ACK.

        It may be more than this process knows of: an earlier one may have sent it. That settles no more than
        the lines of the batch at hand, or what this process has sent; later lines are sent whatever was said,
        and a collector that has them already acknowledges them. So a wrong number costs a batch for each
        connection.

        It may be less than what was acknowledged: numbers that were never sent are missing below, and their
        loss record is still to come.
        """
        if self._claimed is None:
            self.stored_through = min(claim, batch.sequences[-1])
            self._gapless = batch.sequences[0] <= claim + 1
        elif claim < self.stored_through and self._gapless:
            _log.warning("%s no longer has lines of %s that it had acknowledged", peer, self.source)
        self._ceiling = max(self._ceiling, claim)
        # Its answers to what is sent now may be lower than what it has of an earlier process.
        self._claimed = min(claim, max(self.stored_through, self._sent_through))
        self._settle(claim)

    def send(self, frame: Data, last: int) -> None:
        """Note that lines up to a number are about to be sent."""
        behind = max(self._sent_through, self.stored_through)
        whole = last - frame.first_seq + 1 == len(frame.lines)
        self._gapless = self._gapless and whole and frame.first_seq <= behind + 1
        self._sent_through = max(self._sent_through, last)
        self._ceiling = max(self._ceiling, last)

    def acknowledge(self, claim: int, peer: str) -> bool:
        """Take an ACK; returns whether more is stored than before.

        Raises:
            TransportError: when it takes something back, or acknowledges what was never sent.
        """
        if self._claimed is None or not self._claimed <= claim <= self._ceiling:
            raise _lie(peer)
        self._claimed = claim
        return self._settle(claim)

    def _settle(self, claim: int) -> bool:
        before = self.stored_through
        self.stored_through = max(before, min(claim, self._sent_through))
        return self.stored_through > before


class Conversation:
    """One connection, from HELLO to BYE, about one source. It owns its channel."""

    def __init__(self, channel: Channel, progress: Progress, peer: str) -> None:
        """Speak through ``channel`` and note in ``progress`` what was stored."""
        self._channel = channel
        self._progress = progress
        self._peer = peer
        self._reader = FrameReader(_GREETING)
        self._in_flight: deque[int] = deque()  # number of the last line of each frame not acknowledged
        self._used_at = time.monotonic()

    @property
    def source(self) -> str:
        """The source it is about."""
        return self._progress.source

    def greet(self, hello: Hello, batch: Batch, deadline: float) -> None:
        """Say who we are, and hear how far the collector is.

        Raises:
            TransportError: when it does not let us in.
        """
        self._send(hello, deadline)
        frame = self._next(deadline)
        if isinstance(frame, Nack):
            raise self._refusal(frame)
        if not isinstance(frame, HelloAck) or frame.version != VERSION:
            raise _broken(self._peer, "it answered HELLO with something else")
        self._reader.accepts = _ANSWERS
        self._progress.begin(batch, frame.stored_through, self._peer)

    def deliver(self, batch: Batch, ack_timeout: float) -> None:
        """Send what is not stored yet of a batch, and wait until all of it is.

        Raises:
            TransportError: when that failed, or ``ack_timeout`` seconds passed with nothing more stored; what
                was stored until then is in the progress.
        """
        deadline = time.monotonic() + ack_timeout
        for frame, last in cut(batch, bisect_right(batch.sequences, self._progress.stored_through)):
            while len(self._in_flight) >= WINDOW:
                deadline = self._hear_ack(deadline, ack_timeout)
            self._progress.send(frame, last)
            self._in_flight.append(last)
            self._send(frame, deadline)
        while self._in_flight:
            deadline = self._hear_ack(deadline, ack_timeout)
        self._used_at = time.monotonic()

    def is_alive(self, idle: float, timeout: float) -> bool:
        """Whether the collector is still there, as far as can be told before sending to it.

        What it said meanwhile is heard. After ``idle`` seconds of silence it is asked, and has ``timeout``
        seconds to answer.
        """
        deadline = time.monotonic() + timeout
        try:
            for heard in self._frames_there():
                self._hear(heard, deadline)
            if time.monotonic() - self._used_at >= idle:
                self._send(Ping(), deadline)
                while not isinstance(frame := self._next(deadline), Pong):
                    self._hear(frame, deadline)
        except TransportError as error:
            _log.info("%s", error)
            return False
        return True

    def say_bye(self) -> None:
        """Say goodbye to a collector that listens, and close."""
        with contextlib.suppress(TransportError):
            self._send(Bye(), time.monotonic() + _GOODBYE)
        self._channel.close()

    def abandon(self) -> None:
        """Close without a word."""
        self._channel.abandon()

    def _send(self, frame: Frame, deadline: float) -> None:
        try:
            self._channel.send_all(encode(frame), deadline)
        except TransportError as error:
            if error.code == INTERRUPTED:
                raise  # we have no time to listen
            # A collector that refuses says so and hangs up, perhaps in the middle of our sentence.
            raise self._last_words() or error from error

    def _last_words(self) -> TransportError | None:
        # Questions among them are not answered: that would be sending again.
        with contextlib.suppress(TransportError):
            for frame in self._frames_there():
                if isinstance(frame, Nack):
                    return self._refusal(frame)
                if isinstance(frame, Ack):
                    self._take(frame)
        return None

    def _next(self, deadline: float) -> Frame:
        """Wait for a frame."""
        while (frame := self._cut_frame()) is None:
            self._feed(self._channel.receive(_READ, deadline))
        return frame

    def _frames_there(self) -> Iterator[Frame]:
        """Give the frames that came already, without waiting for more."""
        until = time.monotonic() + _GOODBYE
        while time.monotonic() < until:
            while (frame := self._cut_frame()) is not None:
                yield frame
            if (data := self._channel.receive_ready(_READ)) is None:
                return
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        if not data:
            raise diagnosis.closed(self._peer)
        self._reader.feed(data)

    def _cut_frame(self) -> Frame | None:
        try:
            return self._reader.next_frame()
        except FrameError as error:
            raise _broken(self._peer, str(error)) from error

    def _hear_ack(self, deadline: float, ack_timeout: float) -> float:
        """Hear one frame; returns the deadline for the next, later than before when more is stored now."""
        if self._hear(self._next(deadline), deadline):
            return time.monotonic() + ack_timeout
        return deadline

    def _hear(self, frame: Frame, deadline: float) -> bool:
        """Do what a frame asks for; returns whether more is stored than before."""
        match frame:
            case Ack():
                return self._take(frame)
            case Nack():
                raise self._refusal(frame)
            case Ping():
                self._send(Pong(), deadline)
                return False
            case Bye():
                raise diagnosis.closed(self._peer)
            case _:
                raise _broken(self._peer, f"it said {type(frame).__name__} unasked")

    def _take(self, ack: Ack) -> bool:
        """Note what is stored; returns whether it is more than before."""
        more = self._progress.acknowledge(ack.stored_through, self._peer)
        while self._in_flight and self._in_flight[0] <= ack.stored_through:
            self._in_flight.popleft()
        return more

    def _refusal(self, nack: Nack) -> TransportError:
        verdict, words = _REFUSALS[nack.code]
        if verdict == "split" and not self._in_flight:
            return _broken(self._peer, "it refused lines that it was not sent")
        message = f"the collector at {self._peer} {words}"
        return TransportError(nack.code, message, verdict=verdict, retry_after=nack.retry_after)


def cut(batch: Batch, start: int) -> Iterator[tuple[Data, int]]:
    """Cut the lines of a batch from an index on into frames; gives each with the number of its last line.

    Raises:
        TransportError: at a line that no frame can hold.
    """
    sequences, lines = batch.sequences, batch.lines
    while start < len(lines):
        end, size = start, 0
        while end < min(len(lines), start + MAX_LINES) and size + len(lines[end]) <= MAX_DATA_BYTES:
            size += len(lines[end])
            end += 1
        if end == start:
            message = f"line {sequences[start]} has {len(lines[start])} bytes; at most {MAX_DATA_BYTES} fit"
            raise TransportError("too_large", message, verdict="split")
        yield Data(sequences[start], tuple(lines[start:end])), sequences[end - 1]
        start = end


def _broken(peer: str, how: str) -> TransportError:
    return TransportError("protocol", f"{peer} does not keep to the protocol ({how}): is it a collector?")


def _lie(peer: str) -> TransportError:
    return _broken(peer, "it acknowledged what it was not sent, or took an acknowledgement back")
