"""Fakes for whoever tests delivery or writes a transport."""

import threading
from collections import deque
from collections.abc import Iterable

from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.transports.base import Batch, Condition


class ManualClock(SystemClock):
    """Monotonic time that stands still until ``advance``; a wait with a time-out ends when it was reached."""

    def __init__(self) -> None:
        self._now = 0.0
        self._changed = threading.Condition()
        self._waiting: list[threading.Condition] = []

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._now

    def wait(self, condition: threading.Condition, timeout: float | None) -> None:
        """Wait until notified; ``advance`` notifies every waiter that gave a time-out."""
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
        """Return once somebody waits on ``condition`` with a time-out."""
        with self._changed:
            self._changed.wait_for(lambda: condition in self._waiting)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        with self._changed:
            waiting = list(self._waiting)
        for condition in waiting:
            with condition:
                condition.notify_all()


class HastyClock(SystemClock):
    """Monotonic time that jumps to the end of every wait."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        """Seconds waited so far."""
        return self._now

    def wait(self, condition: threading.Condition, timeout: float | None) -> None:
        """Let others at the lock, then go on as if the time had passed."""
        if timeout is None:
            condition.wait()
            return
        self._now += timeout
        condition.wait(0)


class ScriptedTransport:
    """A destination in memory that does what its script says, then takes everything.

    Attributes:
        lines: what was taken.
        closed: how often ``close`` was called.
    """

    def __init__(self, script: Iterable[int | BaseException] = ()) -> None:
        """Follow a script: take at most so many lines, or raise."""
        self._script = deque(script)
        self._open = threading.Event()
        self._open.set()
        self._entered = threading.Event()
        self.lines: list[bytes] = []
        self.closed = 0

    def open(self) -> None:
        """Nothing to open."""

    def hang(self) -> None:
        """Let every ``write`` from now on hang until ``release``."""
        self._open.clear()

    def release(self) -> None:
        """End the hanging."""
        self._open.set()

    def await_write(self) -> None:
        """Return once the worker is in ``write``."""
        self._entered.wait()

    def write(self, batch: Batch) -> int:
        """Do as the script says."""
        lines = batch.lines
        self._entered.set()
        self._open.wait()
        step = self._script.popleft() if self._script else len(lines)
        if isinstance(step, BaseException):
            raise step
        taken = lines[:step]
        self.lines.extend(taken)
        return len(taken)

    def interrupt(self) -> None:
        """End the hanging."""
        self._open.set()

    def condition(self) -> Condition:
        """It is always there."""
        return Condition(connected=True)

    def close(self) -> None:
        """Count the call."""
        self.closed += 1

    def abandon(self) -> None:
        """Nothing to let go of."""
