"""Distributions of durations: plain integers in the hot path, converted on request."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from townlet_core.events.health import Histogram
from townlet_core.ports.telemetry import EmitResult, Message

EMIT_BOUNDS: Final = (2e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2, 0.1, 1.0)
FLUSH_BOUNDS: Final = (1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0)
ACK_BOUNDS: Final = (1e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0)


class Meter:
    """A histogram with fixed bounds; one writer, any reader."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Start empty; ``bounds`` are ascending, in seconds."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def read(self) -> Histogram:
        """Return the distribution."""
        counts = tuple(self._counts)
        return Histogram(self._bounds, counts, self._sum, sum(counts))


class Stopwatch:
    """Measures calls of ``emit``, and times from ``emit`` to the destination, one message at a time.

    Attributes:
        emit_times: durations of a sample of calls of ``emit``.
        ack_times: times from ``emit`` to the destination for a sample of messages.
    """

    def __init__(self) -> None:
        """Start without a measurement."""
        self.emit_times = Meter(EMIT_BOUNDS)
        self.ack_times = Meter(ACK_BOUNDS)
        self._watched: tuple[int, float] | None = None

    def emit(self, call: Callable[[Message], EmitResult], message: Message, number: int) -> EmitResult:
        """Call ``emit`` and measure it; watch the message, which gets this number, unless one is watched."""
        before = perf_counter()
        if self._watched is None:
            self._watched = number, before
        result = call(message)
        self.emit_times.add(perf_counter() - before)
        return result

    def note_dropped(self, number: int) -> None:
        """End the measurement of a message that will not arrive."""
        if self._watched is not None and self._watched[0] == number:
            self._watched = None

    def note_delivered(self, numbers: Sequence[int]) -> None:
        """End the measurement of a message that is among these, or was lost before them."""
        if self._watched is not None and self._watched[0] <= numbers[-1]:
            watched, since = self._watched
            if watched in numbers:
                self.ack_times.add(perf_counter() - since)
            self._watched = None
