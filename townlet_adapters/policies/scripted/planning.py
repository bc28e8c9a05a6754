"""Plans: the object that a resident goes to for what it wants (domain.md, section 17.2)."""

from typing import TypeAlias

from townlet_adapters.kernels.clock import TICKS_PER_DAY, since
from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.draws import POLICY, unit
from townlet_adapters.kernels.fields import UNREACHABLE, steps_to
from townlet_adapters.kernels.records import Record
from townlet_adapters.policies.scripted.columns import (
    CARE,
    HOUR,
    NO_CLAIM,
    NONE,
    SHOP,
    SOCIALISE,
    Chart,
    Scene,
    allows,
)
from townlet_adapters.policies.scripted.purposes import FREE, PAID
from townlet_adapters.policies.scripted.refusals import refused
from townlet_adapters.policies.scripted.society import is_shunned

IMPOSSIBLE = 1 << 40
"""Cost of a plan that is not possible; also more ticks than any limit."""
MONEY_WEIGHT = 500
RICH_ENOUGH = 2500
SPARE_TICKS = 20
"""A plan before a shift must end this many ticks before the shift starts."""
TREAT_MILLS, TREAT_MOST = 200, 60
"""A treat costs a tick less for each so many mills in the wallet, at most so many ticks."""
LEISURE_WAIT = 60
"""No resident waits longer than so many ticks for leisure."""
COMPANY, COMPANY_NEAR = 30, 4
"""How much less leisure costs beside another resident at an object of that type, within so many tiles."""
MAKING = 20
"""Extra cost of making something for a need first, and the extra time for it before a shift: it must still be
used."""
MAKE_FROM = 0.25
"""Below this value of a need, a resident makes nothing for it first."""
LEAST_REST = 60
"""A use that ends by itself before a shift must have this many ticks until then."""
REST_WAIT = 60
"""No resident waits longer than so many ticks for such a use: it may last the night."""
LEISURE_CHOICE = 2
"""Index of the draw that decides whether this hour's leisure is a paid one."""
PAID_WALLET, PAID_LOWERED, PAID_RAISED, PAID_MILLS, PAID_MOST = 2500, 0.5, 0.85, 12000, 0.6
"""Paid leisure: least wallet, least value of the need that it lowers most, value from which the need that it
raises wants none; the chance of an hour of it is what the wallet holds beyond the least one by so many mills,
at most the last number."""
# Purposes of a plan, in the order in which they are considered.
SERVE, MAKE, FETCH, PAY, UNPAID, NO_MORE = 0, 1, 2, 3, 4, 5

Plan: TypeAlias = tuple[int, int, int]
"""Cost, object, affordance; ``NO_PLAN`` without a possible plan."""
NO_PLAN = (IMPOSSIBLE, NONE, NONE)


@inlined
def steps(c: Chart, r: Record, field: int) -> int:
    """Return the number of steps from a resident to a field's goal; 255 when it is unreachable."""
    return steps_to(c.field_steps, c.fields, field, r.x, r.y)


@kernel
def commute(c: Chart, s: Scene, o: int, job: int) -> int:
    """Return the steps from the nearest tile of an object's reach to a workplace; 255 when unreachable."""
    best = UNREACHABLE
    for y in range(s.things[o].y - 1, s.things[o].y + 2):
        for x in range(s.things[o].x - 1, s.things[o].x + 2):
            # The object's own field is 0 exactly on its reach.
            if steps_to(c.field_steps, c.fields, o, x, y) == 0:
                best = min(best, steps_to(c.field_steps, c.fields, c.jobs[job].field, x, y))
    return best


@kernel
def ticks_to_shift(c: Chart, s: Scene, r: Record) -> int:
    """Return the number of ticks until a resident's shift starts; -1 within the shift and without a job."""
    if r.job == NONE:
        return -1
    job = c.jobs[r.job]
    elapsed = since(job.start, s.tick, c.start_tod)
    return -1 if elapsed < job.length else int(TICKS_PER_DAY - elapsed)


@inlined
def price(c: Chart, s: Scene, r: Record, o: int, a: int) -> int:
    """Return the price of a use in mills under the first payable alternative; -1 without one."""
    for k in range(c.uses[a].alternatives):
        charge = c.charges[a, k]
        payable = True
        for item in range(c.carry.shape[0]):
            if r.inventory[item] < charge.inventory[item] or s.things[o].stock[item] < charge.stock[item]:
                payable = False
        due = 0
        for good in range(c.charge_price.shape[2]):
            units = c.charge_price[a, k, good]
            if units > 0:
                if s.prices[o, good] < 0:
                    payable = False
                due += units * s.prices[o, good]
        if payable and due <= r.wallet:
            return due
    return -1


