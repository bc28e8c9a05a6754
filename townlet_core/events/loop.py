"""The loop's own account of each tick and of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event
from townlet_core.events.health import (
    NO_PLUGINS,
    HookCounts,
    LoopStatus,
    PluginCounts,
    SinkReport,
    SystemDuration,
    TickDurations,
)


@dataclass(frozen=True, slots=True)
class LoopTick(Event):
    """The last fact of every tick; ``events`` counts the facts before it. Money in mills."""

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
    queued: int
    wallets: int
    tills: int
    treasury: int


@dataclass(frozen=True, slots=True)
class LoopHealth(Event):
    """How the machinery is doing: every 60 ticks and on each change of state. A diagnostic.

    ``status`` is ``failed`` when the loop cannot go on, ``degraded`` when a sink is not healthy or its worker
    not alive, when a hook is disabled, or when a listener failed within the last 60 ticks, and else ``ok``.
    ``tick`` is the latest tick. ``duration_ms`` and ``slowest_systems`` are of the ticks since the report
    before, at most 60, without waiting for the next tick; the slowest part of a tick comes first.
    ``failures`` counts how often subscribers, transforms and sinks raised since the run began.
    ``perturbations_active``, ``perturbations_pending`` and ``reviews_pending`` are the town's.
    ``plugins`` counts what is installed and not ours; each that was not let in is a ``plugin.refused``.
    ``hooks`` has the counts of each plugin's hook, ``sinks`` tells of each sink, both by name. A sink that
    keeps no more than its account tells ``state``, ``retries_total`` and ``totals``, and null for the rest.
    What each value means and what to do about it: docs/operations/health.md.
    """

    kind: ClassVar[str] = "loop.health"
    status: LoopStatus
    tick: int
    duration_ms: TickDurations
    failures: int
    slowest_systems: Sequence[SystemDuration]
    perturbations_active: int
    perturbations_pending: int
    reviews_pending: int
    hooks: Mapping[str, HookCounts]
    sinks: Mapping[str, SinkReport]
    plugins: PluginCounts = NO_PLUGINS


@dataclass(frozen=True, slots=True)
class LoopFailure(Event):
    """The run cannot go on. A diagnostic; one ``loop.health`` with the status ``failed`` follows.

    ``tick`` is the one that could not be finished; ``phase`` and ``agent_id`` say where in it, when that is
    known; ``snapshot_path`` is where the failed simulation was kept for inspection, if it was.
    """

    kind: ClassVar[str] = "loop.failure"
    tick: int
    phase: int | None
    agent_id: str | None
    error: str
    snapshot_path: str | None
