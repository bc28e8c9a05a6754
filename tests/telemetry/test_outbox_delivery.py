"""With an outbox, what is committed stays, older runs go first, and neither thread waits for the other."""

import json
import shutil
import threading
import time

import pytest

from tests.telemetry.delivering import (
    FULL,
    LOCKED,
    OLDER,
    POISON,
    SOURCE,
    assert_law,
    assert_told,
    declarations,
    fact,
    sequences,
    sink_over,
)
from tests.telemetry.spool.town import read_all
from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.delivery.courier import NETWORK
from townlet_adapters.telemetry.delivery.errands import Commit, Mail, Sending
from townlet_adapters.telemetry.spool.base import Loss, OutboxLimits, Row
from townlet_adapters.telemetry.spool.frames import ROW, read_frames
from townlet_adapters.telemetry.spool.outbox import Outbox
from townlet_adapters.telemetry.testing import HastyClock, ManualClock, ScriptedOutbox, ScriptedTransport
from townlet_adapters.worlds.town.events.economy import EconomyRestock
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.stream import StreamSettings
from townlet_core.errors import OutputError
from townlet_core.events.base import Fact
from townlet_core.ports.transport import Batch, TransportError


class HangingOutbox(ScriptedOutbox):
    """Its commits hang until ``go``."""

    def __init__(self):
        super().__init__()
        self.go, self.entered = threading.Event(), threading.Event()

    def commit(self, rows, undeclared):
        self.entered.set()
        self.go.wait()
        super().commit(rows, undeclared)


def await_status(sink, fits):
    deadline = time.monotonic() + 30
    while not fits(sink.status()):
        assert time.monotonic() < deadline, sink.status()
        time.sleep(0.001)


def test_everything_arrives_in_order_and_once_and_both_ends_are_closed(started):
    transport, outbox = ScriptedTransport(), ScriptedOutbox()
    sink = started(transport, outbox=outbox)
    for n in range(3000):
        sink.emit(fact(n))
    status = sink.stop(30)
    assert (status.state, status.delivered, status.spooled) == ("closed", 3000, 0)
    assert sequences(transport) == list(range(3000))
    assert outbox.emitted == 3000
    assert (transport.closed, outbox.closed) == (1, True)


def test_a_network_that_hangs_delays_no_commit(started):
    transport, outbox = ScriptedTransport(), ScriptedOutbox()
    transport.hang()
    sink = started(transport, outbox=outbox)
    sink.emit(fact(0))
    transport.await_write()
    for n in range(1, 100):
        sink.emit(fact(n))
    await_status(sink, lambda status: status.spooled == 100)
    assert_law(sink.status())
    assert len(outbox.rows) == 100


def test_what_waits_is_committed_within_50_ms(started):
    begins = []

    class Timed(ScriptedOutbox):
        def commit(self, rows, undeclared):
            begins.append(time.monotonic())
            super().commit(rows, undeclared)

    sink = started(ScriptedTransport(), outbox=Timed())
    waited = []
    for n in range(20):
        before, count = time.monotonic(), len(begins)
        sink.emit(fact(n))
        await_status(sink, lambda status, n=n: status.delivered == n + 1)
        waited.append(begins[count] - before)
    assert sorted(waited)[10] <= 0.05


def test_rows_of_older_runs_go_first_and_count_in_no_account_of_ours(started):
    backlog = [
        Batch("urn:townlet:run:a:p1", [3, 4], [b'{"sequence":"3"}\n', b'{"sequence":"4"}\n']),
        Batch("urn:townlet:run:b:p1", [0], [b'{"sequence":"0"}\n']),
    ]
    transport = ScriptedTransport()
    transport.hang()
    sink = started(transport, outbox=ScriptedOutbox(backlog=backlog))
    sink.emit(fact())
    await_status(sink, lambda status: status.spooled == 1)
    assert sink.health().spool.events == 4
    transport.release()
    status = sink.stop(30)
    assert (status.offered, status.delivered, status.spooled) == (1, 1, 0)
    assert transport.lines[:3] == [line for batch in backlog for line in batch.lines]
    assert sink.health().acked_through == 0


