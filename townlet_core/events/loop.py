"""The loop's events about each tick and about itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event
from townlet_core.events.health import (
    NO_PLUGINS,
    HookCounts,
    LoopStatus,
    PluginCounts,
    SinkHealth,
    SystemDuration,
    TickDurations,
)


@dataclass(frozen=True, slots=True)
class LoopTick(Event):
    """The last fact of every tick; ``events`` counts the facts before it.

    ``figures`` are numbers that only this kind of world has; ``WorldSpec.figures`` names and explains them.
    """

    kind: ClassVar[str] = "loop.tick"
    day: int
    tod: int
    alive: int
    arrivals: int
    exits: int
    actions: Mapping[str, int]
    failures: Mapping[str, int]
    events: int
    reward_mean: float
    figures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LoopHealth(Event):
    """The health of the loop and its parts: every 60 ticks and on each change of state. A diagnostic.

    ``status`` is ``failed`` when the loop cannot continue. It is ``degraded`` when a sink is not healthy or
    its worker not alive, when a hook is disabled, or when a listener failed within the last 60 ticks.
    Otherwise it is ``ok``. ``tick`` is the latest tick. ``duration_ms`` and ``slowest_systems`` cover the
    ticks since the previous report, at most 60, without the wait for the next tick; the slowest part of a
    tick comes first. ``failures`` counts the exceptions of subscribers, transforms and sinks since the run
    began. ``figures`` are those of the latest ``loop.tick``. ``stability`` and ``promotion`` are null without
    an observer that keeps them.
    ``plugins`` counts the installed plugins of third parties; each refused one causes a ``plugin.refused``.
    ``hooks`` has the counts of each plugin's hook, ``sinks`` the health of each sink, both by name. A sink
    that keeps only its account reports ``state``, ``retries_total`` and ``totals``, and null for the rest.
    docs/operations/health.md explains each value and what to do about it.
    """

    kind: ClassVar[str] = "loop.health"
    status: LoopStatus
    tick: int
    duration_ms: TickDurations
    failures: int
    slowest_systems: Sequence[SystemDuration]
    figures: Mapping[str, int]
    stability: Mapping[str, float] | None
    promotion: Mapping[str, float] | None
    hooks: Mapping[str, HookCounts]
    sinks: Mapping[str, SinkHealth]
    plugins: PluginCounts = NO_PLUGINS


@dataclass(frozen=True, slots=True)
class LoopFailure(Event):
    """The run cannot continue. A diagnostic; one ``loop.health`` with the status ``failed`` follows.

    ``tick`` is the tick that could not be finished. ``phase`` and ``agent_id`` give the place in it, if
    known. ``snapshot_path`` is the file with the failed simulation for inspection, if one was saved.
    """

    kind: ClassVar[str] = "loop.failure"
    tick: int
    phase: int | None
    agent_id: str | None
    error: str
    snapshot_path: str | None
