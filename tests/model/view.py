"""docs/reference/view.md, the columns of the view: doubles as they are, not rounded as in a frame."""

from tests.model import actions, affordances, ties
from tests.model.residents import BEHAVIOURS

STAGES = (None, "queued", "held", "running")
NOTHING = -1


def of_resident(town, resident):
    """What the columns hold for a resident; lists without what fills them up."""
    claim = resident.claim
    options = [*(about.option for about in town.plan.vocabulary.needs.values()), *BEHAVIOURS]
    about = town.plan.vocabulary.profiles[resident.profile]
    return {
        "xy": [resident.x, resident.y],
        "needs": list(resident.needs.values()),
        "wallet": resident.wallet,
        "inventory": list(resident.inventory.values()),
        "extroversion": about.extroversion,
        "job": town.plan.jobs.index(resident.job) if resident.job else NOTHING,
        "claim_object": claim.thing.number if claim else NOTHING,
        "claim_affordance": town.plan.affordances.affordances.index(claim.affordance) if claim else NOTHING,
        "claim_stage": STAGES.index(claim and claim.stage),
        "blocked": resident.blocked,
        "ctx_reset": int(resident.reset),
        "option": options.index(resident.option) if resident.option else NOTHING,
        "goal": resident.goal,
        "commit_remaining": resident.commit,
        "home_place": resident.home.place,
        "tie_other": [each.other.slot for each in resident.ties],
        "tie_trust": [each.trust for each in resident.ties],
        "tie_familiarity": [each.familiarity for each in resident.ties],
        "tie_rivalry": [each.rivalry for each in resident.ties],
        "tie_avoided": [int(ties.avoids(town, resident, each.other)) for each in resident.ties],
        "talk_ready": resident.ready,
    }


def of_object(town, thing):
    """What the columns hold for an object."""
    return {
        "object_open": int(not thing.closed),
        "object_powered": int(affordances.powered(town, thing)),
        "object_holder": thing.holder.resident.slot if thing.holder else NOTHING,
        "object_queue": len(thing.queue),
        "object_wait": actions.expected_wait(thing),
        "object_stock": [thing.stock.get(item, 0) for item in town.plan.vocabulary.items],
    }


COLUMNS = (
    "xy", "needs", "wallet", "inventory", "extroversion", "job", "claim_object", "claim_affordance",
    "claim_stage", "blocked", "ctx_reset", "option", "goal", "commit_remaining", "home_place",
    "tie_other", "tie_trust", "tie_familiarity", "tie_rivalry", "tie_avoided", "talk_ready",
    "object_open", "object_powered", "object_holder", "object_queue", "object_wait", "object_stock",
)  # fmt: skip
"""The columns that are predicted."""


def view(town):
    """The predicted columns by resident, and those of objects."""
    things = [of_object(town, each) for each in town.things]
    return {
        "object": {column: [each[column] for each in things] for column in things[0]},
        **{each.id: of_resident(town, each) for each in town.residents},
    }
