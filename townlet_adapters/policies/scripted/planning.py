"""Plans: the object that a resident goes to for its option (DOMAIN section 17.2)."""

from typing import TypeAlias

from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.kernels.draws import POLICY, unit
from townlet_adapters.kernels.fields import UNREACHABLE
from townlet_adapters.kernels.records import Record
from townlet_adapters.policies.scripted.chart import COOK, GROCERIES, PURPOSES, RELAX, WORKOUT
from townlet_adapters.policies.scripted.columns import (
    DAY,
    ENERGY,
    GET_FED,
    HOUR,
    HUNGER,
    HYGIENE,
    INGREDIENTS,
    ITEMS,
    MEAL,
    NEEDS,
    NO_CLAIM,
    NONE,
    SHOP,
    SOCIALISE,
    Chart,
    Scene,
    allows,
)

IMPOSSIBLE = 1 << 40
"""Cost of a plan that is not possible; also more ticks than any limit."""
MONEY_WEIGHT = 500
RICH_ENOUGH = 2500
SPARE_TICKS = 20
"""A plan before a shift must end this many ticks before the shift starts."""
COOKING = 20
"""Extra cost of cooking for a resident that wants to eat, and the extra time for it before a shift: the meal
must still be eaten."""
COOK_FROM = 0.25
"""Below this hunger value, a resident does not cook first."""
LEISURE_CHOICE = 2
"""Index of the draw that decides whether this hour's leisure is a workout."""
WORKOUT_WALLET, WORKOUT_HYGIENE, WORKOUT_ENERGY, WORKOUT_CHANCE = 3000, 0.5, 0.85, 0.25

Plan: TypeAlias = tuple[int, int, int]
"""Cost, object, affordance; ``NO_PLAN`` without a possible plan."""
NO_PLAN = (IMPOSSIBLE, NONE, NONE)


@kernel
def steps(c: Chart, r: Record, field: int) -> int:
    """Return the number of steps from a resident to a field's goal; 255 when it is unreachable."""
    return int(c.fields[field, r.y, r.x])


@kernel
def ticks_to_shift(c: Chart, s: Scene, r: Record) -> int:
    """Return the number of ticks until a resident's shift starts; -1 within the shift and without a job."""
    if r.job == NONE:
        return -1
    job = c.jobs[r.job]
    if (s.tick - job.start) % DAY < job.length:
        return -1
    return int((job.start - s.tick) % DAY)


@kernel
def price(c: Chart, s: Scene, r: Record, o: int, a: int) -> int:
    """Return the price of a use in mills under the first payable alternative; -1 without one."""
    for k in range(c.uses[a].alternatives):
        charge = c.charges[a, k]
        payable = True
        for item in range(ITEMS):
            if r.inventory[item] < charge.inventory[item] or s.things[o].stock[item] < charge.stock[item]:
                payable = False
        due = 0
        for item in range(c.charge_price.shape[2]):
            units = c.charge_price[a, k, item]
            if units > 0:
                if s.prices[o, item] < 0:
                    payable = False
                due += units * s.prices[o, item]
        if payable and due <= r.wallet:
            return due
    return -1


@kernel
def cost(c: Chart, s: Scene, r: Record, o: int, a: int, limit: int) -> int:
    """Return the cost of a use for a resident, in ticks; ``IMPOSSIBLE`` when it is not possible.

    Args:
        c: the town's constants.
        s: the instant.
        r: the resident.
        o: the object.
        a: one of its affordances.
        limit: ticks until the plan must be finished, with the way to the shift; more than a day for no limit.
    """
    path = steps(c, r, o)
    if path >= UNREACHABLE or not s.things[o].usable or s.cooldown[r.slot, o] > s.tick + path:
        return IMPOSSIBLE
    # In reach the mask is more accurate: it includes the affordance's preconditions.
    if path == 0 and r.claim_stage == NO_CLAIM and not allows(r, c.uses[a].action):
        return IMPOSSIBLE
    due = price(c, s, r, o, a)
    if due < 0:
        return IMPOSSIBLE
    ticks = path + s.things[o].wait + c.uses[a].duration
    if limit < DAY:
        back = int(c.commute[o, r.job])
        if back >= UNREACHABLE or ticks + back + SPARE_TICKS > limit:
            return IMPOSSIBLE
    return int(ticks + due * MONEY_WEIGHT // max(RICH_ENOUGH, r.wallet) + c.uses[a].extra)


@kernel
def feels_like_workout(c: Chart, s: Scene, r: Record) -> bool:
    """Return whether this hour's leisure is a workout; one that was begun is continued."""
    if r.bound_to != NONE:
        return True
    able = r.wallet >= WORKOUT_WALLET and r.need[HYGIENE] >= WORKOUT_HYGIENE
    if not able or r.need[ENERGY] >= WORKOUT_ENERGY:
        return False
    return bool(unit(c.seed, POLICY, s.tick // HOUR, r.serial, LEISURE_CHOICE) < WORKOUT_CHANCE)


@kernel
def suits(c: Chart, s: Scene, r: Record, option: int, purpose: int) -> bool:
    """Return whether an option can be carried out by a use of this purpose."""
    if option < NEEDS and purpose == option:
        return True
    if purpose == COOK and option == GET_FED:
        return bool(r.inventory[MEAL] == 0 and r.need[HUNGER] >= COOK_FROM)
    if option == SHOP:
        return purpose == (COOK if r.inventory[INGREDIENTS] > 0 else GROCERIES)
    if option == SOCIALISE:
        return purpose == RELAX or (purpose == WORKOUT and feels_like_workout(c, s, r))
    return False


@kernel
def time_limit(c: Chart, s: Scene, r: Record, option: int) -> int:
    """Return the ticks until a plan must be finished: before the shift, unless a need is critical."""
    if option < NEEDS and r.need[option] < c.critical:
        return IMPOSSIBLE
    left = ticks_to_shift(c, s, r)
    return left if left >= 0 else IMPOSSIBLE


@kernel
def plan(c: Chart, s: Scene, r: Record, option: int) -> Plan:
    """Return the cheapest plan for an option among the eight nearest objects of each type.

    Ties go to the lower object number. A workout that is wanted and possible takes precedence over any bench.

    Args:
        c: the town's constants.
        s: the instant.
        r: the resident; with ``bound_to``, no other object is considered.
        option: get_fed, get_clean, rest, shop or socialise.
    """
    best, chosen, use = NO_PLAN
    limit = time_limit(c, s, r, option)
    for purpose in range(PURPOSES):
        if not suits(c, s, r, option, purpose):
            continue
        extra = COOKING if purpose == COOK and option == GET_FED else 0
        for a in range(c.uses.shape[0]):
            if c.uses[a].serves & (1 << purpose) == 0:
                continue
            for k in range(c.nearest.shape[3]):
                o = int(c.nearest[c.uses[a].type, r.y, r.x, k])
                if o < 0:
                    break
                if r.bound_to >= 0 and r.bound_to != o:
                    continue
                found = cost(c, s, r, o, a, limit - extra) + extra
                if found < best or (found == best and found < IMPOSSIBLE and o < chosen):
                    best, chosen, use = found, o, a
        if purpose == WORKOUT and chosen >= 0:
            break
    return best, chosen, use
