"""Uses of objects: checks, charge, progress, completion, failure (domain.md, sections 6.2 and 8)."""

from townlet_adapters.kernels.clock import since
from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    AFTER,
    ASKING,
    BAD_TARGET,
    BUSY,
    CLOSED,
    COOLDOWN,
    EV_FAIL,
    EV_FINISH,
    EV_START,
    FAILED,
    INSUFFICIENT_FUNDS,
    INSUFFICIENT_ITEMS,
    INSUFFICIENT_STOCK,
    INVENTORY_FULL,
    NEARBY,
    NOBODY,
    OK,
    PRECONDITION_FAILED,
    QUEUED,
    RUNNING,
    STAGE_HELD,
    STAGE_QUEUED,
    STAGE_RUNNING,
    TOO_FAR,
    UTILITY_LOST,
    UTILITY_OFF,
    WAITING,
)
from townlet_adapters.worlds.town.compiled.state import Journal, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import (
    company,
    economy,
    hook_requests,
    journal,
    preconditions,
    queues,
)


@inlined
def in_reach(t: Tables, x: int, y: int, o: int) -> bool:
    """Return whether a tile is within one step (also diagonally) of an object and in the same place."""
    placed = t.objects[o]
    return abs(placed.x - x) <= 1 and abs(placed.y - y) <= 1 and t.place_at[y, x] == placed.place


@inlined
def money_due(t: Tables, s: TownState, b: int, o: int, a: int, alternative: int) -> int:
    """Price of one charge alternative at an object, in mills."""
    if not t.charges[a, alternative].priced:
        return 0
    placed = t.objects[o]
    due = 0
    for item in range(t.charge_price.shape[2]):
        quantity = t.charge_price[a, alternative, item]
        if quantity > 0:
            due += quantity * s.price[b, placed.district, t.price_key[placed.kind, item]].now
    return due


@inlined
def shortage(t: Tables, s: TownState, b: int, i: int, o: int, a: int, alternative: int) -> int:
    """Return what one charge alternative lacks: items, then stock, then funds; OK when it is payable."""
    charge = t.charges[a, alternative]
    r = s.residents[b, i]
    for item in range(t.params[0].items):
        if r.inventory[item] < charge.inventory[item]:
            return INSUFFICIENT_ITEMS
    for item in range(t.params[0].items):
        if s.objects[b, o].stock[item] < charge.stock[item]:
            return INSUFFICIENT_STOCK
    if r.wallet < money_due(t, s, b, o, a, alternative):
        return INSUFFICIENT_FUNDS
    return OK


@inlined
def payable(t: Tables, s: TownState, b: int, i: int, o: int, a: int) -> int:
    """Number of the first payable alternative; if there is none, the negated lack of the last one."""
    lack = OK
    for alternative in range(t.affordances[a].alternatives):
        lack = shortage(t, s, b, i, o, a, alternative)
        if lack == OK:
            return alternative
    return -lack


@inlined
def fits(t: Tables, s: TownState, b: int, i: int, a: int) -> bool:
    """Return whether the products of the use fit the inventory."""
    r = s.residents[b, i]
    for item in range(t.params[0].items):
        gained = t.affordances[a].inventory[item]
        if gained > 0 and r.inventory[item] + gained > t.params[0].carry[item]:
            return False
    return True


@inlined
def check(t: Tables, s: TownState, b: int, i: int, o: int, a: int, now: int) -> int:
    """Return the first reason against a use, in the order of domain.md, section 6.3; OK without any."""
    if s.objects[b, o].closed:
        return CLOSED
    if queues.is_cooling_down(s, b, i, o, now):
        return COOLDOWN
    if not queues.is_working(t, s, b, o):
        return UTILITY_OFF
    alternative = payable(t, s, b, i, o, a)
    if t.affordances[a].conditions > 0:
        priced = alternative if alternative >= 0 else t.affordances[a].alternatives - 1
        due = money_due(t, s, b, o, a, priced)
        first, count = t.affordances[a].first_condition, t.affordances[a].conditions
        if not preconditions.hold_true(t, s, b, i, o, due, now, first, count):
            return PRECONDITION_FAILED
    if not fits(t, s, b, i, a):
        return INVENTORY_FULL
    return OK if alternative >= 0 else -alternative