def test_what_the_peer_does_not_take_by_the_end_stays_in_the_outbox(started):
    transport, outbox = ScriptedTransport([LOCKED] * 1000), ScriptedOutbox()
    sink = started(transport, outbox=outbox, pace=NETWORK)
    for n in range(7):
        sink.emit(fact(n))
    began = time.monotonic()
    status = sink.stop(0.2)
    assert time.monotonic() - began <= 0.7
    assert (status.state, status.spooled, status.buffered, dict(status.dropped)) == ("closed", 7, 0, {})
    assert [number for _, number, _ in outbox.rows] == list(range(7))
    assert status.last_error == "http_401: the peer does not know us"
    assert (transport.closed, outbox.closed) == (1, True)


def test_a_transport_that_hangs_is_interrupted_at_the_deadline(started):
    transport, outbox = ScriptedTransport(), ScriptedOutbox()
    transport.hang(interruptible=True)
    sink = started(transport, outbox=outbox)
    sink.emit(fact())
    transport.await_write()
    began = time.monotonic()
    status = sink.stop(0.1)
    assert time.monotonic() - began <= 0.6
    assert transport.interrupted
    assert (status.spooled, dict(status.dropped)) == (1, {})
    assert outbox.closed


def test_a_disk_that_hangs_is_left_behind_and_what_was_not_committed_is_told(started):
    transport, outbox = ScriptedTransport(), HangingOutbox()
    sink = started(transport, outbox=outbox)
    sink.emit(fact())
    outbox.entered.wait()
    began = time.monotonic()
    status = sink.stop(0.1)
    assert time.monotonic() - began <= 0.6
    assert (status.state, status.spooled, dict(status.dropped)) == ("closed", 0, {"undelivered_at_stop": 1})
    assert_law(status)
    assert not outbox.closed
    outbox.go.set()
    assert all(courier.join(30) for courier in sink._couriers)
    assert sink.status() == status
    assert outbox.closed


def test_no_row_is_sent_before_it_is_accounted_for():
    intake, outbox = sink_over(ScriptedTransport())._intake, ScriptedOutbox()
    outbox.open(SOURCE)
    outbox.commit([Row(n, b"{}\n") for n in range(5)], ())
    mail = Mail(intake, outbox, 1)
    sending = Sending(intake, outbox, mail, ScriptedTransport(), None)
    assert sending.load(99).sequences == [0, 1]
    with intake.lock:
        mail.post(4)
    assert sending.load(99).sequences == [0, 1, 2, 3, 4]


def test_what_was_held_back_is_declared_as_soon_as_something_is_taken(started):
    class RefusesOneRecord(ScriptedTransport):
        """Refuses the first fact, and the record of that; takes all else."""

        refusals = 0

        def write(self, batch):
            if self.refusals < 2 and (b'"seq":0,' in batch.lines[0] or b"telemetry.loss" in batch.lines[0]):
                self.refusals += 1
                raise POISON
            return super().write(batch)

    transport = RefusesOneRecord()
    sink = started(transport, HastyClock(), outbox=ScriptedOutbox())
    sink.emit(fact(0))
    await_status(sink, lambda status: status.dropped == {"refused_by_peer": 2})
    assert transport.lines == []
    sink.emit(fact(1))
    await_status(sink, lambda status: status.delivered == 2)
    assert declarations(transport.lines) == [(SOURCE, "refused_by_peer", {0, 1})]


def test_state_that_the_peer_refuses_is_followed_by_something_whole(started):
    class RefusesOne(ScriptedTransport):
        def write(self, batch):
            if any(b'"tick":1,' in line for line in batch.lines):
                raise POISON
            return super().write(batch)

    transport = RefusesOne()
    sink = started(transport, HastyClock(), outbox=ScriptedOutbox(), stream=StreamSettings("diff"))
    for tick in range(3):
        sink.emit(StateFrame(tick, TownFrame(tick, clock={"tod": tick})))
        await_status(sink, lambda status: status.spooled == status.buffered == 0)
    told = [event for event in map(json.loads, transport.lines) if event["type"].startswith("townlet.state")]
    assert [(event["tick"], "baseseq" in event) for event in told] == [(0, False), (2, False)]


