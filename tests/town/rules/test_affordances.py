"""The life of a use: checks, charge, effects, failure, and every result that a use can have (6.2, 6.3, 8)."""

import pytest

from tests.town.towns import Town, affordance, agent, town_map
from tests.town.words import HUNGER, HYGIENE, INGREDIENTS, MEAL, NEEDS
from townlet_adapters.worlds.town import codes

BATH = ["Ehrr", ".rWr", ".rrr"]
SHOWER = "use:use_shower"
EAT = "use:eat_meal"


def one_use(object_type: str = "bench", duration: int = 3, **more: object) -> list[dict[str, object]]:
    return [affordance("it", object_type, duration, **more)]


def parlour(
    symbol: str, manifest: list[dict[str, object]] | None, residents: int = 1, **options: object
) -> Town:
    """A room around one object, with residents beside it, where all fall idle and needs stand still."""
    at = [(1, 1), (3, 1), (2, 2), (1, 2)][:residents]
    still = {"decay": {"hunger": 0.0, "hygiene": 0.0, "energy": 0.0}}
    rows = ["Ehrr", f".r{symbol}r", ".rrr"]
    return Town(rows, at, manifest=manifest, needs=still, **options)


# From the start to the end.


def test_a_use_starts_at_once_at_a_free_object_and_is_told_with_its_price():
    town = Town(BATH, [(1, 1)])
    (start,) = town.step({0: SHOWER})
    assert (town.result(0), town.stage(0), town.holder("shower_1")) == ("ok", "running", 0)
    assert (start.kind, start.agent_id, start.object_id) == ("affordance.start", agent(0), "shower_1")
    assert (start.affordance_id, start.duration, start.paid, start.alternative) == ("use_shower", 30, 200, 0)
    used = town.thing("shower_1")
    assert (used.running, used.remaining, used.started, used.paid) == (True, 29, 0, 200)


def test_a_use_of_d_ticks_that_starts_in_t_ends_in_t_plus_d_minus_1():
    town = parlour("N", one_use(duration=4))
    town.run(2)
    remaining = []
    for _ in range(4):
        town.step({0: "use:it"})
        remaining.append(int(town.thing("bench_1").remaining))
    assert remaining == [3, 2, 1, 0]
    assert (town.when("affordance.start"), town.when("affordance.finish")) == ([2], [5])
    assert (town.stage(0), town.holder("bench_1"), town.thing("bench_1").running) == ("none", None, False)


def test_a_use_of_one_tick_is_over_in_the_tick_in_which_it_starts():
    town = parlour("N", one_use(duration=1))
    town.step({0: "use:it"})
    assert town.kinds() == ["affordance.start", "affordance.finish"]
    assert (town.result(0), town.stage(0)) == ("ok", "none")


@pytest.mark.parametrize("duration", [2, 7])
def test_a_waiting_successor_starts_in_the_tick_after_the_end(duration):
    town = parlour("N", one_use(duration=duration), 2)
    town.step({0: "use:it"})
    town.run(2 * duration, {1: "use:it"})
    assert town.when("affordance.start", agent_id=agent(1)) == [duration]
    assert town.when("affordance.finish", agent_id=agent(1)) == [2 * duration - 1]


def test_waiting_and_asking_again_both_let_a_use_run_on():
    town = parlour("N", one_use(duration=4))
    town.step({0: "use:it"})
    town.step({0: "wait"})
    assert town.result(0) == "ok"
    town.step({0: "use:it"})
    assert (town.result(0), town.told) == ("running", ())
    town.step({0: ("use:it", 0)})
    assert town.result(0) == "running"
    assert town.when("affordance.finish") == [3]


def test_the_world_keeps_no_more_outcomes_than_configured_the_oldest_goes_first():
    town = parlour("N", one_use(duration=1), affordances={"outcome_history": 3}, queues={"cooldown_ticks": 0})
    assert town.state.outcomes.shape == (1, 2, 3)
    for _ in range(5):
        town.step({0: "use:it"})
    lines = town.state.outcomes[0, 0]
    assert int(town.resident(0).outcomes) == 5
    assert sorted(lines["tick"].tolist()) == [2, 3, 4]
    assert {int(town.number_of("bench_1"))} == set(lines["object"].tolist())
    assert set(lines["affordance"].tolist()) == {0}
    assert set(lines["reason"].tolist()) == {codes.OK}
    assert set(lines["duration"].tolist()) == {1}


