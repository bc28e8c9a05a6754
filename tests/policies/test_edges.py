"""What a resident does exactly at the numbers of the rules, and one step beside them."""

import pytest

from tests.policies.conftest import SmallTown
from tests.policies.test_rules import (
    BARISTA,
    ENERGY,
    FIRST_SHIFT,
    GET_CLEAN,
    GET_FED,
    GO_TO_WORK,
    HUNGER,
    HYGIENE,
    IDLE,
    MORNING,
    NIGHT,
    NOON,
    REST,
    SHOP,
    SOCIALISE,
    decide,
)
from townlet_adapters.policies.scripted.options import ScriptedOptions

__all__ = ["decide"]

LOW, CRITICAL = ScriptedOptions().threshold, ScriptedOptions().critical


@pytest.mark.parametrize(
    ("needs", "option"),
    [
        ((0.1, 0.1, 0.1), GET_FED),
        ((0.9, 0.1, 0.1), GET_CLEAN),
        ((0.1, 0.9, 0.1), GET_FED),
        ((0.3, 0.3, 0.3), GET_FED),
        ((0.9, 0.3, 0.3), GET_CLEAN),
    ],
)
def test_of_equally_low_needs_hunger_comes_first_then_hygiene(town, decide, needs, option):
    town.needs[0] = needs
    assert decide(town, NOON)[0] == option


@pytest.mark.parametrize("need", [HUNGER, HYGIENE, ENERGY])
def test_a_need_at_the_critical_level_does_not_keep_a_resident_from_work(town, decide, need):
    town.job[0] = BARISTA
    town.needs[0, need] = CRITICAL
    assert decide(town, FIRST_SHIFT)[0] == GO_TO_WORK
    town.needs[0, need] = CRITICAL - 0.001
    assert decide(town, FIRST_SHIFT)[0] == need


@pytest.mark.parametrize("need", [HUNGER, HYGIENE])
def test_a_need_at_the_threshold_is_not_low(town, decide, need):
    town.needs[0, need] = LOW
    assert decide(town, NOON)[0] == IDLE
    town.needs[0, need] = LOW - 0.001
    assert decide(town, NOON)[0] == need


def test_by_day_a_need_that_can_wait_for_the_night_is_low_below_a_quarter(town, decide):
    town.needs[0, ENERGY] = 0.25
    assert decide(town, NOON)[0] == IDLE
    town.needs[0, ENERGY] = 0.249
    assert decide(town, NOON)[0] == REST


def test_preparing_for_a_shift_begins_240_ticks_before_it(town, decide):
    town.job[0] = BARISTA
    town.needs[0, HYGIENE] = 0.6
    assert [decide(town, FIRST_SHIFT - ticks)[0] for ticks in (241, 240)] == [IDLE, GET_CLEAN]
    town.needs[0, HYGIENE] = LOW + 0.2
    assert decide(town, FIRST_SHIFT - 240)[0] == IDLE


def test_the_night_is_from_a_drawn_minute_to_360(town, decide):
    town.needs[0, ENERGY] = 0.55
    begins = {}
    for day in range(1, 6):
        chosen = [decide(town, 1440 * day + tod)[0] for tod in range(1290, 1337)]
        begins[day] = chosen.index(REST)
        assert begins[day] <= 45
        assert chosen == [IDLE] * begins[day] + [REST] * (47 - begins[day])
        assert [decide(town, 1440 * (day + 1) + tod)[0] for tod in (0, 359, 360)] == [REST, REST, IDLE]
    assert len(set(begins.values())) > 2


def test_preparing_for_the_night_begins_150_ticks_before_it(town, decide):
    town.needs[0, ENERGY] = 0.55
    night = next(tod for tod in range(1290, 1366) if decide(town, 1440 + tod)[0] == REST)
    town.needs[0], town.inventory[0] = (0.9, 0.6, 0.9), (1, 0)
    assert [decide(town, 1440 + night - ticks)[0] for ticks in (151, 150, 1, 0)] == [
        IDLE, GET_CLEAN, GET_CLEAN, IDLE,
    ]  # fmt: skip


def test_a_resident_goes_to_bed_at_night_with_less_than_three_fifths_of_its_energy(town, decide):
    town.needs[0, ENERGY] = 0.6
    assert decide(town, NIGHT)[0] == IDLE
    town.needs[0, ENERGY] = 0.599
    assert decide(town, NIGHT)[0] == REST


def test_errands_are_run_from_480_until_before_1260(town, decide):
    town.wallet[0] = 4999
    assert [decide(town, 1440 + tod)[0] for tod in (479, 480, 1259, 1260)] == [IDLE, SHOP, SHOP, IDLE]


def test_a_thousand_mills_are_enough_to_shop(town, decide):
    town.wallet[0] = 1000
    assert decide(town, 1440 + NOON)[0] == SHOP
    town.wallet[0] = 999
    assert decide(town, 1440 + NOON)[0] == IDLE


