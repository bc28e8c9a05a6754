"""How far the latest day sums have fallen below those before."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Final

from townlet_core.jsonvalue import JsonValue
from townlet_core.observers.windows import NEVER
from townlet_core.records import record_from_json, record_to_json

_LEAST: Final = 1e-9
"""A mean nearer to zero counts as this, so that the share stays finite."""


@dataclass(frozen=True, slots=True)
class _State:
    """What lasts: the latest sums, oldest first."""

    returns: list[float] = field(default_factory=list)


class Fall:
    """Compares the mean of the latest day sums with the mean of as many before."""

    def __init__(self, samples: int) -> None:
        """Start with nothing."""
        self._samples = samples
        self._returns: deque[float] = deque(maxlen=2 * samples)
        self.due = NEVER
        self.drifts = False

    def hear(self, returns: Sequence[float], tick: int) -> None:
        """Add the sums of a day."""
        self._returns.extend(returns)
        self.due = tick

    def value(self, tick: int) -> float:
        """Return the fall as a share of the mean before; negative for a rise, 0 at first."""
        del tick
        self.due = NEVER
        if len(self._returns) < 2 * self._samples:
            return 0.0
        returns = list(self._returns)
        before, after = fsum(returns[: self._samples]), fsum(returns[self._samples :])
        return (before - after) / max(abs(before), _LEAST)

    def export(self) -> JsonValue:
        """Return the sums."""
        return record_to_json(_State(list(self._returns)))

    def restore(self, state: JsonValue) -> None:
        """Continue from exported sums."""
        self._returns = deque(record_from_json(_State, state).returns, maxlen=2 * self._samples)