def test_a_failed_use_is_remembered_with_its_reason_and_how_long_it_lasted():
    town = Town(BATH, [(1, 1)])
    town.run(4, {0: SHOWER})
    town.step({0: "leave"})
    line = town.state.outcomes[0, 0, 0]
    assert (line.tick, line.object, line.affordance) == (4, 0, 2)
    assert (line.reason, line.duration) == (codes.LEFT, 4)


# What a use costs.


def test_the_first_payable_alternative_is_taken():
    town = Town(["Ehrr", ".rFr", ".rrr"], [(1, 1)])
    town.resident(0).inventory[MEAL] = 2
    (start,) = town.step({0: EAT})
    assert (start.paid, start.alternative) == (0, 0)
    assert (town.inventory(0), town.stock("fridge_1"), town.wallet(0)) == ((1, 0), (12, 0), 2000)


def test_the_next_alternative_is_taken_where_the_first_is_not_payable():
    town = Town(["Ehrr", ".rFr", ".rrr"], [(1, 1)])
    (start,) = town.step({0: EAT})
    assert (start.paid, start.alternative) == (400, 1)
    assert (town.inventory(0), town.stock("fridge_1"), town.wallet(0)) == ((0, 0), (11, 0), 1600)


@pytest.mark.parametrize(
    ("rows", "action", "paid", "till"),
    [
        (["Hrrr", ".rFE", ".rrr"], EAT, 400, 0),
        (["Hrrr", ".rSE", ".rrr"], "use:cook_meal", 150, 0),
        (["Hrrr", ".rWE", ".rrr"], SHOWER, 200, 0),
        (["Hggg", ".gXE", ".ggg"], "use:buy_groceries", 300, 300),
        (["Hccc", ".cCE", ".ccc"], "use:buy_meal", 900, 900),
        (["Hyyy", ".yRE", ".yyy"], "use:work_out", 400, 400),
        (["Hrrr", ".rBE", ".rrr"], "use:rest_sleep", 0, 0),
        (["Hppp", ".pNE", ".ppp"], "use:relax", 0, 0),
    ],
)
def test_a_purchase_goes_to_the_till_of_the_place_or_to_the_treasury_where_there_is_none(
    rows, action, paid, till
):
    town = Town(rows, [(1, 1)])
    treasury = int(town.state.towns[0].treasury)
    (start,) = town.step({0: action})
    assert (start.paid, town.wallet(0)) == (paid, 2000 - paid)
    assert int(town.state.tills[0].sum()) == till
    assert int(town.state.towns[0].treasury) == treasury + paid - till
    assert int(town.state.flows[0, codes.FLOW_PURCHASE]) == paid
    assert town.money() == 0


def test_one_can_spend_the_last_mill():
    town = Town(BATH, [(1, 1)])
    town.resident(0).wallet = 200
    town.look()
    town.step({0: SHOWER})
    assert (town.result(0), town.wallet(0)) == ("ok", 0)


def test_several_priced_items_and_quantities_add_up():
    charge = [{"price:meal": 2, "price:shower": 3, "price:ingredients": 1}]
    town = parlour("F", one_use("fridge", charge=charge))
    (start,) = town.step({0: "use:it"})
    assert start.paid == 2 * 400 + 3 * 200 + 150


def test_prices_are_those_of_the_config_and_of_the_district_at_the_start_of_the_use():
    town = Town(BATH, [(1, 1)], economy={"prices": {"home.shower": 7}})
    (start,) = town.step({0: SHOWER})
    assert start.paid == 7
    town.step({0: "leave"})
    town.put_price(11, "home.shower")
    town.look()
    (start,) = town.step({0: SHOWER})
    assert start.paid == 11


# What a use does.


def test_effects_come_at_the_end_and_not_before():
    town = parlour("W", None)
    for _ in range(29):
        town.step({0: SHOWER})
        assert [town.need(0, name) for name in NEEDS] == [0.7, 0.7, 0.7]
    town.step({0: SHOWER})
    assert [town.need(0, name) for name in NEEDS] == [0.7, 1.0, 0.7 - 0.03]
    (finish,) = town.told
    assert (finish.kind, finish.agent_id, finish.object_id) == ("affordance.finish", agent(0), "shower_1")
    assert (finish.affordance_id, dict(finish.effects)) == (
        "use_shower",
        {"need:hygiene": 0.45, "need:energy": -0.03},
    )


