"""What ``loop.health`` is made of; a sink tells of itself in the same records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

LoopStatus = Literal["ok", "degraded", "failed"]

SinkState = Literal["healthy", "degraded", "shedding", "failed", "closed"]

Durability = Literal["memory", "process", "power"]
"""What a sink's waiting messages survive: nothing, the death of the process, the loss of power."""


@dataclass(frozen=True, slots=True)
class TickDurations:
    """How long ticks took.

    Attributes:
        mean: milliseconds on average.
        p99: milliseconds that one tick in a hundred exceeds.
        max: milliseconds of the longest one.
    """

    mean: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class SystemDuration:
    """What one part of a tick took.

    Attributes:
        name: the part: ``policy``, ``world``, ``observers``, ``facts`` (numbers and digest), ``dispatch``
            (listeners and sinks) or ``frame`` (the picture of the town, and handing it to sinks).
        mean_ms: milliseconds on average.
    """

    name: str
    mean_ms: float


@dataclass(frozen=True, slots=True)
class HookCounts:
    """How one plugin's hook is doing.

    Attributes:
        calls: how often it was called.
        failures: calls that raised or gave what no hook may give.
        overruns: calls that took longer than their budget.
        disabled: whether it is not called any more.
    """

    calls: int
    failures: int
    overruns: int
    disabled: bool


@dataclass(frozen=True, slots=True)
class PluginCounts:
    """How many plugins of others there are, by what became of them when the run began.

    Attributes:
        allowed: let in and loaded.
        refused: installed and not let in.
        broken: installed and of no use: nobody could let them in as they are.
    """

    allowed: int
    refused: int
    broken: int


NO_PLUGINS: Final = PluginCounts(0, 0, 0)
"""What is told where nobody counted, or there is nobody."""


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """The thread that does a sink's work; the town's own thread computes this.

    Attributes:
        alive: whether it has shown itself lately, or had nothing to do.
        heartbeat_age_s: seconds since it last showed itself.
        restarts: how often it was started anew after an error that nobody had foreseen.
        last_error: the latest such error, None when there was none.
    """

    alive: bool
    heartbeat_age_s: float
    restarts: int = 0
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """What waits in memory.

    Attributes:
        events: messages held.
        bytes: their bytes.
        peak_events: most messages ever held.
        capacity_events: most messages that may be held.
        capacity_bytes: most bytes that may be held.
    """

    events: int
    bytes: int
    peak_events: int
    capacity_events: int
    capacity_bytes: int


@dataclass(frozen=True, slots=True)
class SpoolHealth:
    """What waits in a durable outbox.

    Attributes:
        events: messages held.
        bytes: bytes on the disk.
        oldest_age_s: seconds since the oldest of them was committed, 0 when there is none.
        segments: files that hold them.
        quarantined: files put aside because they were damaged.
        durability: what its content survives.
    """

    events: int
    bytes: int
    oldest_age_s: float
    segments: int
    quarantined: int
    durability: Durability


@dataclass(frozen=True, slots=True)
class ErrorHealth:
    """The latest error of a sink.

    Attributes:
        code: what happened, as a short name.
        at_tick: tick of the latest message offered to the sink when it happened.
    """

    code: str
    at_tick: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """How values are distributed.

    Attributes:
        le: upper bounds, ascending; above the last one lie all others.
        counts: how many values lie at or below each bound and above the one before; one more than bounds.
        sum: sum of all values.
        count: number of all values.
    """

    le: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float
    count: int


@dataclass(frozen=True, slots=True)
class SinkTotals:
    """A sink's account since the run began; it obeys the conservation law of telemetry.

    ``offered = emitted + sum(rejected)`` and
    ``emitted = delivered + spooled + buffered + dead_lettered + sum(dropped)``.

    Attributes:
        offered: messages handed to the sink, with those that its transforms withheld.
        emitted: messages accepted for delivery.
        delivered: messages that reached their destination whole.
        spooled: messages waiting in a durable outbox.
        buffered: messages waiting in memory.
        dead_lettered: messages put aside as undeliverable.
        dropped: messages given up, by reason.
        rejected: messages refused at the door, by reason.
    """

    offered: int
    emitted: int
    delivered: int
    spooled: int
    buffered: int
    dead_lettered: int
    dropped: Mapping[str, int]
    rejected: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SinkReport:
    """How one sink is doing. A sink that cannot tell more than its account has null for all the rest.

    Attributes:
        state: how it is doing now.
        worker: the thread that does its work; the least alive, where there are several.
        queue: what waits in memory.
        spool: what waits in its outbox, None where it has none.
        connected: whether its destination could be reached when it was last tried.
        consecutive_failures: attempts that failed since one succeeded.
        retries_total: deliveries that were tried again; every sink tells this.
        last_success_age_s: seconds since the destination last took something, None when it never did.
        last_error: the latest error, None when there was none.
        acked_through: highest ``sequence`` of this run that the destination has, None when it has none.
        flush_seconds: how long writes to the destination took until they were acknowledged.
        certificate_expires_s: seconds until the first certificate in use expires, None where there is none.
        totals: its account; every sink tells this.
    """

    state: SinkState
    worker: WorkerHealth | None
    queue: QueueHealth | None
    spool: SpoolHealth | None
    connected: bool | None
    consecutive_failures: int | None
    retries_total: int
    last_success_age_s: float | None
    last_error: ErrorHealth | None
    acked_through: int | None
    flush_seconds: Histogram | None
    certificate_expires_s: float | None
    totals: SinkTotals
