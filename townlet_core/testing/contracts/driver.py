"""Plays a world with actions that are a pure function of the seed, for the contract checks."""

from array import array

from townlet_core import seeding
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.observation import ObservationBatch
from townlet_core.testing.fakes import readonly


def random_actions(observation: ObservationBatch, actions: int, seed: int) -> ActionBatch:
    """Draw one unmasked action for every slot."""
    chosen = array("h")
    for slot in range(len(observation.agent_ids)):
        allowed = [action for action in range(actions) if observation.mask[slot, action]] or [0]
        pick = seeding.integer(0, len(allowed) - 1, seed, seeding.POLICY, observation.tick, slot, 16)
        chosen.append(allowed[pick])
    slots = len(chosen)
    return ActionBatch(readonly(chosen, slots), readonly(array("i", [-1] * slots), slots))


def same_action(action: int, slots: int) -> ActionBatch:
    """Let everybody try one action, allowed or not."""
    return ActionBatch(
        readonly(array("h", [action] * slots), slots), readonly(array("i", [-1] * slots), slots)
    )
