"""The errands of a sink's couriers: buffer to destination, or buffer to outbox and outbox to destination."""

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from townlet_adapters.telemetry.delivery.deadletters import DeadLetters
from townlet_adapters.telemetry.delivery.intake import BATCH_BYTES, BATCH_EVENTS, Intake
from townlet_adapters.telemetry.spool.base import Loss, Row
from townlet_core.events.health import SpoolHealth
from townlet_core.ports.transport import Batch, Transport, TransportError

DEAD_LETTERED: Final = "dead_lettered"
REFUSED: Final = "refused_by_peer"


class OutboxProtocol(Protocol):
    """The interface of an outbox for delivery; ``spool.outbox.Outbox`` documents its guarantees."""

    def open(self, source: str) -> tuple[Loss, ...]:
        """Open the folder, and return the losses of earlier runs."""
        ...

    def begin(self, rows: Sequence[Row]) -> None:
        """Commit the first rows of this run."""
        ...

    def note_emitted(self, count: int) -> None:
        """Record that the numbers below ``count`` were given out."""
        ...

    def commit(self, rows: Sequence[Row], undeclared: Sequence[Loss]) -> None:
        """Store rows, all or none, and the losses that no row declares."""
        ...

    def read(self, most_events: int, most_bytes: int) -> Batch | None:
        """Return the oldest rows that are not acknowledged, of one source."""
        ...

    def acknowledge(self, source: str, through: int) -> int:
        """Settle rows; returns their number."""
        ...

    def has_losses(self) -> bool:
        """Return whether damage was found since the last ``take_losses``."""
        ...

    def take_losses(self) -> tuple[Loss, ...]:
        """Return the damage found since the last call; only the committer calls it."""
        ...

    def stats(self) -> SpoolHealth:
        """Return what waits."""
        ...

    def close(self) -> None:
        """Release the folder."""
        ...

    def abandon(self) -> None:
        """Release it after a fork."""
        ...


class _FromBuffer:
    """Takes lines from the buffer, in order."""

    def __init__(self, intake: Intake, take_losses: Callable[[], Sequence[Loss]] = tuple) -> None:
        self._intake = intake
        self._take_losses = take_losses
        self._phase = intake.life.phase

    def load(self, most: int) -> Batch | None:
        """Wait for lines in the buffer."""
        lines = self._intake.await_batch(most, self._take_losses)
        self._phase = self._intake.life.phase
        if not lines:
            return None
        return Batch(self._intake.source, [each[0] for each in lines], [each[1] for each in lines])

    def note_fault(self, code: str, text: str, *, fatal: bool) -> bool:
        """Record a fault; a fatal one ends the sink."""
        return self._intake.note_trouble(code, text, fatal=fatal)

    def rest(self, seconds: float) -> None:
        """Wait; a stop since the last load is worth one attempt at once."""
        _rest(self._intake, self._intake.work, self._phase, seconds)

    def idle_since(self) -> float | None:
        """Return when the buffer started to fill, or was last emptied in part."""
        return self._intake.waiting_since()


class Handover(_FromBuffer):
    """Delivers from the buffer to the destination."""

    def __init__(self, intake: Intake, transport: Transport, dead_letters: DeadLetters | None) -> None:
        """Empty the buffer into ``transport``."""
        super().__init__(intake)
        self._transport = transport
        self._dead_letters = dead_letters

    def carry(self, batch: Batch) -> int:
        """Write the lines."""
        return self._transport.write(batch)

    def settle(self, batch: Batch, count: int) -> None:
        """Count lines that the destination has."""
        self._intake.deliver(batch, count, spooled=False)

    def put_aside(self, batch: Batch, error: TransportError) -> None:
        """Count a line that the destination refuses for good."""
        kept = _keep(self._dead_letters, batch, error, self._intake)
        self._intake.put_aside(batch, DEAD_LETTERED if kept else REFUSED, kept=kept, spooled=False)


class Commit(_FromBuffer):
    """Commits from the buffer to the outbox."""

    def __init__(self, intake: Intake, outbox: OutboxProtocol, mail: "Mail") -> None:
        """Empty the buffer into ``outbox``, and report it through ``mail``."""
        super().__init__(intake, outbox.take_losses)
        self._outbox = outbox
        self._mail = mail
        self._undeclared: tuple[Loss, ...] = ()

    def load(self, most: int) -> Batch | None:
        """Wait for lines in the buffer, and take the losses that no record declares yet."""
        with self._intake.lock:
            batch = super().load(most)
            if batch is not None:
                self._undeclared = self._intake.undeclared(batch.sequences[-1])
            return batch

    def carry(self, batch: Batch) -> int:
        """Commit, all or nothing."""
        try:
            self._outbox.commit(
                [Row(*row) for row in zip(batch.sequences, batch.lines, strict=True)], self._undeclared
            )
        finally:
            if self._outbox.has_losses():
                with self._intake.lock:
                    self._intake.note_found()
        return len(batch.lines)

    def settle(self, batch: Batch, count: int) -> None:
        """Count lines that the outbox has."""
        with self._intake.lock:
            self._intake.spool(count)
            self._mail.post(batch.sequences[count - 1])

    def put_aside(self, batch: Batch, error: TransportError) -> None:  # noqa: ARG002 - as all errands have it
        """Never called: an outbox refuses no line."""
        raise error


