"""Section 8, affordances: when a use may start, what it costs, and how it ends."""

import operator
from typing import Any, NamedTuple

from tests.model import chat, hooks, money, queues, ties
from tests.model.conventions import DAY, clamp
from tests.model.state import Claim

OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
GOING = ("on_time", "late")


class Case(NamedTuple):
    """Who would use what, and how: what a precondition is about."""

    town: Any
    resident: Any
    thing: Any
    affordance: Any


def powered(town, thing):
    """An object works when all of its utilities are on."""
    return all(town.power[thing.district][utility] for utility in thing.utilities)


def refusal(town, resident, thing, affordance):
    """The first failing check; none when the use may start."""
    return next(failing_checks(town, resident, thing, affordance), None)


def failing_checks(town, resident, thing, affordance):
    """Every failing check, in the order of section 6."""
    if thing.closed:
        yield "closed"
    if resident.cooldown.get(thing.number, 0) > town.tick:
        yield "cooldown"
    if not powered(town, thing):
        yield "utility_off"
    if not all(holds(town, resident, thing, affordance, each) for each in affordance.preconditions):
        yield "precondition_failed"
    limits = town.plan.vocabulary.items
    for item, gain in affordance.effects.inventory.items():
        if gain > 0 and resident.inventory[item] + gain > limits[item].carry:
            yield "inventory_full"
    if payable(town, resident, thing, affordance) is None:
        yield _missing(resident, thing, affordance.charge[-1]) or "insufficient_funds"


def holds(town, resident, thing, affordance, condition, due=None):  # noqa: PLR0913, PLR0917 - who, what, when
    """Whether a condition holds now; ``due`` is the price of a use that runs."""
    left = value_of(town, resident, thing, affordance, condition.lhs.name, due)
    right = condition.rhs
    is_name = hasattr(right, "name")
    compared = value_of(town, resident, thing, affordance, right.name, due) if is_name else right.value
    return OPERATORS[condition.op](left, compared)


def value_of(town, resident, thing, affordance, name, due=None):  # noqa: PLR0913, PLR0917 - as above
    """What a name in a condition stands for."""
    if name == "price" and due is not None:
        return due
    if resident is not None and name in resident.needs:
        return resident.needs[name]
    owner, _, item = name.partition(".")
    if item:
        return resident.inventory[item] if owner == "inventory" else thing.stock[item]
    return NAMES[name](Case(town, resident, thing, affordance))


NAMES = {
    "wallet": lambda at: at.resident.wallet,
    "price": lambda at: due(at.town, at.resident, at.thing, at.affordance),
    "lateness_counter": lambda at: at.resident.lateness,
    "attendance_ratio": lambda at: at.resident.attendance,
    "rent_owed": lambda at: at.resident.rent_owed,
    "tod": lambda at: at.town.tod,
    "day": lambda at: at.town.day,
    "queue_length": lambda at: len(at.thing.queue),
    "power_on": lambda at: at.town.power[at.thing.district]["power"],
    "water_on": lambda at: at.town.power[at.thing.district]["water"],
    "closed": lambda at: at.thing.closed,
    "occupied": lambda at: at.thing.holder is not None and at.thing.holder.resident is not at.resident,
    "on_shift": lambda at: is_on_shift(at.town, at.resident),
    "has_job": lambda at: at.resident.job is not None,
    "at_home": lambda at: at.town.ground.place_at[at.resident.y][at.resident.x] == at.resident.home.place,
    "place_kind": lambda at: at.town.plan.places[at.thing.place].kind,
    "shift_state": lambda at: at.resident.shift_state,
    "profile": lambda at: at.resident.profile,
}


def is_on_shift(town, resident):
    """Present at work, and on time or late."""
    return (
        resident.shift_state in GOING and town.ground.place_at[resident.y][resident.x] == resident.job.place
    )


def price_of(town, thing, charge):
    """Mills due under a charge: what the keys of the object's place say."""
    kind, prices = town.plan.places[thing.place].kind, town.prices[thing.district]
    return sum(prices[f"{kind}.{item}"] * quantity for item, quantity in charge.price.items())


def payable(town, resident, thing, affordance):
    """The number of the first payable alternative, or none."""
    for number, charge in enumerate(affordance.charge):
        if _missing(resident, thing, charge) is None and price_of(town, thing, charge) <= resident.wallet:
            return number
    return None


def due(town, resident, thing, affordance):
    """The money due under the first payable alternative, else under the last."""
    number = payable(town, resident, thing, affordance)
    return price_of(town, thing, affordance.charge[-1 if number is None else number])


def _missing(resident, thing, charge):
    """What a charge wants and is not there, but for money."""
    if any(resident.inventory[item] < number for item, number in charge.inventory.items()):
        return "insufficient_items"
    if any(thing.stock.get(item, 0) < number for item, number in charge.stock.items()):
        return "insufficient_stock"
    return None


