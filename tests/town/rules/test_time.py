"""Ticks, days, phases and the fair order (domain.md, section 1)."""

import math

import pytest

from tests.town.towns import Town
from tests.town.village import BESIDE, CAFE, OFFICE, STREET, Village, found, of
from townlet_adapters.worlds.town.events import economy
from townlet_core import seeding


def test_an_observation_describes_the_instant_after_the_tick_and_its_clock_says_so():
    town = Village()
    assert town.world.reset(1).tick == 0
    assert (town.features(0)["time_sin"], town.features(0)["time_cos"]) == (0.0, 1.0)
    town.jump(359).step()
    angle = 2 * math.pi * 360 / 1440
    assert town.features(0)["time_sin"] == pytest.approx(math.sin(angle), abs=1e-7)
    assert town.features(0)["time_cos"] == pytest.approx(math.cos(angle), abs=1e-7)
    assert town.tick == 360


def test_the_summary_tells_the_day_and_minute_of_the_executed_tick():
    town = Village()
    town.run(1442)
    assert town.summary is not None
    assert (town.summary.day, town.summary.tod) == (1, 1)
    assert town.world.frame().tick == 1441
    assert town.world.frame().clock == {"day": 1, "tod": 1, "phase": "night"}


@pytest.mark.parametrize(("start", "ends"), [(0, [1439, 2879]), (360, [1079, 2519]), (1439, [0, 1440, 2880])])
def test_a_town_may_start_at_any_minute_of_day_0_and_its_days_end_at_midnight(start, ends):
    town = Village(time={"start_tod": start})
    town.run(ends[-1] + 1)
    assert town.when("economy.day") == ends
    days = [event.day for _, event in town.log if isinstance(event, economy.EconomyDay)]
    assert days == list(range(len(ends)))
    assert (town.summary.day, town.summary.tod) == (days[-1], 1439)
    assert town.world.frame().clock == {"day": days[-1], "tod": 1439, "phase": "night"}
    assert town.features(0)["time_cos"] == 1.0
    assert town.world.spec.clock(town.tick) == (days[-1] + 1, 0)


def test_no_rent_falls_due_for_a_day_within_which_the_town_started():
    town = Village(time={"start_tod": 1})
    town.run(1439 + 1440)
    assert town.when("economy.rent") == [1438 + 1440] * 3
    assert town.when("economy.day") == [1438, 1438 + 1440]


def test_shifts_follow_the_clock_and_not_the_ticks():
    """Clerks from 360 on, the watch from 1380 until 120."""
    town = Village(time={"start_tod": 340}).stand(0, OFFICE[0]).stand(1, CAFE)
    town.run(25)
    assert [tick for tick, event in town.log if event.kind == "employment.arrived"] == [20]
    assert town.resident(0).paid_ticks == 5
    assert town.features(0)["shift_start_in"] == pytest.approx(-5 / 720)
    assert town.resident(1).paid_ticks == 0


def test_an_episode_counts_the_ticks_of_a_resident_and_begins_anew_after_a_day():
    town = Village().jump(360)
    shown = []
    for begun in (0, 1, 700, 1438):
        town.resident(1).episode_tick = begun
        town.step()
        shown.append(town.features(1)["episode_progress"] * 1440)
        town.step()
        shown.append(town.features(1)["episode_progress"] * 1440)
    assert shown == pytest.approx([1, 2, 2, 3, 701, 702, 1439, 0], abs=1e-3)


@pytest.mark.parametrize(
    ("tod", "phase"),
    [(0, "night"), (359, "night"), (360, "day"), (1259, "day"), (1260, "night"), (1439, "night")],
)
def test_the_clock_of_a_frame_shows_day_from_360_until_before_1260(tod, phase):
    for day in (0, 3):
        town = Village().jump(1440 * day + tod)
        town.step()
        assert town.world.frame().clock == {"day": day, "tod": tod, "phase": phase}


