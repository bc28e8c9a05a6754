"""Interventions of phase 1: what is done to a town from outside."""

from tests.model import effects, lifecycle, movement, queues
from tests.model.conventions import clamp


def living(town, slot):
    """The resident of a slot, if it lives and does not leave in this tick."""
    return next((each for each in town.residents if each.slot == slot and not each.leaving), None)


def teleport(town, slot, x, y):
    """Stand a resident on a free passable tile; its claim ends, its context is reset."""
    resident = living(town, slot)
    if resident is None:
        return "gone"
    if not town.ground.stands(x, y) or town.at.get((x, y)):
        return "blocked_tile"
    movement.move_to(town, resident, (x, y), "teleport")
    if resident.claim is not None:
        queues.end(town, resident.claim, "interrupted")
    resident.forget()
    resident.ghost, resident.blocked = False, 0
    return "executed"


def set_need(town, slot, need, level):
    """Set a need, kept within [0, 1]; the resident's context is reset."""
    resident = living(town, slot)
    if resident is None:
        return "gone"
    resident.needs[need] = clamp(level, 0.0, 1.0)
    resident.forget()
    return "executed"


def interrupt(town, slot, idle):
    """End a resident's claim, or if idle, only a place in a queue or a hold; its context is reset."""
    resident = living(town, slot)
    if resident is None:
        return "gone"
    claim = resident.claim
    if claim is not None and not (idle and claim.stage == "running"):
        queues.end(town, claim, "idle" if idle else "interrupted")
    resident.forget()
    return "executed"


INTERVENTIONS = {
    "interrupt": interrupt,
    "teleport": teleport,
    "set_need": set_need,
    "switch": effects.switch,
    "close": effects.close,
    "scale": effects.scale,
    "set_price": effects.set_price,
    "spawn": lifecycle.spawn,
    "remove": lifecycle.remove,
}
