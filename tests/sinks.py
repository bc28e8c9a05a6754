"""A sink whose health is in a test's hand."""

from dataclasses import asdict, replace

from townlet_core.dto.health import SinkCounts, SinkStatus
from townlet_core.events.health import (
    Histogram,
    QueueHealth,
    SinkAccount,
    SinkHealth,
    SinkState,
    WorkerHealth,
)
from townlet_core.ports.telemetry import EmitResult

WELL = SinkHealth(
    state="healthy",
    worker=WorkerHealth(alive=True, heartbeat_age_s=0.25),
    queue=QueueHealth(events=2, bytes=230, peak_events=41, capacity_events=100, capacity_bytes=10_000),
    spool=None,
    connected=True,
    consecutive_failures=0,
    retries_total=3,
    last_success_age_s=None,
    last_error=None,
    acked_through=None,
    flush_seconds=Histogram((0.25, 2.0), (4, 2, 0), 1.75, 6),
    certificate_expires_s=None,
    totals=SinkAccount(offered=57, emitted=57, delivered=55, buffered=2),
)
"""Health of a sink that has work and no trouble; its numbers differ, so that none is taken for another."""

COUNTS = SinkCounts(
    emitted={"critical": 4, "normal": 53},
    dropped={},
    bytes_delivered=6100,
    emit_seconds=Histogram((2e-05, 0.002), (50, 6, 1), 0.0625, 57),
    ack_seconds=Histogram((0.5, 4.0), (3, 1, 2), 21.5, 6),
)
"""The counters beside its account."""


class TellingSink:
    """Keeps what it is given, and tells the health that it was told to tell; an error is raised."""

    def __init__(self, health: SinkHealth = WELL, counts: SinkCounts = COUNTS) -> None:
        self.health_now: SinkHealth | Exception = health
        self.counts_now = counts
        self.messages = []

    def turn(self, **changes) -> None:
        """Change some fields of its health, or its counts."""
        assert isinstance(self.health_now, SinkHealth)
        self.counts_now = changes.pop("counts", self.counts_now)
        self.health_now = replace(self.health_now, **changes)

    def start(self) -> None:
        pass

    def emit(self, message) -> EmitResult:
        self.messages.append(message)
        return EmitResult("accepted")

    @property
    def state(self) -> SinkState:
        return self.status().state

    def status(self) -> SinkStatus:
        health = self.health()
        return SinkStatus(
            name="its own name", state=health.state, retries=health.retries_total, **asdict(health.totals)
        )

    def health(self) -> SinkHealth:
        if isinstance(self.health_now, Exception):
            raise self.health_now
        return self.health_now

    def counts(self) -> SinkCounts:
        return self.counts_now

    def stop(self, _deadline_seconds: float) -> SinkStatus:
        return self.status()
