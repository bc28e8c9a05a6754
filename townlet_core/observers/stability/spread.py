"""How much the day sums of the agents differ."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum

from townlet_core.jsonvalue import JsonValue
from townlet_core.observers.windows import NEVER
from townlet_core.records import record_from_json, record_to_json


@dataclass(frozen=True, slots=True)
class _State:
    """What lasts: the sums with the ticks at which their days ended, and how many there were in all."""

    returns: list[tuple[int, float]] = field(default_factory=list)
    seen: int = 0


class Spread:
    """The variance of day sums, in relation to their mean."""

    def __init__(self, window: int, samples: int) -> None:
        """Start with nothing."""
        self._window, self._samples = window, samples
        self._returns: deque[tuple[int, float]] = deque()
        self._seen = 0
        self.due = NEVER
        self.drifts = False

    def hear(self, returns: Sequence[float], tick: int) -> None:
        """Add the sums of a day."""
        self._returns.extend((tick, each) for each in returns)
        self._seen = min(self._samples, self._seen + len(returns))
        self.due = tick

    def value(self, tick: int) -> float:
        """Return the variance over the square of the mean or 1, whichever is greater; 0 at first."""
        returns = self._returns
        while self._window and returns and returns[0][0] + self._window <= tick:
            returns.popleft()
        self.due = returns[0][0] + self._window if self._window and returns else NEVER
        if self._seen < self._samples or not returns:
            return 0.0
        mean = fsum(each for _, each in returns) / len(returns)
        variance = fsum((each - mean) ** 2 for _, each in returns) / len(returns)
        return variance / max(1.0, mean * mean)

    def export(self) -> JsonValue:
        """Return the sums."""
        return record_to_json(_State(list(self._returns), self._seen))

    def restore(self, state: JsonValue) -> None:
        """Continue from exported sums."""
        read = record_from_json(_State, state)
        self._returns, self._seen = deque(read.returns), read.seen
        self.due = self._returns[0][0] + self._window if self._window and self._returns else NEVER