def start(town, resident, thing, affordance):
    """Start a use whose checks have passed: the charge is taken, and the fact is told."""
    number = payable(town, resident, thing, affordance)
    charge = affordance.charge[number]
    paid = price_of(town, thing, charge)
    for item, quantity in charge.inventory.items():
        resident.inventory[item] -= quantity
    for item, quantity in charge.stock.items():
        thing.stock[item] -= quantity
    money.purchase(town, resident, thing, paid)
    claim = resident.claim
    if claim is None:
        claim = Claim(resident, thing, affordance, "running", town.tick)
        resident.claim = thing.holder = claim
    claim.begun = town.tick
    claim.stage, claim.remaining, claim.paid, claim.charge = "running", affordance.duration, paid, charge
    claim.low = {need for need, low in low_needs(resident, affordance).items() if low}
    town.emit(
        "affordance.start",
        agent_id=resident.id,
        object_id=thing.id,
        affordance_id=affordance.id,
        duration=affordance.duration,
        paid=paid,
        alternative=number,
    )


def progress(town, claim):
    """One tick of a running use; at the end the effects are applied and the object is released."""
    resident, thing, affordance = claim.resident, claim.thing, claim.affordance
    claim.remaining -= 1
    for need, change in affordance.each_tick.items():
        resident.needs[need] = clamp(resident.needs[need] + change, 0.0, 1.0)
    if claim.remaining > 0 and not ends_early(town, claim):
        return
    apply(town, resident, thing, affordance.effects)
    if affordance.effects.relation:
        ties.meet(town, resident, affordance.effects.relation)
    effects = effects_by_key(affordance.effects)
    for key, amount in hooks.effects(town, resident, thing, affordance, claim.paid).items():
        effects[key] = effects.get(key, 0) + amount
    if "meal" in affordance.tags:
        chat.share_meal(town, claim)
    town.emit(
        "affordance.finish",
        agent_id=claim.resident.id,
        object_id=claim.thing.id,
        affordance_id=claim.affordance.id,
        effects=effects,
    )
    queues.release(town, claim, success=True)


def ends_early(town, claim):
    """Whether a use is finished before its last tick: what it lasts until is so, or it is woken."""
    affordance, resident = claim.affordance, claim.resident
    wakes = affordance.wakes_before >= 0 and resident.job is not None
    if wakes and (resident.job.start - town.tod - affordance.wakes_before) % DAY == 0:
        return True
    if any(low and need not in claim.low for need, low in low_needs(resident, affordance).items()):
        return True
    return bool(affordance.until) and all(
        holds(town, resident, claim.thing, affordance, each, due=claim.paid) for each in affordance.until
    )


def low_needs(resident, affordance):
    """Whether each need is below the level at which the use ends; never without such a level."""
    return {need: level < affordance.wakes_below for need, level in resident.needs.items()}


def apply(town, resident, thing, effects):
    """Needs, stock, inventory, money, each clamped."""
    for need, change in effects.need.items():
        resident.needs[need] = clamp(resident.needs[need] + change, 0.0, 1.0)
    for item, change in effects.stock.items():
        thing.stock[item] = clamp(thing.stock[item] + change, 0, thing.capacity[item])
    for item, change in effects.inventory.items():
        most = town.plan.vocabulary.items[item].carry
        resident.inventory[item] = clamp(resident.inventory[item] + change, 0, most)
    if effects.money:
        money.bonus(town, resident, effects.money)


def effects_by_key(effects):
    """The manifest's effects by key, as the fact tells them."""
    told = {f"need:{need}": change for need, change in effects.need.items()}
    told |= {f"stock:{item}": change for item, change in effects.stock.items()}
    told |= {f"inventory:{item}": change for item, change in effects.inventory.items()}
    if effects.money:
        told["money"] = effects.money
    return told


def fail(town, claim, reason):
    """A running use fails: everything is given back, and the object is released as a failure."""
    resident, thing = claim.resident, claim.thing
    money.refund(town, resident, thing, claim.paid)
    for item, quantity in claim.charge.inventory.items():
        most = town.plan.vocabulary.items[item].carry
        resident.inventory[item] = min(most, resident.inventory[item] + quantity)
    for item, quantity in claim.charge.stock.items():
        thing.stock[item] = min(thing.capacity[item], thing.stock[item] + quantity)
    tell_failure(
        town,
        resident,
        thing,
        claim.affordance,
        reason,
        claim.affordance.duration - claim.remaining,
        claim.paid,
    )
    queues.release(town, claim, success=False)


def tell_failure(  # noqa: PLR0913, PLR0917 - the fields of the fact
    town, resident, thing, affordance, reason, progressed=0, refunded=0, detail=None
):
    """A use failed, or could not start."""
    hooks.failed(town, resident, thing, affordance, reason=reason, refunded=refunded)
    town.emit(
        "affordance.fail",
        agent_id=resident.id,
        object_id=thing.id,
        affordance_id=affordance.id,
        reason=reason,
        detail=detail,
        progress=progressed,
        refunded=refunded,
    )
