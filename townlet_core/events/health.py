"""The records inside ``loop.health``; a sink reports its own health in the same records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

LoopStatus = Literal["ok", "degraded", "failed"]

SinkState = Literal["healthy", "degraded", "shedding", "failed", "closed"]

Durability = Literal["memory", "process", "power"]
"""What a sink's waiting messages survive: nothing, the death of the process, the loss of power."""


@dataclass(frozen=True, slots=True)
class TickDurations:
    """Durations of ticks.

    Attributes:
        mean: mean in milliseconds.
        p99: milliseconds that one tick in a hundred exceeds.
        max: milliseconds of the longest tick.
    """

    mean: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class SystemDuration:
    """The duration of one part of a tick.

    Attributes:
        name: the part: ``policy``, ``world``, ``observers``, ``facts`` (numbers and digest), ``dispatch``
            (listeners and sinks) or ``frame`` (building the frame and passing it to sinks).
        mean_ms: mean in milliseconds.
    """

    name: str
    mean_ms: float


@dataclass(frozen=True, slots=True)
class HookCounts:
    """The counts of one plugin's hook.

    Attributes:
        calls: number of calls.
        failures: calls that raised an exception or returned something that is not allowed.
        overruns: calls that took longer than their budget.
        disabled: whether it is not called any more.
    """

    calls: int
    failures: int
    overruns: int
    disabled: bool


@dataclass(frozen=True, slots=True)
class PluginCounts:
    """The number of third-party plugins, by their state when the run began.

    Attributes:
        allowed: allowed and loaded.
        refused: installed, but not allowed.
        broken: installed, but unusable: no config can allow them as they are.
    """

    allowed: int
    refused: int
    broken: int


NO_PLUGINS: Final = PluginCounts(0, 0, 0)
"""The counts of a loop that was built without any."""


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """The thread that does a sink's work; the town's own thread computes this record.

    Attributes:
        alive: whether it gave a sign of life recently, or has nothing to do.
        heartbeat_age_s: seconds since its last sign of life.
        restarts: how often it was restarted after an unexpected error.
        last_error: the latest such error, None without any.
    """

    alive: bool
    heartbeat_age_s: float
    restarts: int = 0
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """The buffer of a sink in memory.

    Attributes:
        events: messages held.
        bytes: bytes of these messages.
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
    """The durable outbox of a sink.

    Attributes:
        events: messages held.
        bytes: bytes on the disk.
        oldest_age_s: seconds since the oldest of them was committed, 0 when the outbox is empty.
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
        code: the kind of error, as a short name.
        at_tick: tick of the latest message offered to the sink when it happened.
    """

    code: str
    at_tick: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """A distribution of values.

    Attributes:
        le: upper bounds, ascending; the last count is for values above the last bound.
        counts: values at or below each bound and above the previous one; one more count than bounds.
        sum: sum of all values.
        count: number of all values.
    """

    le: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float
    count: int


@dataclass(frozen=True, slots=True)
class SinkAccount:
    """A sink's account since the run began; it obeys the conservation law of telemetry.

    ``offered = emitted + sum(rejected)`` and
    ``emitted = delivered + spooled + buffered + dead_lettered + sum(dropped)``.

    Attributes:
        offered: messages passed to the sink, including those that its transforms withheld.
        emitted: messages accepted for delivery.
        delivered: messages that reached their destination whole.
        spooled: messages waiting in a durable outbox.
        buffered: messages waiting in memory.
        dead_lettered: messages put aside as undeliverable.
        dropped: accepted messages that were lost, by reason.
        rejected: messages that ``emit`` refused, by reason.
    """

    offered: int = 0
    emitted: int = 0
    delivered: int = 0
    spooled: int = 0
    buffered: int = 0
    dead_lettered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)

    def imbalance(self) -> str:
        """Return which equation of the law does not hold, with its numbers; empty when both hold."""
        rejected, dropped = sum(self.rejected.values()), sum(self.dropped.values())
        if self.offered != self.emitted + rejected:
            return f"offered {self.offered} is not emitted {self.emitted} + rejected {rejected}"
        parts = {
            "delivered": self.delivered,
            "spooled": self.spooled,
            "buffered": self.buffered,
            "dead_lettered": self.dead_lettered,
            "dropped": dropped,
        }
        if self.emitted != sum(parts.values()) or min(parts.values()) < 0:
            return f"emitted {self.emitted} is not {' + '.join(f'{key} {n}' for key, n in parts.items())}"
        return ""


@dataclass(frozen=True, slots=True)
class SinkHealth:
    """The health of one sink. For a sink that keeps only its account, the other fields are null.

    Attributes:
        state: its current state.
        worker: the thread that does its work; the least alive, if there are several.
        queue: what waits in memory.
        spool: what waits in its outbox, None without an outbox.
        connected: whether its destination could be reached at the latest attempt.
        consecutive_failures: attempts that failed since the last success.
        retries_total: deliveries that were tried again; every sink reports this.
        last_success_age_s: seconds since the destination last accepted something, None if it never did.
        last_error: the latest error, None without any.
        acked_through: highest ``sequence`` of this run that the destination has, None when it has none.
        flush_seconds: times from a write to its acknowledgement by the destination.
        certificate_expires_s: seconds until the first certificate in use expires, None without certificates.
        totals: its account; every sink reports this.
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
    totals: SinkAccount
