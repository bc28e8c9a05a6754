"""Delivery stops neither the town nor the count, whatever its transport does."""

import json
import signal
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telemetry.collector.support import wait_until
from tests.telemetry.delivering import (
    FULL,
    GONE,
    LOCKED,
    POISON,
    assert_law,
    assert_told,
    declarations,
    fact,
    nan,
    sequences,
    sink_over,
)
from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.delivery.pulse import LINGER, PATIENCE
from townlet_adapters.telemetry.envelope import MAX_EVENT_BYTES, SOFT_EVENT_BYTES
from townlet_adapters.telemetry.testing import HastyClock, ManualClock, ScriptedOutbox, ScriptedTransport
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.errors import ContractError
from townlet_core.events.base import Diagnostic
from townlet_core.events.loop import LoopFailure
from townlet_core.ports import EmitResult
from townlet_core.ports.transport import TransportError


def await_idle_worker(sink):
    while True:
        with sink._intake.lock:
            if sink._intake._pulse.asleep == "idle":
                return


def test_everything_arrives_in_order_and_once(started):
    transport = ScriptedTransport()
    sink = started(transport)
    for n in range(3000):
        assert sink.emit(fact(n)) == EmitResult("accepted")
    status = sink.stop(30)
    assert (status.state, status.offered, status.delivered) == ("closed", 3000, 3000)
    assert sequences(transport) == list(range(3000))
    assert [json.loads(line)["seq"] for line in transport.lines] == list(range(3000))
    assert transport.closed == 1


def test_a_refused_message_uses_no_number(started):
    transport = ScriptedTransport()
    sink = started(transport)
    assert sink.emit(nan()) == EmitResult("rejected", "not_finite")
    sink.emit(fact())
    status = sink.stop(30)
    assert (status.offered, status.emitted, dict(status.rejected)) == (2, 1, {"not_finite": 1})
    assert sequences(transport) == [0]


def test_an_event_that_cannot_be_read_is_refused_and_harms_nobody(started):
    class Hostile:
        kind = "hostile.event"

    sink = started(ScriptedTransport())
    assert sink.emit(Diagnostic(0, Hostile())) == EmitResult("rejected", "not_json")
    assert sink.emit(None) == EmitResult("rejected", "not_json")
    assert_law(sink.status())


def test_a_line_beyond_the_soft_limit_is_carried_and_counted(started):
    def failure(size):
        return Diagnostic(0, LoopFailure(0, None, None, "x" * size, None))

    transport = ScriptedTransport()
    sink = started(transport)
    sink.emit(failure(0))
    sink.stop(5)
    bare = len(transport.lines[0])

    transport = ScriptedTransport()
    sink = started(transport)
    for size in (SOFT_EVENT_BYTES - bare, SOFT_EVENT_BYTES - bare + 1, 300_000, MAX_EVENT_BYTES):
        sink.emit(failure(size))
    status = sink.stop(5)
    assert [len(line) - SOFT_EVENT_BYTES for line in transport.lines[:2]] == [0, 1]
    assert (status.delivered, dict(status.rejected)) == (3, {"too_large": 1})
    assert sink.counts().long_events == 2


def test_before_the_start_and_after_the_stop_messages_are_refused():
    sink = sink_over(ScriptedTransport())
    assert sink.emit(fact()) == EmitResult("rejected", "not_started")
    sink.start()
    sink.stop(5)
    assert sink.emit(fact()) == EmitResult("rejected", "stopped")
    assert dict(sink.status().rejected) == {"not_started": 1, "stopped": 1}


def test_stop_may_come_twice_or_without_a_start():
    sink = sink_over(ScriptedTransport())
    assert sink.stop(5) == sink.stop(0)
    assert sink.status().state == "closed"


def test_a_sink_is_started_once():
    sink = sink_over(ScriptedTransport())
    sink.start()
    with pytest.raises(ContractError):
        sink.start()
    sink.stop(5)


def test_a_full_buffer_waits_for_a_slow_worker_and_loses_nothing(started):
    # The clock stands still, so the worker's last write is never old: patience has no end here.
    transport = ScriptedTransport([1] * 500)
    sink = started(transport, ManualClock(), buffer_events=4)
    for n in range(400):
        sink.emit(fact(n))
    status = sink.stop(30)
    assert (status.delivered, dict(status.dropped)) == (400, {})


