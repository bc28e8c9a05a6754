"""Section 19, commands, and the other interventions of phase 1."""

from tests.model import lifecycle, movement, queues
from tests.model.conventions import clamp


def living(town, slot):
    """The resident of a slot, if it lives."""
    return next((each for each in town.residents if each.slot == slot), None)


def teleport(town, slot, x, y):
    """Stand a resident on a free passable tile; its claim ends, its context is reset."""
    resident = living(town, slot)
    if resident is None or not town.ground.stands(x, y) or town.at.get((x, y)):
        return False
    movement.move_to(town, resident, (x, y), "teleport")
    if resident.claim is not None:
        queues.end(town, resident.claim, "interrupted")
    resident.option = None
    resident.ghost, resident.blocked = False, 0
    return True


def set_need(town, slot, need, level):
    """Set a need, kept within [0, 1]; the resident's context is reset."""
    resident = living(town, slot)
    if resident is not None:
        resident.needs[need] = clamp(level, 0.0, 1.0)
        resident.option = None


def switch(town, district, utility, is_on):
    """Switch a utility of a district."""
    town.power[district][utility] = is_on


def close(town, number, is_closed):
    """Close an object, or open it."""
    if is_closed:
        queues.close(town, town.things[number])
    else:
        town.things[number].closed = False


INTERVENTIONS = {
    "teleport": teleport,
    "set_need": set_need,
    "switch": switch,
    "close": close,
    "spawn": lifecycle.spawn,
    "remove": lifecycle.remove,
}


def obey(town, command):
    """Do what a command asks; returns the result, without the words of an error."""
    try:
        result = COMMANDS[command.name](town, command.args)
        status, error = "ok", None
    except Refused as refused:
        status, result, error = "error", {}, {"code": refused.code, "details": refused.details}
    return {
        "name": command.name,
        "status": status,
        "result": result,
        "error": error,
        "cmd_id": command.cmd_id,
        "issuer": command.issuer,
        "tick": town.tick,
    }


class Refused(Exception):  # noqa: N818 - an answer
    """A command that cannot be done."""

    def __init__(self, code, details=None):
        super().__init__(code)
        self.code, self.details = code, details or {}


def _resident(town, args):
    for each in town.residents:
        if each.id == args["agent_id"]:
            return each
    raise Refused("not_found")


def _teleport(town, args):
    resident, (x, y) = _resident(town, args), args["position"]
    done = {"agent_id": resident.id, "position": [x, y]}
    if not teleport(town, resident.slot, x, y):
        raise Refused("blocked_tile", done)
    return done


def _set_need(town, args):
    resident, needs = _resident(town, args), args["needs"]
    if any(need not in resident.needs or not 0 <= level <= 1 for need, level in needs.items()):
        raise Refused("invalid_args")
    for need, level in needs.items():
        set_need(town, resident.slot, need, level)
    return {"agent_id": resident.id, "needs": needs}


COMMANDS = {"teleport": _teleport, "set_need": _set_need}
