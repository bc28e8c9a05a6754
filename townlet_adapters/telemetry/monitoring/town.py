"""Figures of the town itself: population, needs, pace, and what else its world counts."""

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
        yield self._figures()
        pace = GaugeMetricFamily(
            "townlet_ticks_per_second", "Ticks per second between the latest two reports."
        )
        if self._pace is not None:
            pace.add_metric([], self._pace)
        yield pace

    def _figures(self) -> Metric:
        """Return the numbers of the latest tick that only this kind of world has."""
        metric = GaugeMetricFamily(
            "townlet_town_figure",
            "A figure of the latest tick, as the world's spec names and explains it.",
            labels=["figure", "unit"],
        )
        summary = self._loop.figures.summary
        if summary is not None:
            for figure in self._loop.spec.figures:
                metric.add_metric([figure.name, figure.unit], summary.figures.get(figure.name, 0))
        return metric


def _needs(spec: WorldSpec, observation: ObservationBatch) -> Iterator[tuple[str, Sequence[float]]]:
    """Return each need with its value for every slot; nothing in a world whose view shows no needs."""
    view = observation.view
    if view is not None and _COLUMN in view.columns:
        rows = cast("list[list[float]]", view.columns[_COLUMN].tolist())
        yield from zip((need.name for need in spec.needs), zip(*rows, strict=True), strict=True)
