"""Section 6, actions: what the mask allows, and what becomes of an intent."""

from tests.model import affordances, chat, draws, hooks, movement, queues

VERBS = ("wait", "move_north", "move_south", "move_east", "move_west", "leave", "talk")
SUCCESSES = ("ok", "queued", "waiting", "running")


def names(town):
    """The name of each action number."""
    return (*VERBS, *(f"use:{each.id}" for each in town.plan.affordances.affordances))


def fair_order(town):
    """Residents by (H(seed, world, t, serial, 0), serial)."""
    return sorted(
        town.residents,
        key=lambda each: (draws.draw(town.seed, "world", town.tick, each.serial, 0), each.serial),
    )


def is_allowed(town, resident, action):
    """Whether an action is unmasked."""
    if action == "wait":
        return True
    verb, _, argument = action.partition("_")
    claim = resident.claim
    if verb == "move":
        running = claim is not None and claim.stage == "running"
        return not running and movement.may_step(town, resident, argument)
    if action == "leave":
        return claim is not None
    if action == "talk":
        return chat.may_talk(town, resident)
    return _may_use(town, resident, action.removeprefix("use:"))


def _may_use(town, resident, affordance_id):
    claim = resident.claim
    if claim is not None:
        reaches = claim.stage == "running" or is_in_reach(town, resident, claim.thing)
        return claim.affordance.id == affordance_id and reaches
    return any(
        each.id == affordance_id and affordances.refusal(town, resident, thing, each) is None
        for thing in in_reach(town, resident)
        for each in thing.offers
    )


def mask(town, resident):
    """1 where an action is allowed."""
    allowed = set()
    claim = resident.claim
    if claim is not None:
        if claim.stage == "running" or is_in_reach(town, resident, claim.thing):
            allowed.add(claim.affordance.id)
    else:
        for thing in in_reach(town, resident):
            for each in thing.offers:
                if each.id not in allowed and affordances.refusal(town, resident, thing, each) is None:
                    allowed.add(each.id)
    verbs = [is_allowed(town, resident, verb) for verb in VERBS]
    return [*verbs, *(each.id in allowed for each in town.plan.affordances.affordances)]


def in_reach(town, resident):
    """The objects that a resident can use from its tile, by index."""
    return [town.things[number] for number in town.ground.in_reach.get((resident.x, resident.y), ())]


def is_in_reach(town, resident, thing):
    """Whether a resident can use an object from its tile."""
    return thing.number in town.ground.in_reach.get((resident.x, resident.y), ())


def fulfil(town, resident, intent, *, allowed):
    """Execute an intent; the mask that it was chosen under says whether it is valid."""
    action, target = intent
    resident.walked = False
    if not allowed:
        return "invalid"
    name = names(town)[action]
    if name in PLAIN:
        return PLAIN[name](town, resident, target)
    if name.startswith("move_"):
        return movement.step(town, resident, name.removeprefix("move_"))
    return use(town, resident, name.removeprefix("use:"), target)


def wait(_town, _resident, _target):
    """Do nothing."""
    return "ok"


def leave(town, resident, _target):
    """Let go of the claim."""
    if resident.claim is None:
        return "no_claim"
    queues.end(town, resident.claim, "left")
    return "ok"


PLAIN = {"wait": wait, "leave": leave, "talk": chat.talk}


def use(town, resident, affordance_id, target):
    """Use an object: start, go on, or wait for it."""
    affordance = next(each for each in town.plan.affordances.affordances if each.id == affordance_id)
    if target != -1:
        thing = town.things[target] if 0 <= target < len(town.things) else None
        if thing is None or affordance not in thing.offers:
            return "bad_target"
    else:
        thing = None
    claim = resident.claim
    if claim is not None:
        return use_claim(town, claim, affordance, thing or claim.thing)
    if thing is None:
        thing = choose(town, resident, affordance)
    if thing is None or not is_in_reach(town, resident, thing):
        return "too_far"
    reason = affordances.refusal(town, resident, thing, affordance)
    if reason is not None:
        affordances.tell_failure(town, resident, thing, affordance, reason)
        return reason
    if thing.holder is None and not thing.queue:
        return start(town, resident, thing, affordance)
    queues.join(town, resident, thing, affordance)
    return "queued"


def use_claim(town, claim, affordance, thing):
    """``use`` while there is a claim."""
    resident = claim.resident
    if thing is not claim.thing or affordance is not claim.affordance:
        return "busy"
    if claim.stage != "held":
        return claim.stage
    if not is_in_reach(town, resident, thing):
        return "too_far"
    if not affordances.powered(town, thing):
        return "waiting"
    reason = affordances.refusal(town, resident, thing, affordance)
    if reason is not None:
        affordances.tell_failure(town, resident, thing, affordance, reason)
        queues.release(town, claim, success=False)
        return reason
    result = start(town, resident, thing, affordance)
    if result != "ok":
        queues.release(town, claim, success=False)
    return result


def start(town, resident, thing, affordance):
    """Start a use whose checks have passed, unless a before-hook refuses."""
    detail = hooks.cancellation(town, resident, thing, affordance)
    if detail is not None:
        affordances.tell_failure(town, resident, thing, affordance, "hook_cancelled", detail=detail)
        return "hook_cancelled"
    affordances.start(town, resident, thing, affordance)
    return "ok"


def choose(town, resident, affordance):
    """Of those that pass all checks, a free object before one in use, then the shortest expected wait, then
    the lowest index; when none passes, the lowest index.
    """
    there = [thing for thing in in_reach(town, resident) if affordance in thing.offers]
    passing = [each for each in there if affordances.refusal(town, resident, each, affordance) is None]
    return min(
        passing,
        key=lambda each: (each.holder is not None or bool(each.queue), expected_wait(each), each.number),
        default=min(there, key=lambda each: each.number, default=None),
    )


def expected_wait(thing):
    """Ticks until whoever holds and waits now is served."""
    wait = sum(each.affordance.duration for each in thing.queue)
    if thing.holder is not None:
        running = thing.holder.stage == "running"
        wait += thing.holder.remaining if running else thing.holder.affordance.duration
    return wait
