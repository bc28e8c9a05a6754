"""Figures of the town itself: population, needs, queues, money and pace."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, cast

from prometheus_client.core import GaugeMetricFamily, Metric

from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec
from townlet_core.loop import SimulationLoop

_COLUMN: Final = "needs"
"""The column of the view with the needs of each slot."""


class TownFigures:
    """What the latest tick and the latest report say about the town. A world without such numbers has none.

    ``look`` belongs to the loop's thread, between two ticks, since a world reuses its arrays; any thread may
    call ``collect``.
    """

    def __init__(self, loop: SimulationLoop, clock: Callable[[], float] = time.monotonic) -> None:
        """Read from ``loop``; ``clock`` counts seconds."""
        self._loop = loop
        self._clock = clock
        self._needs: Mapping[str, float] = {}
        self._pace: float | None = None
        self._last: tuple[float, int] | None = None
        self._has_economy = False

    def look(self) -> None:
        """Take what only the loop's thread can read: the needs, and the ticks since the last look."""
        observation = self._loop.observation
        living = [slot for slot, alive in enumerate(observation.alive.tolist()) if alive]
        self._needs = {
            need: sum(column[slot] for slot in living) / len(living)
            for need, column in _needs(self._loop.spec, observation)
            if living
        }
        now, ticks = self._clock(), self._loop.figures.ticks
        if self._last is not None and now > self._last[0]:
            self._pace = (ticks - self._last[1]) / (now - self._last[0])
        self._last = (now, ticks)

    def collect(self) -> Iterator[Metric]:
        """Return the figures as they are now."""
        figures = self._loop.figures
        yield GaugeMetricFamily("townlet_town_population", "Residents living in town.", figures.population)
        needs = GaugeMetricFamily(
            "townlet_town_need_mean",
            "Mean of a need over the residents, 1 is satisfied; as of the latest report.",
            labels=["need"],
        )
        for need, mean in self._needs.items():
            needs.add_metric([need], mean)
        yield needs
        yield from self._economy()
        pace = GaugeMetricFamily(
            "townlet_ticks_per_second", "Ticks per second between the latest two reports."
        )
        if self._pace is not None:
            pace.add_metric([], self._pace)
        yield pace

    def _economy(self) -> Iterator[Metric]:
        """Return queues and money, as soon as any of them has been more than zero."""
        summary = self._loop.figures.summary
        queued = GaugeMetricFamily("townlet_town_queued", "Residents that wait in a queue.")
        money = GaugeMetricFamily(
            "townlet_town_money_mills", "Money by its holder, in mills.", labels=["holder"]
        )
        if summary is not None:
            holders = {"wallets": summary.wallets, "tills": summary.tills, "treasury": summary.treasury}
            self._has_economy = self._has_economy or any((summary.queued, *holders.values()))
            if self._has_economy:
                queued.add_metric([], summary.queued)
                for holder, mills in holders.items():
                    money.add_metric([holder], mills)
        yield queued
        yield money


def _needs(spec: WorldSpec, observation: ObservationBatch) -> Iterator[tuple[str, Sequence[float]]]:
    """Return each need with its value for every slot; nothing in a world whose view shows no needs."""
    view = observation.view
    if view is not None and _COLUMN in view.columns:
        rows = cast("list[list[float]]", view.columns[_COLUMN].tolist())
        yield from zip((need.name for need in spec.needs), zip(*rows, strict=True), strict=True)
