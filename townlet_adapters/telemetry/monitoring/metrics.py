"""The metrics of a run for Prometheus. Imported only when metrics are asked for.

Each part counts in plain integers while it works; here the numbers are read and formatted, on the thread of
the scrape.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from townlet_adapters.telemetry.monitoring.town import TownFigures
from townlet_core.dto.health import SinkHealth, SinkStatus
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.health import Histogram, LoopStatus, SinkState
from townlet_core.events.loop import LoopHealth
from townlet_core.loop import SimulationLoop

UNKNOWN_CLASS: Final = "unknown"
"""Class of the messages of a sink that does not count by class."""

_SINK: Final = "townlet_telemetry_"

_Sinks: TypeAlias = Mapping[str, SinkHealth | SinkStatus]


class _Figure(NamedTuple):
    """One number of a sink's health; without a value there is no sample."""

    name: str
    meaning: str
    value: Callable[[SinkHealth], float | None]


class _Spread(NamedTuple):
    """One distribution of a sink's health."""

    name: str
    meaning: str
    value: Callable[[SinkHealth], Histogram]


_COUNTERS: Final = (
    _Figure(
        "long_events",
        "Messages accepted with a line of more than 64 KiB.",
        lambda sink: sink.counts.long_events,
    ),
    _Figure("bytes_delivered", "Bytes of the messages delivered.", lambda sink: sink.counts.bytes_delivered),
    _Figure(
        "dead_letters_deleted",
        "Dead letters that were deleted to make room for younger ones.",
        lambda sink: sink.counts.dead_letters_deleted,
    ),
    _Figure(
        "worker_restarts",
        "Starts of the worker after an unexpected error.",
        lambda sink: sink.worker.restarts,
    ),
)

_GAUGES: Final = (
    _Figure("queue_events", "Messages waiting in memory.", lambda sink: sink.queue.events),
    _Figure("queue_bytes", "Bytes waiting in memory.", lambda sink: sink.queue.bytes),
    _Figure("queue_peak_events", "Most messages that ever waited.", lambda sink: sink.queue.peak_events),
    _Figure("queue_capacity_events", "Most messages that may wait.", lambda sink: sink.queue.capacity_events),
    _Figure("queue_capacity_bytes", "Most bytes that may wait.", lambda sink: sink.queue.capacity_bytes),
    _Figure(
        "spool_events", "Messages in the outbox.", lambda sink: sink.spool.events if sink.spool else None
    ),
    _Figure(
        "spool_bytes",
        "Bytes of the outbox on the disk.",
        lambda sink: sink.spool.bytes if sink.spool else None,
    ),
    _Figure(
        "spool_oldest_age_seconds",
        "Age of the oldest message in the outbox.",
        lambda sink: sink.spool.oldest_age_s if sink.spool else None,
    ),
    _Figure(
        "spool_quarantined_segments",
        "Damaged files of the outbox that were put aside.",
        lambda sink: sink.spool.quarantined if sink.spool else None,
    ),
    _Figure("worker_alive", "1 while the worker reports in time.", lambda sink: sink.worker.alive),
    _Figure(
        "worker_heartbeat_age_seconds",
        "Seconds since the last sign of life of the worker.",
        lambda sink: sink.worker.heartbeat_age_s,
    ),
    _Figure(
        "connected", "1 if the destination could be reached when last tried.", lambda sink: sink.connected
    ),
    _Figure(
        "consecutive_failures",
        "Attempts that failed since one succeeded.",
        lambda sink: sink.consecutive_failures,
    ),
    _Figure(
        "last_success_timestamp_seconds",
        "When the destination last acknowledged something.",
        lambda sink: _moment(sink.last_success_age_s, -1),
    ),
    _Figure(
        "certificate_expiry_timestamp_seconds",
        "When the first certificate in use expires.",
        lambda sink: _moment(sink.certificate_expires_s, +1),
    ),
)

_SPREADS: Final = (
    _Spread(
        "emit_duration_seconds",
        "How long the town's thread was in the sink's emit.",
        lambda sink: sink.counts.emit_seconds,
    ),
    _Spread(
        "flush_duration_seconds",
        "How long writes took until they were acknowledged.",
        lambda sink: sink.flush_seconds,
    ),
    _Spread(
        "ack_latency_seconds",
        "Age of the oldest message of each batch when it was acknowledged.",
        lambda sink: sink.counts.ack_seconds,
    ),
)