@inlined
def needs_below(t: Tables, r: Record, level: float) -> int:
    """Return the needs below a level, one bit for each."""
    low = 0
    for n in range(t.params[0].needs):
        if r.need[n] < level:
            low |= 1 << n
    return low


@kernel
def start(t: Tables, s: TownState, j: Journal, b: int, i: int, o: int, a: int, now: int) -> None:
    """Charge the holder and start the use; ``check`` returned OK before."""
    alternative = payable(t, s, b, i, o, a)
    charge = t.charges[a, alternative]
    due = money_due(t, s, b, o, a, alternative)
    r = s.residents[b, i]
    used = s.objects[b, o]
    for item in range(t.params[0].items):
        r.inventory[item] -= charge.inventory[item]
        used.stock[item] -= charge.stock[item]
    if due > 0:
        economy.purchase(t, s, b, i, t.objects[o].place, due)
    used.running = True
    used.affordance = a
    used.alternative = alternative
    used.paid = due
    used.started = now
    used.remaining = t.affordances[a].duration
    used.low = needs_below(t, r, t.affordances[a].wakes_below)
    r.claim_stage = STAGE_RUNNING
    journal.write(j, b, EV_START, r.serial, o, a, 0, used.remaining, due, alternative)


@kernel
def refuse(
    t: Tables, s: TownState, j: Journal, c: Record, b: int, i: int, o: int, a: int, reason: int
) -> int:
    """Record a use that could not start; returns the reason."""
    if hook_requests.ask(t, c, FAILED, i, o, a, reason, 0):
        return ASKING
    journal.write(j, b, EV_FAIL, s.residents[b, i].serial, o, a, reason, 0, 0, 0)
    return reason


@kernel
def start_held(t: Tables, s: TownState, j: Journal, c: Record, b: int, i: int, now: int) -> int:
    """Start the use of the object that the resident holds; a failed check ends the claim."""
    r = s.residents[b, i]
    o, a = r.claim_object, r.claim_affordance
    if not queues.is_working(t, s, b, o):
        return WAITING
    reason = check(t, s, b, i, o, a, now)
    if reason == OK:
        reason = hook_requests.consent(t, c, i, o, a)
    if reason != OK and reason != ASKING:
        reason = refuse(t, s, j, c, b, i, o, a, reason)
    if reason == ASKING:
        return ASKING
    if reason != OK:
        queues.release(t, s, j, b, o, now, False)
        return reason
    start(t, s, j, b, i, o, a, now)
    return OK


@inlined
def offers(t: Tables, o: int, a: int) -> bool:
    """Return whether a number is that of an object with this affordance."""
    return 0 <= o < t.objects.shape[0] and t.objects[o].type == t.affordances[a].type


@inlined
def continue_claim(
    t: Tables, s: TownState, j: Journal, c: Record, b: int, i: int, target: int, now: int
) -> int:
    """``use`` by a resident that has a claim on this affordance."""
    r = s.residents[b, i]
    if r.claim_stage != STAGE_RUNNING and not in_reach(t, r.x, r.y, r.claim_object):
        return TOO_FAR
    if target >= 0 and target != r.claim_object:
        return BUSY
    if r.claim_stage == STAGE_RUNNING:
        return RUNNING
    if r.claim_stage == STAGE_QUEUED:
        return QUEUED
    return start_held(t, s, j, c, b, i, now)


@kernel
def choose_object(t: Tables, s: TownState, b: int, i: int, a: int, now: int) -> int:
    """Choose among the objects in reach: usable, free, shortest wait, lowest number.

    If none is usable, return the first of the type in reach, so that the failure has an object; -1 if there
    is none of the type.
    """
    r = s.residents[b, i]
    tile = r.y * t.passable.shape[1] + r.x
    fallback, best = -1, -1
    best_busy, best_wait = 0, 0
    for k in range(t.reach_start[tile], t.reach_start[tile + 1]):
        o = t.reach[k]
        if t.objects[o].type != t.affordances[a].type:
            continue
        if fallback < 0:
            fallback = o
        if check(t, s, b, i, o, a, now) != OK:
            continue
        busy = 1 if s.objects[b, o].holder >= 0 or s.objects[b, o].queue_length > 0 else 0
        wait = queues.expected_wait(t, s, b, o)
        if best < 0 or busy < best_busy or (busy == best_busy and wait < best_wait):
            best, best_busy, best_wait = o, busy, wait
    return best if best >= 0 else fallback