def test_a_full_outbox_keeps_the_committer_trying_and_the_buffer_sheds(started):
    transport, clock = ScriptedTransport(), ManualClock()
    outbox = ScriptedOutbox([TransportError("outbox_full", "the outbox is full")] * 3)
    sink = started(transport, clock, outbox=outbox, on_full="shed", buffer_events=4)
    for n in range(50):
        sink.emit(fact(n))
    clock.await_waiter(sink._intake.work)
    status = sink.status()
    assert status.last_error == "outbox_full: the outbox is full"
    assert status.state == "shedding"
    while sink.status().retries < 3:
        clock.advance(10.0)
    status = sink.stop(30)
    assert_law(status)
    assert_told(transport, status)


def test_a_run_whose_outbox_cannot_be_opened_does_not_start():
    class Taken(ScriptedOutbox):
        def open(self, source):
            raise OutputError(f"{source}: another process uses it")

    transport = ScriptedTransport()
    sink = sink_over(transport, outbox=Taken())
    with pytest.raises(OutputError):
        sink.start()
    assert transport.closed == 1
    assert sink.stop(0).state == "closed"


def test_a_run_whose_outbox_cannot_take_its_first_rows_does_not_start():
    class NoRoom(ScriptedOutbox):
        def begin(self, rows):
            raise OutputError(f"no space for {len(rows)} rows")

    transport, outbox = ScriptedTransport(), NoRoom()
    sink = sink_over(transport, outbox=outbox)
    with pytest.raises(OutputError):
        sink.start()
    assert (transport.closed, outbox.closed) == (1, True)
    assert sink.status().offered == 0


@pytest.mark.parametrize("fault", ["write", "commit"])
def test_a_fatal_fault_ends_one_worker_and_the_other_goes_on(started, fault):
    gone = TransportError("gone", "gone for good", verdict="fatal")
    transport = ScriptedTransport([gone] if fault == "write" else [])
    outbox = ScriptedOutbox([gone] if fault == "commit" else [])
    sink = started(transport, HastyClock(), outbox=outbox)
    for n in range(3):
        sink.emit(fact(n))
    await_status(sink, lambda status: status.state == "failed")
    if fault == "write":
        await_status(sink, lambda status: status.spooled == 3)
        assert sink.emit(fact(3)).status == "accepted"
    else:
        assert sink.emit(fact(3)).reason == "gone"
    began = time.monotonic()
    status = sink.stop(30)
    assert time.monotonic() - began < 20  # nobody waits for a worker that has left
    assert_law(status)
    assert status.spooled == (4 if fault == "write" else 0)
    assert outbox.closed


def test_what_one_run_leaves_in_a_folder_the_next_one_delivers_first(tmp_path):
    def run(source, transport, count):
        outbox = Outbox(tmp_path / "spool", OutboxLimits(), SystemClock())
        sink = sink_over(transport, outbox=outbox, source=source)
        sink.start()
        for n in range(count):
            sink.emit(fact(n))
            assert_law(sink.status())
        return sink.stop(0.3 if count == 50 else 30)

    first = run(OLDER, ScriptedTransport([FULL] * 10_000), 50)
    assert (first.spooled, first.delivered) == (50, 0)
    transport = ScriptedTransport()
    second = run(SOURCE, transport, 20)
    assert (second.spooled, second.delivered) == (0, 20)
    assert [(event["source"], int(event["sequence"])) for event in map(json.loads, transport.lines)] == [
        *((OLDER, n) for n in range(50)),
        *((SOURCE, n) for n in range(20)),
    ]


class GatedOutbox(Outbox):
    """Its commits wait for ``go``; ``entered`` tells that one does."""

    def __init__(self, folder):
        super().__init__(folder, OutboxLimits(1 << 20, 20_000), SystemClock())
        self.folder = folder
        self.go, self.entered = threading.Event(), threading.Event()

    def commit(self, rows, undeclared):
        self.entered.set()
        self.go.wait()
        super().commit(rows, undeclared)


