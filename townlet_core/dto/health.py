"""The health of a sink and of the loop; ``loop.health`` uses the same smaller records."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from townlet_core.dto.outcome import TickSummary
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
    """One sink's account: its counters, which obey the conservation law of telemetry.

    ``offered = emitted + sum(rejected)`` and
    ``emitted = delivered + spooled + buffered + dead_lettered + sum(dropped)``.

    Attributes:
        name: the sink's name within the run.
        state: its current state.
        offered: messages passed to ``emit``.
        emitted: messages accepted for delivery.
        delivered: messages that reached their destination whole.
        spooled: messages waiting in a durable outbox.
        buffered: messages waiting in memory.
        dead_lettered: messages put aside as undeliverable.
        dropped: accepted messages that were lost, by reason.
        rejected: messages that ``emit`` refused, by reason.
        retries: deliveries that were tried again.
        last_error: the latest error, None without any.
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
    """Counters of a sink for monitoring, beside its account; ``loop.health`` leaves them out.

    Attributes:
        emitted: messages accepted for delivery, by class: ``critical``, ``normal``, ``bulk``.
        dropped: accepted messages that were lost, by reason and then by class; the sums are the account's.
        bytes_delivered: bytes of the lines that reached their destination whole.
        emit_seconds: durations of calls of ``emit``, or of a sample of them.
        ack_seconds: times from ``emit`` to the destination, for a sample of this run's messages.
        dead_letters_deleted: dead letters of this run or an earlier one that were deleted since to make
            room for newer ones.
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
    """The health of one sink, for people and monitors; ``SinkStatus`` is its account.

    Attributes:
        state: its current state.
        worker: the thread that does its work; the least alive, if there are several.
        queue: what waits in memory.
        spool: what waits in its outbox, None without an outbox.
        connected: whether its destination could be reached at the latest attempt.
        consecutive_failures: attempts that failed since the last success.
        retries_total: deliveries that were tried again.
        last_success_age_s: seconds since the destination last accepted something, None if it never did.
        last_error: the latest error, None without any.
        acked_through: highest ``sequence`` of this run that the destination has, None when it has none.
        flush_seconds: times from a write to its acknowledgement by the destination.
        certificate_expires_s: seconds until the first certificate in use expires, None without certificates.
        totals: its account.
        counts: further counters for monitors.
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
    """Counters of a loop since it was built, for monitors.

    Attributes:
        tick: the latest finished tick, -1 before the first.
        ticks: ticks executed by this loop; ticks before a resume are not counted.
        population: living agents.
        listener_failures: exceptions raised by subscribers, transforms and sinks.
        summary: the numbers of the latest finished tick, None before the first.
        tick_seconds: durations of ticks, without the wait for the next one.
    """

    tick: int
    ticks: int
    population: int
    listener_failures: int
    summary: TickSummary | None
    tick_seconds: Histogram
