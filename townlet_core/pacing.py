"""Paces ticks by the wall clock; results never depend on it."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

Speed = Literal["1x", "10x", "100x", "max"]

SPEEDS: Final[tuple[Speed, ...]] = get_args(Speed)
"""All speeds, from slow to fast."""

TICK_SECONDS: Final = 0.25
"""Length of one tick at ``1x``."""

_FACTORS: Final[Mapping[Speed, int]] = MappingProxyType({"1x": 1, "10x": 10, "100x": 100})
_SLICE_SECONDS: Final = 0.05
"""Longest delay after which a stop takes effect, from a signal handler or from another thread alike."""


class Pacer:
    """Waits between ticks so that they start at an even pace, or while the run is paused.

    A run that fell behind does not catch up in a burst: the pace restarts at the current time. Any thread may
    set the speed, pause, resume and step; this takes effect within a twentieth of a second.

    Attributes:
        speed: the speed.
        on_pause: called on the town's thread when a pause begins, and after each step of it.
    """

    def __init__(
        self,
        speed: Speed,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Set the pace; ``max`` never waits. ``clock`` and ``sleep`` count in seconds."""
        self.speed: Speed = speed
        self.on_pause: Callable[[], object] = lambda: None
        self._clock, self._sleep = clock, sleep
        self._due: float | None = None
        self._paused, self._steps = False, 0

    @property
    def paused(self) -> bool:
        """Whether no tick begins before ``resume`` or ``step``."""
        return self._paused

    def pause(self) -> None:
        """Begin no further tick."""
        self._steps, self._paused = 0, True

    def resume(self) -> None:
        """Go on at the speed that is set."""
        self._paused = False

    def step(self) -> None:
        """Execute one more tick in a pause; without one, do nothing."""
        if self._paused:
            self._steps += 1

    def wait(self, interrupted: Callable[[], bool]) -> None:
        """Wait until the next tick is due, or until ``interrupted`` returns true."""
        if not self._paused:
            self._keep_pace(interrupted)
        if self._paused:
            self._wait_for_end_of_pause(interrupted)

    @property
    def _period(self) -> float:
        factor = _FACTORS.get(self.speed)
        return TICK_SECONDS / factor if factor else 0.0

    def _keep_pace(self, interrupted: Callable[[], bool]) -> None:
        period = self._period
        if not period:
            return
        now = self._clock()
        if self._due is None or now > self._due + period:
            self._due = now
        begun = self._due
        # The speed may change meanwhile.
        while not interrupted() and not self._paused and (left := begun + self._period - self._clock()) > 0:
            self._sleep(min(left, _SLICE_SECONDS))
        self._due = begun + self._period

    def _wait_for_end_of_pause(self, interrupted: Callable[[], bool]) -> None:
        self._due = None
        self.on_pause()
        while self._paused and not interrupted():
            if self._steps:
                self._steps -= 1
                return
            self._sleep(_SLICE_SECONDS)