def test_a_day_ends_in_its_last_tick():
    town = Village()
    town.run(2 * 1440)
    assert town.when("economy.day") == [1439, 2879]
    assert [event.day for _, event in town.log if isinstance(event, economy.EconomyDay)] == [0, 1]
    assert town.when("economy.rent") == [1439] * 3 + [2879] * 3


def test_a_new_day_resets_its_counters_but_the_first_day_keeps_what_its_founding_moved():
    town = Village().jump(1440 + 1439)
    town.resident(0).late_ticks_today = 7
    town.state.districts["losses_today"] = 2
    town.state.flows[0] = 9
    town.step()
    assert town.resident(0).late_ticks_today == 7
    assert town.state.districts["losses_today"][0, 0] == 2
    town.step()
    assert town.resident(0).late_ticks_today == 0
    assert town.state.districts["losses_today"][0, 0] == 0
    assert town.state.flows.sum() == 0
    world, _ = found({"town": "hamlet_24"})
    assert world.engine.state.flows[0].tolist() == [3 * 2000, *[0] * 9]


def test_events_of_a_tick_stand_in_the_order_of_its_phases():
    """Moved (1), a use fails (3), a try fails (4), a use ends (5), a shift begins (7), the day ends (9)."""
    town = Village().stand(0, BESIDE["shower_1"]).stand(2, BESIDE["bench_1"])
    town.jump(200).step()  # the watch that ran when its holder came into being is over
    town.jump(1438).step({0: "use:use_shower", 2: "use:relax"})
    town.thing("bench_1").remaining = 1
    town.thing("fridge_1").stock[0] -= 3
    town.switch("power", on=False)
    town.teleport(1, *CAFE)
    town.step({0: "use:use_shower"})
    assert town.kinds() == [
        "lifecycle.moved",
        "affordance.fail", "affordance.fail",
        "affordance.finish",
        "employment.arrived", "employment.late_start",
        "economy.rent", "economy.rent", "economy.rent", "economy.restock", "economy.day",
    ]  # fmt: skip
    assert [event.reason for event in town.heard("affordance.fail")] == ["utility_lost", "utility_off"]


def test_an_exchange_of_conflicts_is_summed_up_at_the_end_of_the_tick():
    town = Village().stand(0, STREET[0]).stand(1, STREET[1])
    town.run(3, {0: "move_south"})
    town.jump(539).stand(2, OFFICE[0]).step({0: "move_south"})
    assert town.kinds()[-1] == "rivalry.events"
    assert town.kinds().count("queue.conflict") == 1


@pytest.mark.parametrize("seed", range(12))
def test_the_smaller_draw_goes_first(seed):
    """Two residents want the same free tile; the draw of the tick decides, not the serial."""
    town = Town(["Ehr.rh"], at=[(2, 0), (4, 0)], seed=seed)
    town.set_time(77)
    town.step({0: "move_east", 1: "move_west"})
    draws = [seeding.draw(seed, seeding.WORLD, 77, serial, 0) for serial in (0, 1)]
    first = draws.index(min(draws))
    assert (town.result(first), town.result(1 - first)) == ("ok", "blocked")


def test_both_orders_occur():
    firsts = {
        seeding.draw(seed, seeding.WORLD, 77, 0, 0) < seeding.draw(seed, seeding.WORLD, 77, 1, 0)
        for seed in range(12)
    }
    assert firsts == {False, True}


def test_a_resident_without_an_intent_waits():
    town = Village()
    town.step()
    assert town.resident(0).last_action == 0
    assert town.result(0) == "ok"
    assert town.summary is not None
    assert town.summary.actions == {"wait": 3}


def test_events_of_the_founding_lead_the_first_tick():
    _, told = found({"town": "hamlet_24"})
    assert [event.kind for event in told[:6]] == ["lifecycle.arrive", "employment.hired"] * 3
    assert not of(economy.EconomyDay, told)