def test_needs_are_clamped_to_0_and_1():
    town = parlour("N", one_use(effects={"need:hunger": 0.5, "need:hygiene": -0.9, "need:energy": 0.25}))
    town.run(3, {0: "use:it"})
    assert [town.need(0, name) for name in NEEDS] == [1.0, 0.0, 0.95]


def test_needs_fall_after_the_effects_of_a_tick():
    fast = {"decay": {"hygiene": 0.01}}
    town = Town(BATH, [(1, 1)], needs=fast, features={"need_multipliers": False})
    town.run(29, {0: SHOWER})
    town.resident(0).need[HYGIENE] = 0.9
    town.step({0: SHOWER})
    assert (town.kinds(), town.need(0, "hygiene")) == (["affordance.finish"], 1.0 - 0.01)


def test_stock_is_clamped_to_0_and_the_capacity():
    manifest = [
        affordance("fill", "fridge", 1, effects={"stock:meal": 5}),
        affordance("empty", "fridge", 1, effects={"stock:meal": -9}),
    ]
    town = parlour("F", manifest, queues={"cooldown_ticks": 0})
    town.thing("fridge_1").stock[MEAL] = 8
    town.step({0: "use:fill"})
    assert town.stock("fridge_1") == (12, 0)
    town.step({0: "use:empty"})
    town.step({0: "use:empty"})
    assert town.stock("fridge_1") == (0, 0)


def test_inventory_grows_and_shrinks_within_its_limits():
    manifest = [
        affordance("get", "bench", 1, effects={"inventory:meal": 2, "inventory:ingredients": 3}),
        affordance("lose", "bench", 1, effects={"inventory:meal": -3, "inventory:ingredients": -1}),
    ]
    town = parlour("N", manifest, queues={"cooldown_ticks": 0})
    town.step({0: "use:get"})
    town.step({0: "use:get"})
    assert town.inventory(0) == (4, 6)
    assert "use:get" not in town.mask(0)
    town.step({0: "use:lose"})
    town.step({0: "use:lose"})
    assert town.inventory(0) == (0, 4)


def test_money_of_an_effect_comes_from_the_treasury_as_a_bonus():
    town = parlour("N", one_use(duration=2, effects={"money": 70}))
    treasury = int(town.state.towns[0].treasury)
    town.step({0: "use:it"})
    assert town.wallet(0) == 2000
    town.step({0: "use:it"})
    assert (town.wallet(0), int(town.state.towns[0].treasury)) == (2070, treasury - 70)
    assert int(town.state.flows[0, codes.FLOW_BONUS]) == 70
    assert town.money() == 0


def test_a_meal_is_cooked_from_what_one_carries():
    town = parlour("S", None)
    town.resident(0).inventory[INGREDIENTS] = 1
    town.run(39, {0: "use:cook_meal"})
    assert (town.inventory(0), town.stock("stove_1")) == ((0, 0), (0, 10))
    town.step({0: "use:cook_meal"})
    assert (town.inventory(0), town.wallet(0)) == ((1, 0), 2000)


# Failures of a running use.


def lost_water(town: Town) -> None:
    town.switch("water", on=False)
    town.step()


def lost_power(town: Town) -> None:
    town.switch("power", on=False)
    town.step()


def left(town: Town) -> None:
    town.step({0: "leave"})


def interrupted(town: Town) -> None:
    town.teleport(0, 0, 2)
    town.step()


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lost_water, "utility_lost"),
        (lost_power, "utility_lost"),
        (left, "left"),
        (interrupted, "interrupted"),
    ],
)
def test_a_use_that_fails_gives_everything_back_and_has_no_effect(end, reason):
    charge = [{"inventory:meal": 2, "price:shower": 3}]
    manifest = one_use("shower", 9, charge=charge, effects={"need:hunger": 0.2, "money": 5})
    town = parlour("W", manifest)
    town.resident(0).inventory[MEAL] = 3
    town.look()
    town.run(4, {0: "use:it"})
    assert (town.wallet(0), town.inventory(0)) == (1400, (1, 0))
    end(town)
    (fail,) = town.heard("affordance.fail")
    assert (fail.agent_id, fail.object_id, fail.affordance_id) == (agent(0), "shower_1", "it")
    assert (fail.reason, fail.detail, fail.progress, fail.refunded) == (reason, None, 4, 600)
    assert (town.wallet(0), town.inventory(0), town.need(0, "hunger")) == (2000, (3, 0), 0.7)
    assert (town.stage(0), town.holder("shower_1"), town.thing("shower_1").running) == ("none", None, False)
    assert int(town.state.flows[0, codes.FLOW_REFUND]) == 600
    assert (town.money(), town.heard("affordance.finish"), town.heard("queue.leave")) == (0, [], [])


