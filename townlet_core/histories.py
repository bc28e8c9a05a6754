"""The latest facts of a run, for later queries; limited by age and number."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from townlet_core.events.base import Fact
from townlet_core.events.schema import event_data, family_of


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """How many facts are kept.

    Attributes:
        queue_ticks: facts of the family ``queue`` are kept for this many ticks.
        rivalry_events: number of facts of the family ``rivalry`` that are kept.
        policy_facts: number of facts of the family ``policy`` that are kept: the newest for each kind
            and resident.
    """

    queue_ticks: int = 120
    rivalry_events: int = 120
    policy_facts: int = 1024


HISTORY_FAMILIES: Final = frozenset({"queue", "rivalry", "policy"})
"""The families of kinds that are kept."""


class Histories:
    """The latest facts of a run in this process; not part of a snapshot."""

    def __init__(self, settings: HistorySettings) -> None:
        """Start without any fact."""
        self._settings = settings
        self._queue: deque[Fact] = deque()
        self._rivalry: deque[Fact] = deque(maxlen=settings.rivalry_events)
        self._policy: OrderedDict[tuple[str, str], Fact] = OrderedDict()

    @property
    def queue_events(self) -> tuple[Fact, ...]:
        """Facts about queues in the last ``queue_ticks`` ticks, oldest first."""
        return tuple(self._queue)

    @property
    def rivalry_events(self) -> tuple[Fact, ...]:
        """The latest digests of conflicts, oldest first."""
        return tuple(self._rivalry)

    def latest_policy(self, kind: str) -> Mapping[str, Fact]:
        """Return the newest fact of a policy kind by resident; ``""`` has the one without a resident."""
        return {agent: fact for (of, agent), fact in self._policy.items() if of == kind}

    def remember(self, fact: Fact) -> None:
        """Keep one fact of ``HISTORY_FAMILIES``."""
        family = family_of(fact.event.kind)
        if family == "queue":
            self._queue.append(fact)
        elif family == "rivalry":
            self._rivalry.append(fact)
        else:
            self._remember_policy(fact)

    def forget_before(self, tick: int) -> None:
        """Discard the facts that are too old at the end of ``tick``."""
        queue, oldest = self._queue, tick - self._settings.queue_ticks
        while queue and queue[0].tick <= oldest:
            queue.popleft()

    def _remember_policy(self, fact: Fact) -> None:
        agent = event_data(fact.event).get("agent_id")
        key = (fact.event.kind, agent if isinstance(agent, str) else "")
        self._policy[key] = fact
        self._policy.move_to_end(key)
        if len(self._policy) > self._settings.policy_facts:
            self._policy.popitem(last=False)
