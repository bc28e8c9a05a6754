"""How long ticks take, and what the loop says of itself."""

from collections import deque
from collections.abc import Mapping, Sequence

from townlet_core.dto.health import SinkStatus
from townlet_core.dto.outcome import TickSummary
from townlet_core.events.loop import LoopHealth
from townlet_core.jsonvalue import JsonObject
from townlet_core.records import record_to_json

HEALTH_TICKS = 60
"""``loop.health`` is told at least this often."""


class Vitals:
    """Durations of the ticks since the last report, and the states that the sinks were in at it."""

    def __init__(self) -> None:
        """Start without a tick."""
        self._seconds: deque[float] = deque(maxlen=HEALTH_TICKS)
        self._states: tuple[str, ...] | None = None

    def note(self, seconds: float) -> None:
        """Add one tick's duration."""
        self._seconds.append(seconds)

    def due(self, tick: int, sinks: Sequence[SinkStatus]) -> bool:
        """Tell whether a report is due at the end of ``tick``: the time has come or a state changed."""
        states = tuple(sink.state for sink in sinks)
        changed = self._states is not None and states != self._states
        self._states = states
        return changed or (tick + 1) % HEALTH_TICKS == 0

    def report(
        self, sinks: Sequence[SinkStatus], summary: TickSummary, failure_count: int, *, failed: bool
    ) -> LoopHealth:
        """Give the report and start the durations anew."""
        ailing = failure_count > 0 or any(sink.state != "healthy" for sink in sinks)
        health = LoopHealth(
            status="failed" if failed else "degraded" if ailing else "ok",
            tick_ms=self._tick_ms(),
            failure_count=failure_count,
            sinks={sink.name: _as_json(sink) for sink in sinks},
            perturbations_active=summary.perturbations_active,
            perturbations_pending=summary.perturbations_pending,
            reviews_pending=summary.reviews_pending,
        )
        self._seconds.clear()
        return health

    def _tick_ms(self) -> Mapping[str, float]:
        ordered = sorted(self._seconds) or [0.0]
        p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
        mean = sum(ordered) / len(ordered)
        return {"mean": mean * 1000.0, "p99": p99 * 1000.0, "max": ordered[-1] * 1000.0}


def _as_json(sink: SinkStatus) -> JsonObject:
    return {key: value for key, value in record_to_json(sink).items() if key != "name"}