def test_the_refund_of_stock_fills_up_to_the_capacity():
    town = Town(["Ehrr", ".rFr", ".rrr"], [(1, 1)])
    town.step({0: EAT})
    assert town.stock("fridge_1") == (11, 0)
    town.thing("fridge_1").stock[MEAL] = 12  # filled up while the meal was being eaten
    town.step({0: "leave"})
    assert (town.stock("fridge_1"), town.wallet(0)) == ((12, 0), 2000)


def test_a_refund_is_exact_after_the_till_was_swept_and_the_price_changed():
    town = Town(["Hccc", ".cCE", ".ccc"], [(1, 1)], economy={"rent_per_day": 0})
    town.set_time(1438)
    town.step({0: "use:buy_meal"})
    town.step()
    assert town.state.tills[0].tolist() == [0, 0]
    town.put_price(1)
    town.step({0: "leave"})
    assert (town.wallet(0), town.heard("affordance.fail")[0].refunded) == (2000, 900)
    assert sorted(town.state.tills[0].tolist()) == [-900, 0]
    assert town.money() == 0


def test_a_failure_lifts_the_cool_down_of_the_pair():
    town = Town(BATH, [(1, 1)])
    town.step({0: SHOWER})
    town.cool_down(0, 0, 500)
    town.step({0: "leave"})
    assert SHOWER in town.mask(0)
    assert town.cooldown(0, 0) == 0


def test_a_use_does_not_mind_a_utility_that_its_object_does_not_need():
    town = Town(["Ehrr", ".rSr", ".rrr"], [(1, 1)])
    town.step({0: "use:cook_meal"})
    town.switch("water", on=False)
    town.step()
    assert (town.stage(0), town.told) == ("running", ())


def test_a_utility_of_another_district_is_no_concern():
    rows = ["EhrW", ".rrr"]
    grid = {"grid": {"district": town_map(rows), "rows": 1, "cols": 2}}
    town = Town(rows, [(2, 0), (6, 0)], town=grid)
    town.step({0: SHOWER, 1: SHOWER})
    town.switch("power", on=False, district=1)
    town.step()
    assert [town.stage(slot) for slot in (0, 1)] == ["running", "none"]


def test_closing_an_object_lets_the_running_use_end():
    town = parlour("N", one_use(duration=3))
    town.step({0: "use:it"})
    town.close("bench_1")
    town.run(2)
    assert (town.when("affordance.finish"), town.when("affordance.fail")) == ([2], [])


def test_a_use_that_lost_its_utility_leaves_the_queue_in_place_and_its_first_holds():
    town = Town(BATH, [(1, 1), (3, 1), (2, 2)])
    town.step({0: SHOWER})
    town.step({1: SHOWER})
    town.step({2: SHOWER})
    town.switch("water", on=False)
    town.step({0: SHOWER, 1: SHOWER, 2: SHOWER})
    reasons = [(event.agent_id, event.reason, event.progress) for event in town.heard("affordance.fail")]
    assert reasons == [(agent(0), "utility_lost", 3), (agent(0), "utility_off", 0)]
    assert [town.result(slot) for slot in range(3)] == ["utility_off", "waiting", "queued"]
    assert (town.stage(0), town.holder("shower_1"), town.queue("shower_1")) == ("none", 1, [2])
    town.run(3, {1: SHOWER})
    assert (town.result(1), town.stage(1)) == ("waiting", "held")
    town.switch("water", on=True)
    town.step({1: SHOWER})
    assert (town.result(1), town.stage(1), town.when("affordance.start")) == ("ok", "running", [0, 7])


# Results, each by the race that brings it about.


