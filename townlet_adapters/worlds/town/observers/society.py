"""Society: chats, courtesies, shared meals, who avoids, and the ties that there are."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from townlet_adapters.worlds.town.events.lifecycle import LifecycleExit
from townlet_adapters.worlds.town.events.queue import QueueConflict, QueueHandover
from townlet_adapters.worlds.town.events.social import SocialAvoidance, SocialChat, SocialSharedMeal
from townlet_core.dto.observation import View
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonObject, JsonValue

STRONG: Final = 0.3
"""Strength from which a tie counts."""
SHOWN: Final = 2
"""Avoidances from which one resident visibly avoids another."""


@dataclass(slots=True)
class SocietyTally:
    """Counts over the events between residents; a pair is two ids with a space between, in an order.

    Attributes:
        chats: chats held.
        chats_well: those that went well.
        shared_meals: meals shared.
        handovers: objects handed over.
        avoidances: avoidances.
        quarrels: conflicts of each pair, both ways, of those who live in town.
        avoided: avoidances of each pair of those who live in town.
        past_quarrels: pairs with a conflict of which one left town.
        past_shown: those of them of which one visibly avoided the other.
    """

    chats: int = 0
    chats_well: int = 0
    shared_meals: int = 0
    handovers: int = 0
    avoidances: int = 0
    quarrels: dict[str, int] = field(default_factory=dict)
    avoided: dict[str, int] = field(default_factory=dict)
    past_quarrels: int = 0
    past_shown: int = 0

    def see(self, event: Event) -> None:
        """Add one event; events of other kinds are ignored."""
        match event:
            case SocialChat():
                self.chats += 1
                self.chats_well += event.success
            case SocialSharedMeal():
                self.shared_meals += 1
            case QueueHandover():
                self.handovers += 1
            case SocialAvoidance():
                self.avoidances += 1
                _add(self.avoided, event.agent_id, event.rival)
            case QueueConflict():
                _add(self.quarrels, event.actor, event.rival)
                _add(self.quarrels, event.rival, event.actor)
            case LifecycleExit():
                self._part_from(event.agent_id)

    def kpis(self, agent_days: float) -> JsonObject:
        """Return counts and rates."""
        kpis: dict[str, JsonValue] = {
            "chats": self.chats,
            "chats_well": self.chats_well,
            "shared_meals": self.shared_meals,
            "handovers": self.handovers,
            "avoidances": self.avoidances,
        }
        if agent_days:
            kpis["chats_per_agent_day"] = self.chats / agent_days
        if self.chats:
            kpis["chats_well_share"] = self.chats_well / self.chats
        quarrels = self.past_quarrels + len(self.quarrels)
        if quarrels:
            kpis["quarrels_avoided_share"] = (self.past_shown + self._shown(self.quarrels)) / quarrels
        return kpis

    def _shown(self, pairs: Iterable[str]) -> int:
        return sum(self.avoided.get(pair, 0) >= SHOWN for pair in pairs)

    def _part_from(self, agent_id: str) -> None:
        """Keep only the numbers of the pairs of a resident that left."""
        gone = [pair for pair in self.quarrels if agent_id in pair.split()]
        self.past_quarrels += len(gone)
        self.past_shown += self._shown(gone)
        for pairs in (self.quarrels, self.avoided):
            for pair in [each for each in pairs if agent_id in each.split()]:
                del pairs[pair]


def _add(counts: dict[str, int], one: str, other: str) -> None:
    pair = f"{one} {other}"
    counts[pair] = counts.get(pair, 0) + 1


def ties_now(view: View, living: int) -> JsonObject:
    """Return what the ties of an instant come to, among so many residents; nothing without either."""
    if not living or "tie_rivalry" not in view.columns:
        return {}
    trust, familiarity, rivalry = (
        np.asarray(view.columns[f"tie_{part}"]) for part in ("trust", "familiarity", "rivalry")
    )
    # Rows beyond the ties of a resident hold zeros, which are no strength.
    strength = np.maximum(np.abs(trust + familiarity) / 2, rivalry)
    return {
        "strong_ties_share": float((strength > STRONG).any(axis=1).sum()) / living,
        "rivalry_highest": float(rivalry.max(initial=0.0)),
        "trust_highest": float(trust.max(initial=0.0)),
    }
