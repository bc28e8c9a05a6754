"""The loop's own account of each tick and of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonObject


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

    ``tick_ms`` has mean, p99 and max since the last one; ``sinks`` maps a sink's name to its status.
    """

    kind: ClassVar[str] = "loop.health"
    status: str
    tick_ms: Mapping[str, float]
    failure_count: int
    sinks: Mapping[str, JsonObject]
    perturbations_active: int
    perturbations_pending: int
    reviews_pending: int


@dataclass(frozen=True, slots=True)
class LoopFailure(Event):
    """The run cannot go on. A diagnostic."""

    kind: ClassVar[str] = "loop.failure"
    phase: int | None
    agent_id: str | None
    error: str
    snapshot_path: str | None
