"""The share of some facts among others, in a window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonValue
from townlet_core.observers.facts import Facts, FactTest, Heeder, Sight, wrong
from townlet_core.observers.stability.settings import Share
from townlet_core.observers.windows import NEVER, SlidingSum
from townlet_core.records import attribute_names, field_hints, record_from_json, record_to_json
from townlet_core.suggestions import nearest


@dataclass(frozen=True, slots=True)
class _State:
    """What lasts: the entries of both sums, and the agents that are marked, in the order of their marks."""

    of: list[list[int]] = field(default_factory=list)
    among: list[list[int]] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)


class ShareOf:
    """Divides the number of some facts by that of others."""

    def __init__(self, share: Share, window: int, samples: int) -> None:
        """Take what to count; ``begin`` comes next."""
        self._share, self._window, self._samples = share, window, samples
        self.due = NEVER
        self.drifts = False

    def begin(self, sight: Sight, heeder: Heeder, key: str) -> None:
        """Start at zero.

        Raises:
            ConfigError: when something named does not exist.
        """
        self._of, self._among = SlidingSum(self._window), SlidingSum(self._window)
        self._marked: dict[str, None] = {}
        self.due = NEVER
        share = self._share
        self._heed(share.of, sight, heeder, f"{key}.of", self._mark if share.by else self._count)
        self._heed(share.among, sight, heeder, f"{key}.among", self._close)
        self._heed(share.forget, sight, heeder, f"{key}.forget", self._forget)

    def value(self, tick: int) -> float:
        """Return the share, 0 while there are too few samples."""
        of, among = self._of.at(tick), self._among.at(tick)
        self.due = min(self._of.changes_at, self._among.changes_at)
        return of / among if among and among >= self._samples else 0.0

    def export(self) -> JsonValue:
        """Return the counts and marks."""
        return record_to_json(_State(self._of.export(), self._among.export(), list(self._marked)))

    def restore(self, state: JsonValue) -> None:
        """Continue from exported counts and marks."""
        read = record_from_json(_State, state)
        self._of.restore(read.of)
        self._among.restore(read.among)
        self._marked = dict.fromkeys(read.marked)
        self.due = min(self._of.changes_at, self._among.changes_at)

    def _heed(
        self,
        several: Sequence[Facts],
        sight: Sight,
        heeder: Heeder,
        key: str,
        see: Callable[[Event, int], None],
    ) -> None:
        by = self._share.by
        for number, facts in enumerate(several):
            place = f"{key}[{number}]"
            test: FactTest = sight.test(facts, place)
            hints = field_hints(sight.event_class(facts.kind, place))
            if by and by not in hints:
                raise wrong(f"{place}.kind", f"{facts.kind} has no field '{by}'", nearest(by, hints))
            heeder.heed(facts.kind, test, see)

    def _agent(self, event: Event) -> str:
        return str(getattr(event, attribute_names(type(event))[self._share.by]))

    def _mark(self, event: Event, tick: int) -> None:
        del tick
        self._marked[self._agent(event)] = None

    def _forget(self, event: Event, tick: int) -> None:
        del tick
        if self._share.by:
            self._marked.pop(self._agent(event), None)

    def _count(self, event: Event, tick: int) -> None:
        del event
        self._of.add(tick)
        self.due = tick

    def _close(self, event: Event, tick: int) -> None:
        self._among.add(tick)
        if self._share.by:
            agent = self._agent(event)
            if agent in self._marked:
                del self._marked[agent]
                self._of.add(tick)
        self.due = tick
