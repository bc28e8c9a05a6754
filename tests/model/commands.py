"""Section 19, commands, and the other interventions of phase 1."""

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


def obey(town, command, known):
    """Do what a command asks of one of the residents ``known`` as the tick began.

    Returns:
        The result, without the words of an error.
    """
    try:
        result = COMMANDS[command.name](town, command.args, known)
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


def _known(args, known):
    if args["agent_id"] not in known:
        raise Refused("not_found")
    return known[args["agent_id"]]


def _require_life(town, resident):
    if resident not in town.residents or resident.leaving:
        raise Refused("not_found")


def _teleport(town, args, known):
    resident, (x, y) = _known(args, known), args["position"]
    done = {"agent_id": resident.id, "position": [x, y]}
    _require_life(town, resident)
    if teleport(town, resident.slot, x, y) != "executed":
        raise Refused("blocked_tile", done)
    return done


def _set_need(town, args, known):
    resident, needs = _known(args, known), args["needs"]
    if any(need not in resident.needs or not 0 <= level <= 1 for need, level in needs.items()):
        raise Refused("invalid_args")
    _require_life(town, resident)
    for need, level in needs.items():
        set_need(town, resident.slot, need, level)
    return {"agent_id": resident.id, "needs": needs}


def _interrupt(town, args, known):
    resident = _known(args, known)
    _require_life(town, resident)
    interrupt(town, resident.slot, args.get("idle", False))
    return {key: args[key] for key in ("agent_id", "idle") if key in args}


COMMANDS = {"teleport": _teleport, "set_need": _set_need, "interrupt": _interrupt}
