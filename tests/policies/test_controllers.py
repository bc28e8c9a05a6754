"""How an option is carried out, tick by tick."""

import numpy as np
import pytest

from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy

GET_FED, GET_CLEAN, REST, GO_TO_WORK, SHOP, SOCIALISE, IDLE = 0, 1, 2, 3, 4, 5, 7
QUEUED, HELD, RUNNING = 1, 2, 3
NOON = 700
BARISTA = 0
STEPS = {"move_north": (0, -1), "move_south": (0, 1), "move_east": (1, 0), "move_west": (-1, 0)}


class Player:
    """A policy in the small town; hands its context back and carries out its steps."""

    def __init__(self, town):
        self.town = town
        self.policy = ScriptedPolicy(ScriptedOptions())
        self.policy.begin(town.spec, 7)

    def act(self, tick, slot=0):
        decision = self.policy.decide(self.town.observe(tick))
        self.town.remember(decision)
        return self.town.spec.action_names[decision.actions.action[slot]]

    def walk(self, tick, slot=0):
        name = self.act(tick, slot)
        self.town.xy[slot] += STEPS.get(name, (0, 0))
        return name


@pytest.fixture
def player(town):
    return Player(town)


@pytest.fixture
def crowded(crowd):
    return Player(crowd)


def context(town):
    return int(town.option[0]), int(town.goal[0]), int(town.commit_remaining[0])


def test_a_resident_walks_to_the_object_and_uses_it(player):
    town = player.town
    town.needs[0, 0] = 0.4
    town.xy[0] = 4, 2
    town.inventory[0] = 1, 0
    assert [player.walk(NOON + k) for k in range(3)] == ["move_west", "move_west", "use:eat_meal"]
    assert context(town) == (GET_FED, town.object("F"), 12)


def test_an_option_is_kept_for_as_long_as_it_was_committed_to(player):
    town = player.town
    town.needs[0, 2] = 0.55
    for tick in range(100, 115):
        player.act(tick)
        assert context(town) == (REST, town.object("B"), 114 - tick)
        town.needs[0, 2] = 0.9
    player.act(115)
    assert context(town)[0] == IDLE


@pytest.mark.parametrize(
    ("option", "columns", "start"),
    [
        (GET_FED, {"needs": (0.4, 0.9, 0.9)}, 540),
        (GET_CLEAN, {"needs": (0.9, 0.4, 0.9)}, 540),
        (REST, {"needs": (0.9, 0.9, 0.2)}, 540),
        (GO_TO_WORK, {"job": BARISTA}, 540),
        (SHOP, {"wallet": 4000}, 1440 + 540),
        (SOCIALISE, {"extroversion": 1.0}, 600),
        (IDLE, {}, 540),
    ],
)
def test_every_option_is_committed_to_for_15_ticks_and_then_chosen_anew(crowded, option, columns, start):
    town = crowded.town
    for name, value in columns.items():
        getattr(town, name)[0] = value
    chosen = []
    for tick in range(start, start + 17):
        crowded.act(tick)
        chosen.append((context(town)[0], context(town)[2]))
    assert chosen == [(option, left) for left in (*range(14, -1, -1), 14, 13)]


def test_work_is_left_in_the_tick_in_which_the_shift_ends(player):
    town = player.town
    town.job[0] = BARISTA
    town.xy[0] = 13, 2
    kept = []
    for tick in range(630, 642):
        player.act(tick)
        kept.append(context(town)[0])
    assert kept == [GO_TO_WORK] * 10 + [IDLE] * 2


def test_work_is_left_when_the_job_is_lost(player):
    town = player.town
    town.job[0] = BARISTA
    player.act(500)
    assert context(town)[0] == GO_TO_WORK
    town.job[0] = -1
    player.act(501)
    assert context(town)[0] == IDLE


def test_a_critical_need_releases_an_option_that_serves_another(player):
    town = player.town
    player.act(NOON)
    assert context(town)[0] == IDLE
    town.needs[0] = 0.9, 0.14, 0.9
    player.act(NOON + 1)
    assert context(town) == (GET_CLEAN, town.object("W"), 14)


def test_a_goal_that_fails_is_replaced_within_the_option(player):
    town = player.town
    town.needs[0, 0] = 0.24
    town.xy[0] = 4, 2
    player.act(NOON)
    assert context(town)[:2] == (GET_FED, town.object("F"))
    town.object_open[town.object("F")] = 0
    player.act(NOON + 1)
    assert context(town) == (GET_FED, town.object("C"), 13)


