"""The plan of a world as a message, with its hash."""

import hashlib

from townlet_core.dto.plan import PlanMessage, TownPlan
from townlet_core.failures import blaming
from townlet_core.jsonvalue import canonical_json
from townlet_core.ports.plan import SupportsPlan
from townlet_core.ports.world import WorldPort
from townlet_core.records import record_to_json


def plan_hash(plan: TownPlan) -> str:
    """Return the SHA-256 of the canonical JSON of a plan, in hex.

    Raises:
        ValueError: when it holds a number that is not JSON.
        TypeError: when it holds a value that is not JSON.
    """
    return hashlib.sha256(canonical_json(record_to_json(plan))).hexdigest()


def plan_of(world: WorldPort) -> PlanMessage | None:
    """Return the plan of a world, at tick 0; None when it has none.

    Raises:
        ContractError: when it cannot give a plan that can be written as JSON.
    """
    if not isinstance(world, SupportsPlan):
        return None
    with blaming("the world cannot give its plan"):
        plan = world.plan()
        return PlanMessage(0, plan, plan_hash(plan))
