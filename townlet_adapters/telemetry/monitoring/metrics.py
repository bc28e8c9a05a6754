"""The metrics of a run for Prometheus. Imported only when metrics are asked for.

Each part counts in plain integers while it works; here the numbers are read and formatted, on the thread of
the scrape.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final, Generic, NamedTuple, TypeVar, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from townlet_adapters.telemetry.monitoring.town import TownFigures
from townlet_core.dto.health import SinkCounts
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.health import (
    Histogram,
    LoopStatus,
    QueueHealth,
    SinkHealth,
    SinkState,
    SpoolHealth,
    WorkerHealth,
)
from townlet_core.events.loop import LoopHealth
from townlet_core.loop import SimulationLoop

UNKNOWN_CLASS: Final = "unknown"
"""Class of the messages of a sink that does not count by class."""

_SINK: Final = "townlet_telemetry_"

_RecordT = TypeVar("_RecordT")
_PartT = TypeVar("_PartT", QueueHealth, SpoolHealth, WorkerHealth)


class _Figure(NamedTuple, Generic[_RecordT]):
    """One number of what a sink reports; without a value there is no sample."""

    name: str
    meaning: str
    value: Callable[[_RecordT], float | None]


class _Spread(NamedTuple, Generic[_RecordT]):
    """One distribution of what a sink reports."""

    name: str
    meaning: str
    value: Callable[[_RecordT], Histogram | None]


_COUNTS: Final = (
    _Figure[SinkCounts](
        "long_events", "Messages accepted with a line of more than 64 KiB.", lambda sink: sink.long_events
    ),
    _Figure[SinkCounts](
        "bytes_delivered", "Bytes of the messages delivered.", lambda sink: sink.bytes_delivered
    ),
    _Figure[SinkCounts](
        "dead_letters_deleted",
        "Dead letters that were deleted to make room for younger ones.",
        lambda sink: sink.dead_letters_deleted,
    ),
)

_RESTARTS: Final = _Figure[WorkerHealth](
    "worker_restarts", "Starts of the worker after an unexpected error.", lambda worker: worker.restarts
)

_QUEUE: Final = (
    _Figure[QueueHealth]("queue_events", "Messages waiting in memory.", lambda queue: queue.events),
    _Figure[QueueHealth]("queue_bytes", "Bytes waiting in memory.", lambda queue: queue.bytes),
    _Figure[QueueHealth](
        "queue_peak_events", "Most messages that ever waited.", lambda queue: queue.peak_events
    ),
    _Figure[QueueHealth](
        "queue_capacity_events", "Most messages that may wait.", lambda queue: queue.capacity_events
    ),
    _Figure[QueueHealth](
        "queue_capacity_bytes", "Most bytes that may wait.", lambda queue: queue.capacity_bytes
    ),
)

_SPOOL: Final = (
    _Figure[SpoolHealth]("spool_events", "Messages in the outbox.", lambda spool: spool.events),
    _Figure[SpoolHealth]("spool_bytes", "Bytes of the outbox on the disk.", lambda spool: spool.bytes),
    _Figure[SpoolHealth](
        "spool_oldest_age_seconds",
        "Age of the oldest message in the outbox.",
        lambda spool: spool.oldest_age_s,
    ),
    _Figure[SpoolHealth](
        "spool_quarantined_segments",
        "Damaged files of the outbox that were put aside.",
        lambda spool: spool.quarantined,
    ),
)

_WORKER: Final = (
    _Figure[WorkerHealth]("worker_alive", "1 while the worker reports in time.", lambda worker: worker.alive),
    _Figure[WorkerHealth](
        "worker_heartbeat_age_seconds",
        "Seconds since the last sign of life of the worker.",
        lambda worker: worker.heartbeat_age_s,
    ),
)

_DESTINATION: Final = (
    _Figure[SinkHealth](
        "connected", "1 if the destination could be reached when last tried.", lambda sink: sink.connected
    ),
    _Figure[SinkHealth](
        "consecutive_failures",
        "Attempts that failed since one succeeded.",
        lambda sink: sink.consecutive_failures,
    ),
    _Figure[SinkHealth](
        "last_success_timestamp_seconds",
        "When the destination last acknowledged something.",
        lambda sink: _moment(sink.last_success_age_s, -1),
    ),
    _Figure[SinkHealth](
        "certificate_expiry_timestamp_seconds",
        "When the first certificate in use expires.",
        lambda sink: _moment(sink.certificate_expires_s, +1),
    ),
)

_EMIT: Final = _Spread[SinkCounts](
    "emit_duration_seconds",
    "How long the town's thread was in the sink's emit.",
    lambda sink: sink.emit_seconds,
)
_FLUSH: Final = _Spread[SinkHealth](
    "flush_duration_seconds",
    "How long writes took until they were acknowledged.",
    lambda sink: sink.flush_seconds,
)
_ACK: Final = _Spread[SinkCounts](
    "ack_latency_seconds",
    "Age of the oldest message of each batch when it was acknowledged.",
    lambda sink: sink.ack_seconds,
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
        sinks, counts = self._loop.dispatcher.healths(), self._loop.dispatcher.counts()
        workers = _present({name: sink.worker for name, sink in sinks.items()})
        yield from _of_accounts(sinks, counts)
        yield from _counters(_COUNTS, counts)
        yield from _counters((_RESTARTS,), workers)
        yield from _gauges(_QUEUE, _present({name: sink.queue for name, sink in sinks.items()}))
        yield from _gauges(_SPOOL, _present({name: sink.spool for name, sink in sinks.items()}))
        yield from _gauges(_WORKER, workers)
        yield from _gauges(_DESTINATION, sinks)
        yield _histogram(_EMIT, counts)
        yield _histogram(_FLUSH, sinks)
        yield _histogram(_ACK, counts)

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


def _of_accounts(sinks: Mapping[str, SinkHealth], counts: Mapping[str, SinkCounts]) -> Iterator[Metric]:
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
        account, by_class = sink.totals, counts.get(name)
        for state in get_args(SinkState):
            states.add_metric([name, state], state == sink.state)
        for shedding, count in (by_class.emitted if by_class else {UNKNOWN_CLASS: account.emitted}).items():
            emitted.add_metric([name, shedding], count)
        for reason, count in account.rejected.items():
            rejected.add_metric([name, reason], count)
        for reason, lost in (by_class.dropped if by_class else _of_no_class(account.dropped)).items():
            for shedding, count in lost.items():
                dropped.add_metric([name, reason, shedding], count)
        delivered.add_metric([name], account.delivered)
        dead.add_metric([name], account.dead_lettered)
        retries.add_metric([name], sink.retries_total)
    yield from (states, emitted, rejected, dropped, delivered, dead, retries)


def _of_no_class(dropped: Mapping[str, int]) -> Mapping[str, Mapping[str, int]]:
    return {reason: {UNKNOWN_CLASS: count} for reason, count in dropped.items()}


def _present(parts: Mapping[str, _PartT | None]) -> dict[str, _PartT]:
    """Leave out the sinks without such a part."""
    return {name: part for name, part in parts.items() if part is not None}


def _choice(name: str, meaning: str, choices: object, chosen: str) -> GaugeMetricFamily:
    """Return a gauge for one of a few words: 1 for the one that holds, 0 for the others."""
    label = name.rpartition("_")[2]
    gauge = GaugeMetricFamily(name, f"1 for the one that holds. {meaning}", labels=[label])
    for choice in get_args(choices):
        gauge.add_metric([choice], choice == chosen)
    return gauge


def _counters(figures: Iterable[_Figure[_RecordT]], records: Mapping[str, _RecordT]) -> Iterator[Metric]:
    for each in figures:
        yield _filled(CounterMetricFamily(_SINK + each.name, each.meaning, labels=["sink"]), each, records)


def _gauges(figures: Iterable[_Figure[_RecordT]], records: Mapping[str, _RecordT]) -> Iterator[Metric]:
    for each in figures:
        yield _filled(GaugeMetricFamily(_SINK + each.name, each.meaning, labels=["sink"]), each, records)


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily,
    figure: _Figure[_RecordT],
    records: Mapping[str, _RecordT],
) -> Metric:
    for name, record in records.items():
        number = figure.value(record)
        if number is not None:
            family.add_metric([name], number)
    return family


def _histogram(spread: _Spread[_RecordT], records: Mapping[str, _RecordT]) -> Metric:
    family = HistogramMetricFamily(_SINK + spread.name, spread.meaning, labels=["sink"])
    for name, record in records.items():
        values = spread.value(record)
        if values is not None:
            _add(family, [name], values)
    return family


def _add(family: HistogramMetricFamily, labels: list[str], spread: Histogram) -> None:
    """Add a distribution; in Prometheus each bucket includes those before it."""
    bounds = [*map(str, spread.le), "+Inf"]
    family.add_metric(labels, list(zip(bounds, accumulate(spread.counts), strict=True)), spread.sum)


def _moment(seconds: float | None, direction: int) -> float | None:
    """Turn an age, or a time that is left, into seconds since 1970."""
    return None if seconds is None else time.time() + direction * seconds
