"""The metrics of a collector for Prometheus. Imported only when metrics are asked for."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector as MetricSource

from townlet_adapters.telemetry.collector.service import Collector

_PREFIX: Final = "townlet_collector_"


class CollectorMetrics(MetricSource):
    """Reads the collector's figures at each scrape, on the thread of the scrape."""

    def __init__(self, collector: Collector) -> None:
        """Read the figures of ``collector``."""
        self._collector = collector

    def describe(self) -> Iterator[Metric]:
        """Return nothing: the figures are known at the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Return every figure."""
        figures, totals = self._collector.figures, self._collector.report().totals
        yield _counter("events_stored", "Events stored since the start.", figures.stored)
        yield _counter("duplicates", "Arrivals of events that were stored already.", figures.duplicates)
        yield _counter("received_bytes", "Bytes received, after decryption.", figures.bytes_received)
        yield _counter(
            "handshakes_rejected", "Connections that failed in their handshake.", figures.handshakes_rejected
        )
        refused = CounterMetricFamily(
            _PREFIX + "refused", "Lines, requests and connections refused.", labels=["reason"]
        )
        for reason, count in dict(figures.refused).items():
            refused.add_metric([reason], count)
        yield refused
        accepted = CounterMetricFamily(_PREFIX + "connections", "Connections accepted.", labels=["transport"])
        for scheme, count in dict(figures.connections).items():
            accepted.add_metric([scheme], count)
        yield accepted
        standing = GaugeMetricFamily(
            _PREFIX + "open_connections", "Connections open now.", labels=["transport"]
        )
        for scheme, count in dict(figures.open_connections).items():
            standing.add_metric([scheme], count)
        yield standing
        yield _gauge("sources", "Sources known.", totals.sources)
        yield _gauge("events", "Different events on disk.", totals.events)
        yield _gauge("missing_events", "Numbers neither stored nor declared lost.", totals.missing)
        yield _gauge("declared_events", "Numbers declared lost.", totals.declared)
        yield _gauge("contradictions", "Numbers declared lost that are stored.", totals.contradictions)
        yield from self._disk()

    def _disk(self) -> Iterator[Metric]:
        disk = self._collector.store_figures()
        yield _gauge("stored_bytes", "Bytes of all events on disk.", disk.bytes)
        seconds = disk.sync_seconds
        bounds = [*map(str, seconds.le), "+Inf"]
        buckets = list(zip(bounds, accumulate(seconds.counts), strict=True))
        yield HistogramMetricFamily(
            _PREFIX + "fsync_duration_seconds",
            "How long a group of writes took to reach the disk.",
            buckets=buckets,
            sum_value=seconds.sum,
        )


def _counter(name: str, meaning: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(_PREFIX + name, meaning, value=value)


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, meaning, value=value)