def test_a_worker_that_moves_every_90_ms_is_waited_for_however_long_it_takes():
    clock, everything = ManualClock(), threading.Event()
    start = clock.monotonic()

    class Slow(ScriptedTransport):
        """Takes one line whenever the buffer is full, so that its worker never sleeps."""

        def write(self, batch):
            while sink.status().buffered < 4 and not everything.is_set():
                pass
            clock.advance(PATIENCE * 0.9)
            return super().write(batch)

    sink = sink_over(Slow([1] * 500), clock, buffer_events=4)
    sink.start()
    for n in range(50):
        sink.emit(fact(n))
    everything.set()
    assert dict(sink.stop(30).dropped) == {}
    assert clock.monotonic() - start > PATIENCE * 40


def limits_of_three(started):
    """The limits of buffers for six lines, in lines or in bytes; a batch is at most half of a buffer."""
    transport = ScriptedTransport()
    sink = started(transport)
    sink.emit(fact())
    sink.stop(5)
    return {"events": {"buffer_events": 6}, "bytes": {"buffer_bytes": 6 * len(transport.lines[0])}}


@pytest.mark.parametrize("limit", ["events", "bytes"])
def test_a_worker_that_gathers_writes_at_once_when_a_batch_is_full_and_not_one_line_before(started, limit):
    # The clock stands still, so that gathering does not end by itself.
    clock, transport = ManualClock(), ScriptedTransport()
    sink = started(transport, clock, **limits_of_three(started)[limit])
    await_idle_worker(sink)
    sink.emit(fact())
    clock.await_waiter(sink._intake.work)
    sink.emit(fact())
    assert sink._intake._pulse.asleep == "gathering"
    sink.emit(fact())
    wait_until(lambda: sink.status().delivered == 3)


def writing_its_first_batch(started, limit):
    """Return a sink of three facts a batch that hangs in the write of one fact."""
    clock, transport = ManualClock(), ScriptedTransport()
    sink = started(transport, clock, **limits_of_three(started)[limit])
    transport.hang()
    await_idle_worker(sink)
    sink.emit(fact())
    clock.await_waiter(sink._intake.work)
    clock.advance(LINGER)
    transport.await_write()
    return clock, transport, sink


@pytest.mark.parametrize("limit", ["events", "bytes"])
def test_a_worker_whose_next_batch_is_full_does_not_gather(started, limit):
    # The clock stands still, so that gathering would not end.
    clock, transport, sink = writing_its_first_batch(started, limit)
    now = clock.monotonic()
    for _ in range(3):
        sink.emit(fact())
    transport.release()
    wait_until(lambda: sink.status().delivered == 4)
    assert sequences(transport) == [0, 1, 2, 3]
    assert clock.monotonic() == now


@pytest.mark.parametrize("limit", ["events", "bytes"])
def test_a_worker_whose_next_batch_is_not_full_gathers(started, limit):
    clock, transport, sink = writing_its_first_batch(started, limit)
    for _ in range(2):
        sink.emit(fact())
    transport.release()
    clock.await_waiter(sink._intake.work)
    assert sink.status().delivered == 1
    clock.advance(LINGER)
    wait_until(lambda: sink.status().delivered == 3)


def test_a_stalled_reader_costs_one_patience_and_then_the_oldest_facts_go(started):
    clock, transport = ManualClock(), ScriptedTransport()
    transport.hang()
    sink = started(transport, clock, buffer_events=4)
    for n in range(4):
        sink.emit(fact(n))
    transport.await_write()
    results = []
    emitter = threading.Thread(target=lambda: results.append(sink.emit(fact(4))))
    emitter.start()
    clock.await_waiter(sink._intake.room)
    clock.advance(PATIENCE * 0.9)
    clock.await_waiter(sink._intake.room)
    assert results == []
    clock.advance(PATIENCE * 0.2)
    emitter.join()
    # No thread is there to advance the clock from here on: a second wait would never end.
    results += [sink.emit(fact(n)) for n in range(5, 9)]
    status = sink.status()
    assert (status.state, status.buffered, status.delivered) == ("shedding", 4, 0)
    dropped = sum(status.dropped.values())
    assert dropped == 5
    assert_law(status)
    transport.release()
    assert sink.stop(30).delivered == 5
    assert json.loads(transport.lines[-1])["data"]["count"] == 5


def test_shed_never_waits(started):
    transport = ScriptedTransport()
    transport.hang()
    sink = started(transport, ManualClock(), buffer_events=4, on_full="shed")
    for n in range(100):
        sink.emit(fact(n))
    status = sink.status()
    assert sum(status.dropped.values()) == 96
    assert_law(status)


def test_a_failure_report_outlives_facts_and_frames(started):
    transport = ScriptedTransport()
    transport.hang()
    sink = started(transport, on_full="shed", buffer_events=4)
    sink.emit(StateFrame(0, TownFrame(0)))
    sink.emit(Diagnostic(0, LoopFailure(0, None, None, "x", None)))
    for n in range(50):
        sink.emit(fact(n))
    transport.release()
    sink.stop(30)
    assert "townlet.loop.failure" in {json.loads(line)["type"] for line in transport.lines}