def test_a_better_goal_on_the_way_is_not_looked_at(player):
    town = player.town
    town.needs[0, 0] = 0.24
    town.xy[0] = 6, 2
    town.object_wait[town.object("C")] = 60
    player.act(NOON)
    town.object_wait[town.object("C")] = 0
    town.object_wait[town.object("F")] = 60
    player.act(NOON + 1)
    assert context(town)[1] == town.object("F")


def test_on_arrival_where_others_are_served_a_resident_looks_again(player):
    town = player.town
    town.needs[0, 0] = 0.24
    town.xy[0] = 4, 2
    player.walk(NOON)
    player.walk(NOON + 1)
    town.object_wait[town.object("F")] = 60
    assert player.act(NOON + 2) == "move_east"
    assert context(town)[:2] == (GET_FED, town.object("C"))


def test_an_option_is_released_when_nothing_is_left_to_be_done_for_it(player):
    town = player.town
    town.needs[0, 0] = 0.24
    player.act(NOON)
    town.object_open[:] = 0
    player.act(NOON + 1)
    assert context(town)[0] == IDLE


@pytest.mark.parametrize(("stage", "action"), [(QUEUED, "wait"), (HELD, "use:use_shower"), (RUNNING, "wait")])
def test_a_claim_is_pursued_and_commitment_ends_with_it(player, stage, action):
    town = player.town
    town.xy[0] = 3, 3
    town.needs[0, 1] = 0.4
    player.act(NOON)
    town.claim(0, "W", "use_shower", stage)
    assert player.act(NOON + 1) == action
    assert context(town) == (GET_CLEAN, town.object("W"), 0)


def test_a_holder_out_of_reach_walks_back(player):
    town = player.town
    town.needs[0, 1] = 0.4
    town.xy[0] = 1, 2
    player.act(NOON)
    town.claim(0, "W", "use_shower", HELD)
    assert player.act(NOON + 1) == "move_east"


@pytest.mark.parametrize("stage", [QUEUED, HELD])
def test_a_claim_is_left_for_work_and_for_another_critical_need(player, stage):
    town = player.town
    town.xy[0] = 3, 3
    town.needs[0, 1] = 0.4
    player.act(400)
    town.claim(0, "W", "use_shower", stage)
    town.job[0] = BARISTA
    assert player.act(480) == "leave"
    assert context(town)[0] == GO_TO_WORK
    town.option[0], town.job[0] = GET_CLEAN, -1
    town.needs[0, 0] = 0.1
    assert player.act(481) == "leave"
    assert context(town)[0] == GET_FED


def test_a_critical_need_that_the_claim_serves_keeps_it_even_in_the_shift(player):
    town = player.town
    town.xy[0] = 3, 3
    town.needs[0, 1] = 0.1
    town.job[0] = BARISTA
    player.act(480)
    town.claim(0, "W", "use_shower", QUEUED)
    assert player.act(481) == "wait"
    assert context(town)[0] == GET_CLEAN


def test_work_is_walked_to_and_within_it_a_new_tile_is_strolled_to_at_each_choice(player):
    town = player.town
    town.job[0] = BARISTA
    town.xy[0] = 11, 2
    assert player.walk(480) == "move_east"
    stood = set()
    for tick in range(481, 639):
        player.walk(tick)
        assert context(town)[:2] == (GO_TO_WORK, len(town.constants["object_type"]) + 3)
        if tick > 482:
            assert town.constants["place_at"][int(town.xy[0, 1]), int(town.xy[0, 0])] == 3
        stood.add(tuple(town.xy[0].tolist()))
    assert len(stood) >= 4


def test_an_idle_resident_goes_home_and_waits(player):
    town = player.town
    town.xy[0] = 3, 3
    assert [player.walk(NOON + k) for k in range(3)] == ["move_north", "move_west", "wait"]
    assert town.xy[0].tolist() == [2, 2]
    assert context(town)[:2] == (IDLE, int(town.home_field[0]))


def test_beside_a_home_tile_that_is_taken_a_resident_waits_and_pushes_nobody(crowded):
    town = crowded.town
    town.xy[0] = 2, 1
    town.xy[1] = 2, 2
    town.home_field[1] = town.home_field[0]
    town.alive[2:] = 0
    assert [crowded.act(NOON + k) for k in range(5)] == ["wait"] * 5


