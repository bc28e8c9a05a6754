"""The protocol on one connection to a collector: HELLO, DATA and their answers."""

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
_GOODBYE: Final = 0.25  # seconds for the last frames
_GREETING: Final = frozenset({FrameType.HELLO_ACK, FrameType.NACK})
_ANSWERS: Final = FROM_SERVER - {FrameType.HELLO_ACK}

_REFUSALS: Final[dict[NackCode, tuple[Verdict, str]]] = {
    "unauthorized": ("pause", "does not know this token: check token_env or token_file, and its list"),
    "forbidden": ("pause", "does not allow this token or certificate to send this source: see its log"),
    "version": ("pause", f"does not speak version {VERSION} of the protocol: upgrade the older end"),
    "protocol": ("retry", "reports a violation of the protocol: see its log"),
    "poison": ("split", "refuses one of these lines for good: see its log"),
    "overloaded": ("retry", "is overloaded"),
    "unavailable": ("retry", "cannot store anything at present: see its log"),
}


class Progress:
    """How much of a source is stored, over all connections of this process.

    Attributes:
        source: the source.
        stored_through: highest number that is stored for good; ``NOTHING`` when none is known to be.
    """

    def __init__(self, source: str) -> None:
        """Start with a source of which nothing is known."""
        self.source = source
        self.stored_through = NOTHING
        self._sent_through = NOTHING
        self._claimed: int | None = None  # the lowest number that its next answer may have
        self._ceiling = NOTHING  # the highest number that it may have
        self._gapless = True  # whether no number is missing among those stored and sent

    def begin(self, batch: Batch, claim: int, peer: str) -> None:
        """Process the number that a collector sent in HELLO_ACK.

        The number may be higher than this process knows: an earlier process may have sent those lines. It
        settles only the lines of the current batch and those that this process has sent. Later lines are sent
        in any case, and a collector that has them already acknowledges them. So a wrong number costs one
        batch per connection.

        The number may be lower than what was acknowledged: then numbers below were never sent, and their loss
        record is still to come.
        """
        if self._claimed is None:
            self.stored_through = min(claim, batch.sequences[-1])
            self._gapless = batch.sequences[0] <= claim + 1
        elif claim < self.stored_through and self._gapless:
            _log.warning("%s has lost lines of %s that it had acknowledged", peer, self.source)
        self._ceiling = max(self._ceiling, claim)
        # Its answers to the lines sent now may be lower than its number for an earlier process.
        self._claimed = min(claim, max(self.stored_through, self._sent_through))
        self._settle(claim)

    def send(self, frame: Data, last: int) -> None:
        """Record that lines up to a number are about to be sent."""
        behind = max(self._sent_through, self.stored_through)
        whole = last - frame.first_seq + 1 == len(frame.lines)
        self._gapless = self._gapless and whole and frame.first_seq <= behind + 1
        self._sent_through = max(self._sent_through, last)
        self._ceiling = max(self._ceiling, last)

    def acknowledge(self, claim: int, peer: str) -> bool:
        """Process an ACK; returns whether more is stored than before.

        Raises:
            TransportError: when it withdraws an acknowledgement, or acknowledges lines that were never sent.
        """
        if self._claimed is None or not self._claimed <= claim <= self._ceiling:
            raise _wrong_ack(peer)
        self._claimed = claim
        return self._settle(claim)

    def _settle(self, claim: int) -> bool:
        before = self.stored_through
        self.stored_through = max(before, min(claim, self._sent_through))
        return self.stored_through > before


class Conversation:
    """One connection, from HELLO to BYE, for one source. It owns its channel."""

    def __init__(self, channel: Channel, progress: Progress, peer: str) -> None:
        """Send through ``channel`` and record in ``progress`` what was stored."""
        self._channel = channel
        self._progress = progress
        self._peer = peer
        self._reader = FrameReader(_GREETING)
        self._in_flight: deque[int] = deque()  # number of the last line of each frame not acknowledged
        self._used_at = time.monotonic()

    @property
    def source(self) -> str:
        """The source that it serves."""
        return self._progress.source

    def greet(self, hello: Hello, batch: Batch, deadline: float) -> None:
        """Send HELLO, and process the collector's number for the source.

        Raises:
            TransportError: when the collector refuses the connection.
        """
        self._send(hello, deadline)
        frame = self._next(deadline)
        if isinstance(frame, Nack):
            raise self._refusal(frame)
        if not isinstance(frame, HelloAck) or frame.version != VERSION:
            raise _broken(self._peer, "its answer to HELLO is neither HELLO_ACK nor NACK")
        self._reader.accepts = _ANSWERS
        self._progress.begin(batch, frame.stored_through, self._peer)

    def deliver(self, batch: Batch, ack_timeout: float) -> None:
        """Send the lines of a batch that are not stored yet, and wait until all of them are.

        Raises:
            TransportError: when that failed, or ``ack_timeout`` seconds passed without another stored line;
                ``progress`` has what was stored until then.
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
        """Return whether the collector is still there, as far as can be known before sending to it.

        Frames that arrived in the meantime are processed. After ``idle`` seconds of silence the collector
        gets a PING, and has ``timeout`` seconds to answer.
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
        """Send BYE if the collector accepts it, and close."""
        with contextlib.suppress(TransportError):
            self._send(Bye(), time.monotonic() + _GOODBYE)
        self._channel.close()

    def abandon(self) -> None:
        """Close without sending anything."""
        self._channel.abandon()

    def _send(self, frame: Frame, deadline: float) -> None:
        try:
            self._channel.send_all(encode(frame), deadline)
        except TransportError as error:
            if error.code == INTERRUPTED:
                raise  # there is no time to read an answer
            # A collector that refuses sends a NACK and closes, perhaps while a frame is being sent.
            raise self._last_words() or error from error

    def _last_words(self) -> TransportError | None:
        # PINGs among them are not answered: that would be sending again.
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
        """Return the frames that have arrived, without waiting for more."""
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
        """Process one frame; returns the deadline for the next, later than before when more is stored now."""
        if self._hear(self._next(deadline), deadline):
            return time.monotonic() + ack_timeout
        return deadline

    def _hear(self, frame: Frame, deadline: float) -> bool:
        """Process a frame; returns whether more is stored than before."""
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
                raise _broken(self._peer, f"it sent an unexpected {type(frame).__name__}")

    def _take(self, ack: Ack) -> bool:
        """Record what is stored; returns whether it is more than before."""
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
    """Cut the lines of a batch from an index on into frames; yields each with the number of its last line.

    Raises:
        TransportError: at a line that is too long for a frame.
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
    return TransportError("protocol", f"{peer} does not follow the protocol ({how}): is it a collector?")


def _wrong_ack(peer: str) -> TransportError:
    return _broken(peer, "it acknowledged lines that it was not sent, or withdrew an acknowledgement")
