"""The pace is even, gives way to a stop, and does not catch up in a burst."""

import pytest

from townlet_core.pacing import SPEEDS, TICK_SECONDS, Pacer
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


class Sleeper:
    """A clock whose sleep does one thing after the other."""

    def __init__(self, *deeds):
        self.clock, self.deeds = ManualClock(), [*deeds]

    def sleep(self, seconds):
        self.clock.sleep(seconds)
        if self.deeds:
            self.deeds.pop(0)()

    def pacer(self, speed):
        return Pacer(speed, clock=self.clock, sleep=self.sleep)


def test_a_pause_lasts_until_it_is_ended():
    sleeper = Sleeper()
    pacer = sleeper.pacer("max")
    sleeper.deeds = [lambda: None, pacer.resume]
    pacer.pause()
    start = sleeper.clock.now
    pacer.wait(go_on)
    assert sleeper.clock.now - start == pytest.approx(0.1)
    assert not pacer.paused
    pacer.wait(go_on)
    assert sleeper.clock.now - start == pytest.approx(0.1)


def test_a_step_is_one_tick_of_a_pause():
    sleeper = Sleeper()
    pacer = sleeper.pacer("1x")
    pacer.step()  # without a pause it does nothing
    pacer.pause()
    pauses = []
    pacer.on_pause = lambda: pauses.append(sleeper.clock.now)
    start = sleeper.clock.now
    pacer.step()
    pacer.step()
    pacer.wait(go_on)
    pacer.wait(go_on)
    assert sleeper.clock.now == start
    sleeper.deeds = [lambda: None, pacer.step]
    pacer.wait(go_on)
    assert sleeper.clock.now - start == pytest.approx(0.1)
    assert len(pauses) == 3


def test_a_stop_ends_a_pause():
    sleeper = Sleeper()
    pacer = sleeper.pacer("max")
    pacer.pause()
    start = sleeper.clock.now
    pacer.wait(lambda: sleeper.clock.now - start > 0.12)
    assert sleeper.clock.now - start == pytest.approx(0.15)


def test_another_speed_or_a_pause_takes_effect_within_a_wait():
    sleeper = Sleeper(lambda: setattr(pacer, "speed", "10x"))
    pacer = sleeper.pacer("1x")
    start = sleeper.clock.now
    pacer.wait(go_on)
    assert sleeper.clock.now - start == pytest.approx(0.05)
    sleeper.deeds = [pacer.pause, pacer.resume]
    pacer.speed = "1x"
    pacer.wait(go_on)
    assert sleeper.clock.now - start == pytest.approx(0.15)


def test_speeds_are_in_order():
    assert SPEEDS == ("1x", "10x", "100x", "max")
