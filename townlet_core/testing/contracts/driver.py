"""Random actions for the contract checks, as a pure function of the seed."""

from array import array

from townlet_core import seeding
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.observation import ObservationBatch
from townlet_core.testing.fakes import readonly


def random_actions(observation: ObservationBatch, actions: int, seed: int) -> ActionBatch:
    """Return one random unmasked action for every slot."""
    chosen = array("h")
    for slot in range(len(observation.agent_ids)):
        allowed = [action for action in range(actions) if observation.mask[slot, action]] or [0]
        pick = seeding.integer(0, len(allowed) - 1, seed, seeding.POLICY, observation.tick, slot, 16)
        chosen.append(allowed[pick])
    slots = len(chosen)
    return ActionBatch(readonly(chosen, slots), readonly(array("i", [-1] * slots), slots))


def same_action(action: int, slots: int) -> ActionBatch:
    """Return the same action for every slot, masked or not."""
    return ActionBatch(
        readonly(array("h", [action] * slots), slots), readonly(array("i", [-1] * slots), slots)
    )
