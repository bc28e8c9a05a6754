"""A sink whose health is in a test's hand."""

from dataclasses import replace

from townlet_core.dto.health import SinkCounts, SinkHealth, SinkStatus
from townlet_core.events.health import Histogram, QueueHealth, WorkerHealth
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
    totals=SinkStatus("its own name", "healthy", offered=57, emitted=57, delivered=55, buffered=2),
    counts=SinkCounts(
        emitted={"critical": 4, "normal": 53},
        dropped={},
        bytes_delivered=6100,
        emit_seconds=Histogram((2e-05, 0.002), (50, 6, 1), 0.0625, 57),
        ack_seconds=Histogram((0.5, 4.0), (3, 1, 2), 21.5, 6),
    ),
)
"""Health of a sink that has work and no trouble; its numbers differ, so that none is taken for another."""


class TellingSink:
    """Keeps what it is given, and tells the health that it was told to tell; an error is raised."""

    def __init__(self, health: SinkHealth = WELL) -> None:
        self.health_now: SinkHealth | Exception = health
        self.messages = []

    def turn(self, **changes) -> None:
        """Change some fields of its health."""
        assert isinstance(self.health_now, SinkHealth)
        self.health_now = replace(self.health_now, **changes)

    def start(self) -> None:
        pass

    def emit(self, message) -> EmitResult:
        self.messages.append(message)
        return EmitResult("accepted")

    def status(self) -> SinkStatus:
        health = self.health()
        return replace(health.totals, state=health.state)

    def health(self) -> SinkHealth:
        if isinstance(self.health_now, Exception):
            raise self.health_now
        return self.health_now

    def stop(self, _deadline_seconds: float) -> SinkStatus:
        return self.status()
