"""How well residents are: their needs at every tick."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Final

from townlet_adapters.worlds.town.observers.settings import NeedLimits
from townlet_core.jsonvalue import JsonObject, JsonValue

STARVED: Final = "hunger"
"""The need whose lack is counted as starvation; a town without it has no such figure."""
_NOBODY: Final = -1


@dataclass(slots=True)
class NeedTally:
    """Lowest and mean needs, days without unmet needs, and starvation; each list has one row per slot.

    Attributes:
        lowest: lowest need of any resident so far.
        sums: sum of each need over all samples.
        samples: living residents, summed over the ticks.
        since: instant at which a slot's occupant was first seen, -1 for an empty slot.
        unwell: whether a slot's occupant was unwell today.
        starving: ticks in a row for which a slot's occupant is starving.
        incidents: starvation incidents so far.
        day_shares: for each day, the share of the residents present all day that were well all day.
    """

    lowest: float = 1.0
    sums: list[float] = field(default_factory=list)
    samples: int = 0
    since: list[int] = field(default_factory=list)
    unwell: list[bool] = field(default_factory=list)
    starving: list[int] = field(default_factory=list)
    incidents: int = 0
    day_shares: list[float] = field(default_factory=list)

    @classmethod
    def sized(cls, capacity: int, needs: int) -> "NeedTally":
        """Start empty, with that many slots and needs."""
        return cls(
            sums=[0.0] * needs,
            since=[_NOBODY] * capacity,
            unwell=[False] * capacity,
            starving=[0] * capacity,
        )

    def welcome(self, slot: int, instant: int) -> None:
        """Reset a slot for a new occupant, first seen at ``instant``."""
        self.since[slot], self.unwell[slot], self.starving[slot] = instant, False, 0

    def see(self, living: Sequence[int], columns: Sequence[Sequence[float]], limits: NeedLimits) -> None:
        """Add one instant: a column of values for each need, a row for each living slot, at least one."""
        self.samples += len(living)
        for number, column in enumerate(columns):
            # fsum rounds alike in every Python version; sum does not.
            self.sums[number] = fsum((self.sums[number], *column))
        lowest = min(map(min, columns))
        self.lowest = min(self.lowest, lowest)
        if lowest <= limits.well:
            for slot, row in zip(living, zip(*columns, strict=True), strict=True):
                if min(row) <= limits.well:
                    self.unwell[slot] = True

    def count_starving(self, living: Sequence[int], column: Sequence[float], limits: NeedLimits) -> None:
        """Add one instant of the need that is starved of: a value for each living slot."""
        if not any(self.starving) and min(column) > limits.starving:
            return
        for slot, value in zip(living, column, strict=True):
            if value > limits.starving:
                self.starving[slot] = 0
                continue
            self.starving[slot] += 1
            self.incidents += self.starving[slot] == limits.starving_ticks

    def close_day(self, living: Sequence[int], start: int) -> None:
        """Add the share for the day that started at ``start``, over the residents present all day."""
        whole = [slot for slot in living if self.since[slot] <= start]
        if whole:
            self.day_shares.append(sum(not self.unwell[slot] for slot in whole) / len(whole))
        self.unwell = [False] * len(self.unwell)

    def kpis(self, needs: Sequence[str]) -> JsonObject:
        """Return the known numbers, with the names of the needs; none before the first instant."""
        if not self.samples:
            return {}
        kpis: dict[str, JsonValue] = {
            "need_lowest": self.lowest,
            "need_mean": {need: total / self.samples for need, total in zip(needs, self.sums, strict=True)},
        }
        if STARVED in needs:
            kpis["starvation_incidents"] = self.incidents
        if self.day_shares:
            kpis["well_all_day_share"] = fsum(self.day_shares) / len(self.day_shares)
        return kpis
