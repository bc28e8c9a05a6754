"""What residents may choose, when a choice is invalid, in which order choices are executed (section 6)."""

import pytest

from tests.town.towns import Town, affordance, agent, town_map
from tests.town.words import HYGIENE, INGREDIENTS, MEAL
from townlet_adapters.worlds.town import codes
from townlet_core import seeding

ROOM = [
    "E........",
    ".hrrrrrr.",
    ".rrWrrBr.",
    ".rrrrrrr.",
    ".........",
]
MOVES = {"move_north", "move_south", "move_east", "move_west"}
SHOWER = "use:use_shower"
SLEEP = "use:rest_sleep"


def uses(town: Town, slot: int) -> set[str]:
    return {name for name in town.mask(slot) if name.startswith("use:")}


def test_the_vocabulary_is_seven_verbs_and_the_manifest_in_its_order():
    town = Town(ROOM)
    assert town.model.spec.action_names == (
        "wait", "move_north", "move_south", "move_east", "move_west", "leave", "talk",
        "use:eat_meal", "use:cook_meal", SHOWER, SLEEP, "use:buy_groceries", "use:buy_meal", "use:relax",
        "use:work_out",
    )  # fmt: skip


# Masks.


def test_everybody_may_wait_and_a_dead_slot_may_do_nothing_else():
    town = Town(ROOM, [(1, 1)], population={"capacity": 3})
    for _ in range(3):
        assert "wait" in town.mask(0)
        assert [town.mask(slot) for slot in (1, 2)] == [{"wait"}, {"wait"}]
        town.step()


@pytest.mark.parametrize(
    ("tile", "moves"),
    [
        ((0, 0), {"move_south", "move_east"}),
        ((8, 4), {"move_north", "move_west"}),
        ((3, 1), MOVES - {"move_south"}),
        ((2, 2), MOVES - {"move_east"}),
        ((7, 2), MOVES - {"move_west"}),
        ((5, 3), MOVES),
    ],
)
def test_moves_lead_to_passable_tiles_of_the_grid(tile, moves):
    town = Town(ROOM, [tile])
    assert town.mask(0) & MOVES == moves


def test_walls_and_water_cannot_be_entered_and_roads_and_doors_can():
    town = Town(["E#~", "=H+", ".~."], [(1, 1)])
    assert town.mask(0) & MOVES == {"move_east", "move_west"}


def test_whether_somebody_stands_there_makes_no_difference():
    town = Town(ROOM, [(5, 3), (5, 4), (4, 3), (6, 3), (5, 2)])
    assert town.mask(0) & MOVES == MOVES


def test_nobody_moves_while_running_a_use():
    town = Town(ROOM, [(2, 2)])
    town.step({0: SHOWER})
    assert town.mask(0) == {"wait", "leave", SHOWER}


def test_who_waits_or_holds_may_move_leave_and_use_only_what_it_claimed():
    town = Town(ROOM, [(2, 2), (4, 1)])
    town.step({0: SHOWER})
    town.step({1: SHOWER})
    assert (town.stage(1), town.mask(1)) == ("queued", {"wait", "leave", SHOWER, *MOVES})
    town.step({0: "leave"})
    assert (town.stage(1), uses(town, 1)) == ("held", {SHOWER})
    assert "leave" in town.mask(1)


@pytest.mark.parametrize("stage", ["queued", "held"])
def test_a_claim_out_of_reach_can_be_left_but_not_used(stage):
    town = Town(ROOM, [(2, 2), (4, 2)])
    town.step({0: SHOWER})
    town.step({1: SHOWER})
    town.step({1: "move_east"})
    if stage == "held":
        town.step({0: "leave"})
    assert (town.stage(1), uses(town, 1)) == (stage, set())
    assert "leave" in town.mask(1)
    town.step({1: SHOWER})
    assert (town.result(1), town.stage(1)) == ("invalid", stage)


def test_leave_needs_a_claim_and_talk_somebody_to_talk_to():
    town = Town(ROOM, [(5, 1), (3, 1)])
    assert not {"leave", "talk"} & town.mask(0)
    town.step({0: "talk", 1: "leave"})
    assert [town.result(slot) for slot in (0, 1)] == ["invalid", "invalid"]


def test_an_object_is_used_from_the_tiles_around_it_diagonals_included():
    town = Town(ROOM, [(1, 1)])
    can = set()
    for y in range(5):
        for x in range(9):
            if town.model.tables.passable[y, x]:
                town.place((x, y))
                if SHOWER in town.mask(0):
                    can.add((x, y))
    assert can == {(2, 1), (3, 1), (4, 1), (2, 2), (4, 2), (2, 3), (3, 3), (4, 3)}


