"""Section 8, hooks: who is asked at which stage, with what context, and what comes of the answers.

The answers are not predicted: ``town.ask`` returns them, as plain values. What hooks were asked with
is predicted, and compared.
"""

from tests.model import money, ties
from tests.model.conventions import clamp


def ask(town, stage, resident, thing, affordance, *, paid, reason=None):  # noqa: PLR0913 - as the context
    """The answers of the hooks that an affordance names at a stage, in the order of the config, on demand."""
    for hook in affordance.hooks.get(stage, ()):
        context = {
            "stage": stage,
            "hook": hook,
            "tick": town.tick,
            "day": town.day,
            "tod": town.tod,
            "agent_id": resident.id,
            "serial": resident.serial,
            "needs": dict(resident.needs),
            "values": {"wallet": resident.wallet},
            "inventory": dict(resident.inventory),
            "position": (resident.x, resident.y),
            "profile": resident.profile,
            "object_id": thing.id,
            "object_type": thing.type,
            "place_id": town.plan.places[thing.place].id,
            "stock": dict(thing.stock),
            "affordance_id": affordance.id,
            "duration": affordance.duration,
            "paid": paid,
            "reason": reason,
            "seed": town.seed,
            "relations": ["trust", "familiarity", "rivalry"],
        }
        yield town.ask(context)


def cancellation(town, resident, thing, affordance):
    """Stage ``before``: the reason of the first hook that cancels; it ends the asking."""
    answers = ask(town, "before", resident, thing, affordance, paid=0)
    return next((answer for answer in answers if answer is not None), None)


def effects(town, resident, thing, affordance, paid):
    """Stage ``after``: the effects of all hooks, added up by key, applied once."""
    sums = {}
    for answer in ask(town, "after", resident, thing, affordance, paid=paid):
        for key, amount in (answer or {}).items():
            sums[key] = sums.get(key, 0) + amount
    for key, amount in sums.items():
        target, _, name = key.partition(":")
        if target == "need":
            resident.needs[name] = clamp(resident.needs[name] + amount, 0.0, 1.0)
        elif target == "stock":
            thing.stock[name] = clamp(thing.stock[name] + amount, 0, thing.capacity[name])
        elif target == "inventory":
            most = town.plan.vocabulary.items[name].carry
            resident.inventory[name] = clamp(resident.inventory[name] + amount, 0, most)
        elif target == "money":
            money.hook(town, resident, max(amount, -resident.wallet))
    relations = {
        key.removeprefix("relation:"): each for key, each in sums.items() if key.startswith("relation:")
    }
    if relations:
        ties.meet(town, resident, relations, "plugin")
    return sums


def failed(town, resident, thing, affordance, *, reason, refunded):  # noqa: PLR0913 - as the context
    """Stage ``failed``: every ``affordance.fail`` is heard of; the answers change nothing."""
    for _ in ask(town, "failed", resident, thing, affordance, paid=refunded, reason=reason):
        pass
