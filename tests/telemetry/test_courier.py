"""A worker goes on whatever happens to it, in its own time, and whether it lives is told by others."""

import json
import logging
import math

import pytest

from tests.disks import WatchedDisk
from tests.telemetry.delivering import (
    FULL,
    LOCKED,
    POISON,
    assert_law,
    assert_told,
    declarations,
    fact,
    sequences,
    sink_over,
)
from townlet_adapters.telemetry.delivery.courier import LOCAL, LONGEST_ASKED, NETWORK
from townlet_adapters.telemetry.delivery.deadletters import DeadLetters
from townlet_adapters.telemetry.testing import HastyClock, ManualClock, ScriptedOutbox, ScriptedTransport
from townlet_core.ports.transport import Batch, TransportError


class Waits(HastyClock):
    """Remembers the waits of a courier after faults: those longer than gathering takes."""

    def __init__(self):
        super().__init__()
        self.told = []

    def wait(self, condition, timeout):
        if timeout is not None and timeout > 0.045:
            self.told.append(timeout)
        super().wait(condition, timeout)


def waits_after(script, pace):
    clock = Waits()
    sink = sink_over(ScriptedTransport(script), clock, pace=pace)
    sink.start()
    sink.emit(fact())
    while sink.status().delivered == 0:
        pass
    sink.stop(30)
    return clock.told


class Choosy(ScriptedTransport):
    """Refuses every batch with one of these facts in it; counts its exchanges."""

    def __init__(self, poison, *, refuse_records=False):
        super().__init__()
        self.poison, self.refuse_records, self.exchanges = set(poison), refuse_records, 0

    def write(self, batch):
        self.exchanges += 1
        for event in map(json.loads, batch.lines):
            record = event["type"] == "townlet.telemetry.loss"
            if (self.refuse_records and record) or event.get("seq") in self.poison:
                raise POISON
        return super().write(batch)


# ---- back-off


def test_a_local_fault_is_retried_after_twice_as_long_each_time_up_to_two_seconds():
    assert waits_after([FULL] * 8, LOCAL) == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])


def test_a_network_fault_is_retried_after_a_random_time_that_neither_spins_nor_exceeds_its_bound():
    waits = [waits_after([FULL] * 9, NETWORK) for _ in range(20)]
    for each in waits:
        assert all(0.049 < wait <= min(30.0, 0.5 * 2**n) for n, wait in enumerate(each))
    assert len({each[8] for each in waits}) > 10
    assert max(each[8] for each in waits) > 10 > min(each[8] for each in waits)


ASKED = [(120.0, 120.0), (1e9, LONGEST_ASKED), (math.inf, LONGEST_ASKED), (-5.0, 0.05), (math.nan, 0.05)]


@pytest.mark.parametrize(("asked", "least"), ASKED)
def test_a_peer_that_asks_to_be_left_alone_is_but_not_for_ever(asked, least):
    fault = TransportError("http_503", "busy", retry_after=asked)
    (wait,) = waits_after([fault], LOCAL)
    assert wait == pytest.approx(least)


def test_a_pause_waits_at_the_slow_end_and_tells_once_what_a_person_must_do(caplog):
    with caplog.at_level(logging.WARNING):
        waits = waits_after([LOCKED, FULL, LOCKED, LOCKED], NETWORK)
    assert all(waits[n] >= 15.0 for n in (0, 2, 3))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "the peer does not know us (http_401)" in told[0]
    assert "check address, credentials and certificates" in told[0]
    assert "delivers again after 4 failed attempts" in told[1]


def test_only_an_acknowledgement_ends_a_row_of_failures():
    waits = waits_after([FULL, 0, FULL, 0, FULL], LOCAL)
    assert waits == pytest.approx([0.05, 0.1, 0.2])


def test_after_an_acknowledgement_waits_are_short_again():
    clock = Waits()
    sink = sink_over(ScriptedTransport([FULL, FULL, FULL, 1, FULL]), clock)
    sink.start()
    sink.emit(fact(0))
    sink.emit(fact(1))
    while sink.status().delivered < 2:
        pass
    sink.stop(30)
    assert clock.told == pytest.approx([0.05, 0.1, 0.2, 0.05])


# ---- poison


