"""Where a resident goes for what it wants: one test for each term of the cost and each exclusion."""

import numpy as np
import pytest

from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.policies.scripted.purposes import FREE, PAID, purposes_of

GET_FED, GET_CLEAN, REST, SHOP, SOCIALISE, IDLE = 0, 1, 2, 4, 5, 7
NOON = 700
BARISTA = 0


@pytest.fixture
def goal():
    """Tell where slot 0 goes when it chooses: the symbol of an object, or None for another option."""

    def chosen(town, tick=NOON):
        policy = ScriptedPolicy(ScriptedOptions())
        policy.begin(town.spec, 7)
        context = policy.decide(town.observe(tick)).actions.context
        symbols = "FSRCBWNX"
        assert [town.object(symbol) for symbol in symbols] == list(range(8))
        return symbols[context.goal[0]] if context.option[0] != IDLE else None

    return chosen


def named(town, chosen):
    """Names of the affordances that are chosen."""
    return {town.constants["affordance_names"][a] for a in np.flatnonzero(chosen)}


def test_what_affordances_are_for_follows_from_what_they_do(town):
    found = purposes_of(town.constants)
    assert [named(town, found.serves[:, need]) for need in range(3)] == [
        {"eat_meal", "buy_meal"},
        {"use_shower"},
        {"rest_sleep"},
    ]
    assert [named(town, found.makes[:, need]) for need in range(3)] == [{"cook_meal"}, set(), set()]
    assert [named(town, found.fetches[:, need]) for need in range(3)] == [{"buy_groceries"}, set(), set()]
    assert named(town, found.leisure == PAID) == {"work_out"}
    assert named(town, found.leisure == FREE) == {"relax"}
    assert found.means.tolist() == [[1, 0], [0, 0], [0, 0]]
    assert found.parts.tolist() == [[0, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize("charge", ["charge_inventory", "charge_stock"])
def test_what_costs_something_of_the_inventory_or_of_the_stock_is_no_free_leisure(town, charge):
    bench = town.constants["affordance_names"].index("relax")
    town.constants[charge].obj[bench, 0, 1] = 1
    found = purposes_of(town.constants)
    assert named(town, found.leisure == FREE) == set()
    assert named(town, found.leisure == PAID) == {"work_out"}


def test_only_a_meal_that_cannot_be_brought_along_is_a_treat(town):
    assert named(town, purposes_of(town.constants).treats.any(axis=1)) == {"buy_meal"}


def hungry(town, hunger=0.4, x=2, y=2, wallet=2500):
    town.needs[0, 0] = hunger
    town.xy[0] = x, y
    town.wallet[0] = wallet
    return town


def test_the_nearer_of_two_meals_is_eaten(town, goal):
    assert goal(hungry(town, wallet=4000)) == "F"
    assert goal(hungry(town, x=12, y=2, wallet=10_000)) == "C"


def test_an_expected_wait_counts_like_a_way(town, goal):
    hungry(town, wallet=10_000)
    town.object_wait[town.object("F")] = 60
    assert goal(town) == "C"


def test_money_counts_more_for_the_poor(town, goal):
    """Cooking saves 250 mills, 50 ticks' worth for 2,500 mills; the rich treat themselves."""
    assert goal(hungry(town, wallet=2500)) == "S"
    assert goal(hungry(town, wallet=12_500)) == "C"


def test_a_carried_meal_is_eaten_and_nothing_cooked(town, goal):
    hungry(town)
    town.inventory[0] = 1, 0
    assert goal(town) == "F"


def test_nobody_cooks_who_is_too_hungry(town, goal):
    assert goal(hungry(town, hunger=0.24)) == "F"


@pytest.mark.parametrize("column", ["object_open", "object_powered"])
def test_an_object_that_is_closed_or_without_power_is_left_out(town, goal, column):
    town.needs[0, 1] = 0.4
    assert goal(town) == "W"
    getattr(town, column)[town.object("W")] = 0
    assert goal(town) is None


def test_a_cooldown_must_be_over_on_arrival(town, goal):
    town.needs[0, 1] = 0.4
    town.xy[0] = 1, 2
    path = town.constants["field_steps"][town.object("W"), 2, 1]
    assert path == 2
    town.cool_down(0, town.object("W"), NOON + path)
    assert goal(town) == "W"
    town.cool_down(0, town.object("W"), NOON + path + 1)
    assert goal(town) is None


def test_nobody_goes_for_what_it_cannot_pay(town, goal):
    town.needs[0, 1] = 0.4
    town.wallet[0] = 200
    assert goal(town) == "W"
    town.wallet[0] = 199
    assert goal(town) is None


def test_nobody_goes_for_what_is_out_of_stock(town, goal):
    hungry(town, wallet=10_000)
    town.object_stock[town.object("F")] = 0
    assert goal(town) == "C"
    town.object_stock[:] = 0
    assert goal(town) is None


def test_what_the_mask_refuses_on_the_spot_is_left_out(town):
    town.needs[0, 1] = 0.4
    town.xy[0] = 3, 3
    policy = ScriptedPolicy(ScriptedOptions())
    policy.begin(town.spec, 7)
    observation = town.observe(NOON)
    assert policy.decide(observation).actions.context.option[0] == GET_CLEAN
    town.mask[0, town.action("use:use_shower")] = 0
    assert policy.decide(observation).actions.context.option[0] == IDLE


def test_a_plan_must_end_in_time_for_the_shift_unless_the_need_is_critical(town, goal):
    """Shower: 1 step, 30 ticks, then the way from its reach to the cafe and 20 spare ticks."""
    town.needs[0, 1] = 0.4
    town.job[0] = BARISTA
    town.departure_lead[0] = 0
    town.xy[0] = 2, 2
    shower = town.object("W")
    cafe = len(town.constants["object_type"]) + 3
    back = min(town.constants["field_steps"][cafe, y, x] for x, y in ((3, 2), (4, 2), (3, 3)))
    needed = town.constants["field_steps"][shower, 2, 2] + 30 + back + 20
    assert goal(town, 480 - needed) == "W"
    assert goal(town, 480 - needed + 1) is None
    town.needs[0, 1] = ScriptedOptions().critical
    assert goal(town, 480 - needed + 1) is None
    town.needs[0, 1] = ScriptedOptions().critical - 0.001
    assert goal(town, 480 - needed + 1) == "W"


def test_leisure_is_a_workout_in_some_hours_for_those_who_can_pay_it_and_else_a_bench(crowd, goal):
    crowd.extroversion[0], crowd.wallet[0] = 1.0, 50_000
    crowd.needs[0] = 0.9, 0.9, 0.8
    crowd.inventory[0] = 1, 0
    hours = [480 + 60 * hour + 1440 * day for hour in range(13) for day in range(10)]
    found = [goal(crowd, tick) for tick in hours]
    assert set(found) == {None, "N", "R"}
    assert found.count("R") / (found.count("R") + found.count("N")) == pytest.approx(0.6, abs=0.15)
    crowd.wallet[0] = 2500 + 3000
    some = [goal(crowd, tick) for tick in hours]
    assert some.count("R") / (some.count("R") + some.count("N")) == pytest.approx(0.25, abs=0.12)
    crowd.wallet[0] = 2499
    assert {goal(crowd, tick) for tick in hours} == {None, "N"}


def test_nobody_waits_long_for_leisure(crowd, goal):
    crowd.extroversion[0], crowd.wallet[0] = 1.0, 0
    crowd.object_wait[crowd.object("N")] = 60
    assert goal(crowd, 600) == "N"
    crowd.object_wait[crowd.object("N")] = 61
    assert goal(crowd, 600) is None