def test_a_damaged_segment_is_counted_by_its_rows_and_not_by_the_holes_between_them(tmp_path, started):
    outbox, transport = GatedOutbox(tmp_path / "spool"), ScriptedTransport()
    transport.hang()
    sink = started(transport, outbox=outbox, buffer_events=8, on_full="shed")
    large = Fact(0, 0, EconomyRestock("fridge_1", "x" * 30_000, 0))
    sink.emit(large)  # fills a segment of its own
    outbox.entered.wait()
    for _ in range(30):
        sink.emit(large)
    shed = sink.status().dropped["buffer_full"]
    outbox.go.set()
    await_status(sink, lambda status: status.buffered == 0)
    sink.emit(fact())  # begins a segment, so that those before it are closed
    await_status(sink, lambda status: status.buffered == 0)
    for path in sorted(outbox.folder.glob("segment-*.rows")):
        with path.open("rb") as file:
            frames = read_frames(file.fileno(), 0, path.stat().st_size, int(path.stem[-8:]))
            numbers = [frame.sequence for frame in frames if frame.kind == ROW]
        rows, oldest = len(numbers), min(numbers)
        if oldest:
            break
    assert oldest > 1  # what was shed would have stood before it, in this segment
    path.write_bytes(b"x" * path.stat().st_size)

    transport.release()
    status = sink.stop(30)

    assert_law(status)
    assert status.dropped == {"buffer_full": shed, "segment_damaged": rows}
    assert status.spooled == 0
    # A hole may be declared twice: by its own record, and with the segment that it lies in.
    declared = set().union(*(numbers for _, _, numbers in declarations(transport.lines)))
    assert sorted({*declared, *sequences(transport)}) == list(range(status.emitted))
    assert declared.isdisjoint(sequences(transport))


def test_a_removed_outbox_is_reported_as_an_error_of_its_sink(tmp_path, started):
    transport = ScriptedTransport()
    transport.hang()  # an error of its own would be the latest one
    outbox = Outbox(tmp_path / "spool", OutboxLimits(1 << 20), SystemClock())
    sink = started(transport, outbox=outbox)
    sink.emit(fact(0))
    transport.await_write()
    for number in range(1, 5):
        sink.emit(fact(number))
    await_status(sink, lambda status: status.spooled == 5)
    shutil.rmtree(tmp_path / "spool")
    sink.emit(fact(5))
    await_status(sink, lambda status: status.dropped)
    assert list(sink.status().dropped) == ["outbox_removed"]
    assert sink.status().last_error == "outbox_removed: the outbox was removed while in use"
    transport.release()
    assert_law(sink.stop(30))


def test_a_loss_that_the_sender_finds_while_rows_are_committed_survives_a_kill_behind_the_commit(tmp_path):
    def outbox_in(name):
        return Outbox(tmp_path / name, OutboxLimits(1 << 20, 20_000), SystemClock())

    older = outbox_in("spool")
    older.open(OLDER)
    older.begin([])
    older.note_emitted(20)
    for number in range(20):
        older.commit([Row(number, b"x" * 5000 + b"\n")], ())
    older.close()
    damaged = min((tmp_path / "spool").glob("segment-*.rows"))
    damaged.write_bytes(b"x" * damaged.stat().st_size)

    outbox = outbox_in("spool")
    sink = sink_over(ScriptedTransport(), HastyClock(), outbox=outbox)
    intake = sink._intake
    assert outbox.open(SOURCE) == ()
    outbox.begin([])
    mail = Mail(intake, outbox, -1)
    commit, sending = Commit(intake, outbox, mail), Sending(intake, outbox, mail, ScriptedTransport(), None)
    intake.open()
    sink.emit(fact())

    rows = commit.load(99)
    first = sending.load(1).sequences[0]  # the sender finds the damage
    assert first > 0
    commit.carry(rows)
    shutil.copytree(tmp_path / "spool", tmp_path / "killed")
    commit.settle(rows, 1)
    assert declarations(commit.load(99).lines) == [(OLDER, "segment_damaged", set(range(first)))]
    outbox.close()

    next_run = outbox_in("killed")
    assert next_run.open("urn:townlet:run:s:p1") == (Loss.of(OLDER, "segment_damaged", [(0, first - 1)]),)
    next_run.begin([])
    assert read_all(next_run) == [*((OLDER, n) for n in range(first, 20)), (SOURCE, 0)]
    next_run.close()