@pytest.mark.parametrize("outbox", [None, ScriptedOutbox], ids=["memory", "outbox"])
def test_a_poison_line_is_found_by_halves_put_aside_and_declared_and_the_rest_goes_on_in_order(
    started, tmp_path, outbox
):
    transport, letters = Choosy([37]), DeadLetters(tmp_path / "dead", 1 << 20)
    transport.hang()
    sink = started(transport, HastyClock(), outbox=outbox and outbox(), dead_letters=letters)
    for n in range(100):
        sink.emit(fact(n))
    transport.release()
    status = sink.stop(1e6)
    assert (status.delivered, status.dead_lettered, dict(status.dropped)) == (100, 1, {})
    assert_law(status)
    assert_told(transport, status)
    assert sequences(transport) == sorted(sequences(transport))
    assert declarations(transport.lines) == [("urn:townlet:run:r:p1", "dead_lettered", {37})]
    (entry,) = map(json.loads, (tmp_path / "dead" / "dead-00000001.ndjson").read_text().splitlines())
    assert (entry["code"], entry["reason"]) == ("http_400", "the peer refuses a line")
    assert json.loads(entry["line"])["seq"] == 37
    # One exchange for each half on the way down and up again, not one for each line.
    assert transport.exchanges <= 20


def test_dead_letters_deleted_for_younger_ones_are_told_to_monitors(started, tmp_path):
    transport, letters = Choosy(range(40)), DeadLetters(tmp_path / "dead", 4000, most_files=4)
    sink = started(transport, HastyClock(), dead_letters=letters)
    for n in range(40):
        sink.emit(fact(n))
    status = sink.stop(1e6)
    kept = sum(path.read_bytes().count(b"\n") for path in (tmp_path / "dead").iterdir())
    assert status.dead_lettered == 40
    assert sink.counts().dead_letters_deleted == 40 - kept > 0


def test_without_a_place_for_dead_letters_a_poison_line_is_dropped_and_declared(started):
    transport = Choosy([1, 3])
    sink = started(transport, HastyClock())
    for n in range(5):
        sink.emit(fact(n))
    status = sink.stop(1e6)
    assert dict(status.dropped) == {"refused_by_peer": 2}
    assert_told(transport, status)


def test_a_folder_that_takes_no_dead_letters_blocks_nobody(started, tmp_path):
    (tmp_path / "dead").write_text("a file where the folder should be")
    transport = Choosy([1])
    sink = started(transport, HastyClock(), dead_letters=DeadLetters(tmp_path / "dead", 1 << 20))
    for n in range(3):
        sink.emit(fact(n))
    status = sink.stop(1e6)
    assert (status.dead_lettered, dict(status.dropped)) == (0, {"refused_by_peer": 1})
    assert_told(transport, status)


def test_a_dead_letter_that_the_disk_did_not_take_counts_as_refused_and_is_not_kept(started, tmp_path):
    transport = Choosy([1])
    disk = WatchedDisk(fails=lambda call: call.verb == "sync")
    letters = DeadLetters(tmp_path / "dead", 1 << 20, disk=disk)
    sink = started(transport, HastyClock(), dead_letters=letters)
    for n in range(3):
        sink.emit(fact(n))
    status = sink.stop(1e6)
    assert (status.dead_lettered, dict(status.dropped)) == (0, {"refused_by_peer": 1})
    assert [path.read_bytes() for path in (tmp_path / "dead").iterdir()] == [b""]
    assert_told(transport, status)


@pytest.mark.parametrize("outbox", [None, ScriptedOutbox], ids=["memory", "outbox"])
def test_a_peer_that_refuses_everything_is_asked_ever_more_rarely_and_about_no_record_of_records(
    started, tmp_path, outbox
):
    transport, clock = Choosy(range(4), refuse_records=True), Waits()
    sink = started(
        transport, clock, outbox=outbox and outbox(), dead_letters=DeadLetters(tmp_path / "dead", 1 << 20)
    )
    for n in range(4):
        sink.emit(fact(n))
    status = sink.stop(1e6)
    assert_law(status)
    assert (status.delivered, status.spooled, status.buffered) == (0, 0, 0)
    assert 4 < status.dead_lettered <= 8
    assert clock.told == pytest.approx([min(2.0, 0.05 * 2**n) for n in range(status.dead_lettered - 1)])


