"""Fakes for tests of delivery and for authors of transports."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Final

import orjson

from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.spool.base import SEGMENT_DAMAGED, Loss, Row
from townlet_core.events.health import SpoolHealth
from townlet_core.ports.transport import Batch, Condition, TransportError

_START: Final = 1024.0  # not 0, the value of a time that was never set


class ManualClock(SystemClock):
    """Monotonic time that stands still until ``advance``; a wait with a time-out ends when it is reached."""

    def __init__(self, now: float = _START) -> None:
        """Set the clock."""
        self._now = now
        self._changed = threading.Condition()
        self._waiting: list[threading.Condition] = []

    def monotonic(self) -> float:
        """The time that it was set to, and the seconds advanced since."""
        return self._now

    def wait(self, condition: threading.Condition, timeout: float | None) -> None:
        """Wait until notified; ``advance`` notifies every waiter with a time-out."""
        if timeout is None:
            condition.wait()
            return
        with self._changed:
            self._waiting.append(condition)
            self._changed.notify_all()
        condition.wait()
        with self._changed:
            self._waiting.remove(condition)

    def await_waiter(self, condition: threading.Condition) -> None:
        """Return once a thread waits on ``condition`` with a time-out."""
        with self._changed:
            self._changed.wait_for(lambda: condition in self._waiting)

    def advance(self, seconds: float) -> None:
        """Move the time forward."""
        self._now += seconds
        with self._changed:
            waiting = list(self._waiting)
        for condition in waiting:
            with condition:
                condition.notify_all()


class HastyClock(SystemClock):
    """Monotonic time that jumps to the end of every wait."""

    def __init__(self, now: float = _START) -> None:
        """Set the clock."""
        self._now = now

    def monotonic(self) -> float:
        """The time that it was set to, and the seconds waited since."""
        return self._now

    def wait(self, condition: threading.Condition, timeout: float | None) -> None:
        """Release the lock once, then continue as if the time had passed."""
        if timeout is None:
            condition.wait()
            return
        self._now += timeout
        condition.wait(0)


class ScriptedTransport:
    """A destination in memory that follows its script, then accepts everything.

    Attributes:
        lines: the accepted lines.
        abandoned: number of calls of ``abandon``.
        closed: number of calls of ``close``.
        interrupted: whether ``interrupt`` was called.
    """

    def __init__(self, script: Iterable[int | BaseException] = ()) -> None:
        """Follow a script: accept at most so many lines, or raise."""
        self._script = deque(script)
        self._open = threading.Event()
        self._open.set()
        self._interrupts = False
        self._entered = threading.Event()
        self.lines: list[bytes] = []
        self.closed = self.abandoned = 0
        self.interrupted = False

    def open(self) -> None:
        """Do nothing."""

    def hang(self, *, interruptible: bool = False) -> None:
        """Make every ``write`` from now on hang until ``release``, or ``interrupt`` if interruptible."""
        self._interrupts = interruptible
        self._open.clear()

    def release(self) -> None:
        """End the hanging."""
        self._open.set()

    def await_write(self) -> None:
        """Return once the worker is in ``write``."""
        self._entered.wait()

    def write(self, batch: Batch) -> int:
        """Follow the script."""
        lines = batch.lines
        self._entered.set()
        self._open.wait()
        if self.interrupted and self._interrupts:
            raise TransportError("interrupted", "interrupted")
        step = self._script.popleft() if self._script else len(lines)
        if isinstance(step, BaseException):
            raise step
        taken = lines[:step]
        self.lines.extend(taken)
        return len(taken)

    def interrupt(self) -> None:
        """Make every write from now on fail, including one that hangs, if interruptible."""
        self.interrupted = True
        if self._interrupts:
            self._open.set()

    def condition(self) -> Condition:
        """Return that it is connected."""
        return Condition(connected=True)

    def close(self) -> None:
        """Count the call."""
        self.closed += 1

    def abandon(self) -> None:
        """Count the call."""
        self.abandoned += 1


class ScriptedOutbox:
    """An outbox in memory that commits as its script says, then always.

    Attributes:
        rows: the waiting rows, as (source, sequence, line).
        undeclared: the undeclared losses of the latest commit.
        emitted: the highest emitted number, plus one.
        closed: whether ``close`` was called.
        abandoned: number of calls of ``abandon``.
    """

    def __init__(
        self,
        script: Iterable[BaseException | None] = (),
        *,
        lost: Sequence[Loss] = (),
        backlog: Sequence[Batch] = (),
    ) -> None:
        """Follow a script: commit, or raise. Earlier runs lost ``lost`` and left ``backlog``."""
        self._script = deque(script)
        self._lost = tuple(lost)
        self._found: list[Loss] = []
        self._lock = threading.Lock()
        self._source = ""
        self.rows = [
            (each.source, *row) for each in backlog for row in zip(each.sequences, each.lines, strict=True)
        ]
        self._in_flight = 0  # rows from the front that were read and are not settled
        self.undeclared: tuple[Loss, ...] = ()
        self.emitted = 0
        self.closed = False
        self.abandoned = 0

    def open(self, source: str) -> tuple[Loss, ...]:
        """Return the losses of earlier runs."""
        self._source = source
        return self._lost

    def begin(self, rows: Sequence[Row]) -> None:
        """Take the first rows of this run."""
        self._store(rows)

    def note_emitted(self, count: int) -> None:
        """Record the number."""
        self.emitted = count

    def commit(self, rows: Sequence[Row], undeclared: Sequence[Loss]) -> None:
        """Follow the script."""
        step = self._script.popleft() if self._script else None
        if step is not None:
            raise step
        self._store(rows)
        self.undeclared = tuple(undeclared)

    def _store(self, rows: Sequence[Row]) -> None:
        with self._lock:
            self.rows += [(self._source, *row) for row in rows]

    def read(self, most_events: int, most_bytes: int) -> Batch | None:  # noqa: ARG002 - as an outbox has it
        """Return the oldest rows of one source."""
        with self._lock:
            if not self.rows:
                return None
            source = self.rows[0][0]
            rows = list(takewhile(lambda row: row[0] == source, self.rows))[:most_events]
            self._in_flight = max(self._in_flight, len(rows))
        return Batch(source, [row[1] for row in rows], [row[2] for row in rows])

    def acknowledge(self, source: str, through: int) -> int:
        """Remove rows."""
        with self._lock:
            before = len(self.rows)
            self.rows = [row for row in self.rows if row[0] != source or row[1] > through]
            settled = before - len(self.rows)
            self._in_flight = max(0, self._in_flight - settled)
            return settled

    def damage(self, count: int) -> list[int]:
        """Lose the oldest rows of this run that were not read yet; returns their numbers.

        A loss that a lost record had declared is returned again, as by a real outbox.
        """
        with self._lock:
            gone = [row for row in self.rows[self._in_flight :] if row[0] == self._source][:count]
            self.rows = [row for row in self.rows if row not in gone]
            numbers = [row[1] for row in gone]
            if numbers:
                lost = Loss.of(self._source, SEGMENT_DAMAGED, [(number, number) for number in numbers])
                self._found.append(replace(lost, rows=len(numbers)))
            for event in (orjson.loads(line) for _, _, line in gone):
                if event["type"] == "townlet.telemetry.loss":
                    named = event["data"]
                    self._found.append(Loss.of(named["source"], named["reason"], named["ranges"]))
            return numbers

    def has_losses(self) -> bool:
        """Return whether there are damaged rows to return."""
        return bool(self._found)

    def take_losses(self) -> tuple[Loss, ...]:
        """Return the damaged rows as losses."""
        with self._lock:
            found, self._found = tuple(self._found), []
            return found

    def stats(self) -> SpoolHealth:
        """Count the rows."""
        size = sum(len(line) for _, _, line in self.rows)
        return SpoolHealth(len(self.rows), size, 0.0, 1, 0, "process")

    def close(self) -> None:
        """Record the call."""
        self.closed = True

    def abandon(self) -> None:
        """Record the call."""
        self.abandoned += 1
