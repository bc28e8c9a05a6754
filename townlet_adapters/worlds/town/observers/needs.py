"""How well residents are: their needs at every tick."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from townlet_adapters.worlds.town.observers.settings import NeedLimits
from townlet_core.jsonvalue import JsonObject, JsonValue

STARVED: Final = "hunger"
"""The need whose lack is counted as starvation; a town without it has no such figure."""
_NOBODY: Final = -1
_LONGEST_WINDOW: Final = 60

Values: TypeAlias = npt.NDArray[np.float64]


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
        """Reset a slot for a new occupant, first seen at ``instant``, or for none (-1)."""
        self.since[slot], self.unwell[slot], self.starving[slot] = instant, False, 0

    def see(self, living: Sequence[int], values: Values, limits: NeedLimits, starved: int | None) -> None:
        """Add some instants in which the same residents lived.

        Args:
            living: the slots of the residents, at least one.
            values: float64[instants, residents, needs].
            limits: the limits by which needs are counted.
            starved: number of the need whose lack is starvation, None in a town without it.
        """
        self.samples += values.shape[0] * values.shape[1]
        for number in range(values.shape[2]):
            # One value after the other, so that the sum does not depend on how many instants come together.
            row = np.concatenate(([self.sums[number]], values[:, :, number].ravel()))
            self.sums[number] = float(np.add.accumulate(row)[-1])
        self.lowest = min(self.lowest, float(values.min()))
        for slot, worst in zip(living, values.min(axis=(0, 2)).tolist(), strict=True):
            if worst <= limits.well:
                self.unwell[slot] = True
        if starved is not None:
            self._count_starving(living, values[:, :, starved], limits)

    def _count_starving(self, living: Sequence[int], values: Values, limits: NeedLimits) -> None:
        if not any(self.starving) and values.min() > limits.starving:
            return
        for row in values.tolist():
            for slot, value in zip(living, row, strict=True):
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


class NeedWindow:
    """The needs at some instants that are not counted yet: counting many together costs a fraction."""

    def __init__(self, needs: Sequence[str]) -> None:
        """Start empty."""
        self._needs = len(needs)
        self._starved = needs.index(STARVED) if STARVED in needs else None
        self._held: list[bytes] = []

    def hold(self, column: memoryview) -> bool:
        """Keep an instant, float64[slots, needs]; return whether the window is full."""
        self._held.append(column.tobytes())
        return len(self._held) >= _LONGEST_WINDOW

    def count(self, tally: NeedTally, living: Sequence[int], limits: NeedLimits) -> None:
        """Add all instants to a tally; the same residents lived in all of them."""
        if self._held:
            values = np.frombuffer(b"".join(self._held)).reshape(len(self._held), -1, self._needs)
            tally.see(living, values[:, living], limits, self._starved)
            self._held.clear()

    def clear(self) -> None:
        """Discard what is not counted."""
        self._held.clear()
