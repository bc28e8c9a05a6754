"""How many facts and incidents there were in a window."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from townlet_core.dto.outcome import StepOutcome
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonValue
from townlet_core.observers.facts import Facts, Heeder, Sight
from townlet_core.observers.stability.settings import Low
from townlet_core.observers.values import numbers_of
from townlet_core.observers.windows import NEVER, Crowd, SlidingSum
from townlet_core.records import record_from_json, record_to_json


@dataclass(frozen=True, slots=True)
class _State:
    """What lasts: the entries of the sum, and for each kind of incident the ticks that agents are low."""

    entries: list[list[int]] = field(default_factory=list)
    runs: list[dict[str, int]] = field(default_factory=list)


class Count:
    """Counts facts, and agents whose number stays low."""

    def __init__(self, facts: Sequence[Facts], lows: Sequence[Low], window: int) -> None:
        """Take what to count; ``begin`` comes next."""
        self._facts, self._lows, self._window = facts, lows, window
        self.due = NEVER
        self.drifts = False

    def begin(self, sight: Sight, crowd: Crowd, heeder: Heeder, key: str) -> list["LowWatch"]:
        """Start at zero; returns what must look at every tick.

        Raises:
            ConfigError: when something named does not exist.
        """
        self._sum = SlidingSum(self._window)
        self.due = NEVER
        for number, facts in enumerate(self._facts):
            heeder.heed(facts.kind, sight.test(facts, f"{key}.count[{number}]"), self._see)
        self._watches = [
            LowWatch(low, sight, crowd, f"{key}.low[{number}].of", self._count)
            for number, low in enumerate(self._lows)
        ]
        return self._watches

    def value(self, tick: int) -> float:
        """Return the number in the window."""
        number = self._sum.at(tick)
        self.due = self._sum.changes_at
        return float(number)

    def export(self) -> JsonValue:
        """Return the counts."""
        return record_to_json(_State(self._sum.export(), [dict(each.runs) for each in self._watches]))

    def restore(self, state: JsonValue) -> None:
        """Continue from exported counts."""
        read = record_from_json(_State, state)
        for watch, runs in zip(self._watches, read.runs, strict=True):
            watch.restore(runs)
        self._sum.restore(read.entries)
        self.due = self._sum.changes_at

    def _see(self, event: Event, tick: int) -> None:
        del event
        self._count(tick)

    def _count(self, tick: int) -> None:
        self._sum.add(tick)
        self.due = tick


class LowWatch:
    """Notices agents whose number stays low.

    So many ticks in a row contain a tick that the number of ticks divides. So while no agent is known to be
    low, only those ticks are looked at, and what was before is kept as it came. Once one is low, the ticks
    before are looked through, and then every tick is looked at.
    """

    def __init__(self, low: Low, sight: Sight, crowd: Crowd, key: str, count: Callable[[int], None]) -> None:
        """Take what is low, and what counts an incident."""
        self._numbers = numbers_of(low.of, sight.spec, key)
        self._at_most, self._ticks, self._count = low.at_most, low.ticks, count
        self._crowd = crowd
        self._held: deque[bytes] = deque(maxlen=low.ticks)
        self._runs: dict[str, int] = {}
        self._ids: tuple[str, ...] = ()

    @property
    def runs(self) -> dict[str, int]:
        """Ticks in a row for which an agent's number is low, of those that are."""
        for raw in self._held:
            self._runs = self._after(raw)
        self._held.clear()
        return self._runs

    def restore(self, runs: dict[str, int]) -> None:
        """Continue from exported ``runs``."""
        self._runs = dict(runs)
        self._held.clear()

    def welcome(self, tick: int) -> None:
        """Finish with the agents that were there so far."""
        del tick
        self._runs = self.runs
        self._ids = self._crowd.ids

    def watch(self, outcome: StepOutcome, tick: int) -> bool:
        """Look at the agents of one tick."""
        raw = self._numbers.raw(outcome)
        if not self._runs:
            self._held.append(raw)
            if tick % self._ticks:
                return False
            if not self._after(raw):
                self._held.clear()
                return False
            # Those that are low in this tick may have been low for some ticks already.
            runs = self.runs
        else:
            runs = self._runs = self._after(raw)
        reached = False
        for ticks in runs.values():
            if ticks == self._ticks:
                self._count(tick)
                reached = True
        return reached

    def _after(self, raw: bytes) -> dict[str, int]:
        """Return the runs after one more tick."""
        numbers, runs = self._numbers.read(raw), self._runs
        return {
            agent_id: runs.get(agent_id, 0) + 1
            for agent_id, number in zip(self._ids, numbers, strict=False)
            if agent_id and number <= self._at_most
        }
