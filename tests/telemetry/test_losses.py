"""What was numbered and never arrives is named exactly, by records that arrive."""

import json
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.telemetry.delivering import (
    FULL,
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
from townlet_adapters.telemetry.delivery.losses import Losses, parts_of
from townlet_adapters.telemetry.ranges import RangeSet
from townlet_adapters.telemetry.spool.base import Loss
from townlet_adapters.telemetry.testing import HastyClock, ScriptedOutbox, ScriptedTransport
from townlet_adapters.telemetry.transports.file import FileTransport
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.stream import StreamSettings
from townlet_core.events.base import Diagnostic
from townlet_core.events.loop import LoopFailure


def numbers(losses):
    return {number for loss in losses for first, last in loss.ranges for number in range(first, last + 1)}


# ---- the set of what is undeclared


def test_a_number_stays_undeclared_until_the_record_that_names_it_is_settled():
    losses = Losses(SOURCE)
    losses.note("superseded", [(3, 5)])
    losses.note("superseded", [(6, 6)])
    assert losses.undeclared(-1) == (Loss(SOURCE, "superseded", ((3, 6),)),)
    part = losses.next_part()
    losses.sent(9, part)
    assert not losses.pending
    assert numbers(losses.undeclared(8)) == {3, 4, 5, 6}
    assert losses.undeclared(9) == ()
    losses.settled(9)
    assert losses.undeclared(-1) == ()


def test_a_record_that_is_shed_declares_nothing():
    losses = Losses(SOURCE)
    losses.note("base_lost", [(1, 2)])
    losses.sent(7, losses.next_part())
    losses.dropped(7)
    assert losses.pending
    assert numbers(losses.undeclared(99)) == {1, 2}


def test_what_is_held_is_undeclared_but_makes_no_record_before_it_is_released():
    losses = Losses(SOURCE)
    losses.hold("dead_lettered", [(4, 4)], SOURCE)
    assert not losses.pending
    assert numbers(losses.undeclared(-1)) == {4}
    losses.release()
    assert losses.pending


def test_many_ranges_take_several_records_in_order():
    loss = Loss.of(OLDER, "process_died", [(2 * n, 2 * n) for n in range(1200)])
    parts = parts_of(loss)
    assert [len(part.ranges) for part in parts] == [512, 512, 176]
    assert tuple(each for part in parts for each in part.ranges) == loss.ranges
    losses = Losses(SOURCE)
    losses.note("buffer_full", loss.ranges)
    assert losses.next_part().ranges == parts[0].ranges


def test_memory_stays_bounded_however_the_reasons_alternate():
    losses = Losses(SOURCE)
    for n in range(40_000):
        losses.note(("superseded", "buffer_full", "base_lost")[n % 3], [(n, n)])
    told = losses.undeclared(-1)
    assert numbers(told) == set(range(40_000))
    assert sum(len(loss.ranges) for loss in told) < 3 * 8192 + 3


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(["superseded", "base_lost", "buffer_full"]), st.integers(1, 4))
        | st.sampled_from(["declare", "settle", "shed"]),
        max_size=60,
    )
)
def test_nothing_lost_is_ever_forgotten_before_its_record_is_settled(steps):
    losses, settled, lost, number, under_way = Losses(SOURCE), RangeSet(), RangeSet(), 0, {}
    for step in steps:
        if step == "declare" and (part := losses.next_part(2)):
            losses.sent(number, part)
            under_way[number] = part
            number += 1
        elif step == "settle" and under_way:
            oldest = min(under_way)
            for each in under_way.pop(oldest).ranges:
                settled.add(*each)
            losses.settled(oldest)
        elif step == "shed" and under_way:
            youngest = max(under_way)
            del under_way[youngest]
            losses.dropped(youngest)
            losses.note("buffer_full", [(youngest, youngest)])
            lost.add(youngest)
        elif isinstance(step, tuple):
            reason, count = step
            losses.note(reason, [(number, number + count - 1)])
            lost.add(number, number + count - 1)
            number += count + 1  # the one after arrives
        assert numbers(losses.undeclared(-1)) == numbers([Loss.of("", "", lost)]) - numbers(
            [Loss.of("", "", settled)]
        )


# ---- through a sink


