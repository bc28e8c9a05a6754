"""Uses of objects: meals, showers, sleep, waiting and conflicts."""

from collections.abc import Collection
from dataclasses import dataclass, field

from townlet_adapters.worlds.town.events.affordance import AffordanceFail, AffordanceFinish, AffordanceStart
from townlet_adapters.worlds.town.events.queue import QueueConflict, QueueGrant, QueueJoin, QueueLeave
from townlet_adapters.worlds.town.observers.settings import UseNames
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonObject, JsonValue


@dataclass(slots=True)
class UseTally:
    """Counts over the events of affordances and queues.

    Attributes:
        finished: completed uses by affordance.
        started: uses begun.
        joins: number of joins of a queue.
        granted: resident -> ticks waited, for those that got their turn but have not started yet.
        waited: uses begun after waiting in a queue.
        waited_ticks: ticks of these waits.
        longest_wait: the longest of these waits.
        conflicts: conflicts by reason.
    """

    finished: dict[str, int] = field(default_factory=dict)
    started: int = 0
    joins: int = 0
    granted: dict[str, int] = field(default_factory=dict)
    waited: int = 0
    waited_ticks: int = 0
    longest_wait: int = 0
    conflicts: dict[str, int] = field(default_factory=dict)

    def see(self, event: Event) -> None:
        """Add one event; events of other kinds are ignored."""
        match event:
            case AffordanceStart():
                self._start(self.granted.pop(event.agent_id, 0))
            case AffordanceFinish():
                self.finished[event.affordance_id] = self.finished.get(event.affordance_id, 0) + 1
            case QueueJoin():
                self.joins += 1
            case QueueGrant():
                self.granted[event.agent_id] = event.waited
            case QueueLeave() | AffordanceFail():
                self.granted.pop(event.agent_id, None)
            case QueueConflict():
                self.conflicts[event.reason] = self.conflicts.get(event.reason, 0) + 1

    def kpis(self, names: UseNames, agent_days: float) -> JsonObject:
        """Return counts, rates per resident and day, and figures about waiting."""
        counts = {
            "meals_eaten": self._count(names.meals),
            "meals_at_cafe": self._count(names.cafe_meals),
            "meals_cooked": self._count(names.cooking),
            "showers": self._count(names.showers),
            "sleeps": self._count(names.sleeps),
        }
        kpis: dict[str, JsonValue] = {**counts, "uses": self.started, "queue_joins": self.joins}
        kpis["uses_waited"] = self.waited
        if agent_days:
            kpis |= {f"{name}_per_agent_day": count / agent_days for name, count in counts.items()}
        if self.started:
            kpis["uses_waited_share"] = self.waited / self.started
        if self.waited:
            kpis |= {"wait_mean": self.waited_ticks / self.waited, "wait_longest": self.longest_wait}
        return {**kpis, "conflicts": dict(sorted(self.conflicts.items()))}

    def _start(self, waited: int) -> None:
        self.started += 1
        if waited:
            self.waited += 1
            self.waited_ticks += waited
            self.longest_wait = max(self.longest_wait, waited)

    def _count(self, names: Collection[str]) -> int:
        return sum(self.finished.get(name, 0) for name in names)