def test_closed():
    town = Town(BATH, [(1, 1)])
    town.close("shower_1")
    (fail,) = town.step({0: SHOWER})
    assert (town.result(0), town.stage(0), town.wallet(0)) == ("closed", "none", 2000)
    assert (fail.kind, fail.agent_id, fail.object_id) == ("affordance.fail", agent(0), "shower_1")
    assert (fail.affordance_id, fail.reason, fail.progress, fail.refunded) == ("use_shower", "closed", 0, 0)


def test_cool_down_of_the_object_that_was_asked_for():
    town = Town(["Ehrrr", ".WrWr", ".rrrr"], [(2, 1)])
    town.run(30, {0: (SHOWER, 0)})
    town.resident(0).need[HYGIENE] = 0.1
    town.look()
    town.step({0: (SHOWER, 0)})
    assert (town.result(0), town.heard("affordance.fail")[0].reason) == ("cooldown", "cooldown")
    town.step({0: (SHOWER, 1)})
    assert town.result(0) == "ok"


def test_utility_off():
    town = Town(BATH, [(1, 1)])
    town.switch("power", on=False)
    town.step({0: SHOWER})
    assert (town.result(0), town.heard("affordance.fail")[0].reason) == ("utility_off", "utility_off")


def test_precondition_failed():
    town = Town(BATH, [(1, 1)])
    town.set_need(0, "hygiene", 0.96)
    town.step({0: SHOWER})
    assert (town.result(0), town.wallet(0)) == ("precondition_failed", 2000)


def test_insufficient_stock_when_an_earlier_one_took_the_last():
    town = Town(["Ehrr", ".rFr", ".rrr"], [(1, 1), (3, 1)])
    town.thing("fridge_1").stock[MEAL] = 1
    town.step({0: EAT, 1: EAT})
    assert sorted(town.result(slot) for slot in (0, 1)) == ["insufficient_stock", "ok"]
    assert town.queue("fridge_1") == []


def test_inventory_full_when_the_bag_was_filled_meanwhile():
    town = parlour("S", None)
    town.resident(0).inventory[MEAL] = 4
    town.step({0: "use:cook_meal"})
    assert (town.result(0), town.stock("stove_1")) == ("inventory_full", (0, 10))


def test_insufficient_items_when_what_was_carried_is_gone():
    town = parlour("N", one_use(charge=[{"inventory:meal": 1}]))
    town.resident(0).inventory[MEAL] = 1
    town.look()
    town.resident(0).inventory[MEAL] = 0
    town.step({0: "use:it"})
    assert town.result(0) == "insufficient_items"


def test_insufficient_funds_when_the_money_is_gone():
    town = Town(BATH, [(1, 1)])
    town.resident(0).wallet = 199
    town.step({0: SHOWER})
    assert (town.result(0), town.wallet(0)) == ("insufficient_funds", 199)


def test_too_far_when_a_teleport_took_one_away():
    town = Town(BATH, [(1, 1)])
    town.teleport(0, 0, 2)
    town.step({0: SHOWER})
    assert (town.result(0), town.heard("affordance.fail")) == ("too_far", [])


def test_too_far_from_the_object_that_was_asked_for():
    town = Town(["Ehrrrr", ".WrrWr", ".rrrrr"], [(2, 1)])
    town.step({0: (SHOWER, 1)})
    assert (town.result(0), town.told, town.stage(0)) == ("too_far", (), "none")


def test_too_far_from_an_object_beside_one_that_belongs_to_another_place():
    town = Town(["EHrr...", ".rW.qqq", ".r.qWqq"], [(3, 2)])
    town.step({0: (SHOWER, town.number_of("shower_1"))})
    assert town.result(0) == "too_far"
    town.step({0: (SHOWER, town.number_of("shower_2"))})
    assert town.result(0) == "ok"


@pytest.mark.parametrize("target", [2, 99, 2**31 - 1, -2, -(2**31), 0])
def test_bad_target_when_it_is_no_object_or_one_that_offers_something_else(target):
    town = Town(["Ehrrr", ".BrWr", ".rrrr"], [(2, 1)])
    town.step({0: (SHOWER, target)})
    assert (town.result(0), town.told, town.stage(0)) == ("bad_target", (), "none")