def test_a_file_with_holes_says_so_itself(tmp_path):
    transport, hold = FileTransport(tmp_path / "events.ndjson"), threading.Event()

    class Slow:
        """The file, that nobody can write for a while."""

        open, interrupt, condition = transport.open, transport.interrupt, transport.condition
        close, abandon = transport.close, transport.abandon

        def write(self, batch):
            hold.wait()
            return transport.write(batch)

    sink = sink_over(Slow(), on_full="shed", buffer_events=8)
    sink.start()
    for n in range(100):
        sink.emit(fact(n))
    hold.set()
    status = sink.stop(30)
    lines = (tmp_path / "events.ndjson").read_bytes().splitlines()
    assert status.delivered == len(lines)
    arrived = {int(json.loads(line)["sequence"]) for line in lines}
    ((source, reason, lost),) = declarations(lines)
    assert (source, reason) == (SOURCE, "buffer_full")
    assert arrived | lost == set(range(status.emitted))
    assert not arrived & lost


def test_a_message_larger_than_the_buffer_is_declared_though_nothing_else_is_said(started):
    transport = ScriptedTransport()
    sink = started(transport, buffer_bytes=1024)
    assert sink.emit(StateFrame(0, TownFrame(0, extra={"x": "y" * 2000}))).reason == "buffer_full"
    while not transport.lines:
        pass
    assert declarations(transport.lines) == [(SOURCE, "buffer_full", {0})]


def test_while_it_cannot_write_a_sink_gathers_what_is_lost_for_one_record(started):
    class Failing(ScriptedTransport):
        def write(self, batch):
            if not mended.is_set():
                raise FULL
            return super().write(batch)

    mended, transport = threading.Event(), Failing()
    sink = started(transport, HastyClock(), on_full="shed", buffer_events=64)
    sink.emit(fact())
    while sink.status().retries < 1:
        pass
    for n in range(999):
        sink.emit(fact(n))
    mended.set()
    assert_told(transport, sink.stop(1e6))
    assert len(declarations(transport.lines)) == 1


def test_what_a_record_named_that_had_to_go_itself_is_named_by_another(started):
    class Stepwise(ScriptedTransport):
        """Writes as often as it is let."""

        def __init__(self):
            super().__init__()
            self.steps, self.entries = threading.Semaphore(0), threading.Semaphore(0)

        def write(self, batch):
            self.entries.release()
            self.steps.acquire()
            return super().write(batch)

    transport = Stepwise()
    sink = started(transport, on_full="shed", buffer_events=2)
    sink.emit(fact(0))
    transport.entries.acquire()
    sink.emit(fact(1))
    sink.emit(fact(2))
    transport.steps.release()
    transport.entries.acquire()
    # Now fact 2 is under way, and the record that fact 1 is lost waits; what is critical takes its place.
    assert sink.status().buffered == 2
    sink.emit(Diagnostic(0, LoopFailure(0, None, None, "x", None)))
    assert dict(sink.status().dropped) == {"buffer_full": 2}
    for _ in range(9):
        transport.steps.release()
    status = sink.stop(30)
    assert_told(transport, status)
    assert declarations(transport.lines) == [(SOURCE, "buffer_full", {1, 3})]


def test_records_displace_nobody_and_come_one_at_a_time_before_a_sink_that_is_far_too_slow():
    emitting = threading.Event()

    class OneByOne(ScriptedTransport):
        """Takes one line for a hundred that are emitted."""

        def write(self, batch):
            if not emitting.is_set():
                target = sink.status().offered + 100
                while sink.status().offered < target and not emitting.is_set():
                    pass
            return super().write(batch._replace(lines=batch.lines[:1]))

    transport = OneByOne()
    sink = sink_over(transport, on_full="shed", buffer_events=64)
    sink.start()
    for n in range(6000):
        sink.emit(fact(n))
    emitting.set()
    status = sink.stop(60)
    assert_law(status)
    assert_told(transport, status)
    facts = sum(b"townlet.economy.restock" in line for line in transport.lines)
    assert facts > len(declarations(transport.lines))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 5) | st.sampled_from([FULL, POISON, SystemExit(1)]), max_size=25),
    st.lists(st.integers(0, 40), max_size=8),
    st.booleans(),
    st.sampled_from([2, 5, 17]),
)
def test_after_a_clean_stop_what_arrived_and_what_is_declared_are_all_numbers(script, bursts, spooled, room):
    transport = ScriptedTransport(script)
    outbox = ScriptedOutbox([FULL, None, FULL]) if spooled else None
    sink = sink_over(transport, HastyClock(), outbox=outbox, on_full="shed", buffer_events=room)
    sink.start()
    for burst in bursts:
        transport.hang()
        for n in range(burst):
            sink.emit(StateFrame(n, TownFrame(n)) if n % 3 else fact(n))
        if burst % 7 == 0:
            sink.emit(Diagnostic(0, LoopFailure(0, None, None, "x", None)))
        transport.release()
    status = sink.stop(1e6)
    assert (status.buffered, status.spooled) == (0, 0)
    assert "undelivered_at_stop" not in status.dropped
    # A refused record of a loss waits for something to be taken; all else is named.
    held = numbers(sink._intake.undeclared(-1))
    known = set(sequences(transport)) | numbers_declared(transport)
    assert known | held == set(range(status.emitted))
    assert not known & held
    assert len(known) == len(sequences(transport)) + len(numbers_declared(transport))


