"""The town's side of a sink: encode, number, hold; and give up what there is no room for."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final, Literal, TypeAlias

from townlet_adapters.telemetry.clock import Clock
from townlet_adapters.telemetry.delivery.buffer import BUFFER_FULL, BoundedBuffer, Line, Shed
from townlet_adapters.telemetry.delivery.losses import MOST_RANGES, Losses, parts_of, record_of_loss
from townlet_adapters.telemetry.delivery.meters import ACK_BOUNDS, EMIT_BOUNDS, Account, Meter
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
from townlet_core.ports.transport import INTERRUPTED

Phase: TypeAlias = Literal["new", "open", "closing", "closed"]

UNDELIVERED: Final = "undelivered_at_stop"
PATIENCE: Final = 0.1  # seconds since the worker last moved, for which a full buffer is waited for
LINGER: Final = 0.04  # seconds the worker gathers events for one write, so that none waits longer than 50 ms
BATCH_EVENTS: Final = 512
BATCH_BYTES: Final = 1 << 20

_RANGE_BYTES: Final = (
    128  # a loss record names one range for so many bytes of buffer, so that it fits a small one
)
_ACCEPTED: Final = EmitResult("accepted")
_CLOSED_DOORS: Final[dict[Phase, str]] = {
    "new": "not_started",
    "open": "",
    "closing": "stopped",
    "closed": "stopped",
}


_Draft: TypeAlias = tuple[bytes, Shedding, str, int | None]
"""An envelope that wants its number, its class, and the number of the message that it is a patch of; or no
envelope, but the reason why. A plain tuple: the town makes one for every message."""

# A failed sink writes nothing any more, so encoding for it would be work for nobody.
_NO_DRAFT: Final[_Draft] = (b"", Shedding.NORMAL, "", None)


def _refused(error: Exception) -> _Draft:
    if isinstance(error, EnvelopeError):
        return b"", Shedding.NORMAL, error.reason, None
    return b"", Shedding.NORMAL, "too_deep" if isinstance(error, RecursionError) else "not_json", None


class Intake:
    """What the town and the workers of one sink share, under one re-entrant lock.

    Attributes:
        lock: guards everything below, and everything that errands account for.
        work: where a worker waits that empties the buffer.
        room: where the town waits for room.
        source: ``source`` of the envelopes.
        phase: where the sink is in its life.
        deadline: monotonic time at which a stop is over.
        is_overdue: whether whoever stops has no more patience.
        buffer: what waits in memory.
        account: the counters.
        losses: numbers that no record names yet.
        found_lost: what the outbox found damaged, and nobody accounted for yet.
        fatal: code of the fault after which nothing is taken any more.
        last_error: the latest error, in words.
        error: the same for monitors.
        moved_at: when the buffer was emptied a little, or began to be filled.
        shed_since_move: whether anything was given up since then.
        troubled: whether the worker's latest attempt failed.
        acked_through: highest number of ours that the destination has, -1 for none.
        sender_is_dry: whether a sender found nothing in the outbox since the latest commit.
        emit_times: how long a sample of calls of ``emit`` took.
        ack_times: how long a sample of messages took until the destination had them.
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
        """Begin without a message.

        Args:
            source: ``source`` of the envelopes.
            buffer: where messages are held; empty.
            strands: what a ``StateFrame`` is sent as; nothing for whole frames.
            clock: the time.
            patient: whether a full buffer is waited for while the worker moves.
            note_emitted: told of how many numbers were given, before anybody may use the latest.
        """
        self.source = source
        self.clock = clock
        self._patient = patient
        self._note_emitted = note_emitted
        self._speller = Encoder(source)
        self._batch_events = max(1, min(BATCH_EVENTS, buffer.capacity_events // 2))
        # A batch is at most half the buffer, so that there is room for more while it is written.
        self._batch_bytes = min(BATCH_BYTES, buffer.capacity_bytes // 2)
        self._most_ranges = max(1, min(MOST_RANGES, buffer.capacity_bytes // _RANGE_BYTES))

        self.lock = threading.RLock()
        self.work = threading.Condition(self.lock)
        self.room = threading.Condition(self.lock)
        self._admitting = False
        self._aside: deque[_Draft | StateFrame] = deque()
        self._strands = strands
        self._asleep: str = "no"  # or "idle", or "gathering"; a literal type would hide that others change it
        self._taken_at = self._woken_at = 0.0

        self.phase: Phase = "new"
        self.deadline = 0.0
        self.is_overdue = False
        self.buffer = buffer
        self.account = Account()
        self.losses = Losses(source)
        self.found_lost: list[Loss] = []
        self.fatal = ""
        self.last_error: str | None = None
        self.error: ErrorHealth | None = None
        self._tick = 0
        self.moved_at = clock.monotonic()
        self.shed_since_move = False
        self.troubled = False
        self.acked_through = -1
        self.sender_is_dry = True
        self.emit_times = Meter(EMIT_BOUNDS)
        self.ack_times = Meter(ACK_BOUNDS)
        self._watched: tuple[int, float] | None = None

    # ---- the town's thread ---------------------------------------------------------------------

    def emit(self, message: Message) -> EmitResult:
        """Encode the message and hold it for the worker; see ``DeliveringSink.emit``."""
        if self._strands and isinstance(message, StateFrame):
            return self._emit_state(message)
        draft = self._draft_of(message)
        with self.lock:
            if self._admitting:
                # A signal handler emits within our own emit: that one takes it along when it is done.
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

    def emit_timed(self, message: Message) -> EmitResult:
        """Do the same, and take the time of it, and of the message's way to its destination."""
        before = perf_counter()
        if self._watched is None:
            self._watched = self.account.numbered, before
        result = self.emit(message)
        self.emit_times.add(perf_counter() - before)
        return result

    def _emit_state(self, state: StateFrame) -> EmitResult:
        """Send a frame in strands; under the lock as a whole, for each message builds on the one before."""
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
                    # To make room, older state goes, and with it what the patch is based on.
                    strand.cut()
                if strand.changes != changes:
                    # That, or somebody else emitted while we waited, and the base is no longer the last one.
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
            body, shedding = self._speller.body(message, self.clock.wall())
            self._tick = message.tick
        except Exception as error:  # noqa: BLE001 - a third party's event may raise anything; the town must go on
            return _refused(error)
        return body, shedding, "", None

    def _draft_next(self, strand: Strand, state: StateFrame) -> _Draft:
        if self.fatal:
            return _NO_DRAFT
        try:
            each = strand.next(state.frame)
            record = Record(each.kind, state.tick, each.data, each.baseseq, each.state)
            body = self._speller.state_body(record, self.clock.wall())
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
            refusal = refusal or _CLOSED_DOORS[self.phase]
            self.account.rejected[refusal] += 1
            return EmitResult("rejected", refusal)
        sequence = self.account.numbered
        line = seal(body, sequence)
        self._number(shedding)
        if self.fatal:
            self.account.dropped[self.fatal, shedding] += 1
            return EmitResult("dropped", self.fatal)
        size = len(line)
        if size > SOFT_EVENT_BYTES:
            self.account.long += 1
        if not fits and not self._make_room(shedding, size, sequence):
            return EmitResult("dropped", BUFFER_FULL)
        self.buffer.append((sequence, line, shedding, base))
        if self._asleep != "no" and (self._asleep == "idle" or self._batch_is_full()):
            self.wake()
        return _ACCEPTED

    def _fits(self, draft: _Draft) -> bool:
        return self.buffer.fits(draft[1], len(draft[0]) + SEAL_BYTES)

    def _number(self, shedding: Shedding) -> int:
        """Give the next number away."""
        account = self.account
        number = account.numbered
        account.numbered = number + 1
        account.by_class[shedding] += 1
        if self._note_emitted is not None:
            self._note_emitted(number + 1)
        return number

    def _make_room(self, shedding: Shedding, size: int, sequence: int) -> bool:
        """Give up what must go for a line; that may be the line itself."""
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
            self.account.dropped[reason, shedding] += 1
            self.losses.gave_up(sequence)
            self.losses.note(reason, ((sequence, sequence),))
            if self._watched is not None and self._watched[0] == sequence:
                self._watched = None
        if any(each.shedding is Shedding.BULK for each in gone):
            self.cut_strands()

    def cut_strands(self) -> None:
        """Make the next state messages whole: what they would build on may never arrive."""
        for strand in self._strands:
            strand.cut()

    def _wait_for_room(self, draft: _Draft) -> None:
        body, shedding, refusal, _ = draft
        size, buffer = len(body) + SEAL_BYTES, self.buffer
        if refusal or not buffer.could_fit(shedding, size):
            return
        # While we wait, others may have the lock, and their messages are their own to admit.
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
        """Let the worker look for work; with the lock held."""
        if self._asleep != "no":
            # A worker that slept for want of work is not stuck: its patience starts now.
            self._asleep = "no"
            self.moved_at = self._woken_at = self.clock.monotonic()
        self.work.notify()

    # ---- the worker's thread -------------------------------------------------------------------

    def records_of(self, losses: Sequence[Loss]) -> list[Line]:
        """Spell records of what earlier runs lost, with the first numbers of all; see ``begin_with``."""
        lines: list[Line] = []
        for part in (part for loss in losses for part in parts_of(loss)):
            body, shedding = self._speller.body(Diagnostic(0, record_of_loss(part)), self.clock.wall())
            lines.append((len(lines), seal(body, len(lines)), shedding, None))
        return lines

    def begin_with(self, lines: Sequence[Line]) -> None:
        """Count lines that are in the outbox before the first message."""
        self.account.numbered = self.account.spooled = len(lines)
        for _, _, shedding, _ in lines:
            self.account.by_class[shedding] += 1

    def await_batch(self, most: int) -> Sequence[Line]:
        """Wait for lines and take a batch of at most ``most``, empty when there will be none any more."""
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
        """Whether the worker has nothing to do any more; with the lock held."""
        if self.phase == "closing":
            return (not self._has_work() and self.sender_is_dry) or self.is_late()
        return self.phase == "closed" or bool(self.fatal)

    def is_late(self) -> bool:
        """Whether a stop has to end now, or has ended; with the lock held."""
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
        # Whatever waits came after the latest batch was taken, or after we fell asleep.
        return max(self._taken_at, self._woken_at) + LINGER - self.clock.monotonic()

    def _account_for_found(self) -> None:
        """Account for what the outbox lost; by the one who commits, so that every row of ours is settled."""
        found, self.found_lost = self.found_lost, []
        for loss in found:
            self.losses.note(loss.reason, loss.ranges, loss.source)
            if loss.source == self.source:
                self.cut_strands()
                self._count_lost_rows(loss)

    def _count_lost_rows(self, loss: Loss) -> None:
        """Count by rows, since the ranges may name again what was shed between them.

        The class of a row is lost with it; most are facts.
        """
        if loss.rows:
            self.account.spooled -= loss.rows
            self.account.dropped[loss.reason, Shedding.NORMAL] += loss.rows

    def count_lost_at_close(self, found: Sequence[Loss]) -> None:
        """Count what the outbox found lost when it was closed; the next run declares it."""
        with self.lock:
            for loss in found:
                if self.phase != "closed" and loss.source == self.source:
                    self._count_lost_rows(loss)

    def note_found(self, found: Sequence[Loss]) -> None:
        """Keep what the outbox found lost for the committer to account for; with the lock held."""
        if found:
            self.found_lost += found
            if any(loss.reason == OUTBOX_REMOVED for loss in found):
                self.note_fault(OUTBOX_REMOVED, f"{OUTBOX_REMOVED}: the outbox was removed while it was used")
            self.wake()

    def _declare_losses(self) -> None:
        """Put records of what was lost into the buffer; with the lock held."""
        if self.troubled or not self.losses.pending:
            return
        while (part := self.losses.next_part(self._most_ranges)) is not None:
            record = Diagnostic(self._tick, record_of_loss(part))
            body, shedding = self._speller.body(record, self.clock.wall())
            # What tells of a loss makes nobody go; where there is no room now, there will be.
            if self.buffer.events and not self.buffer.fits(shedding, len(body) + SEAL_BYTES):
                return
            sequence = self._number(shedding)
            self.losses.sent(sequence, part)
            self.buffer.append((sequence, seal(body, sequence), shedding, None))

    def take_off(self, count: int) -> None:
        """Forget the first ``count`` lines in flight, which have arrived; with the lock held."""
        if count:
            self.losses.settled(self.buffer.in_flight[count - 1][0])
            self.buffer.settle(count)
        self.moved_at = self.clock.monotonic()
        self.shed_since_move = self.troubled = False
        self.room.notify_all()

    def note_acknowledged(self, sequences: Sequence[int]) -> None:
        """Note that the destination has these numbers of ours; with the lock held."""
        self.acked_through = sequences[-1]
        if self._watched is not None and self._watched[0] <= sequences[-1]:
            watched, since = self._watched
            if watched in sequences:
                self.ack_times.add(perf_counter() - since)
            self._watched = None

    def note_fault(self, code: str, text: str) -> bool:
        """Take note of a fault; returns whether anybody still cares."""
        with self.lock:
            if self.phase == "closed":
                return False
            # What a stop broke off says less than what went wrong before.
            if code != INTERRUPTED or self.last_error is None:
                self.last_error = text
                self.error = ErrorHealth(code, self._tick)
            return True

    def fail(self, code: str) -> None:
        """Take nothing any more, for the reason ``code``; with the lock held."""
        self.fatal = code
        self.give_up(code)

    def give_up(self, reason: str) -> None:
        """Drop all that waits; with the lock held."""
        for each in self.buffer.clear(reason):
            self.account.dropped[reason, each.shedding] += 1
        self.room.notify_all()
