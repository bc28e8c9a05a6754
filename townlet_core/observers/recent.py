"""The latest facts of a run, for later queries; limited by age and number."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from townlet_core.bounds import Bounds
from townlet_core.dispatch import EventDispatcher
from townlet_core.dto.spec import TICKS_PER_DAY
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.schema import event_data, family_of


@dataclass(frozen=True, slots=True)
class RecentSettings:
    """How many of the latest facts are kept in memory."""

    queue_ticks: int = field(default=120, metadata=Bounds(ge=1, le=TICKS_PER_DAY))
    """ticks for which facts about queues are kept"""

    rivalry_events: int = field(default=120, metadata=Bounds(ge=1, le=100_000))
    """number of summaries of conflicts that are kept"""

    policy_facts: int = field(default=1024, metadata=Bounds(ge=1, le=100_000))
    """number of facts from policies that are kept: the newest of each kind and resident"""

    narrations: int = field(default=50, metadata=Bounds(ge=1, le=10_000))
    """number of narrations that are kept"""


FAMILIES: Final = frozenset({"queue", "rivalry", "policy", "narration"})
"""The families of kinds that are kept."""


class RecentFacts:
    """The latest facts of a run in this process, as a subscriber; not part of a snapshot."""

    def __init__(self, settings: RecentSettings | None = None) -> None:
        """Start without any fact; without settings the default sizes apply."""
        self._settings = settings or RecentSettings()
        self._queue: deque[Fact] = deque()
        self._rivalry: deque[Fact] = deque(maxlen=self._settings.rivalry_events)
        self._narrations: deque[Fact] = deque(maxlen=self._settings.narrations)
        self._policy: OrderedDict[tuple[str, str], Fact] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of facts kept."""
        return len(self._queue) + len(self._rivalry) + len(self._policy) + len(self._narrations)

    def subscribe_to(self, dispatcher: EventDispatcher, kinds: Iterable[str]) -> None:
        """Keep the facts of those kinds that belong to one of ``FAMILIES``."""
        for kind in kinds:
            if family_of(kind) in FAMILIES:
                dispatcher.subscribe(kind, self.hear, name="recent")

    def queue_events(self, tick: int) -> tuple[Fact, ...]:
        """Return the facts about queues of the last ``queue_ticks`` ticks up to ``tick``, oldest first."""
        oldest = tick - self._settings.queue_ticks
        return tuple(fact for fact in self._queue if fact.tick > oldest)

    @property
    def rivalry_events(self) -> tuple[Fact, ...]:
        """The latest digests of conflicts, oldest first."""
        return tuple(self._rivalry)

    @property
    def narrations(self) -> tuple[Fact, ...]:
        """The latest narrations, oldest first."""
        return tuple(self._narrations)

    def latest_policy(self, kind: str) -> Mapping[str, Fact]:
        """Return the newest fact of a policy kind by resident; ``""`` has the one without a resident."""
        return {agent: fact for (of, agent), fact in self._policy.items() if of == kind}

    def hear(self, fact: Fact | Diagnostic) -> None:
        """Keep one fact of ``FAMILIES``, and discard those that are too old."""
        if not isinstance(fact, Fact):
            return
        family = family_of(fact.event.kind)
        if family == "queue":
            self._keep_queue(fact)
        elif family == "rivalry":
            self._rivalry.append(fact)
        elif family == "narration":
            self._narrations.append(fact)
        else:
            self._keep_policy(fact)

    def _keep_queue(self, fact: Fact) -> None:
        queue, oldest = self._queue, fact.tick - self._settings.queue_ticks
        queue.append(fact)
        while queue[0].tick <= oldest:
            queue.popleft()

    def _keep_policy(self, fact: Fact) -> None:
        agent = event_data(fact.event).get("agent_id")
        key = (fact.event.kind, agent if isinstance(agent, str) else "")
        self._policy[key] = fact
        self._policy.move_to_end(key)
        if len(self._policy) > self._settings.policy_facts:
            self._policy.popitem(last=False)
