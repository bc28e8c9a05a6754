"""docs/reference/view.md, the columns of the view: doubles as they are, not rounded as in a frame."""

from typing import NamedTuple

from tests.model import actions, affordances, ties
from tests.model.conventions import clamp
from tests.model.residents import BEHAVIOURS

STAGES = (None, "queued", "held", "running")
NOTHING = -1
OF_RESIDENT = frozenset(
    {
        "wallet", "lateness_counter", "attendance_ratio", "rent_owed", "tod", "day", "has_job", "shift_state",
        "profile", "inventory",
    }
)  # fmt: skip
OF_OBJECT = frozenset({"queue_length", "power_on", "water_on", "closed", "place_kind", "stock"})
TEXTS = frozenset({"shift_state", "profile", "place_kind"})
PREFIXES = frozenset({"inventory", "stock"})


def of_resident(town, resident, names):
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
        "tie_quiet_until": [each.quiet_until for each in resident.ties],
        "talk_ready": resident.ready,
        "invite": resident.invited.number if resident.invited else 0,
        "invite_place": resident.invited.place if resident.invited else NOTHING,
        "invite_until": resident.invited.ends_at if resident.invited else 0,
        "departure_lead": departure_lead(town, about),
        "home_field": town.ground.fields.homes + town.plan.home_tiles.index(resident.home),
        "duty_place": resident.job.place if resident.shift_state in affordances.GOING else NOTHING,
        "refusal": [refusal(town, resident, each) for each in town.plan.affordances.affordances],
        "resident_value": values(town, resident, None, names.of_resident),
        "cooldowns": sorted([number, tick] for number, tick in resident.cooldown.items() if tick > town.tick),
    }


class Values(NamedTuple):
    """The names that conditions of a town read, in the order of their columns."""

    of_resident: tuple[str, ...]
    of_object: tuple[str, ...]


def values(town, resident, thing, names):
    """What the names stand for; those that stand for a text have numbers that only the town knows."""
    known = (name for name in names if name not in TEXTS)
    return {name: float(affordances.value_of(town, resident, thing, None, name)) for name in known}


def prices(town, thing):
    """Mills for a unit of each good where the object stands, -1 without a price."""
    here, kind = town.prices[thing.district], town.plan.places[thing.place].kind
    goods = dict.fromkeys(key.partition(".")[2] for key in town.plan.prices)
    return [here.get(f"{kind}.{good}", NOTHING) for good in goods]


def occupants(town):
    """How many stand on each tile where somebody does."""
    return {tile: len(there) for tile, there in town.at.items() if there}


def departure_lead(town, about):
    """clamp(round(20 x work affinity), 0, 240); the affinity is 1 without behaviour_biases."""
    affinity = about.work_affinity if town.options.features.behaviour_biases else 1
    return clamp(round(20 * affinity), 0, 240)


def refusal(town, resident, affordance):
    """1 disabled, 2 a precondition on the resident or the time does not hold."""
    if not affordance.enabled:
        return 1
    return 0 if all(holds(town, resident, None, affordance, OF_RESIDENT)) else 2


def object_refusal(town, thing, affordance):
    """2 a precondition on the object does not hold."""
    if affordance.object_type != thing.type:
        return 0
    return 0 if all(holds(town, None, thing, affordance, OF_OBJECT)) else 2


def holds(town, resident, thing, affordance, known):
    """Whether each precondition holds of those that are about the known names alone."""
    if known is OF_RESIDENT:
        known |= town.plan.vocabulary.needs.keys()
    for each in affordance.preconditions:
        names = [side.name for side in (each.lhs, each.rhs) if hasattr(side, "name")]
        if all(name in known or name.partition(".")[0] in known & PREFIXES for name in names):
            yield affordances.holds(town, resident, thing, affordance, each)


def of_object(town, thing, names):
    """What the columns hold for an object."""
    return {
        "object_open": int(not thing.closed),
        "object_powered": int(affordances.powered(town, thing)),
        "object_holder": thing.holder.resident.slot if thing.holder else NOTHING,
        "object_queue": len(thing.queue),
        "object_wait": actions.expected_wait(thing),
        "object_refusal": [object_refusal(town, thing, each) for each in town.plan.affordances.affordances],
        "object_value": values(town, None, thing, names.of_object),
        "object_price": prices(town, thing),
        "object_stock": [thing.stock.get(item, 0) for item in town.plan.vocabulary.items],
    }


COLUMNS = (
    "xy", "needs", "wallet", "inventory", "extroversion", "job", "claim_object", "claim_affordance",
    "claim_stage", "blocked", "ctx_reset", "option", "goal", "commit_remaining", "home_place",
    "tie_other", "tie_trust", "tie_familiarity", "tie_rivalry", "tie_avoided",
    "tie_quiet_until", "talk_ready", "invite", "invite_place", "invite_until",
    "departure_lead", "home_field", "duty_place", "refusal", "cooldowns", "object_refusal",
    "resident_value", "object_value", "object_price",
    "object_open", "object_powered", "object_holder", "object_queue", "object_wait", "object_stock",
)  # fmt: skip
"""The columns that are predicted."""


def view(town, names):
    """The predicted columns by resident, those of objects, and who stands where."""
    things = [of_object(town, each, names) for each in town.things]
    return {
        "occupants": occupants(town),
        "object": {column: [each[column] for each in things] for column in things[0]},
        **{each.id: of_resident(town, each, names) for each in town.residents},
    }