@kernel
def begin_claim(
    t: Tables, s: TownState, j: Journal, c: Record, b: int, i: int, a: int, target: int, now: int
) -> int:
    """``use`` by a resident without a claim: start at once at a free object, else join the queue."""
    r = s.residents[b, i]
    o = target
    if target >= 0:
        if not in_reach(t, r.x, r.y, target):
            return TOO_FAR
    else:
        o = choose_object(t, s, b, i, a, now)
        if o < 0:
            return TOO_FAR
    taken = s.objects[b, o].holder >= 0 or s.objects[b, o].queue_length > 0
    reason = check(t, s, b, i, o, a, now)
    if reason == OK and not taken:
        reason = hook_requests.consent(t, c, i, o, a)
    if reason == ASKING:
        return ASKING
    if reason != OK:
        return refuse(t, s, j, c, b, i, o, a, reason)
    if taken:
        queues.join(t, s, j, b, i, o, a, now)
        return QUEUED
    r.claim_object = o
    r.claim_affordance = a
    r.joined = now
    queues.hold(t, s, b, o, i, now)
    start(t, s, j, b, i, o, a, now)
    return OK


@inlined
def use(t: Tables, s: TownState, j: Journal, c: Record, b: int, i: int, a: int, target: int, now: int) -> int:
    """Resolve ``use:<id>`` and return its result (domain.md, section 6.2)."""
    r = s.residents[b, i]
    if target != NOBODY and not offers(t, target, a):
        return BAD_TARGET
    if r.claim_object < 0:
        return begin_claim(t, s, j, c, b, i, a, target, now)
    if r.claim_affordance != a:
        return BUSY
    return continue_claim(t, s, j, c, b, i, target, now)


@kernel
def remember(s: TownState, b: int, i: int, o: int, a: int, reason: int, now: int, duration: int) -> None:
    """Store one outcome; the ring holds the last R of them, and only this line trims it."""
    r = s.residents[b, i]
    size = s.outcomes.shape[2]
    if size == 0:
        return
    line = s.outcomes[b, i, r.outcomes % size]
    line.tick = now
    line.object = o
    line.affordance = a
    line.reason = reason
    line.duration = duration
    r.outcomes += 1


@kernel
def refund(t: Tables, s: TownState, b: int, o: int) -> None:
    """Return exactly what a running use was charged."""
    used = s.objects[b, o]
    r = s.residents[b, used.holder]
    charge = t.charges[used.affordance, used.alternative]
    for item in range(t.params[0].items):
        r.inventory[item] += charge.inventory[item]
        used.stock[item] = min(t.objects[o].capacity[item], used.stock[item] + charge.stock[item])
    if used.paid > 0:
        economy.refund(t, s, b, used.holder, t.objects[o].place, used.paid)


@kernel
def fail(t: Tables, s: TownState, j: Journal, c: Record, b: int, o: int, reason: int, now: int) -> bool:
    """End a running use without effects: refund the charge, release the object.

    Returns:
        Whether it is done; if not, a hook must be called first.
    """
    used = s.objects[b, o]
    i, a = used.holder, used.affordance
    if c.asked == 0:
        refund(t, s, b, o)
        if hook_requests.ask(t, c, FAILED, i, o, a, reason, used.paid):
            return False
    progress = t.affordances[a].duration - used.remaining
    journal.write(j, b, EV_FAIL, s.residents[b, i].serial, o, a, reason, progress, used.paid, 0)
    remember(s, b, i, o, a, reason, now, progress)
    queues.release(t, s, j, b, o, now, False)
    return True