@inlined
def fits(c: Chart, r: Record, a: int) -> bool:
    """Return whether a resident can carry what a use yields."""
    for item in range(c.carry.shape[0]):
        gained = c.uses[a].gain[item]
        if gained > 0 and r.inventory[item] + gained > c.carry[item]:
            return False
    return True


@inlined
def is_cooling_down(s: Scene, r: Record, o: int, tick: int) -> bool:
    """Return whether a resident may not use an object yet at a tick."""
    for k in range(s.cooldowns.shape[1]):
        if s.cooldowns[r.slot, k, 1] <= tick:
            return False
        if s.cooldowns[r.slot, k, 0] == o:
            return True
    return False


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
    if path >= UNREACHABLE or not s.things[o].usable or is_cooling_down(s, r, o, s.tick + path):
        return IMPOSSIBLE
    # In reach the mask is more accurate: it includes the affordance's preconditions.
    if path == 0 and r.claim_stage == NO_CLAIM and not allows(r, c.uses[a].action):
        return IMPOSSIBLE
    due = price(c, s, r, o, a)
    if due < 0 or not fits(c, r, a) or refused(c, s, r, o, a, due) or is_shunned(c, s, r, o):
        return IMPOSSIBLE
    ticks = path + s.things[o].wait + c.uses[a].duration
    wakes = c.uses[a].wakes
    if wakes >= 0:
        wait = s.things[o].wait
        if wait > REST_WAIT or path + wait + wakes + LEAST_REST > limit:
            return IMPOSSIBLE
    elif limit < TICKS_PER_DAY:
        back = commute(c, s, o, r.job)
        if back >= UNREACHABLE or ticks + back + SPARE_TICKS > limit:
            return IMPOSSIBLE
    return int(ticks + due * MONEY_WEIGHT // max(RICH_ENOUGH, r.wallet))


@kernel
def supplied(c: Chart, r: Record, need: int, purpose: int) -> bool:
    """Return whether a resident carries what some use takes that serves a need or makes something for it."""
    for a in range(c.uses.shape[0]):
        bits = c.uses[a].serves if purpose == SERVE else c.uses[a].makes
        if bits & (1 << need) == 0:
            continue
        for k in range(c.uses[a].alternatives):
            takes, has = False, True
            for item in range(c.carry.shape[0]):
                taken = c.charges[a, k].inventory[item]
                takes = takes or taken > 0
                has = has and r.inventory[item] >= taken
            if takes and has:
                return True
    return False


@kernel
def yields_missing(c: Chart, r: Record, a: int, needs: int, purpose: int) -> bool:
    """Return whether a use yields an item of which a resident carries too little for one of these needs."""
    for n in range(c.needs.shape[0]):
        if needs & (1 << n) == 0:
            continue
        for item in range(c.carry.shape[0]):
            wanted = c.needs[n].means[item] if purpose == MAKE else c.needs[n].parts[item]
            if c.uses[a].gain[item] > 0 and r.inventory[item] < wanted:
                return True
    return False


@kernel
def feels_like_paying(c: Chart, s: Scene, r: Record, a: int) -> bool:
    """Return whether this hour's leisure is a paid use; one that was begun is continued."""
    if r.bound_to != NONE:
        return True
    use = c.uses[a]
    if r.wallet < PAID_WALLET or r.need[use.raised] >= PAID_RAISED:
        return False
    if use.lowered != NONE and r.need[use.lowered] < PAID_LOWERED:
        return False
    chance = min(PAID_MOST, (r.wallet - PAID_WALLET) / PAID_MILLS)
    return bool(unit(c.seed, POLICY, s.tick // HOUR, r.serial, LEISURE_CHOICE) < chance)


@kernel
def to_make_for(c: Chart, r: Record, want: int, needs: int) -> int:
    """Return the needs for which a resident would make something now, one bit each.

    Who cares for a need makes something for it first unless means are carried or the need is too low. Who
    shops makes what the carried parts suffice for, or what needs no parts that could be fetched.
    """
    bits = 0
    for n in range(c.needs.shape[0]):
        if needs & (1 << n) == 0 or not c.needs[n].made:
            continue
        if want == CARE:
            makes = not supplied(c, r, n, SERVE) and r.need[n] >= MAKE_FROM
        else:
            makes = not c.needs[n].fetched or supplied(c, r, n, MAKE)
        if makes:
            bits |= 1 << n
    return bits


@inlined
def suits(c: Chart, s: Scene, r: Record, a: int, want: int, purpose: int, needs: int) -> bool:
    """Return whether a use has a purpose for one of these needs, or is the leisure of this hour."""
    use = c.uses[a]
    if purpose == SERVE:
        return bool(use.serves & needs != 0)
    if purpose == MAKE:
        made = use.makes & needs
        return bool(made != 0 and (want == SHOP or yields_missing(c, r, a, made, MAKE)))
    if purpose == FETCH:
        fetched = use.fetches & needs
        return bool(fetched != 0 and yields_missing(c, r, a, fetched, FETCH))
    if purpose == PAY:
        return bool(use.leisure == PAID and feels_like_paying(c, s, r, a))
    return bool(use.leisure == FREE)


@kernel
def time_limit(c: Chart, s: Scene, r: Record, want: int, needs: int) -> int:
    """Return the ticks until a plan must be finished: before the shift, unless a need is critical."""
    if want == CARE:
        for n in range(c.needs.shape[0]):
            if needs & (1 << n) != 0 and r.need[n] < c.critical:
                return IMPOSSIBLE
    left = ticks_to_shift(c, s, r)
    return left if left >= 0 else IMPOSSIBLE


@kernel
def has_company(c: Chart, s: Scene, r: Record, o: int, kind: int) -> bool:
    """Return whether another resident uses an object of a type near an object of that type."""
    for k in range(c.nearest.shape[3]):
        other = int(c.nearest[kind, r.y, r.x, k])
        if other < 0:
            return False
        if other == o or s.things[other].holder < 0:
            continue
        if abs(s.things[other].x - s.things[o].x) <= COMPANY_NEAR and (
            abs(s.things[other].y - s.things[o].y) <= COMPANY_NEAR
        ):
            return True
    return False


@inlined
def rests_at_home(c: Chart, r: Record, a: int) -> bool:
    """Return whether a use is one for the night and the resident's home has an object for it."""
    return bool(r.home_place >= 0 and c.resting[a, r.home_place, 0] >= 0)


@kernel
def plan(c: Chart, s: Scene, r: Record, want: int, needs: int) -> Plan:
    """Return the cheapest plan for what a resident wants, among the eight nearest objects of each type.

    For a use that wakes before the shift, the objects at home are considered in place of the nearest ones:
    a resident that rested elsewhere would take the place of another one, which then would do the same. Ties
    go to the lower object number. Paid leisure that is wanted and possible takes precedence over any
    free one.

    Args:
        c: the world's constants.
        s: the instant.
        r: the resident; with ``bound_to``, no other object is considered.
        want: CARE, SHOP or SOCIALISE.
        needs: the needs to care or shop for, one bit each.
    """
    best, chosen, use = NO_PLAN
    limit = time_limit(c, s, r, want, needs)
    makes = to_make_for(c, r, want, needs)
    first, end = SERVE, FETCH
    if want == SHOP:
        first, end = MAKE, PAY
    elif want != CARE:
        first, end = PAY, NO_MORE
    for purpose in range(first, end):
        extra = MAKING if purpose == MAKE and want == CARE else 0
        wanted = needs
        if purpose == MAKE:
            wanted = makes
        elif purpose == FETCH:
            wanted = needs & ~makes
        for a in range(c.uses.shape[0]):
            if not suits(c, s, r, a, want, purpose, wanted):
                continue
            treat = purpose == SERVE and c.uses[a].treats & needs != 0
            at_home = rests_at_home(c, r, a)
            for k in range(c.resting.shape[2] if at_home else c.nearest.shape[3]):
                o = int(c.resting[a, r.home_place, k] if at_home else c.nearest[c.uses[a].type, r.y, r.x, k])
                if o < 0:
                    break
                if r.bound_to >= 0 and r.bound_to != o:
                    continue
                if want == SOCIALISE and s.things[o].wait > LEISURE_WAIT:
                    continue
                found = cost(c, s, r, o, a, limit - extra)
                if found < IMPOSSIBLE:
                    found += extra
                    if treat:
                        found -= min(TREAT_MOST, r.wallet // TREAT_MILLS)
                    elif want == SOCIALISE and has_company(c, s, r, o, c.uses[a].type):
                        found -= COMPANY
                if found < best or (found == best and found < IMPOSSIBLE and o < chosen):
                    best, chosen, use = found, o, a
        if purpose == PAY and chosen >= 0:
            break
    return best, chosen, use