def test_a_full_disk_keeps_the_events_until_there_is_room_again(started):
    transport = ScriptedTransport([FULL] * 5 + [3, FULL])
    sink = started(transport, HastyClock())
    for n in range(10):
        sink.emit(fact(n))
    status = sink.stop(30)
    assert (status.delivered, dict(status.dropped)) == (10, {})
    assert status.retries == 6
    assert status.last_error == "no_space: No space left on device"
    assert sequences(transport) == list(range(10))


def test_a_closed_pipe_fails_the_sink_with_counts(started):
    transport = ScriptedTransport([2, GONE])
    sink = started(transport)
    for n in range(5):
        sink.emit(fact(n))
    sink._couriers[0].join()
    assert sink.emit(fact(5)) == EmitResult("dropped", "broken_pipe")
    status = sink.status()
    assert status.state == "failed"
    assert status.delivered == 2
    assert dict(status.dropped) == {"broken_pipe": 4}
    assert_law(status)
    assert transport.closed == 1


@pytest.mark.parametrize("fault", [SystemExit(3), KeyboardInterrupt(), MemoryError(), ValueError("odd")])
def test_the_worker_survives_whatever_a_transport_raises(started, fault):
    transport = ScriptedTransport([fault, 1, fault])
    sink = started(transport, HastyClock())
    for n in range(3):
        sink.emit(fact(n))
    status = sink.stop(30)
    assert (status.delivered, status.retries) == (3, 2)
    assert status.last_error.startswith(type(fault).__name__)


def test_stop_leaves_a_hanging_worker_behind_and_counts_its_events(started):
    transport = ScriptedTransport()
    transport.hang()
    sink = started(transport)
    for n in range(3):
        sink.emit(fact(n))
    transport.await_write()
    status = sink.stop(0.05)
    assert (status.state, dict(status.dropped)) == ("closed", {"undelivered_at_stop": 3})
    transport.release()
    sink._couriers[0].join()
    assert sink.status() == status
    assert transport.closed == 1


def test_stop_ends_in_time_when_the_disk_stays_full(started):
    transport = ScriptedTransport([FULL] * 10_000)
    sink = started(transport)
    for n in range(3):
        sink.emit(fact(n))
    status = sink.stop(0.2)
    assert (status.state, dict(status.dropped)) == ("closed", {"undelivered_at_stop": 3})
    assert transport.closed == 1


def test_stop_tries_once_more_before_the_next_retry_is_due(started):
    # The clock stands still, so the retry would never be due.
    sink = started(ScriptedTransport([FULL]), ManualClock(), buffer_events=2)
    sink.emit(fact())
    while sink.status().last_error is None:
        pass
    assert sink.stop(1).delivered == 1


def test_stop_frees_a_town_that_waits_for_room(started):
    transport = ScriptedTransport()
    transport.hang()
    clock = ManualClock()
    sink = started(transport, clock, buffer_events=2)
    sink.emit(fact())
    sink.emit(fact())
    results = []
    emitter = threading.Thread(target=lambda: results.append(sink.emit(fact())))
    emitter.start()
    clock.await_waiter(sink._intake.room)
    sink.stop(0)
    emitter.join()
    assert results == [EmitResult("rejected", "stopped")]
    assert_law(sink.status())


def test_a_failing_close_is_told_and_stops_nothing():
    class Unsynced(ScriptedTransport):
        def close(self):
            raise TransportError("eio", "Input/output error", verdict="retry")

    sink = sink_over(Unsynced())
    sink.start()
    sink.emit(fact())
    status = sink.stop(30)
    assert (status.state, status.delivered) == ("closed", 1)
    assert status.last_error == "close: Input/output error"


def test_a_worker_left_behind_changes_nothing_any_more():
    class Broken(ScriptedTransport):
        def close(self):
            raise TransportError("eio", "Input/output error", verdict="retry")

    transport = Broken([GONE])
    transport.hang()
    sink = sink_over(transport)
    sink.start()
    sink.emit(fact())
    transport.await_write()
    status = sink.stop(0)
    transport.release()
    sink._couriers[0].join()
    assert sink.status() == status


