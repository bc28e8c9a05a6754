"""A sink tells how it is doing in plain figures that add up with its account."""

import json

import pytest

from tests.telemetry.delivering import FULL, fact, sink_over
from townlet_adapters.telemetry.delivery.meters import ACK_BOUNDS, EMIT_BOUNDS, FLUSH_BOUNDS, Meter
from townlet_adapters.telemetry.testing import HastyClock, ManualClock, ScriptedOutbox, ScriptedTransport
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.events.base import Diagnostic
from townlet_core.events.loop import LoopFailure
from townlet_core.ports.telemetry import SupportsHealth
from townlet_core.ports.transport import Condition
from townlet_core.records import record_to_json


def test_a_meter_puts_each_duration_below_the_bound_that_it_does_not_exceed():
    meter = Meter((0.1, 1.0))
    for seconds in (0.0, 0.1, 0.2, 1.0, 7.0):
        meter.add(seconds)
    told = meter.read()
    assert (told.le, told.counts, told.count) == ((0.1, 1.0), (2, 2, 1), 5)
    assert told.sum == pytest.approx(8.3)


@pytest.mark.parametrize(
    ("bounds", "shortest", "longest"),
    [(EMIT_BOUNDS, 2e-6, 1), (FLUSH_BOUNDS, 1e-4, 30), (ACK_BOUNDS, 1e-3, 3600)],
)
def test_bounds_of_a_histogram_ascend_over_the_range_that_is_measured(bounds, shortest, longest):
    assert (bounds[0], bounds[-1]) == (shortest, longest)
    assert list(bounds) == sorted(set(bounds))


def test_before_the_start_it_has_done_nothing():
    sink = sink_over(ScriptedTransport())
    assert isinstance(sink, SupportsHealth)
    health = sink.health()
    assert (health.state, health.worker.alive) == ("healthy", False)
    assert (health.acked_through, health.spool) == (None, None)
    assert (health.last_success_age_s, health.last_error) == (None, None)


@pytest.mark.parametrize("outbox", [None, ScriptedOutbox], ids=["memory", "outbox"])
def test_the_figures_add_up(started, outbox):
    class Certified(ScriptedTransport):
        def condition(self):
            return Condition(connected=True, certificate_expires=0.0)

    transport = Certified([1, 3, FULL])
    sink = started(
        transport,
        HastyClock(),
        outbox=outbox and outbox(),
        on_full="shed",
        buffer_events=64,
        buffer_bytes=10**6,
    )
    sink.emit(fact())
    while sink.status().delivered == 0:
        pass
    transport.hang()
    for n in range(199):
        sink.emit(fact(n))
        sink.emit(StateFrame(n, TownFrame(n)))
    sink.emit(Diagnostic(9, LoopFailure(9, None, None, "x", None)))
    transport.release()
    status = sink.stop(1e6)
    health, counts = sink.health(), sink.counts()
    assert health.totals == status.account
    assert (health.state, health.retries_total) == (status.state, status.retries)
    assert sum(counts.emitted.values()) == status.emitted
    assert counts.emitted["bulk"] == 199
    assert counts.emitted["critical"] >= 1
    assert {reason: sum(by.values()) for reason, by in counts.dropped.items()} == dict(status.dropped)
    assert counts.bytes_delivered == sum(map(len, transport.lines))
    assert counts.emit_seconds.count >= 401 // 64
    assert counts.emit_seconds.le == EMIT_BOUNDS
    assert counts.ack_seconds.count >= 1
    assert health.flush_seconds.count >= 2
    assert health.queue.peak_events <= health.queue.capacity_events == 64
    assert (health.queue.events, health.queue.bytes, health.queue.capacity_bytes) == (0, 0, 10**6)
    assert health.acked_through == int(json.loads(transport.lines[-1])["sequence"])
    assert health.last_error.code == "no_space"
    assert (health.consecutive_failures, health.retries_total) == (0, status.retries)
    assert health.connected
    assert health.certificate_expires_s < -1e9
    assert health.last_success_age_s >= 0
    assert (health.spool is None) == (outbox is None)
    record_to_json(health)


def test_a_failure_is_told_with_the_tick_of_the_latest_message(started):
    clock = ManualClock()
    sink = started(ScriptedTransport([FULL]), clock, buffer_events=2)
    sink.emit(fact(41))
    while sink.status().last_error is None:
        pass
    health = sink.health()
    assert (health.state, health.consecutive_failures) == ("degraded", 1)
    assert (health.last_error.code, health.last_error.at_tick) == ("no_space", 41)
    assert health.queue.peak_events == 1


def test_a_line_takes_as_long_as_it_took_its_destination_to_take_it(started):
    class Slow(ScriptedTransport):
        """Takes two seconds for every batch."""

        def write(self, batch):
            clock.advance(2.0)
            return super().write(batch)

    clock, transport = ManualClock(), Slow()
    sink = started(transport, clock, buffer_events=2)
    sink.emit(fact())
    while sink.status().delivered == 0:
        pass
    flush = sink.health().flush_seconds
    assert flush.sum == pytest.approx(2.0)
    assert flush.counts[flush.le.index(5.0)] == 1
