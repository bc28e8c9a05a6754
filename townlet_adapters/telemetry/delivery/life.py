"""The life of a sink: new, open, closing, closed; and the faults in it."""

from typing import Literal, TypeAlias

from townlet_adapters.telemetry.clock import Clock
from townlet_core.events.health import ErrorHealth
from townlet_core.ports.transport import INTERRUPTED

Phase: TypeAlias = Literal["new", "open", "closing", "closed"]


class Life:
    """The phase of a sink, and its faults; guarded by the intake's lock.

    Attributes:
        phase: the phase.
        fatal: code of the fault after which no message is accepted, empty without one.
        last_error: the latest error, in words.
        error: the same for monitors.
    """

    def __init__(self, clock: Clock) -> None:
        """Start as a new sink."""
        self._clock = clock
        self._deadline = 0.0
        self._is_overdue = False
        self.phase: Phase = "new"
        self.fatal = ""
        self.last_error: str | None = None
        self.error: ErrorHealth | None = None

    def open(self) -> None:
        """Accept messages from now on."""
        self.phase = "open"

    def begin_stop(self, seconds: float) -> None:
        """Accept no more messages; what waits has this time to be delivered."""
        if self.phase == "open":
            self.phase = "closing"
            self._deadline = self._clock.monotonic() + seconds

    def end_wait(self) -> None:
        """End the time to deliver, whatever the clock says."""
        self._is_overdue = True

    def end(self) -> bool:
        """Count nothing any more; returns whether this is new."""
        former, self.phase = self.phase, "closed"
        return former != "closed"

    def fail(self, code: str) -> None:
        """Accept no more messages, for this reason."""
        self.fatal = code

    def note_fault(self, code: str, text: str, tick: int) -> bool:
        """Record a fault; returns whether the sink is still in use."""
        if self.phase == "closed":
            return False
        # An interruption by a stop says less than the error before it.
        if code != INTERRUPTED or self.last_error is None:
            self.last_error = text
            self.error = ErrorHealth(code, tick)
        return True

    def is_late(self) -> bool:
        """Return whether a stop must end now, or has ended."""
        if self.phase == "closing":
            return self._is_overdue or self._clock.monotonic() >= self._deadline
        return self.phase == "closed"

    def at_the_latest(self, until: float) -> float:
        """Return a time, or the end of the stop if that comes earlier."""
        return min(until, self._deadline) if self.phase == "closing" else until
