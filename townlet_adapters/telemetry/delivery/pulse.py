"""When the worker of a buffer slept, and when it last made progress."""

from typing import Final

from townlet_adapters.telemetry.clock import Clock

PATIENCE: Final = 0.1  # seconds without progress of the worker until a wait for room ends
LINGER: Final = 0.04  # seconds that the worker collects events for one write; none waits longer than 50 ms


class Pulse:
    """Sleep and progress of the worker of one buffer; guarded by the intake's lock.

    Attributes:
        asleep: ``no``, ``idle`` without work, or ``gathering`` lines for one write.
        moved_at: when the buffer was last emptied in part, or started to fill.
    """

    def __init__(self, clock: Clock) -> None:
        """Start awake."""
        self._clock = clock
        self._taken_at = self._woken_at = 0.0
        self.asleep = "no"  # a literal type would hide that it changes during a wait
        self.moved_at = clock.monotonic()

    def fall_asleep(self, how: str) -> None:
        """Record that the worker sleeps from now on."""
        self.asleep = how

    def end_sleep(self) -> None:
        """Record that the worker is awake."""
        self.asleep = "no"

    def wake(self) -> None:
        """Record that the worker is woken, if it sleeps."""
        if self.asleep != "no":
            # A worker that slept without work is not stuck: its time counts from now.
            self.asleep = "no"
            self.moved_at = self._woken_at = self._clock.monotonic()

    def take(self) -> None:
        """Record that the worker takes a batch."""
        self._taken_at = self._clock.monotonic()

    def move(self) -> None:
        """Record that lines left the buffer, or that it opened."""
        self.moved_at = self._clock.monotonic()

    def time_to_gather(self) -> float:
        """Return for how many seconds the worker may still collect lines."""
        # All waiting lines came after the latest batch was taken, or after the worker fell asleep.
        return max(self._taken_at, self._woken_at) + LINGER - self._clock.monotonic()

    def patience(self) -> float:
        """Return for how many seconds the town may still wait for progress."""
        return self.moved_at + PATIENCE - self._clock.monotonic()