def test_an_object_is_not_used_from_another_place_beside_it():
    town = Town(["EHrr", ".rWr", ".q.q"], [(1, 2)])
    assert uses(town, 0) == set()
    town.place((1, 1))
    assert uses(town, 0) == {SHOWER}


def test_a_closed_object_cannot_be_used():
    town = Town(ROOM, [(2, 2)])
    town.close("shower_1")
    town.step()
    assert uses(town, 0) == set()
    town.open("shower_1")
    town.step()
    assert uses(town, 0) == {SHOWER}


@pytest.mark.parametrize(("utility", "left"), [("power", {SLEEP}), ("water", {SLEEP})])
def test_an_object_needs_its_utilities(utility, left):
    town = Town(["Ehrr", ".rWB", ".rrr"], [(2, 2)])
    assert uses(town, 0) == {SHOWER, SLEEP}
    town.switch(utility, on=False)
    town.step()
    assert uses(town, 0) == left


def test_a_stove_needs_power_only():
    town = Town(["Ehr", ".rS", ".rr"], [(1, 1)])
    town.switch("water", on=False)
    town.step()
    assert uses(town, 0) == {"use:cook_meal"}
    town.switch("power", on=False)
    town.step()
    assert uses(town, 0) == set()


def test_the_mask_of_a_cool_down_opens_in_the_tick_in_which_it_is_over():
    town = Town(ROOM, [(2, 2)], queues={"cooldown_ticks": 4})
    for _ in range(30):
        town.resident(0).need[1] = 0.1
        town.step({0: SHOWER})
    assert town.when("affordance.finish") == [29]
    seen = []
    for _ in range(5):
        seen.append((town.tick, SHOWER in town.mask(0)))
        town.step()
    assert seen == [(30, False), (31, False), (32, False), (33, True), (34, True)]


def test_preconditions_a_full_bag_and_an_unpayable_price_mask_a_use():
    town = Town(["Ehrr", ".rWS", ".rrr"], [(2, 2)])
    resident = town.resident(0)
    assert uses(town, 0) == {SHOWER, "use:cook_meal"}
    resident.need[HYGIENE] = 0.95
    resident.inventory[MEAL] = 4
    town.look()
    assert uses(town, 0) == set()
    resident.need[HYGIENE] = 0.9499
    resident.inventory[MEAL] = 3
    town.look()
    assert uses(town, 0) == {SHOWER, "use:cook_meal"}
    resident.wallet = 199
    town.look()
    assert uses(town, 0) == {"use:cook_meal"}
    resident.wallet = 149
    town.look()
    assert uses(town, 0) == set()
    resident.inventory[INGREDIENTS] = 1
    town.look()
    assert uses(town, 0) == {"use:cook_meal"}


def test_one_usable_object_of_several_unmasks_a_use():
    town = Town(["Ehrrr", ".WrWr", ".rrrr"], [(2, 2)])
    town.close("shower_1")
    town.step()
    assert uses(town, 0) == {SHOWER}
    town.close("shower_2")
    town.step()
    assert uses(town, 0) == set()


def test_an_affordance_that_the_config_leaves_out_stays_masked():
    town = Town(["Ehrr", ".rWB", ".rrr"], [(2, 2)], affordances={"enabled": ("rest_sleep",)})
    assert uses(town, 0) == {SLEEP}
    assert town.number(SHOWER) == codes.FIRST_USE + 2
    town.step({0: SHOWER})
    assert town.result(0) == "invalid"


def test_the_longest_manifest_fits_the_mask():
    names = [f"a{n}" for n in range(codes.MAX_AFFORDANCES)]
    town = Town(["Ehr", ".rN", ".rr"], [(1, 1)], manifest=[affordance(name, "bench", 1) for name in names])
    assert uses(town, 0) == {f"use:{name}" for name in names}
    town.step({0: f"use:{names[-1]}"})
    assert (town.result(0), town.kinds()) == ("ok", ["affordance.start", "affordance.finish"])


# Invalid intents.


@pytest.mark.parametrize("action", [-1, 15, 16, 63, 64, 71, 32767, -32768])
def test_a_number_out_of_range_is_invalid(action):
    town = Town(ROOM, [(2, 2)])
    town.step({0: action})
    assert (town.result(0), town.told, town.at(0)) == ("invalid", (), (2, 2))