class RunMetrics(Collector):
    """Collects the figures of a loop, its town and its sinks at each scrape, on the thread of the scrape."""

    def __init__(self, loop: SimulationLoop) -> None:
        """Subscribe to the loop's reports; its other numbers are read at each scrape."""
        self._loop = loop
        self._health: LoopHealth | None = None
        self._town = TownFigures(loop)
        loop.dispatcher.subscribe(LoopHealth.kind, self._hear, name="metrics")

    def _hear(self, message: Fact | Diagnostic) -> None:
        if isinstance(message.event, LoopHealth):
            self._health = message.event
            self._town.look()

    def collect(self) -> Iterator[Metric]:
        """Return every metric as it is now."""
        yield from self._of_the_loop()
        yield from self._town.collect()
        sinks = self._loop.dispatcher.healths()
        yield from _of_accounts(sinks)
        healths = {name: sink for name, sink in sinks.items() if isinstance(sink, SinkHealth)}
        for each in _COUNTERS:
            counter = CounterMetricFamily(_SINK + each.name, each.meaning, labels=["sink"])
            yield _filled(counter, each.value, healths)
        for each in _GAUGES:
            gauge = GaugeMetricFamily(_SINK + each.name, each.meaning, labels=["sink"])
            yield _filled(gauge, each.value, healths)
        for spread in _SPREADS:
            histogram = HistogramMetricFamily(_SINK + spread.name, spread.meaning, labels=["sink"])
            for name, sink in healths.items():
                _add(histogram, [name], spread.value(sink))
            yield histogram

    def _of_the_loop(self) -> Iterator[Metric]:
        figures, health = self._loop.figures, self._health
        # Until the first report the loop is well: trouble would have been reported at once.
        yield _choice(
            "townlet_status", "How the loop is doing.", LoopStatus, health.status if health else "ok"
        )
        yield GaugeMetricFamily("townlet_tick", "The latest finished tick.", figures.tick)
        yield CounterMetricFamily("townlet_ticks", "Ticks executed by this process.", figures.ticks)
        failures = "Calls of subscribers, transforms and sinks that raised."
        yield CounterMetricFamily("townlet_failures", failures, figures.listener_failures)
        durations = HistogramMetricFamily("townlet_tick_duration_seconds", "How long ticks took.", labels=[])
        _add(durations, [], figures.tick_seconds)
        yield durations
        systems = GaugeMetricFamily(
            "townlet_system_duration_seconds",
            "Mean duration of each part of a tick, as of the latest report.",
            labels=["system"],
        )
        for system in health.slowest_systems if health else ():
            systems.add_metric([system.name], system.mean_ms / 1000)
        yield systems


def _of_accounts(sinks: _Sinks) -> Iterator[Metric]:
    """Return the account of every sink."""
    states = GaugeMetricFamily(f"{_SINK}sink_state", "1 for the state of the sink.", labels=["sink", "state"])
    emitted = CounterMetricFamily(
        f"{_SINK}events_emitted", "Messages accepted for delivery.", labels=["sink", "class"]
    )
    rejected = CounterMetricFamily(
        f"{_SINK}rejected", "Messages that emit rejected.", labels=["sink", "reason"]
    )
    dropped = CounterMetricFamily(f"{_SINK}dropped", "Messages dropped.", labels=["sink", "reason", "class"])
    delivered = CounterMetricFamily(f"{_SINK}delivered", "Messages delivered.", labels=["sink"])
    dead = CounterMetricFamily(
        f"{_SINK}dead_lettered", "Messages that the destination refused for good.", labels=["sink"]
    )
    retries = CounterMetricFamily(f"{_SINK}send_retries", "Deliveries tried again.", labels=["sink"])
    for name, sink in sinks.items():
        account = sink.totals if isinstance(sink, SinkHealth) else sink
        for state in get_args(SinkState):
            states.add_metric([name, state], state == sink.state)
        for shedding, count in _emitted_by_class(sink).items():
            emitted.add_metric([name, shedding], count)
        for reason, count in account.rejected.items():
            rejected.add_metric([name, reason], count)
        for reason, by_class in _dropped_by_class(sink).items():
            for shedding, count in by_class.items():
                dropped.add_metric([name, reason, shedding], count)
        delivered.add_metric([name], account.delivered)
        dead.add_metric([name], account.dead_lettered)
        retries.add_metric([name], account.retries)
    yield from (states, emitted, rejected, dropped, delivered, dead, retries)


def _emitted_by_class(sink: SinkHealth | SinkStatus) -> Mapping[str, int]:
    return sink.counts.emitted if isinstance(sink, SinkHealth) else {UNKNOWN_CLASS: sink.emitted}


def _dropped_by_class(sink: SinkHealth | SinkStatus) -> Mapping[str, Mapping[str, int]]:
    if isinstance(sink, SinkHealth):
        return sink.counts.dropped
    return {reason: {UNKNOWN_CLASS: count} for reason, count in sink.dropped.items()}


def _choice(name: str, meaning: str, choices: object, chosen: str) -> GaugeMetricFamily:
    """Return a gauge for one of a few words: 1 for the one that holds, 0 for the others."""
    label = name.rpartition("_")[2]
    gauge = GaugeMetricFamily(name, f"1 for the one that holds. {meaning}", labels=[label])
    for choice in get_args(choices):
        gauge.add_metric([choice], choice == chosen)
    return gauge


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily,
    value: Callable[[SinkHealth], float | None],
    sinks: Mapping[str, SinkHealth],
) -> Metric:
    for name, sink in sinks.items():
        number = value(sink)
        if number is not None:
            family.add_metric([name], number)
    return family


def _add(family: HistogramMetricFamily, labels: list[str], spread: Histogram) -> None:
    """Add a distribution; in Prometheus each bucket includes those before it."""
    bounds = [*map(str, spread.le), "+Inf"]
    family.add_metric(labels, list(zip(bounds, accumulate(spread.counts), strict=True)), spread.sum)


def _moment(seconds: float | None, direction: int) -> float | None:
    """Turn an age, or a time that is left, into seconds since 1970."""
    return None if seconds is None else time.time() + direction * seconds
