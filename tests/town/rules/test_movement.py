"""Walking, being in the way, ghost steps (rules, section 7)."""

import numpy as np
import pytest

from tests.town.towns import Town, agent
from townlet_core import seeding

FIELD = [
    "E......",
    ".hrrrr.",
    ".rrrrr.",
    ".rrrrr.",
    ".......",
]
CORRIDOR = [
    "#########",
    "Ehrrrrrr#",
    "#########",
]
EAST = {0: "move_east"}


def blocked_thrice(**queues: int) -> Town:
    """Resident 0 at (2, 2) has been blocked three times by resident 1 at (3, 2); nobody else is near."""
    town = Town(FIELD, [(2, 2), (3, 2), (5, 4)], queues=queues)
    town.run(3, EAST)
    return town


@pytest.mark.parametrize(
    ("action", "tile"),
    [("move_north", (3, 1)), ("move_south", (3, 3)), ("move_east", (4, 2)), ("move_west", (2, 2))],
)
def test_a_move_enters_the_free_tile_in_its_direction(action, tile):
    town = Town(FIELD, [(3, 2)])
    assert town.step({0: action}) == ()
    assert (town.at(0), town.result(0)) == (tile, "ok")
    margin = int(town.model.tables.params[0].margin)
    assert (np.argwhere(town.state.occupant[0] >= 0) - margin).tolist() == [[tile[1], tile[0]]]


def test_a_move_onto_somebody_is_blocked_and_counted_and_other_actions_leave_the_count():
    town = Town(FIELD, [(2, 2), (3, 2)])
    town.step(EAST)
    assert (town.at(0), town.result(0), town.resident(0).blocked) == ((2, 2), "blocked", 1)
    town.step({0: "wait"})
    town.step({0: "leave"})
    assert town.resident(0).blocked == 1
    town.step(EAST)
    assert town.resident(0).blocked == 2
    town.step({0: "move_north"})
    assert (town.result(0), town.resident(0).blocked) == ("ok", 0)


def test_a_wall_met_after_a_teleport_blocks_without_being_counted():
    town = Town(CORRIDOR, [(2, 1)])
    town.teleport(0, 7, 1)
    town.step(EAST)
    assert (town.at(0), town.result(0), town.resident(0).blocked) == ((7, 1), "blocked", 0)


def test_the_maps_edge_met_after_a_teleport_blocks_as_well():
    town = Town(FIELD, [(2, 2)])
    town.teleport(0, 0, 2)
    town.step({0: "move_west"})
    assert (town.at(0), town.result(0)) == ((0, 2), "blocked")


def test_nobody_passes_before_the_third_blocked_move():
    town = blocked_thrice()
    assert (town.at(0), town.resident(0).blocked, town.resident(0).ghost) == ((2, 2), 3, False)
    assert [event for _, event in town.log] == []


def test_the_move_after_three_blocked_ones_is_a_ghost_step_onto_the_others_tile():
    town = blocked_thrice()
    town.step(EAST)
    mover = town.resident(0)
    assert (town.at(0), town.at(1), town.result(0)) == ((3, 2), (3, 2), "ok")
    assert (mover.ghost, mover.blocked, town.resident(1).ghost) == (True, 0, False)


def test_a_ghost_step_is_a_jostle_with_whom_it_finds_there():
    town = blocked_thrice()
    conflict, mine, theirs, digest = town.step(EAST)
    assert mine.kind == theirs.kind == "social.tie"
    assert (conflict.kind, conflict.actor, conflict.rival) == ("queue.conflict", agent(0), agent(1))
    assert (conflict.reason, conflict.object_id, conflict.queue_length) == ("jostle", None, 0)
    assert conflict.intensity == 0.75
    assert digest.kind == "rivalry.events"
    entries = [(entry.actor, entry.rival, entry.reason, entry.intensity) for entry in digest.events]
    assert entries == [(agent(0), agent(1), "jostle", 0.75)]