@pytest.mark.parametrize(
    "action", [*sorted(MOVES - {"move_west"}), "leave", "talk", SHOWER, SLEEP, "use:work_out"]
)
def test_a_masked_action_is_invalid_and_changes_nothing_but_the_result(action):
    town = Town(["###", "EH#", "###"], [(1, 1)])
    twin = Town(["###", "EH#", "###"], [(1, 1)])
    town.step({0: action})
    twin.step()
    assert town.result(0) == "invalid"
    assert town.summary.failures == {"invalid": 1}
    for name in ("last_action", "last_result"):
        town.resident(0)[name] = twin.resident(0)[name]
    for mine, other in zip(town.state, twin.state, strict=True):
        assert mine.tobytes() == other.tobytes()


def test_what_becomes_possible_after_the_mask_was_given_is_invalid_all_the_same():
    town = Town(ROOM, [(2, 2)])
    town.close("shower_1")
    town.step()
    town.open("shower_1")
    town.step({0: SHOWER})
    assert (town.result(0), town.told) == ("invalid", ())
    town.step({0: SHOWER})
    assert town.result(0) == "ok"


def test_an_invalid_intent_counts_as_waiting_among_the_actions():
    town = Town(ROOM, [(1, 1), (2, 2)])
    town.step({0: SHOWER, 1: SHOWER})
    assert town.summary.actions == {"wait": 1, SHOWER: 1}
    assert town.summary.failures == {"invalid": 1}


# The last intent.


def test_the_last_intent_is_kept_with_its_target_and_result():
    town = Town(ROOM, [(1, 1)])
    before = town.resident(0)
    assert (before.last_action, before.last_target, before.last_duration) == (-1, -1, 0)
    town.step({0: (SHOWER, 7)})
    resident = town.resident(0)
    assert (resident.last_action, resident.last_target) == (town.number(SHOWER), 7)
    assert town.result(0) == "invalid"


def test_last_duration_counts_the_repetitions_of_one_intent():
    town = Town(ROOM, [(2, 2)])
    seen = []
    for intent in ["wait", "wait", SHOWER, SHOWER, (SHOWER, 0), (SHOWER, 0), "wait"]:
        town.step({0: intent})
        seen.append(int(town.resident(0).last_duration))
    assert seen == [1, 2, 1, 2, 1, 2, 1]


# The fair order.


def fair_order(seed: int, tick: int, residents: int) -> list[int]:
    return sorted(range(residents), key=lambda n: (seeding.draw(seed, seeding.WORLD, tick, n, 0), n))


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_intents_are_executed_in_the_order_of_the_ticks_draws(seed):
    residents = 40
    rows = ["E" + "." * residents, "h" + "r" * residents, "r" + "N" * residents]
    short = [affordance("rest", "bench", 1)]
    town = Town(
        rows,
        [(x, 1) for x in range(1, residents + 1)],
        seed=seed,
        manifest=short,
        queues={"cooldown_ticks": 0},
    )
    orders = []
    for tick in range(6):
        town.step({slot: ("use:rest", slot) for slot in range(residents)})
        order = [event.agent_id for event in town.heard("affordance.start")]
        assert order == [agent(n) for n in fair_order(seed, tick, residents)]
        orders.append(order)
    assert len({tuple(order) for order in orders}) == 6


def test_who_comes_first_in_the_order_gets_the_tile():
    town = Town(ROOM, [(4, 3), (6, 3)], seed=5)
    winners = []
    for tick in range(10):
        town.place((4, 3), (6, 3))
        town.resident(0).blocked = town.resident(1).blocked = 0
        town.step({0: "move_east", 1: "move_west"})
        winners.append(0 if town.result(0) == "ok" else 1)
        assert sorted([town.result(0), town.result(1)]) == ["blocked", "ok"]
        assert winners[-1] == fair_order(5, tick, 2)[0]
    assert set(winners) == {0, 1}


def test_a_town_of_more_than_one_district_has_one_order():
    grid = {"grid": {"district": town_map(ROOM), "rows": 1, "cols": 2}}
    town = Town(ROOM, [(2, 2), (11, 2), (4, 2), (13, 2)], town=grid)
    town.step(dict.fromkeys(range(4), SHOWER))
    first = {"shower_1": [], "shower_2": []}
    for event in town.told:
        first[event.object_id].append((event.kind, event.agent_id))
    order = [agent(n) for n in fair_order(1, 0, 4)]
    assert [event.agent_id for event in town.told] == order
    assert all([kind for kind, _ in told] == ["affordance.start", "queue.join"] for told in first.values())
