"""The random policy, and the sampler it shares with the bench."""

import subprocess
import sys

import numpy as np

from townlet_adapters.kernels.sampling import sample_valid, sample_valid_batch
from townlet_adapters.policies.plugin import townlet_policies
from townlet_adapters.policies.random import RandomPolicy

ACTIONS = 15
CHI_SQUARE_LIMIT = 20.5
"""Exceeded by chance once in 1,000 with 5 degrees of freedom; the seed is fixed."""


def masks(towns, slots):
    mask = np.random.default_rng(5).integers(0, 2, (towns, slots, ACTIONS)).astype(np.uint8)
    mask[:, :, 0] = 1
    return mask


def test_every_allowed_action_is_equally_likely_and_no_other_occurs():
    mask = np.zeros((1, ACTIONS), dtype=np.uint8)
    allowed = [0, 2, 3, 7, 11, 14]
    mask[0, allowed] = 1
    alive, serial = np.ones(1, np.uint8), np.zeros(1, np.int64)
    actions, targets = np.zeros(1, np.int16), np.zeros(1, np.int32)
    counts = np.zeros(ACTIONS)
    for tick in range(6000):
        sample_valid(mask, alive, serial, tick, np.uint64(11), actions, targets)
        counts[actions[0]] += 1
    assert counts[allowed].sum() == 6000
    assert ((counts[allowed] - 1000) ** 2 / 1000).sum() < CHI_SQUARE_LIMIT
    assert targets[0] == -1


def test_a_town_in_a_batch_is_sampled_as_it_would_be_alone():
    towns, slots = 3, 10
    mask = masks(towns, slots)
    alive = np.ones((towns, slots), np.uint8)
    alive[:, 7:] = 0
    serial = np.tile(np.arange(slots, dtype=np.int64), (towns, 1))
    ticks = np.array([0, 17, 100_000], dtype=np.int64)
    seeds = np.array([1, 2**63, 2**64 - 1], dtype=np.uint64)
    actions, targets = np.zeros((towns, slots), np.int16), np.zeros((towns, slots), np.int32)
    sample_valid_batch(mask, alive, serial, ticks, seeds, actions, targets)
    alone, aim = np.zeros(slots, np.int16), np.zeros(slots, np.int32)
    for b in range(towns):
        sample_valid(mask[b], alive[b], serial[b], int(ticks[b]), seeds[b], alone, aim)
        assert actions[b].tolist() == alone.tolist()
    assert (actions[:, 7:] == 0).all()
    assert (targets == -1).all()
    assert np.take_along_axis(mask, actions[:, :, np.newaxis].astype(np.int64), axis=2).all()


def test_the_same_observation_and_seed_give_the_same_actions_and_another_seed_others(crowd):
    def choices(seed):
        policy = RandomPolicy()
        policy.begin(crowd.spec, seed)
        return [policy.decide(crowd.observe(tick)).actions.action.tolist() for tick in range(50)]

    assert choices(1) == choices(1)
    assert choices(1) != choices(2)


def test_both_policies_come_through_the_door_and_bring_no_compiler_until_one_is_built():
    assert [factory.name for factory in townlet_policies()] == ["scripted", "random"]
    code = (
        "import sys; from townlet_adapters.policies.plugin import townlet_policies; "
        "townlet_policies(); print('numba' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "False"