@pytest.mark.parametrize("target", [2, -7, 0])
def test_bad_target_comes_first_for_one_with_a_claim_as_well(target):
    town = Town(["Ehrrr", ".BrWr", ".rrrr"], [(2, 1)])
    town.step({0: SHOWER})
    town.step({0: (SHOWER, target)})
    assert (town.result(0), town.stage(0)) == ("bad_target", "running")


def test_busy_when_the_target_is_another_object_than_the_claimed_one():
    town = Town(["Ehrrr", ".WrWr", ".rrrr"], [(2, 1), (2, 2)])
    town.step({0: (SHOWER, 0)})
    town.step({1: (SHOWER, 0)})
    town.step({0: (SHOWER, 1), 1: (SHOWER, 1)})
    assert [town.result(slot) for slot in (0, 1)] == ["busy", "busy"]
    assert [town.stage(slot) for slot in (0, 1)] == ["running", "queued"]
    town.step({0: (SHOWER, 0), 1: (SHOWER, 0)})
    assert [town.result(slot) for slot in (0, 1)] == ["running", "queued"]


def test_no_claim_when_it_was_lost_before_it_could_be_left():
    town = Town(BATH, [(1, 1), (3, 1)])
    town.step({0: SHOWER})
    town.step({1: SHOWER})
    town.close("shower_1")
    town.step({1: "leave"})
    assert (town.result(1), town.heard("queue.leave")[0].reason) == ("no_claim", "closed")


def test_one_whose_claim_was_lost_asks_anew():
    town = Town(BATH, [(1, 1), (3, 1)])
    town.step({0: SHOWER})
    town.step({1: SHOWER})
    town.close("shower_1")
    town.open("shower_1")
    town.step({1: SHOWER})
    assert (town.result(1), town.stage(1)) == ("queued", "queued")
    assert town.kinds() == ["queue.leave", "queue.join"]


FAULTS = ["closed", "cooldown", "utility_off", "precondition_failed", "inventory_full", "insufficient_funds"]


@pytest.mark.parametrize("first", range(len(FAULTS)))
def test_of_several_faults_the_first_in_the_order_of_the_rules_is_told(first):
    """The faults before ``first`` are left out, all others are there."""
    charge = [{"price:ingredients": 1}]
    manifest = one_use("stove", preconditions=["hunger < 0.95"], charge=charge, effects={"inventory:meal": 1})
    town = parlour("S", manifest)
    resident = town.resident(0)
    there = FAULTS[first:]
    if "closed" in there:
        town.close("stove_1")
    if "cooldown" in there:
        town.cool_down(0, 0, 1)
    if "utility_off" in there:
        town.switch("power", on=False)
    if "precondition_failed" in there:
        resident.need[HUNGER] = 1.0
    if "inventory_full" in there:
        resident.inventory[MEAL] = 4
    resident.wallet = 0
    town.step({0: "use:it"})
    assert town.result(0) == FAULTS[first]


@pytest.mark.parametrize(
    ("charge", "lack"),
    [
        ([{"price:meal": 9}, {"inventory:meal": 1}], "insufficient_items"),
        ([{"inventory:meal": 1}, {"price:meal": 9}], "insufficient_funds"),
        ([{"inventory:meal": 1}, {"stock:meal": 12, "price:meal": 9}], "insufficient_stock"),
        ([{"inventory:meal": 1, "stock:meal": 12, "price:meal": 9}], "insufficient_items"),
        ([{"inventory:ingredients": 1, "price:meal": 1}], "insufficient_items"),
    ],
)
def test_of_what_cannot_be_paid_the_last_alternative_is_told_items_then_stock_then_funds(charge, lack):
    town = parlour("F", one_use("fridge", charge=charge))
    town.resident(0).inventory[:2] = 4
    town.resident(0).wallet = 9_000
    town.look()
    town.resident(0).inventory[:2] = 0
    town.resident(0).wallet = 0
    town.thing("fridge_1").stock[MEAL] = 11
    town.step({0: "use:it"})
    assert town.result(0) == lack
    assert town.heard("affordance.fail")[0].reason == lack


