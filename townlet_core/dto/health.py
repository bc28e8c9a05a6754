"""What a sink and a loop report beside ``loop.health``, which has its records in ``events.health``."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Final

from townlet_core.dto.outcome import TickSummary
from townlet_core.events.health import Histogram, SinkAccount, SinkHealth, SinkState

_COUNTERS: Final = attrgetter(*(each.name for each in fields(SinkAccount)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStatus(SinkAccount):
    """One sink's account, and whose it is.

    Attributes:
        name: the sink's name within the run.
        state: its current state.
        retries: deliveries that were tried again.
        last_error: the latest error, None without any.
    """

    name: str
    state: SinkState
    retries: int = 0
    last_error: str | None = None

    @property
    def account(self) -> SinkAccount:
        """The counters alone."""
        return SinkAccount(*_COUNTERS(self))

    def as_health(self) -> SinkHealth:
        """Return the health of a sink that keeps only its account."""
        return SinkHealth(
            state=self.state,
            worker=None,
            queue=None,
            spool=None,
            connected=None,
            consecutive_failures=None,
            retries_total=self.retries,
            last_success_age_s=None,
            last_error=None,
            acked_through=None,
            flush_seconds=None,
            certificate_expires_s=None,
            totals=self.account,
        )


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
