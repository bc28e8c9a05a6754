"""Paces ticks by the wall clock; results never depend on it."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal

Speed = Literal["max", "1x", "10x", "100x"]

TICK_SECONDS: Final = 0.25
"""Length of one tick at ``1x``."""

_FACTORS: Final[Mapping[Speed, int]] = MappingProxyType({"1x": 1, "10x": 10, "100x": 100})
_SLICE_SECONDS: Final = 0.05
"""Longest delay after which a stop takes effect, from a signal handler or from another thread alike."""


class Pacer:
    """Waits between ticks so that they start at an even pace.

    A run that fell behind does not catch up in a burst: the pace restarts at the current time.
    """

    def __init__(
        self,
        speed: Speed,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Set the pace; ``max`` never waits. ``clock`` and ``sleep`` count in seconds."""
        self.speed: Final[Speed] = speed
        self._period = TICK_SECONDS / _FACTORS[speed] if speed in _FACTORS else 0.0
        self._clock, self._sleep = clock, sleep
        self._due: float | None = None

    def wait(self, interrupted: Callable[[], bool]) -> None:
        """Wait until the next tick is due, or until ``interrupted`` returns true."""
        if not self._period:
            return
        now = self._clock()
        if self._due is None or now > self._due + self._period:
            self._due = now
        self._due += self._period
        while not interrupted() and (left := self._due - self._clock()) > 0:
            self._sleep(min(left, _SLICE_SECONDS))