@kernel
def apply_effects(t: Tables, s: TownState, j: Journal, b: int, i: int, o: int, a: int, now: int) -> None:
    """Needs, stock, inventory, money, ties, in this order (domain.md, section 8.3)."""
    effects = t.affordances[a]
    r = s.residents[b, i]
    used = s.objects[b, o]
    for n in range(t.params[0].needs):
        r.need[n] = min(1.0, max(0.0, r.need[n] + effects.need[n]))
    for item in range(t.params[0].items):
        capacity = t.objects[o].capacity[item]
        used.stock[item] = min(capacity, max(0, used.stock[item] + effects.stock[item]))
        held = r.inventory[item] + effects.inventory[item]
        r.inventory[item] = min(t.params[0].carry[item], max(0, held))
    if effects.money > 0:
        economy.bonus(s, b, i, effects.money)
    company.meet(t, s, j, b, i, effects.trust, effects.familiarity, effects.rivalry, NEARBY, now)


@inlined
def is_woken(t: Tables, r: Record, a: int, low: int, now: int) -> bool:
    """Return whether a use ends early: its holder's shift is near, or a need fell too low since the start."""
    ends = t.affordances[a]
    if ends.wakes_before >= 0 and r.job >= 0:
        ahead = since(t.jobs[r.job].start - ends.wakes_before, now, t.params[0].start_tod)
        if ahead == 0:
            return True
    return ends.wakes_below > 0.0 and (needs_below(t, r, ends.wakes_below) & ~low) != 0


@inlined
def continue_use(t: Tables, s: TownState, b: int, o: int, now: int) -> bool:
    """One tick of a running use: apply its effects of each tick; returns whether the use is finished."""
    used = s.objects[b, o]
    i, a = used.holder, used.affordance
    r = s.residents[b, i]
    ends = t.affordances[a]
    used.remaining -= 1
    for n in range(t.params[0].needs):
        if ends.each_tick[n] != 0.0:
            r.need[n] = min(1.0, max(0.0, r.need[n] + ends.each_tick[n]))
    if used.remaining == 0 or is_woken(t, r, a, used.low, now):
        return True
    return ends.untils > 0 and preconditions.hold_true(
        t, s, b, i, o, used.paid, now, ends.first_until, ends.untils
    )


@inlined
def progress_uses(t: Tables, s: TownState, j: Journal, c: Record, b: int, now: int) -> bool:
    """Phase 5b: a use of d ticks started in tick t ends in t + d - 1, unless it ends early.

    Returns:
        True when a hook must be called.
    """
    for o in range(c.entity, t.objects.shape[0]):
        used = s.objects[b, o]
        if not used.running:
            continue
        i, a = used.holder, used.affordance
        if c.asked == 0:
            if not continue_use(t, s, b, o, now):
                continue
            apply_effects(t, s, j, b, i, o, a, now)
            if hook_requests.ask(t, c, AFTER, i, o, a, OK, used.paid):
                c.entity = o
                return True
        else:
            hook_requests.apply_granted(t, s, j, c, b, i, o, now)
            hook_requests.pass_on(c)
        company.share_meal(t, s, j, b, i, o, a, now)
        journal.write(j, b, EV_FINISH, s.residents[b, i].serial, o, a, OK, 0, 0, 0)
        remember(s, b, i, o, a, OK, now, t.affordances[a].duration - used.remaining)
        queues.release(t, s, j, b, o, now, True)
    return False


@inlined
def fail_where_utility_is_off(t: Tables, s: TownState, j: Journal, c: Record, b: int, now: int) -> bool:
    """Phase 3: running uses of objects without their utilities fail; True when a hook must be called."""
    for o in range(c.entity, t.objects.shape[0]):
        if s.objects[b, o].running and not queues.is_working(t, s, b, o):
            if not fail(t, s, j, c, b, o, UTILITY_LOST, now):
                c.entity = o
                return True
            hook_requests.pass_on(c)
    return False


@kernel
def end_claim(t: Tables, s: TownState, j: Journal, c: Record, b: int, i: int, reason: int, now: int) -> bool:
    """End any claim of a resident: a running use fails, a place in a queue or a hold is left.

    Returns:
        Whether it is done; if not, a hook must be called first.
    """
    r = s.residents[b, i]
    if r.claim_stage == STAGE_RUNNING:
        return fail(t, s, j, c, b, r.claim_object, reason, now)
    if r.claim_stage == STAGE_QUEUED or r.claim_stage == STAGE_HELD:
        queues.leave(t, s, j, b, i, reason, now)
    return True
