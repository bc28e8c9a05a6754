"""The fakes show other data in every row and tick, so that a mix-up in what is tested changes a result."""

from itertools import combinations, pairwise

import pytest

from townlet_core.testing import FakePolicy, FakeWorld

TICKS = 12


def steps(agents=4):
    """What a fake world and a fake policy gave in each tick: observation, decision, outcome."""
    world, policy = FakeWorld(agents), FakePolicy()
    policy.begin(world.spec, 7)
    observation, seen = world.reset(7), []
    for _ in range(TICKS):
        decision = policy.decide(observation)
        outcome = world.step(decision.actions)
        seen.append((observation, decision.actions, outcome))
        observation = outcome.observation
    return seen


ROWS = {
    "map": lambda observation, _actions, _outcome: observation.map,
    "features": lambda observation, _actions, _outcome: observation.features,
    "mask": lambda observation, _actions, _outcome: observation.mask,
    "serial": lambda observation, _actions, _outcome: observation.serial,
    "reward": lambda _observation, _actions, outcome: outcome.reward,
    "target": lambda _observation, actions, _outcome: actions.target,
    "goal": lambda _observation, actions, _outcome: actions.context.goal,
    "commitment": lambda _observation, actions, _outcome: actions.context.commit_remaining,
}


@pytest.mark.parametrize("name", sorted(ROWS.keys() - {"mask"}))
def test_no_two_slots_show_the_same_row(name):
    for step in steps():
        rows = ROWS[name](*step).tolist()
        assert all(one != other for one, other in combinations(rows, 2))


@pytest.mark.parametrize("name", sorted(ROWS.keys() - {"serial", "target"}))
def test_no_tick_shows_what_the_one_before_it_showed(name):
    shown = [ROWS[name](*step).tobytes() for step in steps()]
    assert all(before != after for before, after in pairwise(shown))


def test_a_slots_number_is_not_its_residents_and_none_is_that_of_a_dead_slot():
    assert FakeWorld(3).reset(7).serial.tolist() == [1, 3, 5]
    world, policy = FakeWorld(3, empty_from=0), FakePolicy()
    policy.begin(world.spec, 7)
    dead = world.step(policy.decide(world.reset(7)).actions)
    assert dead.observation.serial.tolist() == [0, 0, 0]
    assert dead.reward.tolist() == [0.0, 0.0, 0.0]


def test_each_slot_does_the_next_action_that_its_mask_allows():
    seen = steps()
    actions = len(seen[0][0].mask.tolist()[0])
    turns = [(7 + slot) % actions for slot in range(4)]
    for observation, chosen, _ in seen:
        mask = observation.mask.tolist()
        for slot in range(4):
            following = [(turns[slot] + n) % actions for n in range(1, actions + 1)]
            turns[slot] = next(action for action in following if mask[slot][action])
        assert chosen.action.tolist() == turns


def test_slots_may_do_different_things_and_do_them():
    """Four slots have four masks while no need is full."""
    masks = [len(set(map(tuple, observation.mask.tolist()))) for observation, _, _ in steps()]
    assert masks[0] == 4
    assert sum(count > 1 for count in masks) > TICKS * 3 // 4
    chosen = [len(set(actions.action.tolist())) for _, actions, _ in steps()]
    assert sum(count > 1 for count in chosen) > TICKS * 3 // 4


def test_every_cell_of_a_map_is_another_number():
    cells = FakeWorld(2).reset(7).map.tobytes()
    assert len(cells) == len(set(cells)) == 2 * 2 * 3 * 3