@pytest.mark.parametrize("after", [1, 5])
def test_how_many_blocked_moves_it_takes_is_configured(after):
    town = Town(FIELD, [(2, 2), (3, 2)], queues={"ghost_step_after": after})
    town.run(after, EAST)
    assert town.at(0) == (2, 2)
    town.step(EAST)
    assert town.at(0) == (3, 2)


def test_with_ghost_steps_off_one_is_blocked_for_ever():
    town = Town(FIELD, [(2, 2), (3, 2)], queues={"ghost_step_after": 0})
    town.run(12, EAST)
    assert (town.at(0), town.resident(0).blocked) == ((2, 2), 12)
    assert town.log == []


def test_nobody_enters_a_tile_that_two_share_whatever_its_patience():
    town = blocked_thrice()
    town.teleport(2, 4, 2)
    town.step(EAST)
    town.resident(2).blocked = 9
    town.step({2: "move_west"})
    assert (town.at(2), town.result(2), town.resident(2).blocked) == ((4, 2), "blocked", 10)
    assert town.heard("queue.conflict") == []


def test_a_ghost_enters_the_next_occupied_tile_at_once_without_another_conflict():
    town = blocked_thrice()
    town.place((2, 2), (3, 2), (4, 2))
    town.step(EAST)
    assert town.step(EAST) == ()
    assert (town.at(0), town.result(0), town.resident(0).ghost) == ((4, 2), "ok", True)
    assert town.step(EAST) == ()
    assert (town.at(0), town.resident(0).ghost) == ((5, 2), False)


def test_a_ghost_that_reached_a_free_tile_is_blocked_like_anybody():
    town = blocked_thrice()
    town.step(EAST)
    town.step(EAST)
    assert (town.at(0), town.resident(0).ghost) == ((4, 2), False)
    town.place((4, 2), (3, 2), (5, 2))
    town.step(EAST)
    assert (town.at(0), town.result(0), town.resident(0).blocked) == ((4, 2), "blocked", 1)


def test_of_two_who_share_a_tile_the_one_who_came_upon_the_other_is_the_ghost():
    """Even where the other was a ghost until it got there, earlier in the same tick."""
    first_then_third = next(
        seed
        for seed in range(50)
        if seeding.draw(seed, seeding.WORLD, 4, 0, 0) < seeding.draw(seed, seeding.WORLD, 4, 2, 0)
    )
    town = Town(FIELD, [(2, 2), (3, 2), (4, 1)], seed=first_then_third)
    town.run(4, EAST)
    assert (town.at(0), town.resident(0).ghost) == ((3, 2), True)
    town.resident(2).blocked = 9
    town.step({0: "move_east", 2: "move_south"})
    assert [town.at(slot) for slot in (0, 2)] == [(4, 2), (4, 2)]
    assert [bool(town.resident(slot).ghost) for slot in (0, 2)] == [False, True]


