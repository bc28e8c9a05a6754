"""The town's side of a sink: encodes, numbers and buffers messages, and drops what has no room."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

import orjson

from townlet_adapters.telemetry.clock import Clock
from townlet_adapters.telemetry.delivery.account import Account
from townlet_adapters.telemetry.delivery.buffer import BUFFER_FULL, BoundedBuffer, Line, Shed
from townlet_adapters.telemetry.delivery.losses import MOST_RANGES, Losses, parts_of, record_of_loss
from townlet_adapters.telemetry.delivery.meters import Stopwatch
from townlet_adapters.telemetry.envelope import (
    SEAL_BYTES,
    SOFT_EVENT_BYTES,
    Encoder,
    EnvelopeError,
    Record,
    Shedding,
    seal,
)
from townlet_adapters.telemetry.spool.base import OUTBOX_REMOVED, Loss
from townlet_adapters.telemetry.streams import Strand
from townlet_core.dto.frame import StateFrame
from townlet_core.events.base import Diagnostic
from townlet_core.events.health import ErrorHealth
from townlet_core.ports.telemetry import EmitResult, Message
from townlet_core.ports.transport import INTERRUPTED, Batch

Phase: TypeAlias = Literal["new", "open", "closing", "closed"]

UNDELIVERED: Final = "undelivered_at_stop"
PATIENCE: Final = 0.1  # seconds without progress of the worker until a wait for room ends
LINGER: Final = 0.04  # seconds that the worker collects events for one write; none waits longer than 50 ms
BATCH_EVENTS: Final = 512
BATCH_BYTES: Final = 1 << 20

_SAMPLE: Final = 63  # one emit out of 64 is timed
_LOSS_TYPE: Final = b'"type":"townlet.telemetry.loss"'
_HEAD: Final = 1024  # bytes of a line that hold its type
_RANGE_BYTES: Final = 128  # a loss record has at most one range per 128 bytes of buffer, to fit a small one
_ACCEPTED: Final = EmitResult("accepted")
_REJECTIONS: Final[dict[Phase, str]] = {
    "new": "not_started",
    "open": "",
    "closing": "stopped",
    "closed": "stopped",
}


_Draft: TypeAlias = tuple[bytes, Shedding, str, int | None]
"""An envelope without its number, its class, an empty reason, and the number of the message that it is a
patch of; or no envelope, but the reason of a rejection. A plain tuple: every message needs one."""

# A failed sink writes nothing any more, so nothing is encoded for it.
_NO_DRAFT: Final[_Draft] = (b"", Shedding.NORMAL, "", None)


def _refused(error: Exception) -> _Draft:
    if isinstance(error, EnvelopeError):
        return b"", Shedding.NORMAL, error.reason, None
    return b"", Shedding.NORMAL, "too_deep" if isinstance(error, RecursionError) else "not_json", None


class Intake:
    """The state shared by the town and the workers of one sink, under one re-entrant lock.

    Attributes:
        lock: guards everything below, and all counting by errands.
        work: the condition that the worker of the buffer waits on.
        room: the condition that the town waits on for room.
        source: ``source`` of the envelopes.
        phase: the phase of the sink's life.
        deadline: monotonic time at which a stop ends.
        is_overdue: whether ``stop`` has ended its wait.
        buffer: messages waiting in memory.
        account: the counters.
        losses: numbers that no record declares yet.
        found_lost: damage found by the outbox that is not counted yet.
        fatal: code of the fault after which no message is accepted.
        last_error: the latest error, in words.
        error: the same for monitors.
        moved_at: when the buffer was last emptied in part, or started to fill.
        shed_since_move: whether a message was dropped since then.
        troubled: whether the worker's latest attempt failed.
        sender_is_dry: whether a sender found nothing in the outbox since the latest commit.
        stopwatch: durations of a sample of messages.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing that another part decides
        self,
        source: str,
        buffer: BoundedBuffer,
        strands: Sequence[Strand],
        clock: Clock,
        *,
        patient: bool,
        note_emitted: Callable[[int], None] | None,
    ) -> None:
        """Start without a message.

        Args:
            source: ``source`` of the envelopes.
            buffer: holds messages; empty.
            strands: the series that a ``StateFrame`` is sent as; empty for whole frames.
            clock: the clock.
            patient: whether ``emit`` waits for room while the worker makes progress.
            note_emitted: called with the count of given numbers, before the latest is used.
        """
        self.source = source
        self.clock = clock
        self._patient = patient
        self._encoder = Encoder(source)
        self._batch_events = max(1, min(BATCH_EVENTS, buffer.capacity_events // 2))
        # A batch is at most half the buffer, so that there is room for new messages while it is written.
        self._batch_bytes = min(BATCH_BYTES, buffer.capacity_bytes // 2)
        self._most_ranges = max(1, min(MOST_RANGES, buffer.capacity_bytes // _RANGE_BYTES))

        self.lock = threading.RLock()
        self.work = threading.Condition(self.lock)
        self.room = threading.Condition(self.lock)
        self._admitting = False
        self._aside: deque[_Draft | StateFrame] = deque()
        self._strands = strands
        self._asleep: str = "no"  # or "idle", or "gathering"; a literal type would hide that it changes
        self._taken_at = self._woken_at = 0.0

        self.phase: Phase = "new"
        self.deadline = 0.0
        self.is_overdue = False
        self.buffer = buffer
        self.account = Account(note_emitted)
        self.losses = Losses(source)
        self.found_lost: list[Loss] = []
        self.fatal = ""
        self.last_error: str | None = None
        self.error: ErrorHealth | None = None
        self._tick = 0
        self.moved_at = clock.monotonic()
        self.shed_since_move = False
        self.troubled = False
        self.sender_is_dry = True
        self.stopwatch = Stopwatch()

    # ---- the town's thread ---------------------------------------------------------------------

    def emit(self, message: Message) -> EmitResult:
        """Encode the message and hold it for the worker; see ``DeliveringSink.emit``."""
        if self.account.numbered & _SAMPLE:
            return self._emit(message)
        return self.stopwatch.emit(self._emit, message, self.account.numbered)

    def _emit(self, message: Message) -> EmitResult:
        if self._strands and isinstance(message, StateFrame):
            return self._emit_state(message)
        draft = self._draft_of(message)
        with self.lock:
            if self._admitting:
                # A signal handler emits within this thread's own emit, which admits the message at its end.
                self._aside.append(draft)
                return _ACCEPTED
            self._admitting = True
            try:
                result = self._admit(draft, patient=self._patient)
            finally:
                self._admitting = False
            if self._aside:
                self._admit_those_aside()
            return result

    def _emit_state(self, state: StateFrame) -> EmitResult:
        """Send a frame in strands; under one lock, because each message builds on the one before."""
        with self.lock:
            if self._admitting:
                self._aside.append(state)
                return _ACCEPTED
            result = _ACCEPTED
            for strand in self._strands:
                if strand.due(state.tick):
                    one = self._send(strand, state, patient=self._patient)
                    result = result if one.status == "accepted" else one
            self._admit_those_aside()
            return result

    def _send(self, strand: Strand, state: StateFrame, *, patient: bool) -> EmitResult:
        self._admitting = True
        try:
            draft = self._draft_next(strand, state)
            if not self._fits(draft):
                changes = strand.changes
                if patient:
                    self._wait_for_room(draft)
                if draft[3] is not None and not self._fits(draft):
                    # To make room, older state is dropped, and with it the base of the patch.
                    strand.cut()
                if strand.changes != changes:
                    # Either that, or another thread emitted during the wait, so the base has changed.
                    draft = self._draft_next(strand, state)
            result = self._admit(draft, patient=False)
            if result.status == "accepted":
                strand.keep(state.tick, self.account.numbered - 1)
            else:
                strand.cut()
            return result
        finally:
            self._admitting = False

    def _admit_those_aside(self) -> None:
        while self._aside:
            each = self._aside.popleft()
            if isinstance(each, StateFrame):
                for strand in self._strands:
                    if strand.due(each.tick):
                        self._send(strand, each, patient=False)
            else:
                self._admitting = True
                try:
                    self._admit(each, patient=False)
                finally:
                    self._admitting = False

    def _draft_of(self, message: Message) -> _Draft:
        if self.fatal:
            return _NO_DRAFT
        try:
            body, shedding = self._encoder.body(message, self.clock.wall())
            self._tick = message.tick
        except Exception as error:  # noqa: BLE001 - a third party's event may raise anything; the run must continue
            return _refused(error)
        return body, shedding, "", None

    def _draft_next(self, strand: Strand, state: StateFrame) -> _Draft:
        if self.fatal:
            return _NO_DRAFT
        try:
            each = strand.next(state.frame)
            record = Record(each.kind, state.tick, each.data, each.baseseq, each.state)
            body = self._encoder.state_body(record, self.clock.wall())
            self._tick = state.tick
        except Exception as error:  # noqa: BLE001 - as above
            return _refused(error)
        return body, Shedding.BULK, "", each.baseseq

    def _admit(self, draft: _Draft, *, patient: bool) -> EmitResult:
        body, shedding, refusal, base = draft
        fits = self._fits(draft)
        if patient and not fits:
            self._wait_for_room(draft)
            fits = self._fits(draft)
        if refusal or self.phase != "open":
            refusal = refusal or _REJECTIONS[self.phase]
            self.account.reject(refusal)
            return EmitResult("rejected", refusal)
        sequence = self.account.numbered
        line = seal(body, sequence)
        self.account.number(shedding)
        if self.fatal:
            self.account.drop(self.fatal, shedding)
            return EmitResult("dropped", self.fatal)
        size = len(line)
        if size > SOFT_EVENT_BYTES:
            self.account.note_long()
        if not fits and not self._make_room(shedding, size, sequence):
            return EmitResult("dropped", BUFFER_FULL)
        self.buffer.append((sequence, line, shedding, base))
        if self._asleep != "no" and (self._asleep == "idle" or self._batch_is_full()):
            self.wake()
        return _ACCEPTED

    def _fits(self, draft: _Draft) -> bool:
        return self.buffer.fits(draft[1], len(draft[0]) + SEAL_BYTES)

    def _make_room(self, shedding: Shedding, size: int, sequence: int) -> bool:
        """Drop lines to make room for a line; the line itself may be dropped."""
        gone, fits = self.buffer.shed_for(shedding, size)
        if not fits:
            gone.append(Shed(sequence, shedding, BUFFER_FULL))
        self.shed_since_move = True
        self._drop(gone)
        if not fits and self._asleep == "idle":
            self.wake()
        return fits

    def _drop(self, gone: Sequence[Shed]) -> None:
        for sequence, shedding, reason in gone:
            self.account.drop(reason, shedding)
            self.losses.dropped(sequence)
            self.losses.note(reason, ((sequence, sequence),))
            self.stopwatch.note_dropped(sequence)
        if any(each.shedding is Shedding.BULK for each in gone):
            self.cut_strands()

    def cut_strands(self) -> None:
        """Make the next state messages whole, because their bases may never arrive."""
        for strand in self._strands:
            strand.cut()

    def _wait_for_room(self, draft: _Draft) -> None:
        body, shedding, refusal, _ = draft
        size, buffer = len(body) + SEAL_BYTES, self.buffer
        if refusal or not buffer.could_fit(shedding, size):
            return
        # During the wait other threads may take the lock, and admit their own messages.
        self._admitting = False
        try:
            while self.phase == "open" and not self.fatal and not buffer.fits(shedding, size):
                if self._asleep != "no":
                    self.wake()
                patience = self.moved_at + PATIENCE - self.clock.monotonic()
                if patience <= 0:
                    return
                self.clock.wait(self.room, patience)
        finally:
            self._admitting = True

    def _batch_is_full(self) -> bool:
        return self.buffer.events >= self._batch_events or self.buffer.size >= self._batch_bytes

    def wake(self) -> None:
        """Wake the worker; with the lock held."""
        if self._asleep != "no":
            # A worker that slept without work is not stuck: its time counts from now.
            self._asleep = "no"
            self.moved_at = self._woken_at = self.clock.monotonic()
        self.work.notify()

    # ---- the worker's thread -------------------------------------------------------------------

    def records_of(self, losses: Sequence[Loss]) -> list[Line]:
        """Encode records of the losses of earlier runs, with the first numbers; see ``begin_with``."""
        lines: list[Line] = []
        for part in (part for loss in losses for part in parts_of(loss)):
            body, shedding = self._encoder.body(Diagnostic(0, record_of_loss(part)), self.clock.wall())
            lines.append((len(lines), seal(body, len(lines)), shedding, None))
        return lines

    def begin_with(self, lines: Sequence[Line]) -> None:
        """Count lines that were in the outbox before the first message."""
        self.account.begin_with(shedding for _, _, shedding, _ in lines)

    def await_batch(self, most: int) -> Sequence[Line]:
        """Wait for lines and take a batch of at most ``most``; empty when there will be no more."""
        with self.lock:
            while True:
                self._await_work()
                if self.is_over():
                    return ()
                self._account_for_found()
                self._declare_losses()
                if self.buffer.events:
                    break
            self._taken_at = self.clock.monotonic()
            return self.buffer.take(self._batch_events, self._batch_bytes)[:most]

    def is_over(self) -> bool:
        """Return whether the worker has no more work; with the lock held."""
        if self.phase == "closing":
            return (not self._has_work() and self.sender_is_dry) or self.is_late()
        return self.phase == "closed" or bool(self.fatal)

    def is_late(self) -> bool:
        """Return whether a stop must end now, or has ended; with the lock held."""
        if self.phase == "closing":
            return self.is_overdue or self.clock.monotonic() >= self.deadline
        return self.phase == "closed"

    def _has_work(self) -> bool:
        declarable = self.losses.pending and not self.troubled
        return bool(self.buffer.events or self.found_lost or declarable)

    def _await_work(self) -> None:
        while not self._has_work() and not self.is_over():
            self._asleep = "idle"
            self.clock.wait(self.work, None)
        if not (self.buffer.in_flight or self._batch_is_full()):
            while (rest := self._time_to_gather()) > 0:
                self._asleep = "gathering"
                self.clock.wait(self.work, rest)
                if self._asleep == "no":
                    break
        self._asleep = "no"

    def _time_to_gather(self) -> float:
        if self.phase != "open":
            return 0.0
        # All waiting lines came after the latest batch was taken, or after the worker fell asleep.
        return max(self._taken_at, self._woken_at) + LINGER - self.clock.monotonic()

    def _account_for_found(self) -> None:
        """Count the losses of the outbox; done by the committer, so that all own rows are counted before."""
        found, self.found_lost = self.found_lost, []
        for loss in found:
            self.losses.note(loss.reason, loss.ranges, loss.source)
            if loss.source == self.source:
                self.cut_strands()
                self._count_lost_rows(loss)

    def _count_lost_rows(self, loss: Loss) -> None:
        """Count by rows, because the ranges may include numbers that were dropped between them.

        The class of a lost row is unknown; most are facts.
        """
        if loss.rows:
            self.account.drop(loss.reason, Shedding.NORMAL, loss.rows, spooled=True)

    def count_lost_at_close(self, found: Sequence[Loss]) -> None:
        """Count the losses that the outbox found when it was closed; the next run declares them."""
        with self.lock:
            for loss in found:
                if self.phase != "closed" and loss.source == self.source:
                    self._count_lost_rows(loss)

    def note_found(self, found: Sequence[Loss]) -> None:
        """Keep losses that the outbox found for the committer to count; with the lock held."""
        if found:
            self.found_lost += found
            if any(loss.reason == OUTBOX_REMOVED for loss in found):
                self.note_fault(OUTBOX_REMOVED, f"{OUTBOX_REMOVED}: the outbox was removed while in use")
            self.wake()

    def _declare_losses(self) -> None:
        """Put records of losses into the buffer; with the lock held."""
        if self.troubled or not self.losses.pending:
            return
        while (part := self.losses.next_part(self._most_ranges)) is not None:
            record = Diagnostic(self._tick, record_of_loss(part))
            body, shedding = self._encoder.body(record, self.clock.wall())
            # A loss record displaces no other message; without room now, it is added later.
            if self.buffer.events and not self.buffer.fits(shedding, len(body) + SEAL_BYTES):
                return
            sequence = self.account.number(shedding)
            self.losses.sent(sequence, part)
            self.buffer.append((sequence, seal(body, sequence), shedding, None))

    def deliver(self, batch: Batch, count: int, *, spooled: bool) -> None:
        """Count the first ``count`` lines of a batch, which the destination has."""
        with self.lock:
            if self.phase == "closed":
                return
            if not spooled:
                self._take_off(count)
            if batch.source == self.source:
                numbers = batch.sequences[:count]
                self.account.deliver(numbers, batch.lines[:count], spooled=spooled)
                self.stopwatch.note_delivered(numbers)
            # The committer checks at the latest when the sender finds the outbox empty.
            self.losses.release()

    def spool(self, count: int) -> None:
        """Count the first ``count`` lines in flight, which the outbox has."""
        with self.lock:
            if self.phase != "closed":
                self._take_off(count)
                self.account.spool(count)

    def put_aside(self, batch: Batch, reason: str, *, kept: bool, spooled: bool) -> None:
        """Count the only line of a batch, which the destination refuses for good, and declare it lost.

        Args:
            batch: the line.
            reason: the reason in the loss record.
            kept: whether the line is a dead letter; otherwise it is dropped.
            spooled: whether it comes from the outbox.
        """
        with self.lock:
            if self.phase == "closed":
                return
            # The class of a row is not kept; most are facts.
            shedding = Shedding.NORMAL if spooled else self.buffer.in_flight[0][2]
            if not spooled:
                self._take_off(1)
            if batch.source == self.source:
                if kept:
                    self.account.dead_letter(spooled=spooled)
                else:
                    self.account.drop(reason, shedding, spooled=spooled)
                self.cut_strands()
            self._declare_refused(batch, reason)
            if spooled:
                self.wake()

    def _declare_refused(self, batch: Batch, reason: str) -> None:
        number = batch.sequences[0]
        own = ((number, number),)
        if _LOSS_TYPE in batch.lines[0][:_HEAD]:
            # The losses in a refused record are undeclared again. A record about it could be refused, too,
            # and so on without end, so it waits until the destination accepts something.
            named = orjson.loads(batch.lines[0])["data"]
            self.losses.hold(named["reason"], named["ranges"], named["source"])
            self.losses.hold(reason, own, batch.source)
        else:
            self.losses.note(reason, own, batch.source)

    def _take_off(self, count: int) -> None:
        """Remove the first ``count`` lines in flight, which have arrived; with the lock held."""
        if count:
            self.losses.settled(self.buffer.in_flight[count - 1][0])
            self.buffer.settle(count)
        self.moved_at = self.clock.monotonic()
        self.shed_since_move = self.troubled = False
        self.room.notify_all()

    def note_fault(self, code: str, text: str) -> bool:
        """Record a fault; returns whether the sink is still in use."""
        with self.lock:
            if self.phase == "closed":
                return False
            # An interruption by a stop says less than the error before it.
            if code != INTERRUPTED or self.last_error is None:
                self.last_error = text
                self.error = ErrorHealth(code, self._tick)
            return True

    def fail(self, code: str) -> None:
        """Accept no more messages, for the reason ``code``; with the lock held."""
        self.fatal = code
        self.drop_all(code)

    def drop_all(self, reason: str) -> None:
        """Drop all waiting messages; with the lock held."""
        for each in self.buffer.clear(reason):
            self.account.drop(reason, each.shedding)
        self.room.notify_all()
