"""Uses that work tick by tick and end early (domain.md, section 8)."""

import pytest

from tests.town.towns import Town, affordance
from townlet_core.errors import ConfigError

ROOM = ["Ehrr", ".rBr"]
SHIFT = {"clerk": {"place": "room", "start": 100, "end": 200, "wage": 1, "capacity": 2}}
RATES = {"hunger": 0.001, "hygiene": 0.0005, "energy": 0.0006}


def bedroom(jobs=None, **sleep) -> Town:
    """A town in which resident 0 stands beside a bed and sleeps from the next tick on."""
    entry = affordance("sleep", "bed", **{"duration": 50, "each_tick": {"need:energy": 0.01}, **sleep})
    town = Town(
        ROOM, at=[(1, 0)], manifest=[entry], jobs=jobs, features={"need_multipliers": False},
        economy={"prices": {}},
    )  # fmt: skip
    town.resident(0).need[:3] = 0.5
    town.look()
    return town


def slept(town: Town, limit: int = 60) -> int:
    """Let resident 0 sleep; returns the ticks that it slept, 0 if it is not over by then."""
    town.step({0: "use:sleep"})
    for tick in range(1, limit):
        if town.heard("affordance.finish"):
            return tick
        town.step()
    return 0


def test_a_use_works_in_each_tick_and_then_the_needs_fall():
    town = bedroom()
    town.step({0: "use:sleep"})
    assert town.need(0, "energy") == 0.5 + 0.01 - 0.0006
    assert town.need(0, "hunger") == 0.5 - 0.001
    town.step()
    assert town.need(0, "energy") == 0.5 + 0.01 - 0.0006 + 0.01 - 0.0006
    assert slept(bedroom()) == 50


def test_all_needs_fall_by_the_factor_of_the_use_while_it_runs():
    town = bedroom(decay=0.5, duration=2)
    town.step({0: "use:sleep"})
    assert town.need(0, "hunger") == 0.5 - 0.001 * 1.0 * 0.5
    assert town.need(0, "energy") == 0.5 + 0.01 - 0.0006 * 1.0 * 0.5
    before = town.need(0, "hunger")
    town.step()
    assert town.heard("affordance.finish")
    assert town.need(0, "hunger") == before - 0.001


def test_effects_of_each_tick_are_clamped():
    town = bedroom()
    town.resident(0).need[:3] = 0.995
    town.step({0: "use:sleep"})
    assert town.need(0, "energy") == 1.0 - 0.0006


def test_a_use_is_finished_as_soon_as_all_of_its_conditions_hold():
    """0.5 + 5 x 0.01 - 4 x 0.0006 = 0.5476 is above 0.545, and 10 is the eleventh tick."""
    assert slept(bedroom(until=["energy >= 0.545"])) == 5
    assert slept(bedroom(until=["energy >= 0.545", "tod >= 10"])) == 11
    assert slept(bedroom(until=["energy >= 0.545", "tod >= 500"])) == 50


def test_effects_at_the_end_come_with_an_early_end_too():
    town = bedroom(until=["tod >= 3"], effects={"need:hunger": 0.25})
    assert slept(town) == 4
    assert town.need(0, "hunger") == pytest.approx(0.5 + 0.25 - 4 * 0.001)
    assert town.state.objects[0, 0].holder == -1
    outcome = town.state.outcomes[0, 0, 0]
    assert (outcome.tick, outcome.duration) == (3, 4)


def test_a_price_in_the_conditions_is_what_was_paid():
    paid = {"charge": [{"price:meal": 1}], "until": ["price == 400"]}
    assert slept(bedroom(**paid)) == 1
    assert slept(bedroom(**{**paid, "until": ["price != 400"]})) == 50


def test_a_use_ends_some_ticks_before_the_shift_of_who_has_a_job():
    town = bedroom(SHIFT, wakes={"before_shift": 70})
    town.set_time(20)
    assert slept(town) == 11
    assert town.tick == 31
    assert slept(bedroom(wakes={"before_shift": 70})) == 50


def test_who_begins_after_that_sleeps_on():
    town = bedroom(SHIFT, wakes={"before_shift": 70})
    town.set_time(31)
    assert slept(town) == 50


def test_a_use_ends_when_a_need_falls_too_low():
    """0.5 - 4 x 0.001 is 0.496; effects come before the decay of their tick."""
    assert slept(bedroom(wakes={"need_below": 0.4965})) == 5


def test_a_need_that_was_too_low_before_wakes_nobody():
    town = bedroom(wakes={"need_below": 0.3})
    town.resident(0).need[0] = 0.29
    town.look()
    assert slept(town) == 50


def test_a_use_that_is_left_gives_back_its_charge_and_keeps_what_its_ticks_gave():
    town = bedroom(charge=[{"price:meal": 1}])
    town.step({0: "use:sleep"})
    town.run(3)
    town.step({0: "leave"})
    assert [event.refunded for event in town.heard("affordance.fail")] == [400]
    assert town.need(0, "energy") == pytest.approx(0.5 + 4 * 0.01 - 5 * 0.0006)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"each_tick": {"need:fun": 0.1}}, "unknown effect 'need:fun' in each tick"),
        ({"each_tick": {"money": 0.1}}, "unknown effect 'money' in each tick"),
        ({"until": ["energy"]}, "'energy': this is not a comparison"),
        ({"until": ["vigour > 1"]}, "'vigour > 1': unknown name 'vigour'"),
        ({"decay": 1.5}, "decay"),
        ({"wakes": {"before_shift": -1}}, "before_shift"),
    ],
)
def test_mistakes_are_refused(entry, message):
    with pytest.raises(ConfigError) as caught:
        bedroom(**entry)
    assert message in str(caught.value)


def test_a_removed_need_takes_its_effects_and_conditions_along():
    vocabulary = {"extend": "town", "remove": {"needs": ["hygiene"]}}
    entry = affordance(
        "sleep", "bed", 5, each_tick={"need:hygiene": 0.1, "need:energy": 0.1}, until=["hygiene > 0.5"]
    )
    town = Town(ROOM, at=[(1, 0)], manifest=[entry], vocabulary=vocabulary)
    (spec,) = town.model.plan.affordances.affordances
    assert (dict(spec.each_tick), spec.until) == ({"energy": 0.1}, ())
    assert town.model.plan.notices == ("sleep: each_tick need:hygiene", "sleep: until hygiene > 0.5") or set(
        town.model.plan.notices
    ) == {"sleep: each_tick need:hygiene", "sleep: until hygiene > 0.5"}
    only = affordance("sleep", "bed", 5, each_tick={"need:hygiene": 0.1})
    with pytest.raises(ConfigError, match="sleep is left without an effect"):
        Town(ROOM, at=[(1, 0)], manifest=[only], vocabulary=vocabulary)
