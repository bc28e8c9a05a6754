"""How a sink and the loop are doing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Durability = Literal["memory", "process", "power"]
"""What a sink's waiting messages survive: nothing, the death of the process, the loss of power."""

SinkState = Literal["healthy", "degraded", "shedding", "failed", "closed"]


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """One sink's counters; they obey the conservation law of telemetry.

    ``offered = emitted + sum(rejected)`` and
    ``emitted = delivered + spooled + buffered + dead_lettered + sum(dropped)``.

    Attributes:
        name: the sink's name within the run.
        state: how it is doing now.
        offered: messages handed to ``emit``.
        emitted: messages accepted for delivery.
        delivered: messages that reached their destination whole.
        spooled: messages waiting in a durable outbox.
        buffered: messages waiting in memory.
        dead_lettered: messages put aside as undeliverable.
        dropped: messages given up, by reason.
        rejected: messages refused at the door, by reason.
        retries: deliveries that were tried again.
        last_error: the latest error, None when there was none.
    """

    name: str
    state: SinkState
    offered: int = 0
    emitted: int = 0
    delivered: int = 0
    spooled: int = 0
    buffered: int = 0
    dead_lettered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    retries: int = 0
    last_error: str | None = None


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
class SinkHealth:
    """How one sink is doing, for people and monitors; ``SinkStatus`` is its account.

    Attributes:
        state: how it is doing now.
        worker: the thread that does its work; the least alive, where there are several.
        queue: what waits in memory.
        spool: what waits in its outbox, None where it has none.
        connected: whether its destination could be reached when it was last tried.
        consecutive_failures: attempts that failed since one succeeded.
        retries_total: deliveries that were tried again.
        last_success_age_s: seconds since the destination last took something, None when it never did.
        last_error: the latest error, None when there was none.
        acked_through: highest ``sequence`` of this run that the destination has, None when it has none.
        flush_seconds: how long writes to the destination took until they were acknowledged.
        certificate_expires_s: seconds until the first certificate in use expires, None where there is none.
        totals: its account.
    """

    state: SinkState
    worker: WorkerHealth
    queue: QueueHealth
    spool: SpoolHealth | None
    connected: bool
    consecutive_failures: int
    retries_total: int
    last_success_age_s: float | None
    last_error: ErrorHealth | None
    acked_through: int | None
    flush_seconds: Histogram
    certificate_expires_s: float | None
    totals: SinkStatus