def test_a_ghost_that_stays_is_displaced_and_two_share_a_tile_in_one_observation():
    town = blocked_thrice()
    seen = []
    for intents in (EAST, {}, {}):
        town.step(intents)
        window = town.engine.arrays.map[0, 1, 1]
        seen.append(int(window[window.shape[0] // 2, window.shape[1] // 2]))
        if town.heard("lifecycle.moved"):
            moved = town.heard("lifecycle.moved")
    assert seen == [1, 0, 0]
    assert [(event.agent_id, event.from_, event.to, event.reason) for event in moved] == [
        (agent(0), (3, 2), (3, 1), "displaced")
    ]
    assert (town.at(0), town.at(1), town.resident(0).ghost) == ((3, 1), (3, 2), False)


def test_a_ghost_whose_next_step_is_blocked_is_displaced_too():
    town = Town(FIELD, [(2, 2), (3, 2), (5, 2), (4, 2)])
    town.run(4, {0: "move_east", 2: "move_west"})
    assert [town.at(slot) for slot in range(4)] == [(3, 2), (3, 2), (4, 2), (4, 2)]
    town.step(EAST)
    assert (town.result(0), town.resident(0).blocked) == ("blocked", 1)
    assert [(event.agent_id, event.to) for event in town.heard("lifecycle.moved")] == [
        (agent(0), (3, 1)),
        (agent(2), (4, 1)),
    ]


@pytest.mark.parametrize(
    ("others", "tile"),
    [
        ([], (3, 1)),
        ([(3, 1)], (2, 2)),
        ([(3, 1), (2, 2)], (4, 2)),
        ([(3, 1), (2, 2), (4, 2)], (3, 3)),
        ([(3, 1), (2, 2), (4, 2), (3, 3)], (3, 0)),
    ],
)
def test_the_displaced_go_to_the_nearest_free_tile_by_path_then_row_then_column(others, tile):
    far = [(6, 4), (5, 4), (4, 4), (3, 4)]
    town = Town(FIELD, [(2, 2), (3, 2), *far])
    town.run(3, EAST)
    town.step(EAST)
    for slot, to in enumerate(others, start=2):
        town.teleport(slot, *to)
    town.step()
    assert town.at(0) == tile


def test_the_nearest_tile_is_by_path_not_as_the_crow_flies():
    walls = [
        "E......",
        ".####..",
        ".hrrr#.",
        ".####..",
        ".......",
    ]
    town = Town(walls, [(3, 2), (4, 2), (2, 2)])
    town.run(4, EAST)
    town.step()
    assert town.at(0) == (3, 2)
    town.run(3, EAST)
    town.step(EAST)
    town.teleport(2, 3, 2)
    town.step()
    assert town.at(0) == (2, 2)  # two steps west; (4, 0) is nearer but behind a wall


def test_a_ghost_left_alone_on_its_tile_is_a_ghost_no_more():
    town = blocked_thrice()
    town.step(EAST)
    town.step({1: "move_south"})
    assert town.heard("lifecycle.moved") == []
    assert (town.at(0), town.at(1), town.resident(0).ghost) == ((3, 2), (3, 3), False)


def test_a_ghost_is_not_displaced_from_whom_a_teleport_took_away():
    town = blocked_thrice()
    town.step(EAST)
    town.teleport(1, 1, 3)
    town.step()
    assert [event.reason for event in town.heard("lifecycle.moved")] == ["teleport"]
    assert (town.at(0), town.resident(0).ghost, town.resident(0).mate) == ((3, 2), False, -1)


def test_a_teleported_ghost_is_a_ghost_no_more():
    town = blocked_thrice()
    town.step(EAST)
    town.teleport(0, 1, 3)
    town.step()
    assert (town.at(0), town.resident(0).ghost, town.resident(1).mate) == ((1, 3), False, -1)
    town.place((2, 2), (3, 2), (5, 4))
    town.step(EAST)
    assert town.result(0) == "blocked"


def test_one_enters_the_tile_that_somebody_earlier_in_the_order_has_left():
    town = Town(FIELD, [(2, 2), (3, 2)])
    results = set()
    for _ in range(12):
        town.place((2, 2), (3, 2))
        town.step({0: "move_east", 1: "move_east"})
        assert (town.at(1), town.result(1)) == ((4, 2), "ok")
        assert town.at(0) == ((3, 2) if town.result(0) == "ok" else (2, 2))
        town.resident(0).blocked = 0
        results.add(town.result(0))
    assert results == {"ok", "blocked"}


def test_moving_is_allowed_while_queued_and_while_holding():
    rows = ["E......", ".hrrrr.", ".rrWrr.", ".rrrrr.", "......."]
    town = Town(rows, [(2, 2), (4, 2)])
    town.step({0: "use:use_shower"})
    town.step({1: "use:use_shower"})
    town.step({1: "move_south"})
    assert (town.at(1), town.stage(1)) == ((4, 3), "queued")
    town.step({0: "leave"})
    assert town.stage(1) == "held"
    town.step({1: "move_west"})
    assert (town.at(1), town.stage(1), town.holder("shower_1")) == ((3, 3), "held", 1)
