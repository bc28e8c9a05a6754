"""What is done to a town from outside, in phase 1 (rules, sections 1, 9.4 and 19)."""

import numpy as np
import pytest

from tests.town.towns import Town, affordance, agent, build_model
from tests.town.words import NEEDS
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.batch import TownBatch

ROWS = [
    "E.....#",
    ".hrrrr.",
    ".rrWrr~",
    ".rrrrr.",
]
IT = "use:it"
LONG = [affordance("it", "shower", 20)]


def town_of(*tiles: tuple[int, int], **options: object) -> Town:
    return Town(ROWS, tiles, manifest=LONG, **options)


def test_a_teleport_moves_at_once_and_is_told_before_all_else():
    town = town_of((1, 1), (5, 3))
    town.teleport(1, 2, 2)
    told = town.step({1: IT, 0: "move_east"})
    assert (told[0].kind, told[0].agent_id, told[0].from_, told[0].to, told[0].reason) == (
        "lifecycle.moved",
        agent(1),
        (5, 3),
        (2, 2),
        "teleport",
    )
    assert town.at(1) == (2, 2)
    assert town.result(1) == "invalid"  # its mask was given where it stood before
    assert len(told) == 1


@pytest.mark.parametrize(
    "tile",
    [(6, 0), (6, 2), (3, 2), (-1, 0), (0, -1), (7, 0), (0, 4), (4, 3), (1, 1)],
    ids=["wall", "water", "object", "west", "north", "east", "south", "somebody", "itself"],
)
def test_a_teleport_to_where_one_cannot_stand_changes_nothing(tile):
    town = town_of((2, 2), (4, 3))
    town.step({0: IT})
    town.place((1, 1), (4, 3))
    town.teleport(0, *tile)
    town.step()
    assert (town.at(0), town.stage(0), town.told) == ((1, 1), "running", ())
    assert not town.resident(0).ctx_reset


@pytest.mark.parametrize("what", [codes.TELEPORT, codes.SET_NEED, codes.INTERRUPT])
def test_nothing_can_be_done_to_an_empty_slot(what):
    town = town_of((1, 1), population={"capacity": 3})
    town.engine.intervene(Intervention(0, what, 2, 1, 3, x=0.5))
    town.step()
    assert town.told == ()
    assert not np.frombuffer(town.resident(2).tobytes(), np.uint8).any()


def test_a_teleport_ends_the_claim_after_the_move_and_the_next_is_granted():
    town = town_of((2, 2), (4, 2))
    town.step({0: IT})
    town.step({1: IT})
    town.teleport(0, 0, 3)
    town.step()
    assert town.kinds() == ["lifecycle.moved", "affordance.fail", "queue.grant"]
    assert (town.stage(0), town.holder("shower_1")) == ("none", 1)


@pytest.mark.parametrize("what", ["teleport", "set_need"])
def test_whoever_is_meddled_with_forgets_its_plan_for_one_observation(what):
    town = town_of((1, 1), (4, 3))
    town.run(2)
    before = [bool(town.resident(slot).ctx_reset) for slot in (0, 1)]
    if what == "teleport":
        town.teleport(0, 0, 3)
    else:
        town.set_need(0, "hunger", 0.5)
    town.step()
    during = [bool(town.resident(slot).ctx_reset) for slot in (0, 1)]
    resident = town.resident(0)
    assert (resident.option, resident.goal, resident.commit) == (-1, -1, 0)
    town.step()
    after = [bool(town.resident(slot).ctx_reset) for slot in (0, 1)]
    assert (before, during, after) == ([False, False], [True, False], [False, False])


@pytest.mark.parametrize(("value", "need"), [(0.25, 0.25), (-3.0, 0.0), (7.0, 1.0)])
def test_a_need_is_set_within_0_and_1(value, need):
    town = town_of((1, 1), needs={"decay": {"hunger": 0.0, "hygiene": 0.0, "energy": 0.0}})
    town.set_need(0, "energy", value)
    town.step()
    assert [town.need(0, name) for name in NEEDS] == [0.7, 0.7, need]


