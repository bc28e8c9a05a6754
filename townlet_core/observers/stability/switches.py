"""How often a number of the agents changes, for each tick of each agent."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from townlet_core.dto.outcome import StepOutcome
from townlet_core.jsonvalue import JsonValue
from townlet_core.observers.facts import Sight
from townlet_core.observers.stability.settings import LONGEST_WINDOW
from townlet_core.observers.values import column_of
from townlet_core.observers.windows import Crowd, SlidingSum
from townlet_core.records import record_from_json, record_to_json

_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class _State:
    """What lasts: the entries of the sum, the number of agents from some ticks on, and the last numbers."""

    entries: list[list[int]] = field(default_factory=list)
    living: list[tuple[int, int]] = field(default_factory=list)
    last: list[int] = field(default_factory=list)


class Switches:
    """Divides changes of a column by the ticks that agents lived.

    A negative number does not count: an agent that comes back from it to the value before has not changed.
    """

    def __init__(self, column: str, window: int, samples: int) -> None:
        """Take the column; ``begin`` comes next."""
        self._column, self._samples = column, samples
        self._window = window or LONGEST_WINDOW
        self.drifts = True

    def begin(self, sight: Sight, crowd: Crowd, key: str) -> None:
        """Start at zero.

        Raises:
            ConfigError: when there is no such column.
        """
        column_of(self._column, sight.spec, key)
        self._switches, self._crowd = SlidingSum(self._window), crowd
        self._living: deque[tuple[int, int]] = deque()
        self._last = [_NONE] * sight.spec.capacity
        self._chosen = b""
        self.due = 0

    def welcome(self, tick: int) -> None:
        """Forget the numbers of agents that are gone, and count those that are there from now on."""
        for slot in self._crowd.newcomers:
            self._last[slot] = _NONE
        self._living.append((tick, len(self._crowd.living)))
        self._chosen = b""

    def watch(self, outcome: StepOutcome, tick: int) -> bool:
        """Count the changes of one tick."""
        view = outcome.observation.view
        if view is not None:
            column = view.columns[self._column]
            chosen = column.tobytes()
            if chosen != self._chosen:
                self._chosen = chosen
                self._compare(column, tick)
        return self.due <= tick

    def value(self, tick: int) -> float:
        """Return the changes for each tick of each agent, 0 while there are too few."""
        switches, agent_ticks = self._switches.at(tick), self._agent_ticks(tick)
        # While the number of agents in the window is not always the same, the quotient can rise by itself.
        self.due = tick + 1 if len(self._living) > 1 else self._switches.changes_at
        if not agent_ticks or agent_ticks < self._samples:
            self.due = tick + 1
            return 0.0
        return switches / agent_ticks

    def export(self) -> JsonValue:
        """Return what was counted."""
        return record_to_json(_State(self._switches.export(), list(self._living), list(self._last)))

    def restore(self, state: JsonValue) -> None:
        """Continue from what was counted."""
        read = record_from_json(_State, state)
        if len(read.last) != len(self._last):
            raise ValueError(f"it is not for {len(self._last)} slots")
        self._switches.restore(read.entries)
        self._living = deque(read.living)
        self._last, self._chosen, self.due = list(read.last), b"", 0

    def _agent_ticks(self, tick: int) -> int:
        """Return the ticks that agents lived within the window that ends with a tick."""
        first, runs = tick + 1 - self._window, self._living
        while len(runs) > 1 and runs[1][0] <= first:
            runs.popleft()
        ends = [*(start for start, _ in runs), tick + 1][1:]
        return sum(
            (end - max(start, first)) * living for (start, living), end in zip(runs, ends, strict=True)
        )

    def _compare(self, column: memoryview, tick: int) -> None:
        last, switches = self._last, 0
        for slot in self._crowd.living:
            now = column[slot]
            if now >= 0:
                switches += last[slot] not in {_NONE, now}
                last[slot] = now
        if switches:
            self._switches.add(tick, switches)
            self.due = tick
