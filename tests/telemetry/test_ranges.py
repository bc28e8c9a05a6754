"""A set of ranges is a set of numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townlet_adapters.telemetry.ranges import RangeSet

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)).map(lambda each: (each[0], sum(each))))


def numbers(ranges):
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(SPANS, st.integers(0, 50), st.integers(0, 50))
def test_it_holds_the_numbers_added_and_knows_those_that_are_not(spans, first, last):
    held = numbers(spans)
    ranges = RangeSet(spans)
    assert numbers(ranges) == held
    assert ranges.count() == len(held)
    assert {number for number in range(-1, 60) if number in ranges} == held
    assert numbers(ranges.holes(first, last)) == set(range(first, last + 1)) - held
    assert all(one.last + 1 < other.first for one, other in zip(list(ranges), list(ranges)[1:], strict=False))


def test_ranges_that_touch_are_one_and_a_range_ends_after_it_begins():
    ranges = RangeSet([(5, 6), (1, 2)])
    assert len(ranges) == 2
    ranges.add(3, 4)
    assert list(ranges) == [(1, 6)]
    assert ranges == RangeSet([(1, 6)])
    ranges.clear()
    assert (len(ranges), ranges.count()) == (0, 0)
    with pytest.raises(ValueError, match="cannot end before"):
        ranges.add(3, 2)