def test_a_resident_is_shy_below_minus_a_half_of_extroversion(crowd, decide):
    hours = [day * 1440 + hour * 60 for day in range(10) for hour in range(8, 21)]
    crowd.extroversion[0] = -0.5
    assert SOCIALISE in {decide(crowd, tick)[0] for tick in hours}


def test_a_quarter_of_hunger_left_is_enough_to_cook_first(town, decide):
    town.inventory[0] = 0, 1
    town.wallet[0] = 0
    town.needs[0, HUNGER] = 0.25
    assert decide(town, MORNING)[:2] == (GET_FED, town.object("S"))
    town.needs[0, HUNGER] = 0.249
    assert decide(town, MORNING)[0] == IDLE


@pytest.mark.parametrize(
    ("symbol", "option", "tick", "columns"),
    [
        ("F", GET_FED, NOON, {"needs": (0.1, 0.9, 0.9)}),
        ("W", GET_CLEAN, NOON, {"needs": (0.9, 0.1, 0.9)}),
        ("B", REST, NIGHT, {"needs": (0.9, 0.9, 0.1)}),
        ("X", SHOP, NOON, {"wallet": 4999}),
        ("S", SHOP, NOON, {"wallet": 4999, "inventory": (0, 2)}),
        ("N", SOCIALISE, NOON, {"extroversion": 1.0}),
        ("R", SOCIALISE, NOON, {"extroversion": 1.0, "needs": (0.9, 0.9, 0.8)}),
    ],
)
def test_the_first_object_of_a_town_is_gone_to_like_any_other(decide, symbol, option, tick, columns):
    town = SmallTown(residents=2, first=symbol)
    for name, value in columns.items():
        getattr(town, name)[0] = value
    assert town.object(symbol) == 0
    hours = [tick + 1440 * day for day in range(20)]
    assert (option, 0) in {decide(town, hour)[:2] for hour in hours}


def test_a_resident_can_spend_its_last_mill_on_a_use(town, decide):
    town.needs[0, HYGIENE] = 0.3
    town.wallet[0] = 200
    assert decide(town, MORNING)[0] == GET_CLEAN
    town.wallet[0] = 199
    assert decide(town, MORNING)[0] == IDLE


def test_an_object_is_gone_to_when_its_cooldown_ends_on_arrival(town, decide):
    shower = town.object("W")
    town.needs[0, HYGIENE] = 0.3
    path = int(town.constants["field_steps"][shower, town.xy[0, 1], town.xy[0, 0]])
    assert path > 0
    town.cool_down(0, shower, MORNING + path)
    assert decide(town, MORNING)[0] == GET_CLEAN
    town.cool_down(0, shower, MORNING + path + 1)
    assert decide(town, MORNING)[0] == IDLE


def test_a_plan_that_ends_20_ticks_before_the_shift_is_in_time(town, decide):
    shower, home = town.object("W"), town.xy[0]
    town.job[0] = BARISTA
    town.needs[0, HYGIENE] = 0.3
    path = int(town.constants["field_steps"][shower, home[1], home[0]])
    goals = [(x, y) for y in range(5) for x in range(16) if town.constants["field_steps"][shower, y, x] == 0]
    work = len(town.constants["object_type"]) + 3
    back = min(int(town.constants["field_steps"][work, y, x]) for x, y in goals)
    last = FIRST_SHIFT - (path + 30 + back + 20)
    assert decide(town, last)[0] == GET_CLEAN
    assert decide(town, last + 1)[0] in {IDLE, GO_TO_WORK}


def gym_hours(town, decide, **columns):
    """Whether any hour of ten days is spent at the rack by somebody who likes company."""
    town.extroversion[0] = 1.0
    town.alive[1] = 1
    for name, value in columns.items():
        getattr(town, name)[0] = value
    rack = town.object("R")
    hours = [day * 1440 + hour * 60 for day in range(10) for hour in range(8, 21)]
    return any(decide(town, tick)[1] == rack for tick in hours)


@pytest.mark.parametrize(
    ("columns", "works_out"),
    [
        ({"wallet": 6000, "needs": (0.9, 0.5, 0.8)}, True),
        ({"wallet": 6000, "needs": (0.9, 0.499, 0.8)}, False),
        ({"wallet": 6000, "needs": (0.9, 0.9, 0.849)}, True),
        ({"wallet": 6000, "needs": (0.9, 0.9, 0.85)}, False),
        ({"wallet": 5000, "inventory": (1, 0), "needs": (0.9, 0.9, 0.8)}, True),
        ({"wallet": 2499, "inventory": (1, 0), "needs": (0.9, 0.9, 0.8)}, False),
    ],
)
def test_who_works_out_has_the_money_is_clean_and_not_yet_rested(town, decide, columns, works_out):
    assert gym_hours(town, decide, **columns) is works_out