class Plain:
    """A town without walls; its only resident goes home, by steps that a test gives for some tiles."""

    def __init__(self, player):
        self.player = player

    def move(self, at, steps, occupied=(), blocked=0, allowed=()):
        town = self.player.town
        home = town.fields[town.home_field[0]]
        home[:] = 255
        for (x, y), left in steps.items():
            home[y, x] = left
        town.xy[0], town.blocked[0], town.option[0] = at, blocked, -1
        observation = town.observe(NOON)
        town.mask[0] = 0
        town.mask[0, 0] = 1
        for name, step in STEPS.items():
            x, y = plus(at, step)
            town.mask[0, town.action(name)] = 0 <= x < home.shape[1] and 0 <= y < home.shape[0]
        for name in allowed:
            town.mask[0, town.action(name)] = 1
        for x, y in occupied:
            town.occupants[y, x] = 1
        decision = self.player.policy.decide(observation)
        assert decision.actions.context.option[0] == IDLE
        return town.spec.action_names[decision.actions.action[0]]


@pytest.fixture
def plain(player):
    return Plain(player)


def plus(tile, step):
    return tile[0] + step[0], tile[1] + step[1]


RIGHT_OF = {
    "move_north": "move_east",
    "move_east": "move_south",
    "move_south": "move_west",
    "move_west": "move_north",
}
BESIDE_A_BORDER = {"move_north": (14, 2), "move_south": (1, 2), "move_east": (7, 3), "move_west": (7, 1)}
"""Where somebody who walks in a direction has the border one tile to the right of the next tile."""


@pytest.mark.parametrize("ahead", STEPS)
@pytest.mark.parametrize("far", [0, 1, 5])
def test_a_step_goes_to_the_nearer_tile_in_every_direction(plain, ahead, far):
    at = (7, 2)
    next_tile = plus(at, STEPS[ahead])
    steps = {at: far + 1, next_tile: far}
    assert plain.move(at, steps) == ahead
    assert plain.move(at, steps, occupied=[next_tile]) == (ahead if far else "wait")


@pytest.mark.parametrize("ahead", ["move_south", "move_east", "move_west"])
def test_beside_a_wall_a_resident_steps_home_all_the_same(plain, ahead):
    at = (7, 0)
    assert plain.move(at, {at: 1, plus(at, STEPS[ahead]): 0}) == ahead


def test_beside_a_taken_home_a_resident_only_waits_whatever_else_it_may_do(plain):
    at, home = (7, 2), (7, 1)
    assert plain.move(at, {at: 1, home: 0}, occupied=[home], allowed=["leave", "talk"]) == "wait"


@pytest.mark.parametrize("ahead", STEPS)
@pytest.mark.parametrize("other", STEPS)
def test_of_two_nearer_tiles_the_free_one_is_taken(plain, ahead, other):
    if other == ahead:
        return
    at = (7, 2)
    steps = {at: 3, plus(at, STEPS[ahead]): 2, plus(at, STEPS[other]): 2}
    assert plain.move(at, steps, occupied=[plus(at, STEPS[ahead])]) == other


@pytest.mark.parametrize("ahead", STEPS)
@pytest.mark.parametrize("at", ["in the middle", "beside a border"])
def test_behind_another_a_resident_steps_to_its_right_if_that_is_free_and_as_near_and_leads_on(
    plain, ahead, at
):
    at = (7, 2) if at == "in the middle" else BESIDE_A_BORDER[ahead]
    aside, left = STEPS[RIGHT_OF[ahead]], plus((0, 0), [-each for each in STEPS[RIGHT_OF[ahead]]])
    before, right, lefthand = plus(at, STEPS[ahead]), plus(at, aside), plus(at, left)
    onwards = plus(right, STEPS[ahead])
    steps = {at: 3, before: 2, right: 3, onwards: 2, lefthand: 3, plus(lefthand, STEPS[ahead]): 2}
    assert plain.move(at, steps, occupied=[before]) == RIGHT_OF[ahead]
    assert plain.move(at, steps, occupied=[before], blocked=1) == RIGHT_OF[ahead]
    assert plain.move(at, steps, occupied=[before], blocked=2) == ahead
    assert plain.move(at, steps, occupied=[before, right]) == ahead
    assert plain.move(at, steps, occupied=[before, onwards]) == ahead
    assert plain.move(at, {**steps, right: 4}, occupied=[before]) == ahead
    assert plain.move(at, {**steps, onwards: 3}, occupied=[before]) == ahead


