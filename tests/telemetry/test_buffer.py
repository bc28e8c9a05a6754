"""The buffer keeps its bounds and the order of what it holds, and gives up the least first."""

from hypothesis import given
from hypothesis import strategies as st

from townlet_adapters.telemetry.delivery.buffer import BASE_LOST, BUFFER_FULL, SUPERSEDED, BoundedBuffer
from townlet_adapters.telemetry.envelope import Shedding

CRITICAL, NORMAL, BULK = Shedding.CRITICAL, Shedding.NORMAL, Shedding.BULK


def put(buffer, shedding, sequence, line=b"x"):
    """Append as a sink does; returns the reasons of what was given up, and whether the line was taken."""
    reasons, fits = ([], True) if buffer.fits(shedding, len(line)) else buffer.shed_for(shedding, len(line))
    if fits:
        buffer.append((sequence, line, shedding, None))
    return [each.reason for each in reasons], fits


def taken(buffer, most_events, most_bytes):
    return [line for _, line, _, _ in buffer.take(most_events, most_bytes)]


def filled(*classes, capacity=None):
    buffer = BoundedBuffer(capacity or len(classes), 1000)
    for sequence, shedding in enumerate(classes):
        assert put(buffer, shedding, sequence, b"%d" % sequence) == ([], True)
    return buffer


def test_bulk_goes_before_facts_and_facts_before_what_is_critical():
    buffer = filled(CRITICAL, NORMAL, BULK)
    assert put(buffer, CRITICAL, 3, b"3") == ([BUFFER_FULL], True)
    assert put(buffer, CRITICAL, 4, b"4") == ([BUFFER_FULL], True)
    assert taken(buffer, 10, 1000) == [b"0", b"3", b"4"]


def test_critical_goes_last_and_oldest_first():
    buffer = filled(CRITICAL, CRITICAL)
    assert put(buffer, NORMAL, 2, b"2") == ([], False)
    assert put(buffer, CRITICAL, 3, b"3") == ([BUFFER_FULL], True)
    assert taken(buffer, 10, 1000) == [b"1", b"3"]


def test_a_newer_frame_supersedes_an_unsent_older_one():
    assert put(filled(NORMAL, BULK), BULK, 2) == ([SUPERSEDED], True)
    assert put(filled(BULK, BULK), NORMAL, 2) == ([SUPERSEDED], True)


def test_a_frame_never_makes_a_fact_go():
    assert put(filled(NORMAL, NORMAL), BULK, 2) == ([], False)


def test_what_is_worth_nothing_without_a_line_goes_with_it():
    buffer = BoundedBuffer(6, 1000)
    for sequence, base in enumerate([None, None, 0, 1, 2, None]):
        buffer.append((sequence, b"%d" % sequence, BULK, base))
    assert put(buffer, NORMAL, 6, b"6") == ([SUPERSEDED, BASE_LOST, BASE_LOST], True)
    assert (buffer.events, buffer.size, buffer.peak_events) == (4, 4, 6)
    assert taken(buffer, 10, 1000) == [b"1", b"3", b"5", b"6"]


def test_a_patch_goes_alone_when_what_it_is_based_on_is_under_way():
    buffer = BoundedBuffer(3, 1000)
    buffer.append((0, b"0", BULK, None))
    assert taken(buffer, 1, 1000) == [b"0"]
    buffer.append((1, b"1", BULK, 0))
    buffer.append((2, b"2", BULK, None))
    assert put(buffer, NORMAL, 3, b"3") == ([SUPERSEDED], True)
    buffer.settle(1)
    assert taken(buffer, 10, 1000) == [b"2", b"3"]


def test_what_is_in_flight_is_not_given_up_and_is_handed_out_again_until_it_arrived():
    buffer = filled(NORMAL, NORMAL, NORMAL)
    assert taken(buffer, 2, 1000) == [b"0", b"1"]
    assert put(buffer, NORMAL, 3, b"3") == ([BUFFER_FULL], True)
    assert taken(buffer, 9, 1000) == [b"0", b"1"]
    buffer.settle(1)
    assert taken(buffer, 9, 1000) == [b"1"]
    buffer.settle(1)
    assert taken(buffer, 9, 1000) == [b"3"]


def test_a_part_is_kept_free_for_what_is_critical():
    buffer = BoundedBuffer(32, 1000)
    taken = [put(buffer, NORMAL, n) for n in range(31)]
    assert taken[29] == ([], True)
    assert taken[30] == ([BUFFER_FULL], True)
    assert put(buffer, CRITICAL, 31) == ([], True)
    assert put(buffer, CRITICAL, 32) == ([], True)


def test_a_line_larger_than_the_buffer_makes_nobody_go():
    buffer = filled(NORMAL, BULK)
    assert put(buffer, CRITICAL, 2, b"y" * 1001) == ([], False)
    assert buffer.events == 2


STEPS = st.lists(
    st.tuples(st.sampled_from(list(Shedding)), st.integers(1, 40))
    | st.tuples(st.just("take"), st.integers(1, 9))
    | st.tuples(st.just("settle"), st.integers(0, 9)),
    max_size=80,
)


@given(st.integers(1, 20), st.integers(1, 200), STEPS)
def test_nothing_is_lost_from_sight_within_the_bounds(events, size, steps):
    buffer = BoundedBuffer(events, size)
    sequence = dropped = 0
    flight, arrived = [], []
    for what, amount in steps:
        if what == "take":
            flight = taken(buffer, amount, 50)
        elif what == "settle":
            count = min(amount, len(flight))
            buffer.settle(count)
            arrived += flight[:count]
            flight = flight[count:]
        else:
            reasons, fits = put(buffer, what, sequence, b"%0*d" % (amount, sequence))
            dropped += len(reasons) + (not fits)
            sequence += 1
        assert buffer.events <= events
        assert buffer.size <= size
        assert sequence == len(arrived) + buffer.events + dropped
    while batch := taken(buffer, 3, 50):
        arrived += batch
        buffer.settle(len(batch))
    numbers = [int(line) for line in arrived]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == sequence - dropped
    assert (buffer.events, buffer.size) == (0, 0)


@given(
    st.lists(st.tuples(st.sampled_from(list(Shedding)), st.integers(1, 40)), max_size=40), st.integers(1, 12)
)
def test_what_is_given_up_and_what_is_held_are_all_numbers(lines, events):
    buffer, gone = BoundedBuffer(events, 200), set()
    for sequence, (shedding, size) in enumerate(lines):
        shed, fits = ([], True) if buffer.fits(shedding, size) else buffer.shed_for(shedding, size)
        gone |= {each.sequence for each in shed}
        assert all(lines[each.sequence][0] is each.shedding for each in shed)
        if fits:
            buffer.append((sequence, b"x" * size, shedding, None))
        else:
            gone.add(sequence)
    buffer.take(3, 50)
    left = [each.sequence for each in buffer.clear("over")]
    assert left == sorted(set(range(len(lines))) - gone)