def numbers_declared(transport):
    return {number for _, _, each in declarations(transport.lines) for number in each}


# ---- with an outbox


def test_what_an_earlier_run_lost_is_declared_first_of_all(started):
    lost = [
        Loss(OLDER, "process_died", ((7, 9), (12, 12))),
        Loss.of(OLDER, "buffer_full", [(2 * n, 2 * n) for n in range(600)]),
    ]
    transport, outbox = ScriptedTransport(), ScriptedOutbox(lost=lost)
    sink = started(transport, outbox=outbox)
    assert sink.emit(fact()).status == "accepted"
    assert_law(sink.status())
    status = sink.stop(30)
    assert (status.offered, status.delivered) == (4, 4)
    assert sequences(transport) == [0, 1, 2, 3]
    told = declarations(transport.lines)
    assert [each[:2] for each in told] == [
        (OLDER, "process_died"), (OLDER, "buffer_full"), (OLDER, "buffer_full"),
    ]  # fmt: skip
    assert told[0][2] == {7, 8, 9, 12}
    assert told[1][2] | told[2][2] == set(range(0, 1200, 2))


def test_what_no_record_names_yet_travels_with_every_commit(started):
    class Hanging(ScriptedOutbox):
        """Its second commit hangs, so that something is shed meanwhile; later ones are noted."""

        def __init__(self):
            super().__init__()
            self.go, self.entered, self.told = threading.Event(), threading.Event(), []

        def commit(self, rows, undeclared):
            self.entered.set()
            self.go.wait()
            super().commit(rows, undeclared)
            self.told.append(({row.sequence for row in rows}, numbers(undeclared)))

    transport, outbox = ScriptedTransport(), Hanging()
    sink = started(transport, outbox=outbox, on_full="shed", buffer_events=4)
    sink.emit(fact())
    sink.emit(fact())
    outbox.entered.wait()
    for n in range(10):
        sink.emit(fact(n))
    outbox.go.set()
    status = sink.stop(30)
    assert_told(transport, status)
    committed, named = set(), set()
    lines = {int(json.loads(line)["sequence"]): line for line in transport.lines}
    for rows, undeclared in outbox.told:
        committed |= rows
        named |= {n for _, _, each in declarations([lines[row] for row in rows]) for n in each}
        # If we died right here, the outbox would know of every number up to the last one committed.
        assert committed | named | undeclared >= set(range(max(committed)))
        assert not (undeclared & (committed | named))
    assert any(undeclared for _, undeclared in outbox.told)


@pytest.mark.parametrize("mode", ["diff", "channels"])
def test_rows_that_the_outbox_lost_are_dropped_declared_and_followed_by_something_whole(started, mode):
    transport, outbox = ScriptedTransport([FULL]), ScriptedOutbox()
    transport.hang()
    sink = started(transport, HastyClock(), outbox=outbox, stream=StreamSettings(mode))
    sink.emit(StateFrame(0, TownFrame(0, clock={"tod": 0})))
    transport.await_write()
    for tick in range(1, 9):
        sink.emit(StateFrame(tick * 4, TownFrame(tick * 4, clock={"tod": tick})))
    while sink.status().buffered:
        pass
    gone = outbox.damage(3)
    transport.release()
    while not sink.status().dropped:
        pass
    status = sink.status()
    assert dict(status.dropped) == {"segment_damaged": 3}
    assert_law(status)
    sink.emit(StateFrame(40, TownFrame(40, clock={"tod": 40})))
    status = sink.stop(1e6)
    assert_law(status)
    after = [json.loads(line) for line in transport.lines if json.loads(line)["tick"] == 40]
    assert "baseseq" not in next(event for event in after if event["type"].startswith("townlet.state."))
    assert (SOURCE, "segment_damaged", set(gone)) in declarations(transport.lines)
