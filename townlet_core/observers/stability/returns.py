"""What a number of each agent adds up to over whole days."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Final

from townlet_core.dto.outcome import StepOutcome
from townlet_core.jsonvalue import JsonValue
from townlet_core.observers.facts import Sight
from townlet_core.observers.values import numbers_of
from townlet_core.observers.windows import Crowd
from townlet_core.records import record_from_json, record_to_json

_MOST_HELD: Final = 60


@dataclass(frozen=True, slots=True)
class _State:
    """What lasts: the sum of each slot's agent today, and the tick at which it was first there."""

    sums: list[float] = field(default_factory=list)
    since: list[int] = field(default_factory=list)


class DayReturns:
    """Adds up a number of each agent, and passes the sums of those that were there all day on at its end.

    The numbers of some ticks are kept and added together, one after the other: the sums do not depend on how
    many ticks come together, and adding them costs a fraction.

    Attributes:
        hearers: called with the sums of a day, in the order of slots, and its last tick.
    """

    def __init__(self, of: str, sight: Sight, crowd: Crowd, key: str) -> None:
        """Start with nothing.

        Raises:
            ConfigError: when there is no such number.
        """
        self._numbers = numbers_of(of, sight.spec, key)
        self._day, self._start = sight.spec.ticks_per_day, sight.spec.start_tod
        self._crowd = crowd
        self._sums = [0.0] * sight.spec.capacity
        self._since = [0] * sight.spec.capacity
        self._held: list[bytes] = []
        self.hearers: list[Callable[[Sequence[float], int], None]] = []

    def welcome(self, tick: int) -> None:
        """Start at zero with the agents that are new."""
        self._add()
        for slot in self._crowd.newcomers:
            self._sums[slot], self._since[slot] = 0.0, tick

    def watch(self, outcome: StepOutcome, tick: int) -> bool:
        """Add the numbers of one tick; returns whether a day ended."""
        self._held.append(self._numbers.raw(outcome))
        if (tick + 1 + self._start) % self._day:
            if len(self._held) >= _MOST_HELD:
                self._add()
            return False
        self._add()
        first = tick + 1 - self._day
        returns = [self._sums[slot] for slot in self._crowd.living if self._since[slot] <= first]
        for hear in self.hearers:
            hear(returns, tick)
        self._sums = [0.0] * len(self._sums)
        return True

    def export(self) -> JsonValue:
        """Return the sums of today."""
        self._add()
        return record_to_json(_State(list(self._sums), list(self._since)))

    def restore(self, state: JsonValue) -> None:
        """Continue from exported sums.

        Raises:
            ValueError: when they are not of such a world.
        """
        read = record_from_json(_State, state)
        slots = len(self._sums)
        if len(read.sums) != slots or len(read.since) != slots:
            raise ValueError(f"it is not for {slots} slots")
        self._sums, self._since = list(read.sums), list(read.since)
        self._held.clear()

    def _add(self) -> None:
        held, slots = self._numbers.read(b"".join(self._held)), len(self._sums)
        self._held.clear()
        if held:
            self._sums = [reduce(add, held[slot::slots], self._sums[slot]) for slot in range(slots)]
