"""The pace is even, gives way to a stop, and does not catch up in a burst."""

import pytest

from townlet_core.pacing import TICK_SECONDS, Pacer
from townlet_core.testing import ManualClock


def go_on():
    return False


@pytest.mark.parametrize(
    ("speed", "seconds"), [("1x", TICK_SECONDS), ("10x", 0.025), ("100x", 0.0025), ("max", 0.0)]
)
def test_a_tick_lasts_as_long_as_the_speed_says(speed, seconds):
    clock = ManualClock()
    start = clock.now
    pacer = Pacer(speed, clock=clock, sleep=clock.sleep)
    for _ in range(10):
        pacer.wait(go_on)
    assert clock.now - start == pytest.approx(10 * seconds)


def test_time_spent_on_the_tick_is_not_waited_for_again():
    clock = ManualClock()
    start = clock.now
    pacer = Pacer("1x", clock=clock, sleep=clock.sleep)
    pacer.wait(go_on)
    clock.sleep(0.2)
    pacer.wait(go_on)
    assert clock.now - start == pytest.approx(2 * TICK_SECONDS)


def test_a_pace_that_was_lost_starts_anew():
    clock = ManualClock()
    pacer = Pacer("1x", clock=clock, sleep=clock.sleep)
    pacer.wait(go_on)
    clock.sleep(10.0)
    before = clock.now
    pacer.wait(go_on)
    pacer.wait(go_on)
    assert clock.now - before == pytest.approx(2 * TICK_SECONDS)


def test_a_stop_is_heard_in_the_middle_of_a_wait():
    clock = ManualClock()
    start = clock.now
    pacer = Pacer("1x", clock=clock, sleep=clock.sleep)
    pacer.wait(lambda: clock.now - start > 0.09)
    assert clock.now - start == pytest.approx(0.1)