class Mail:
    """Messages from the committer to the sender; guarded by the intake's lock.

    Attributes:
        arrived: the condition that the sender waits on.
        through: highest own number that is committed and counted, -1 for none.
        posts: number of messages.
        last: whether no more will come.
        since: when the sender was last notified of work, or did some.
    """

    def __init__(self, intake: Intake, outbox: OutboxProtocol, through: int) -> None:
        """Start with the committed rows; there may be more of earlier runs."""
        self._intake = intake
        self._outbox = outbox
        self._users = 2
        self._sender_left = False
        intake.note_sender(dry=False)
        self.arrived = threading.Condition(intake.lock)
        self.through = through
        self.posts = 0
        self.last = False
        self.since = intake.clock.monotonic()

    def post(self, through: int) -> None:
        """Report rows up to the number ``through``; with the lock held."""
        self.through = through
        if self._intake.sender_is_dry and not self._sender_left:
            self._intake.note_sender(dry=False)
            self.since = self._intake.clock.monotonic()
        self.ring()

    def ring(self) -> None:
        """Wake the sender; with the lock held."""
        self.posts += 1
        self.arrived.notify_all()

    def end_committing(self) -> None:
        """Report that no more rows will come."""
        with self._intake.lock:
            self.last = True
            self.ring()
        self._leave()

    def end_sending(self, transport: Transport) -> None:
        """Close the destination; the committer need not wait for the sender any more."""
        with self._intake.lock:
            self._sender_left = True
            self._intake.note_sender(dry=True)
        try:
            transport.close()
        finally:
            self._leave()

    def _leave(self) -> None:
        """Close the outbox in the last thread that leaves."""
        with self._intake.lock:
            self._users -= 1
            last = self._users == 0
        if last:
            self._outbox.close()
            self._intake.count_lost_at_close(self._outbox.take_losses())


class Sending:
    """Delivers from the outbox to the destination; older runs first."""

    def __init__(
        self,
        intake: Intake,
        outbox: OutboxProtocol,
        mail: Mail,
        transport: Transport,
        dead_letters: DeadLetters | None,
    ) -> None:
        """Empty ``outbox`` into ``transport``; ``mail`` reports new rows."""
        self._intake = intake
        self._outbox = outbox
        self._mail = mail
        self._transport = transport
        self._dead_letters = dead_letters
        self._phase = intake.life.phase

    def load(self, most: int) -> Batch | None:
        """Wait for rows in the outbox."""
        intake, mail = self._intake, self._mail
        while True:
            with intake.lock:
                self._phase, posts, last = intake.life.phase, mail.posts, mail.last
                if intake.life.is_late():
                    return None
            batch = self._outbox.read(min(most, BATCH_EVENTS), BATCH_BYTES)
            has_losses = self._outbox.has_losses()
            with intake.lock:
                if has_losses:
                    intake.note_found()
                batch = self._accounted_for(batch)
                if batch is not None:
                    return batch
                if mail.posts == posts:
                    if last:
                        return None
                    intake.note_sender(dry=True)
                    while mail.posts == posts and not intake.life.is_late():
                        intake.clock.wait(mail.arrived, None)

    def _accounted_for(self, batch: Batch | None) -> Batch | None:
        """Leave out rows that the committer has not counted yet."""
        if batch is None or batch.source != self._intake.source:
            return batch
        count = bisect_right(batch.sequences, self._mail.through)
        return Batch(batch.source, batch.sequences[:count], batch.lines[:count]) if count else None

    def carry(self, batch: Batch) -> int:
        """Write the lines."""
        return self._transport.write(batch)

    def settle(self, batch: Batch, count: int) -> None:
        """Count lines that the destination has."""
        self._outbox.acknowledge(batch.source, batch.sequences[count - 1])
        with self._intake.lock:
            self._mail.since = self._intake.clock.monotonic()
            self._intake.deliver(batch, count, spooled=True)

    def put_aside(self, batch: Batch, error: TransportError) -> None:
        """Count a line that the destination refuses for good."""
        kept = _keep(self._dead_letters, batch, error, self._intake)
        self._outbox.acknowledge(batch.source, batch.sequences[0])
        self._intake.put_aside(batch, DEAD_LETTERED if kept else REFUSED, kept=kept, spooled=True)

    def note_fault(self, code: str, text: str, *, fatal: bool) -> bool:  # noqa: ARG002 - rows in the outbox stay there, fatal or not
        """Record a fault."""
        return self._intake.note_fault(code, text)

    def rest(self, seconds: float) -> None:
        """Wait; a stop since the last load is worth one attempt at once."""
        _rest(self._intake, self._mail.arrived, self._phase, seconds)

    def idle_since(self) -> float | None:
        """Return when it was last notified of work, or did some."""
        return None if self._intake.sender_is_dry else self._mail.since


def _rest(intake: Intake, condition: threading.Condition, phase: str, seconds: float) -> None:
    with intake.lock:
        until = intake.clock.monotonic() + seconds
        while intake.life.phase == phase and not intake.life.is_late():
            rest = intake.life.at_the_latest(until) - intake.clock.monotonic()
            if rest <= 0:
                break
            intake.clock.wait(condition, rest)


def _keep(dead_letters: DeadLetters | None, batch: Batch, error: TransportError, intake: Intake) -> bool:
    """Add the line of a batch to the dead letters; returns whether it was stored."""
    if dead_letters is None:
        return False
    try:
        dead_letters.put(batch.lines[0], error.code, str(error), intake.clock.wall())
    except TransportError as fault:
        intake.note_fault(fault.code, f"dead letters: {fault}")
        return False
    return True
