"""Uniform choice among the actions that a mask allows, for any number of towns (domain.md, section 2)."""

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.compiler import entry_kernel, kernel
from townlet_adapters.kernels.draws import POLICY, integer

SAMPLE = 16
"""Index of the draw: the first sample of a policy that acts at random."""


@kernel
def pick(mask: npt.NDArray[np.uint8], tick: int, serial: int, seed: np.uint64) -> int:
    """Choose one action of a row of the mask; all allowed actions are equally likely.

    Args:
        mask: uint8[A], 1 where an action may be chosen; ``wait`` (0) always may.
        tick: the tick that the action is for.
        serial: the resident's number within the run.
        seed: the run's seed.
    """
    allowed = 0
    for action in range(mask.shape[0]):
        if mask[action] != 0:
            allowed += 1
    skip = integer(0, allowed - 1, seed, POLICY, tick, serial, SAMPLE)
    for action in range(mask.shape[0]):
        if mask[action] != 0:
            if skip == 0:
                return action
            skip -= 1
    return 0


@entry_kernel
def sample_valid(
    mask: npt.NDArray[np.uint8],
    alive: npt.NDArray[np.uint8],
    serial: npt.NDArray[np.int64],
    tick: int,
    seed: np.uint64,
    actions: npt.NDArray[np.int16],
    targets: npt.NDArray[np.int32],
) -> None:
    """Choose an action for every resident of one town; empty slots wait, and the world chooses targets.

    Args:
        mask: uint8[N, A].
        alive: uint8[N].
        serial: int64[N].
        tick: the tick that the actions are for.
        seed: the run's seed.
        actions: int16[N], written.
        targets: int32[N], written: -1.
    """
    for i in range(mask.shape[0]):
        actions[i] = pick(mask[i], tick, serial[i], seed) if alive[i] != 0 else 0
        targets[i] = -1


@entry_kernel
def sample_valid_batch(
    mask: npt.NDArray[np.uint8],
    alive: npt.NDArray[np.uint8],
    serial: npt.NDArray[np.int64],
    ticks: npt.NDArray[np.int64],
    seeds: npt.NDArray[np.uint64],
    actions: npt.NDArray[np.int16],
    targets: npt.NDArray[np.int32],
) -> None:
    """Choose an action for every resident of many towns, for each town as ``sample_valid`` does.

    Args:
        mask: uint8[B, N, A].
        alive: uint8[B, N].
        serial: int64[B, N].
        ticks: int64[B], the tick of each town that the actions are for.
        seeds: uint64[B], the seed of each town.
        actions: int16[B, N], written.
        targets: int32[B, N], written: -1.
    """
    for b in range(mask.shape[0]):
        for i in range(mask.shape[1]):
            actions[b, i] = pick(mask[b, i], ticks[b], serial[b, i], seeds[b]) if alive[b, i] != 0 else 0
            targets[b, i] = -1
