"""How a sink and the loop are doing; the smaller records are those of ``loop.health``."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from townlet_core.events.health import (
    ErrorHealth,
    Histogram,
    QueueHealth,
    SinkState,
    SpoolHealth,
    WorkerHealth,
)


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
class SinkCounts:
    """What monitors count of a sink beside its account; ``loop.health`` leaves it out.

    Attributes:
        emitted: messages accepted for delivery, by class: ``critical``, ``normal``, ``bulk``.
        dropped: messages given up, by reason and then by class; its sums are those of the account.
        bytes_delivered: bytes of the lines that reached their destination whole.
        emit_seconds: how long calls of ``emit`` took, or a sample of them.
        ack_seconds: how long a sample of this run's messages took from ``emit`` to the destination.
        dead_letters_deleted: messages put aside, by this run or an earlier one, and deleted since to make
            room for younger ones.
        long_events: messages accepted although their line has more than 64 KiB.
    """

    emitted: Mapping[str, int]
    dropped: Mapping[str, Mapping[str, int]]
    bytes_delivered: int
    emit_seconds: Histogram
    ack_seconds: Histogram
    dead_letters_deleted: int = 0
    long_events: int = 0


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
        counts: what monitors count beside it.
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
    counts: SinkCounts


@dataclass(frozen=True, slots=True)
class LoopFigures:
    """What monitors count of a loop since it was built.

    Attributes:
        tick: the latest finished tick, -1 before the first.
        ticks: ticks executed here; a resumed run counts its own.
        population: agents living.
        listener_failures: how often subscribers, transforms and sinks raised.
        tick_seconds: how long ticks took, without waiting for the next.
    """

    tick: int
    ticks: int
    population: int
    listener_failures: int
    tick_seconds: Histogram