@pytest.mark.parametrize("ahead", STEPS)
def test_no_way_leads_on_over_the_border_of_the_map(plain, ahead):
    at = BESIDE_A_BORDER[ahead]
    before, right = plus(at, STEPS[ahead]), plus(at, STEPS[RIGHT_OF[ahead]])
    opposite = {"move_south": (15, 2), "move_north": (0, 2), "move_east": (7, 0), "move_west": (7, 4)}[ahead]
    assert plain.move(at, {at: 3, before: 2, right: 3, opposite: 1}, occupied=[before]) == ahead


def test_a_blocked_resident_pushes_into_the_occupied_tile(crowded):
    town = crowded.town
    town.alive[2:] = 0
    town.needs[0, 0] = 0.24
    town.inventory[0] = 1, 0
    town.xy[0] = 7, 2
    town.xy[1] = 6, 2
    assert crowded.act(NOON) == "move_west"
    town.blocked[0] = 2
    assert crowded.act(NOON + 1) == "move_west"


def test_of_two_residents_face_to_face_only_one_steps_aside(crowded):
    """Both could step to the north and back for ever; only for one of them it lies to the right."""
    town = crowded.town
    town.alive[2:] = 0
    town.xy[0], town.xy[1] = (2, 2), (3, 2)
    town.inventory[0], town.wallet[0] = (0, 1), 4000
    town.inventory[1], town.needs[1, 0] = (1, 0), 0.4
    assert (crowded.act(1440 + NOON), crowded.act(1440 + NOON, slot=1)) == ("move_east", "move_north")
    assert town.goal[:2].tolist() == [town.object("S"), town.object("F")]


def test_a_resident_steps_aside_only_where_the_way_goes_on(crowded):
    town = crowded.town
    town.alive[3:] = 0
    town.xy[0], town.xy[1], town.xy[2] = (2, 2), (3, 2), (2, 1)
    town.inventory[1], town.needs[1, 0] = (1, 0), 0.4
    assert crowded.act(NOON, slot=1) == "move_west"


def test_a_masked_plan_becomes_a_wait(player):
    town = player.town
    town.xy[0] = 3, 3
    town.needs[0, 1] = 0.4
    player.act(NOON)
    town.claim(0, "W", "use_shower", HELD)
    observation = town.observe(NOON + 1)
    town.mask[0, town.action("use:use_shower")] = 0
    assert player.policy.decide(observation).actions.action[0] == 0


def test_dead_slots_wait_and_keep_no_context(player):
    decision = player.policy.decide(player.town.observe(NOON))
    shown = decision.actions.context
    assert decision.actions.action.tolist()[1:] == [0, 0, 0]
    assert shown.option.tolist()[1:] == [-1, -1, -1]
    assert shown.goal.tolist()[1:] == [-1, -1, -1]
    assert shown.commit_remaining.tolist()[1:] == [0, 0, 0]


def test_whoever_meets_whom_nothing_is_ever_wanted_that_the_mask_refuses(crowded):
    """Random columns, some of which contradict each other."""
    town = crowded.town
    generator = np.random.default_rng(1)
    floor = np.argwhere(np.asarray(town.constants["passable"]) != 0)[:, ::-1]
    for tick in range(0, 6000, 29):
        town.needs[:] = generator.random(town.needs.shape)
        town.xy[:] = generator.choice(floor, len(town.xy), replace=False)
        town.wallet[:] = generator.integers(0, 8000, town.wallet.shape)
        town.inventory[:] = generator.integers(0, 2, town.inventory.shape)
        town.job[:] = generator.integers(-1, 2, town.job.shape)
        town.option[:] = generator.integers(-1, 8, town.option.shape)
        town.goal[:] = generator.integers(-1, len(town.spec.fields), town.goal.shape)
        town.commit_remaining[:] = generator.integers(0, 15, town.commit_remaining.shape)
        town.extroversion[:] = generator.uniform(-1, 1, town.extroversion.shape)
        town.object_wait[:] = generator.integers(0, 3, town.object_wait.shape) * 20
        observation = town.observe(tick)
        action = np.asarray(crowded.policy.decide(observation).actions.action)
        assert town.mask[np.arange(len(action)), action].all()