def test_a_line_of_an_older_run_that_is_refused_is_declared_for_that_run(started):
    backlog = sink_over(ScriptedTransport())
    backlog._intake.open()
    backlog.emit(fact(9))
    old = [line.replace(b"run:r:p1", b"run:q:p1") for _, line, _, _ in backlog._intake.buffer.take(9, 9999)]
    outbox = ScriptedOutbox(backlog=[Batch("urn:townlet:run:q:p1", [5], old)])
    transport = Choosy([9])
    sink = started(transport, HastyClock(), outbox=outbox)
    sink.emit(fact(1))
    status = sink.stop(1e6)
    assert (status.delivered, status.dead_lettered, dict(status.dropped)) == (2, 0, {})
    assert declarations(transport.lines) == [("urn:townlet:run:q:p1", "refused_by_peer", {5})]


# ---- supervision


@pytest.mark.parametrize("fault", [SystemExit(3), KeyboardInterrupt(), MemoryError(), ValueError("odd")])
def test_an_error_that_nobody_foresaw_is_counted_and_the_batch_is_carried_again(started, fault):
    transport = ScriptedTransport([fault, 1, fault])
    sink = started(transport, HastyClock())
    for n in range(3):
        sink.emit(fact(n))
    status = sink.stop(30)
    health = sink.health()
    assert (status.delivered, status.retries) == (3, 2)
    assert health.worker.restarts == 2
    assert health.worker.last_error == status.last_error
    assert status.last_error.startswith(type(fault).__name__)
    assert health.last_error.code == type(fault).__name__


def test_a_storm_of_restarts_backs_off_instead_of_spinning():
    clock = Waits()
    sink = sink_over(ScriptedTransport([SystemExit(1)] * 200), clock)
    sink.start()
    sink.emit(fact())
    while sink.health().worker.restarts < 200:
        pass
    assert sum(clock.told) > 300
    status = sink.stop(30)
    assert_law(status)
    assert status.delivered == 1


def test_an_error_of_the_outbox_is_survived_by_both_workers(started):
    class Fragile(ScriptedOutbox):
        """Fails in every second read."""

        reads = 0

        def read(self, most_events, most_bytes):
            self.reads += 1
            if self.reads % 2:
                raise MemoryError
            return super().read(most_events, most_bytes)

    transport = ScriptedTransport()
    sink = started(transport, HastyClock(), outbox=Fragile([SystemExit(1), FULL, None, ValueError("odd")]))
    for n in range(9):
        sink.emit(fact(n))
    status = sink.stop(1e6)
    assert (status.delivered, status.spooled) == (9, 0)
    assert sequences(transport) == list(range(9))
    assert sink.health().worker.restarts > 2


def test_whether_a_worker_lives_is_computed_from_its_last_sign_by_whoever_asks(started):
    clock, transport = ManualClock(), ScriptedTransport()
    transport.hang()
    sink = started(transport, clock, buffer_events=2)
    assert sink.health().worker.alive
    clock.advance(1000)
    assert sink.health().worker.alive  # it has nothing to do
    sink.emit(fact())
    transport.await_write()
    clock.advance(LOCAL.hung * 0.9)
    assert sink.health().worker.alive
    assert sink.status().state == "degraded"  # nothing moves
    clock.advance(LOCAL.hung * 0.2)
    worker = sink.health().worker
    assert not worker.alive
    assert worker.heartbeat_age_s == pytest.approx(LOCAL.hung * 1.1)
    sink.emit(fact())
    sink.emit(fact())
    assert sink.status().state == "shedding"
    transport.release()
    assert sink.stop(30).state == "closed"


def test_a_worker_that_waits_to_try_again_is_no_dead_one(started):
    clock = ManualClock()
    fault = TransportError("http_503", "busy", retry_after=300.0)
    sink = started(ScriptedTransport([fault]), clock, buffer_events=2)
    sink.emit(fact())
    clock.await_waiter(sink._intake.work)
    while sink.status().last_error is None:
        pass
    clock.advance(250)
    assert sink.health().worker.alive
    assert sink.health().worker.heartbeat_age_s == 0
