"""Durations of ticks and their parts, the health of the loop, and the schedule of ``loop.health``."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from operator import sub
from types import MappingProxyType
from typing import Final, TypeAlias

from townlet_core.dispatch import EventDispatcher
from townlet_core.dto.health import LoopFigures
from townlet_core.dto.outcome import TickSummary
from townlet_core.events.health import (
    NO_PLUGINS,
    Histogram,
    HookCounts,
    LoopStatus,
    PluginCounts,
    SinkHealth,
    SinkState,
    SystemDuration,
    TickDurations,
)
from townlet_core.events.loop import LoopHealth
from townlet_core.jsonvalue import JsonObject

HEALTH_TICKS: Final = 60
"""Most ticks between two ``loop.health``."""

TICK_BOUNDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the histogram of tick durations, in seconds."""

SYSTEMS: Final = ("policy", "world", "observers", "facts", "dispatch", "frame")
"""Parts of a tick, in the order of ``Marks``."""

_MILLI: Final = 1000.0

Marks: TypeAlias = tuple[float, float, float, float, float, float, float]
"""Clock times in seconds at which each part of a tick began, and at which the last one ended."""

NO_STANDINGS: Final[Mapping[str, Callable[[], JsonObject]]] = MappingProxyType({})
"""The states of a run that nothing judges."""

Hooks: TypeAlias = Callable[[], Mapping[str, HookCounts]]
"""Returns the counts of the plugins' hooks by name; called for every report."""


def no_hooks() -> Mapping[str, HookCounts]:
    """Return no hooks."""
    return {}


class Vitals:
    """Counts ticks and emits ``loop.health``: every 60 ticks, and as soon as a state has changed.

    For the town's own thread, except ``figures``.
    """

    def __init__(
        self,
        dispatcher: EventDispatcher,
        hooks: Hooks = no_hooks,
        plugins: PluginCounts = NO_PLUGINS,
        standings: Mapping[str, Callable[[], JsonObject]] = NO_STANDINGS,
    ) -> None:
        """Start without any tick; reports go to the dispatcher.

        Args:
            dispatcher: passes the reports on.
            hooks: returns the counts of the plugins' hooks.
            plugins: the numbers of plugins.
            standings: return the state of the observers ``stability`` and ``promotion``, if a run has them.
        """
        self._dispatcher, self._hooks, self._plugins = dispatcher, hooks, plugins
        self._standings = standings
        self._marks: deque[Marks] = deque(maxlen=HEALTH_TICKS)
        self._summary = TickSummary()
        self._status: LoopStatus = "ok"
        self._states: Mapping[str, SinkState] | None = None
        self._failures, self._failed_at = 0, -HEALTH_TICKS
        self._ill_within = False
        self._tick, self._ticks = -1, 0
        self._counts, self._seconds = [0] * (len(TICK_BOUNDS) + 1), 0.0

    def note(self, tick: int, summary: TickSummary, marks: Marks) -> None:
        """Count a finished tick, and report if that is due."""
        self._marks.append(marks)
        self._tick, self._summary = tick, summary
        self._ticks += 1
        seconds = marks[-1] - marks[0]
        self._counts[bisect_left(TICK_BOUNDS, seconds)] += 1
        self._seconds += seconds
        if self._dispatcher.wants(LoopHealth.kind) and self._due(tick):
            self._report(tick)

    def fail(self, tick: int) -> None:
        """Report that the loop cannot continue."""
        self._status = "failed"
        if self._dispatcher.wants(LoopHealth.kind):
            self._report(tick)

    def figures(self, population: int) -> LoopFigures:
        """Return counters for monitors; cheap, from any thread."""
        counts = tuple(self._counts)
        return LoopFigures(
            tick=self._tick,
            ticks=self._ticks,
            population=population,
            listener_failures=self._dispatcher.failure_count,
            summary=self._summary if self._ticks else None,
            tick_seconds=Histogram(TICK_BOUNDS, counts, self._seconds, sum(counts)),
        )

    def _due(self, tick: int) -> bool:
        """Return whether a report is due because of its time or because a state has changed."""
        failures, states = self._dispatcher.failure_count, self._dispatcher.states()
        if failures > self._failures:
            self._failures, self._failed_at = failures, tick
        status, former = self._status, self._states
        self._states = states
        self._judge(tick)
        changed = self._status != status or (former is not None and states != former)
        return changed or (tick + 1) % HEALTH_TICKS == 0

    def _judge(self, tick: int) -> None:
        """Determine the status; a failed listener counts for the length of one interval of reports."""
        if self._status == "failed":
            return
        ailing = tick - self._failed_at < HEALTH_TICKS or self._ill_within
        sick = any(state != "healthy" for state in (self._states or {}).values())
        self._status = "degraded" if ailing or sick else "ok"

    def _report(self, tick: int) -> None:
        """Emit ``loop.health``; durations start anew."""
        sinks, hooks = self._dispatcher.healths(), self._hooks()
        # Some trouble shows only in a whole report; it counts until the next one.
        self._ill_within = any(map(_is_dead, sinks.values())) or any(hook.disabled for hook in hooks.values())
        self._judge(tick)
        health = LoopHealth(
            status=self._status,
            tick=tick,
            duration_ms=_durations(self._marks),
            failures=self._dispatcher.failure_count,
            slowest_systems=_slowest(self._marks),
            figures=self._summary.figures,
            stability=self._standing("stability"),
            promotion=self._standing("promotion"),
            hooks=hooks,
            sinks=sinks,
            plugins=self._plugins,
        )
        self._marks.clear()
        self._dispatcher.publish_diagnostic(tick, health)

    def _standing(self, name: str) -> Mapping[str, float] | None:
        """Return the numbers of an observer's state; None without such an observer."""
        stand = self._standings.get(name)
        return None if stand is None else _numbers(stand())


def _numbers(state: JsonObject) -> dict[str, float]:
    """Return the numbers of a state, and its truth values as 0 and 1."""
    return {name: float(value) for name, value in state.items() if isinstance(value, int | float)}


def _is_dead(sink: SinkHealth) -> bool:
    return sink.worker is not None and not sink.worker.alive


def _durations(ticks: Sequence[Marks]) -> TickDurations:
    ordered = sorted((marks[-1] - marks[0]) * _MILLI for marks in ticks) or [0.0]
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return TickDurations(sum(ordered) / len(ordered), p99, ordered[-1])


def _slowest(ticks: Sequence[Marks]) -> tuple[SystemDuration, ...]:
    """Average each part over some ticks, the slowest part first."""
    if not ticks:
        return ()
    moments = [sum(column) * _MILLI / len(ticks) for column in zip(*ticks, strict=True)]
    parts = map(SystemDuration, SYSTEMS, map(sub, moments[1:], moments))
    return tuple(sorted(parts, key=lambda part: -part.mean_ms))
