"""A sink whose health is in a test's hand."""

from dataclasses import replace

from townlet_core.dto.health import SinkCounts, SinkHealth, SinkStatus
from townlet_core.events.health import Histogram, QueueHealth, WorkerHealth
from townlet_core.ports.telemetry import EmitResult

NOTHING_YET = Histogram((0.1, 1.0), (0, 0, 0), 0.0, 0)

WELL = SinkHealth(
    state="healthy",
    worker=WorkerHealth(alive=True, heartbeat_age_s=0.0),
    queue=QueueHealth(events=0, bytes=0, peak_events=0, capacity_events=100, capacity_bytes=10_000),
    spool=None,
    connected=True,
    consecutive_failures=0,
    retries_total=0,
    last_success_age_s=None,
    last_error=None,
    acked_through=None,
    flush_seconds=NOTHING_YET,
    certificate_expires_s=None,
    totals=SinkStatus("its own name", "healthy"),
    counts=SinkCounts(
        emitted={}, dropped={}, bytes_delivered=0, emit_seconds=NOTHING_YET, ack_seconds=NOTHING_YET
    ),
)


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
