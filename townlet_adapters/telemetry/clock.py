"""Time as delivery uses it, so that a test can hold it in its hand."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Order, age and patience come from the monotonic time; the wall's is for people alone."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def wall(self) -> float:
        """Seconds since 1970, as the machine believes them to be."""
        ...

    def wait(self, condition: threading.Condition, timeout: float | None) -> None:
        """Wait on a condition whose lock is held; for ever when ``timeout`` is None."""
        ...


class SystemClock:
    """The machine's time."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970, as the machine believes them to be."""
        return time.time()

    def wait(self, condition: threading.Condition, timeout: float | None) -> None:
        """Wait on a condition whose lock is held; for ever when ``timeout`` is None."""
        condition.wait(timeout)