def test_utilities_stay_off_until_they_are_switched_on():
    town = town_of((1, 1))
    town.switch("power", on=False)
    town.switch("water", on=False)
    town.switch("water", on=True)
    town.run(3)
    assert town.state.districts[0, 0].utility.tolist() == [0, 1]
    town.switch("power", on=True)
    town.step()
    assert town.state.districts[0, 0].utility.tolist() == [1, 1]


def test_what_is_ordered_happens_once_and_in_its_order():
    town = town_of((1, 1))
    town.teleport(0, 2, 3)
    town.teleport(0, 4, 3)
    town.step()
    assert [event.to for event in town.told] == [(2, 3), (4, 3)]
    town.step()
    assert (town.told, town.at(0)) == ((), (4, 3))


def test_an_order_that_is_undone_in_the_same_tick_still_ends_a_claim_but_not_a_use():
    town = town_of((2, 2), (4, 2))
    town.step({0: IT})
    town.step({1: IT})
    town.switch("power", on=False)
    town.switch("power", on=True)
    town.close("shower_1")
    town.open("shower_1")
    town.step()
    assert [town.stage(slot) for slot in (0, 1)] == ["running", "none"]


def test_an_order_concerns_its_own_town_only():
    batch = TownBatch(build_model(ROWS, 1, manifest=LONG), 3, journal=True)
    batch.reset(4)
    batch.intervene(Intervention(1, codes.TELEPORT, 0, 0, 3), Intervention(2, codes.SWITCH_UTILITY, 0, 1, 0))
    batch.step(np.zeros((3, 2), np.int16))
    places = [(int(r.x), int(r.y)) for r in batch.state.residents[:, 0]]
    assert places == [(1, 1), (0, 3), (1, 1)]
    assert batch.journal.written.tolist() == [0, 1, 0]
    assert batch.state.districts["utility"][:, 0].tolist() == [[1, 1], [1, 1], [1, 0]]


def test_a_reset_forgets_orders_that_were_not_carried_out():
    town = town_of((1, 1))
    town.teleport(0, 0, 3)
    town.world.reset(1)
    town.step()
    assert town.at(0) == (1, 1)


def test_every_intervention_is_answered_in_its_place():
    """Answers are the kernel's own: two that ask for one tile get different ones, and nothing is guessed."""
    town = town_of((1, 3), (2, 3))
    places = town.engine.intervene(
        Intervention(0, codes.TELEPORT, 0, 3, 3),
        Intervention(0, codes.TELEPORT, 1, 3, 3),
        Intervention(0, codes.TELEPORT, 1, -1, 99),
        Intervention(0, codes.SET_NEED, 0, 1, x=0.5),
        Intervention(0, codes.CLOSE_OBJECT, 0, 1),
        Intervention(0, codes.SWITCH_UTILITY, 0, 0, 0),
        Intervention(0, codes.SET_NEED, 2, 1, x=0.5),
        Intervention(0, codes.SET_TIE, 0, 1, c=codes.TRUST_GIVEN, d=1, x=0.5),
        Intervention(0, codes.SET_TIE, 0, 2, c=codes.TRUST_GIVEN, d=1, x=0.5),
        Intervention(0, codes.FORCE_CHAT, 1, 2, x=0.5),
    )
    assert places == range(10)
    town.step()
    assert town.engine.answers.tolist() == [
        codes.EXECUTED, codes.BLOCKED_TILE, codes.BLOCKED_TILE,
        codes.EXECUTED, codes.EXECUTED, codes.EXECUTED,
        codes.GONE, codes.EXECUTED, codes.GONE, codes.GONE,
    ]  # fmt: skip
    town.step()
    assert town.engine.answers.tolist() == []