def test_an_emit_within_an_emit_is_taken_along(started):
    class Interrupting(SystemClock):
        """Calls back where the sink holds its lock, as a signal handler may."""

        callback = None

        def monotonic(self):
            callback, self.callback = self.callback, None
            if callback is not None:
                callback()
            return super().monotonic()

    clock, transport = Interrupting(), ScriptedTransport()
    sink = started(transport, clock)
    await_idle_worker(sink)
    inner = []
    clock.callback = lambda: inner.extend([sink.emit(fact(1)), sink.status().offered])
    assert sink.emit(fact(0)) == EmitResult("accepted")
    # Within the outer emit the inner one was put aside; now it has its place behind it.
    assert inner == [EmitResult("accepted"), 1]
    status = sink.stop(30)
    assert (status.offered, status.delivered) == (2, 2)
    assert [json.loads(line)["seq"] for line in transport.lines] == [0, 1]


def test_signal_handlers_may_emit(started):
    transport = ScriptedTransport()
    sink = started(transport, on_full="shed", buffer_events=64)
    fired = []

    def handler(_number, _frame):
        fired.append(sink.emit(fact(7)))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    count = 0
    try:
        while len(fired) < 50:
            sink.emit(fact(count))
            count += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    status = sink.stop(30)
    assert status.offered == count + len(fired) + len(declarations(transport.lines))
    assert_law(status)
    assert len(set(sequences(transport))) == status.delivered


def test_eight_threads_may_emit(started):
    transport = ScriptedTransport()
    sink = started(transport, buffer_events=100)
    threads = [threading.Thread(target=lambda: [sink.emit(fact(n)) for n in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = sink.stop(30)
    assert status.offered == status.emitted == 4000
    assert_law(status)
    numbers = sequences(transport)
    assert numbers == sorted(set(numbers))


REFUSED = nan()
MESSAGES = st.lists(
    st.sampled_from(
        [
            fact(1),
            REFUSED,
            StateFrame(1, TownFrame(1)),
            StateFrame(1, TownFrame(1, extra={"x": "y" * 3000})),
            Diagnostic(1, LoopFailure(0, None, None, "x", None)),
        ]
    ),
    max_size=60,
)
FAULTS = st.sampled_from([FULL, POISON, LOCKED, SystemExit(1), ValueError("odd")])
SCRIPTS = st.lists(st.integers(0, 5) | FAULTS | st.just(GONE), max_size=30)
ROOM = st.tuples(st.integers(1, 20), st.sampled_from([1024, 8000, 1 << 20]))
ON_FULL = st.sampled_from(["wait", "shed"])


def tell(sink, messages):
    """Emit, and hold the account against the law after each; returns how many messages should be refused."""
    for offered, message in enumerate(messages, 1):
        sink.emit(message)
        status = sink.status()
        assert status.offered >= offered
        assert_law(status)
    return sum(message is REFUSED for message in messages)


@settings(max_examples=150, deadline=None)
@given(MESSAGES, SCRIPTS, ROOM, ON_FULL)
def test_the_conservation_law_holds_at_every_instant(messages, script, room, on_full):
    transport = ScriptedTransport(script)
    sink = sink_over(transport, HastyClock(), on_full=on_full, buffer_events=room[0], buffer_bytes=room[1])
    sink.start()
    refused = tell(sink, messages)
    status = sink.stop(30)
    assert_law(status)
    assert status.buffered == 0
    assert status.delivered == len(transport.lines)
    numbers = sequences(transport)
    assert numbers == sorted(numbers)
    if status.state == "closed" and not sink._intake.life.fatal:
        assert status.rejected.get("not_finite", 0) == refused
        held = sum(lost.count for lost in sink._intake.undeclared(-1))
        assert_told(transport, status, undelivered=held + status.dropped.get("undelivered_at_stop", 0))


@settings(max_examples=100, deadline=None)
@given(MESSAGES, SCRIPTS, st.lists(st.none() | FAULTS, max_size=10), ROOM, ON_FULL)
def test_the_law_holds_with_an_outbox_too(messages, script, commits, room, on_full):
    transport = ScriptedTransport(step for step in script if step is not GONE)
    outbox = ScriptedOutbox(step for step in commits if step is not POISON)
    sink = sink_over(
        transport, HastyClock(), outbox=outbox, on_full=on_full, buffer_events=room[0], buffer_bytes=room[1]
    )
    sink.start()
    refused = tell(sink, messages)
    if len(messages) % 3 == 0:
        outbox.damage(2)
        assert_law(sink.status())
    status = sink.stop(30)
    assert_law(status)
    assert status.rejected.get("not_finite", 0) == refused
    assert status.buffered == 0
    assert status.delivered == len(transport.lines)
    assert status.spooled == len(outbox.rows)
    assert outbox.emitted == status.emitted
    assert outbox.closed
    waiting = {number for _, number, _ in outbox.rows}
    held = sum(lost.count for lost in sink._intake.undeclared(-1))
    left = len(waiting) + held + status.dropped.get("undelivered_at_stop", 0)
    if not waiting:
        assert_told(transport, status, undelivered=left)
