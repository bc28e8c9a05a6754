"""The clock of delivery, replaceable in tests."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Order, ages and time-outs use the monotonic time; wall-clock time is only for people."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def wall(self) -> float:
        """Return seconds since 1970 by the machine's clock."""
        ...

    def wait(self, condition: threading.Condition, timeout: float | None) -> None:
        """Wait on a condition whose lock is held; without limit when ``timeout`` is None."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since 1970 by the machine's clock."""
        return time.time()

    def wait(self, condition: threading.Condition, timeout: float | None) -> None:
        """Wait on a condition whose lock is held; without limit when ``timeout`` is None."""
        condition.wait(timeout)
