"""What waits between the town and the workers of a sink, and what became of it."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from townlet_adapters.telemetry.clock import Clock
from townlet_adapters.telemetry.delivery.account import Account
from townlet_adapters.telemetry.delivery.buffer import BUFFER_FULL, BoundedBuffer, Line, Shed
from townlet_adapters.telemetry.delivery.drafts import Drafter
from townlet_adapters.telemetry.delivery.life import Life
from townlet_adapters.telemetry.delivery.losses import MOST_RANGES, Losses, parts_of
from townlet_adapters.telemetry.delivery.meters import Stopwatch
from townlet_adapters.telemetry.delivery.pulse import Pulse
from townlet_adapters.telemetry.envelope import SEAL_BYTES, Shedding, seal
from townlet_adapters.telemetry.spool.base import OUTBOX_REMOVED, Loss
from townlet_core.ports.transport import Batch

BATCH_EVENTS: Final = 512
BATCH_BYTES: Final = 1 << 20

_LOSS_TYPE: Final = b'"type":"townlet.telemetry.loss"'
_HEAD: Final = 1024  # bytes of a line that hold its type
_RANGE_BYTES: Final = 128  # a loss record has at most one range per 128 bytes of buffer, to fit a small one


class Intake:
    """Messages between the town and the workers of one sink, under one re-entrant lock.

    Others change it only by its verbs. The town's side is ``Admission``.

    Attributes:
        source: ``source`` of the envelopes.
        clock: the clock.
        lock: guards everything here, and the phase, the account and the buffer.
        work: the condition that the worker of the buffer waits on.
        room: the condition that the town waits on for room.
        life: the phase of the sink.
        account: the counters.
        stopwatch: durations of a sample of messages.
        buffer: messages waiting in memory.
        shed_since_move: whether a message was dropped since the buffer was last emptied in part.
        sender_is_dry: whether a sender found nothing in the outbox since the latest commit.
    """

    def __init__(
        self,
        source: str,
        buffer: BoundedBuffer,
        drafter: Drafter,
        clock: Clock,
        note_numbered: Callable[[int], None] | None = None,
    ) -> None:
        """Start without a message.

        Args:
            source: ``source`` of the envelopes.
            buffer: holds messages; empty.
            drafter: encodes the records of losses; the strands of the town's state.
            clock: the clock.
            note_numbered: called with the count of given numbers, before the latest is used.
        """
        self.source = source
        self.clock = clock
        self._batch_events = max(1, min(BATCH_EVENTS, buffer.capacity_events // 2))
        # A batch is at most half the buffer, so that there is room for new messages while it is written.
        self._batch_bytes = min(BATCH_BYTES, buffer.capacity_bytes // 2)
        self._most_ranges = max(1, min(MOST_RANGES, buffer.capacity_bytes // _RANGE_BYTES))

        self.lock = threading.RLock()
        self.work = threading.Condition(self.lock)
        self.room = threading.Condition(self.lock)
        self.life = Life(clock)
        self.account = Account(note_numbered)
        self.stopwatch = Stopwatch()
        self.buffer = buffer
        self._drafter = drafter
        self._losses = Losses(source)  # numbers that no record declares yet
        self._found_lost = False  # whether the outbox found losses that were not taken from it yet
        self._pulse = Pulse(clock)
        self._troubled = False  # whether the worker's latest attempt failed
        self.shed_since_move = False
        self.sender_is_dry = True

    # ---- the sink's life -----------------------------------------------------------------------

    def open(self) -> None:
        """Accept messages from now on."""
        self.life.open()
        self._pulse.move()

    def wake_all(self) -> None:
        """Make the town and the worker check the phase; with the lock held."""
        self.work.notify_all()
        self.room.notify_all()

    def note_fault(self, code: str, text: str) -> bool:
        """Record a fault; returns whether the sink is still in use."""
        with self.lock:
            return self.life.note_fault(code, text, self._drafter.tick)

    def note_trouble(self, code: str, text: str, *, fatal: bool) -> bool:
        """Record a fault of the buffer's worker; a fatal one ends the sink."""
        with self.lock:
            cares = self.note_fault(code, text)
            if cares:
                self._troubled = True
                if fatal:
                    self.life.fail(code)
                    self.drop_all(code)
            return cares

    def drop_all(self, reason: str) -> None:
        """Drop all waiting messages; with the lock held."""
        for each in self.buffer.clear(reason):
            self.account.drop(reason, each.shedding)
        self.room.notify_all()

    # ---- the town's thread ---------------------------------------------------------------------

    def hold(self, line: Line) -> None:
        """Keep a line that fits for the worker; with the lock held."""
        self.buffer.append(line)
        asleep = self._pulse.asleep
        if asleep != "no" and (asleep == "idle" or self._batch_is_full()):
            self.wake()

    def make_room(self, shedding: Shedding, size: int, sequence: int) -> bool:
        """Drop lines to make room for a line; the line itself may be dropped; with the lock held."""
        gone, fits = self.buffer.shed_for(shedding, size)
        if not fits:
            gone.append(Shed(sequence, shedding, BUFFER_FULL))
        self.shed_since_move = True
        self._drop(gone)
        if not fits and self._pulse.asleep == "idle":
            self.wake()
        return fits

    def _drop(self, gone: Sequence[Shed]) -> None:
        for sequence, shedding, reason in gone:
            self.account.drop(reason, shedding)
            self._losses.dropped(sequence)
            self._losses.note(reason, ((sequence, sequence),))
            self.stopwatch.note_dropped(sequence)
        if any(each.shedding is Shedding.BULK for each in gone):
            self._drafter.cut()

    def wait_for_room(self, shedding: Shedding, size: int) -> None:
        """Wait until a line fits, for as long as the worker makes progress; releases the lock meanwhile."""
        life, buffer = self.life, self.buffer
        while life.phase == "open" and not life.fatal and not buffer.fits(shedding, size):
            if self._pulse.asleep != "no":
                self.wake()
            patience = self._pulse.patience()
            if patience <= 0:
                return
            self.clock.wait(self.room, patience)

    def _batch_is_full(self) -> bool:
        return self.buffer.events >= self._batch_events or self.buffer.size >= self._batch_bytes

    def wake(self) -> None:
        """Wake the worker; with the lock held."""
        self._pulse.wake()
        self.work.notify()

    # ---- the worker's thread -------------------------------------------------------------------

    def records_of(self, losses: Sequence[Loss]) -> list[Line]:
        """Encode records of the losses of earlier runs, with the first numbers; see ``begin_with``."""
        lines: list[Line] = []
        for part in (part for loss in losses for part in parts_of(loss)):
            body, shedding = self._drafter.draft_loss(part)
            lines.append((len(lines), seal(body, len(lines)), shedding, None))
        return lines

    def begin_with(self, lines: Sequence[Line]) -> None:
        """Count lines that were in the outbox before the first message."""
        self.account.begin_with(shedding for _, _, shedding, _ in lines)

    def await_batch(self, most: int, take_losses: Callable[[], Sequence[Loss]] = tuple) -> Sequence[Line]:
        """Wait for lines and take a batch of at most ``most``; empty when there will be no more.

        ``take_losses`` returns what the outbox found lost. It is called here, in the thread that commits, so
        that ``undeclared`` or a record has every loss that the outbox regards as taken at the next commit.
        """
        with self.lock:
            while True:
                self._await_work()
                if self.is_over():
                    return ()
                self._found_lost = False
                self._account_for(take_losses())
                self._declare_losses()
                if self.buffer.events:
                    break
            self._pulse.take()
            return self.buffer.take(self._batch_events, self._batch_bytes)[:most]

    def is_over(self) -> bool:
        """Return whether the worker has no more work; with the lock held."""
        if self.life.phase == "closing":
            return (not self._has_work() and self.sender_is_dry) or self.life.is_late()
        return self.life.phase == "closed" or bool(self.life.fatal)

    def waiting_since(self) -> float | None:
        """Return when the buffer started to fill, or was last emptied in part; None when it is empty."""
        return self._pulse.moved_at if self.buffer.events else None

    def undeclared(self, through: int) -> tuple[Loss, ...]:
        """Return the losses that no record up to the number ``through`` declares; with the lock held."""
        return self._losses.undeclared(through)

    def note_sender(self, *, dry: bool) -> None:
        """Record whether the sender found nothing in the outbox; with the lock held."""
        self.sender_is_dry = dry
        if dry:
            self.wake()

    def _has_work(self) -> bool:
        declarable = self._losses.pending and not self._troubled
        return bool(self.buffer.events or self._found_lost or declarable)

    def _await_work(self) -> None:
        while not self._has_work() and not self.is_over():
            self._pulse.fall_asleep("idle")
            self.clock.wait(self.work, None)
        if not (self.buffer.in_flight or self._batch_is_full()):
            while (rest := self._time_to_gather()) > 0:
                self._pulse.fall_asleep("gathering")
                self.clock.wait(self.work, rest)
                if self._pulse.asleep == "no":
                    break
        self._pulse.end_sleep()

    def _time_to_gather(self) -> float:
        return self._pulse.time_to_gather() if self.life.phase == "open" else 0.0

    def _account_for(self, found: Sequence[Loss]) -> None:
        """Count the losses of the outbox; done by the committer, so that all own rows are counted before."""
        self._note_removal(found)
        for loss in found:
            self._losses.note(loss.reason, loss.ranges, loss.source)
            if loss.source == self.source:
                self._drafter.cut()
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
            self._note_removal(found)
            for loss in found:
                if self.life.phase != "closed" and loss.source == self.source:
                    self._count_lost_rows(loss)

    def note_found(self) -> None:
        """Make the committer take what the outbox found lost; with the lock held."""
        self._found_lost = True
        self.wake()

    def _note_removal(self, found: Sequence[Loss]) -> None:
        if any(loss.reason == OUTBOX_REMOVED for loss in found):
            self.note_fault(OUTBOX_REMOVED, f"{OUTBOX_REMOVED}: the outbox was removed while in use")

    def _declare_losses(self) -> None:
        """Put records of losses into the buffer; with the lock held."""
        if self._troubled or not self._losses.pending:
            return
        while (part := self._losses.next_part(self._most_ranges)) is not None:
            body, shedding = self._drafter.draft_loss(part)
            # A loss record displaces no other message; without room now, it is added later.
            if self.buffer.events and not self.buffer.fits(shedding, len(body) + SEAL_BYTES):
                return
            sequence = self.account.number(shedding)
            self._losses.sent(sequence, part)
            self.buffer.append((sequence, seal(body, sequence), shedding, None))

    def deliver(self, batch: Batch, count: int, *, spooled: bool) -> None:
        """Count the first ``count`` lines of a batch, which the destination has."""
        with self.lock:
            if self.life.phase == "closed":
                return
            if not spooled:
                self._take_off(count)
            if batch.source == self.source:
                numbers = batch.sequences[:count]
                self.account.deliver(numbers, batch.lines[:count], spooled=spooled)
                self.stopwatch.note_delivered(numbers)
            # The committer checks at the latest when the sender finds the outbox empty.
            self._losses.release()

    def spool(self, count: int) -> None:
        """Count the first ``count`` lines in flight, which the outbox has."""
        with self.lock:
            if self.life.phase != "closed":
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
            if self.life.phase == "closed":
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
                self._drafter.cut()
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
            self._losses.hold(named["reason"], named["ranges"], named["source"])
            self._losses.hold(reason, own, batch.source)
        else:
            self._losses.note(reason, own, batch.source)

    def _take_off(self, count: int) -> None:
        """Remove the first ``count`` lines in flight, which have arrived; with the lock held."""
        if count:
            self._losses.settled(self.buffer.in_flight[count - 1][0])
            self.buffer.settle(count)
        self._pulse.move()
        self.shed_since_move = self._troubled = False
        self.room.notify_all()