@pytest.mark.parametrize("fault", ["cooldown", "precondition_failed", "inventory_full", "insufficient_funds"])
def test_a_holder_that_cannot_start_loses_its_claim_to_the_next(fault):
    charge = [{"price:meal": 1}]
    manifest = one_use("bed", preconditions=["hunger < 0.95"], charge=charge, effects={"inventory:meal": 1})
    town = parlour("B", manifest, 3)
    town.step({0: "use:it"})
    town.step({1: "use:it"})
    town.step({2: "use:it"})
    assert (town.holder("bed_1"), town.stage(1)) == (1, "held")
    holder = town.resident(1)
    if fault == "cooldown":
        town.cool_down(1, 0, 50)
    elif fault == "precondition_failed":
        town.set_need(1, "hunger", 1.0)
    elif fault == "inventory_full":
        holder.inventory[MEAL] = 4
    else:
        holder.wallet = 0
    town.step({1: "use:it"})
    assert (town.result(1), town.stage(1)) == (fault, "none")
    assert town.kinds() == ["affordance.fail", "queue.grant"]
    assert (town.holder("bed_1"), town.queue("bed_1"), town.cooldown(1, 0)) == (2, [], 0)


# The world's choice of object.


CHOICE = ["Ehrrrr", ".NrNrr", ".rNrrr"]  # bench_1 (1, 1), bench_2 (3, 1), bench_3 (2, 2); (2, 1) reaches all


def bench_town(residents: int = 4, **options: object) -> Town:
    at = [(2, 1), (2, 0), (3, 0), (4, 1)]
    manifest = [affordance("sit", "bench", 20), affordance("nap", "bench", 5)]
    return Town(CHOICE, at[:residents], manifest=manifest, **options)


def test_the_world_chooses_the_lowest_of_the_free_objects_in_reach():
    town = bench_town(1)
    town.step({0: "use:sit"})
    assert town.heard("affordance.start")[0].object_id == "bench_1"


def test_the_world_passes_over_what_cannot_be_used():
    town = bench_town(1)
    town.close("bench_1")
    town.cool_down(0, 1, 9)
    town.step({0: "use:sit"})
    assert town.heard("affordance.start")[0].object_id == "bench_3"


def test_the_world_prefers_a_free_object_to_a_short_wait():
    town = bench_town(3)
    town.step({1: ("use:nap", 0), 2: ("use:nap", 1)})
    town.step({0: "use:sit"})
    assert town.heard("affordance.start")[0].object_id == "bench_3"


def test_among_taken_objects_the_world_chooses_the_shortest_expected_wait():
    town = bench_town(4)
    town.place((2, 1), (1, 2), (3, 2), (2, 0))
    town.step({1: ("use:sit", 0), 2: ("use:nap", 1), 3: ("use:sit", 2)})
    assert [town.result(slot) for slot in range(4)] == ["ok", "ok", "ok", "too_far"]
    town.close("bench_3")
    town.step({0: "use:sit"})
    assert (town.result(0), town.heard("queue.join")[0].object_id) == ("queued", "bench_2")


def test_the_expected_wait_counts_the_queue_with_the_uses_that_it_waits_for():
    town = bench_town(4)
    town.place((2, 1), (1, 2), (3, 2), (3, 0))
    town.close("bench_3")
    town.step({1: ("use:sit", 0), 2: ("use:nap", 1)})
    town.step({3: ("use:sit", 1)})
    assert town.queue("bench_2") == [3]
    town.step({0: "use:sit"})  # bench_1 takes 18 more ticks, bench_2 3 + 20
    assert town.heard("queue.join")[0].object_id == "bench_1"


def test_the_expected_wait_of_an_idle_holder_is_its_whole_use():
    town = bench_town(4)
    town.place((2, 1), (1, 2), (3, 2), (1, 0))
    town.close("bench_3")
    town.step({1: ("use:nap", 0), 2: ("use:sit", 1)})
    town.step({3: ("use:sit", 0)})
    town.step({1: "leave"})
    assert (town.stage(3), town.thing("bench_1").running) == ("held", False)
    town.step({0: "use:sit"})  # bench_1 takes 20 more ticks, bench_2 17
    assert town.heard("queue.join")[0].object_id == "bench_2"


def test_where_nothing_can_be_used_the_first_in_reach_names_the_failure():
    town = bench_town(1)
    for name in ("bench_1", "bench_2", "bench_3"):
        town.close(name)
    town.step({0: "use:sit"})
    assert (town.result(0), town.heard("affordance.fail")[0].object_id) == ("closed", "bench_1")
