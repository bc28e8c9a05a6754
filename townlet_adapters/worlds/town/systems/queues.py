"""Claims on objects: holding, waiting, fairness, time-outs (domain.md, section 9).

A resident holds at most one claim; an object has at most one holder; a running use implies holding.
"""

from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.fields import steps_to
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    CLOSED,
    EV_GRANT,
    EV_HANDOVER,
    EV_JOIN,
    EV_LEAVE,
    GHOST_STEP,
    IMPATIENCE,
    NO_STAGE,
    NOBODY,
    POWER,
    QUEUE_POLITE,
    STAGE_HELD,
    STAGE_QUEUED,
    TIMEOUT,
    TOO_FAR,
    WATER,
)
from townlet_adapters.worlds.town.compiled.state import Journal, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import conflicts, journal, ties

IMPATIENT_TIMES = 3
POSITION_WEIGHT = 0.05
POLITE_TRUST, POLITE_FAMILIARITY, POLITE_RIVALRY = 0.05, 0.05, -0.05


@inlined
def is_working(t: Tables, s: TownState, b: int, o: int) -> bool:
    """Return whether every utility of the object's type is on in its district."""
    placed = t.objects[o]
    district = s.districts[b, placed.district]
    power = placed.utilities[POWER] == 0 or district.utility[POWER] != 0
    water = placed.utilities[WATER] == 0 or district.utility[WATER] != 0
    return power and water


@inlined
def set_holder(t: Tables, s: TownState, b: int, o: int, i: int) -> None:
    """Set the holder of the object to a slot, or to none (-1)."""
    margin = t.params[0].margin
    s.objects[b, o].holder = i
    s.reserved[b, t.objects[o].y + margin, t.objects[o].x + margin] = i >= 0


@inlined
def clear_claim(r: Record) -> None:
    """Clear the resident's claim."""
    r.claim_object = NOBODY
    r.claim_affordance = NOBODY
    r.claim_stage = NO_STAGE
    r.drop = 0


@kernel
def hold(t: Tables, s: TownState, b: int, o: int, i: int, now: int) -> None:
    """Make a resident the holder; its claim already has object and affordance."""
    r = s.residents[b, i]
    held = s.objects[b, o]
    set_holder(t, s, b, o, i)
    held.affordance = r.claim_affordance
    held.granted = now
    held.eta = steps_to(t.field_steps, t.fields, o, r.x, r.y)
    held.stall = 0
    r.claim_stage = STAGE_HELD


@inlined
def is_cooling_down(s: TownState, b: int, i: int, o: int, now: int) -> bool:
    """Return whether a resident may not start a use of an object yet."""
    for k in range(s.cooldowns.shape[2]):
        if s.cooldowns[b, i, k, 1] <= now:
            return False
        if s.cooldowns[b, i, k, 0] == o:
            return True
    return False


@kernel
def lift_cooldown(s: TownState, b: int, i: int, o: int) -> None:
    """End the cool-down of a pair, if there is one."""
    listed = s.cooldowns[b, i]
    kept = 0
    for k in range(listed.shape[0]):
        if listed[k, 0] != o or listed[k, 1] == 0:
            listed[kept, 0], listed[kept, 1] = listed[k, 0], listed[k, 1]
            kept += 1
    for k in range(kept, listed.shape[0]):
        listed[k, 0], listed[k, 1] = 0, 0


@kernel
def cool_down(s: TownState, b: int, i: int, o: int, tick: int) -> None:
    """Add a cool-down for a pair that has none; the one that ends first makes room for it."""
    listed = s.cooldowns[b, i]
    k = listed.shape[0] - 1
    while k > 0 and listed[k - 1, 1] < tick:
        listed[k, 0], listed[k, 1] = listed[k - 1, 0], listed[k - 1, 1]
        k -= 1
    listed[k, 0], listed[k, 1] = o, tick


@kernel
def take_from_queue(s: TownState, b: int, o: int, index: int) -> int:
    """Remove the entry at an index and return its slot."""
    queued = s.objects[b, o]
    before, i = NOBODY, queued.first
    for _ in range(index):
        before, i = i, s.residents[b, i].behind
    if before < 0:
        queued.first = s.residents[b, i].behind
    else:
        s.residents[b, before].behind = s.residents[b, i].behind
    s.residents[b, i].behind = NOBODY
    queued.queue_length -= 1
    return i


@kernel
def append_to_queue(s: TownState, b: int, o: int, i: int, now: int) -> None:
    """Put a resident at the tail; its claim already has object and affordance."""
    r = s.residents[b, i]
    queued = s.objects[b, o]
    if queued.queue_length == 0:
        queued.first = i
    else:
        last = queued.first
        while s.residents[b, last].behind >= 0:
            last = s.residents[b, last].behind
        s.residents[b, last].behind = i
    queued.queue_length += 1
    r.claim_stage = STAGE_QUEUED
    r.joined = now


@inlined
def index_in_queue(s: TownState, b: int, o: int, i: int) -> int:
    """Return a resident's place in a queue; it must be in it."""
    index, waiting = 0, s.objects[b, o].first
    while waiting != i:
        index, waiting = index + 1, s.residents[b, waiting].behind
    return index


@kernel
def grant_from_queue(t: Tables, s: TownState, j: Journal, b: int, o: int, index: int, now: int) -> None:
    """Give the object to the entry at an index."""
    i = take_from_queue(s, b, o, index)
    hold(t, s, b, o, i, now)
    r = s.residents[b, i]
    journal.write(j, b, EV_GRANT, r.serial, o, r.claim_affordance, 0, now - r.joined, 0, 0)


@kernel
def assign(t: Tables, s: TownState, j: Journal, b: int, o: int, now: int) -> None:
    """Give a free, open object to the entry that minimises index - age_weight * waited."""
    free = s.objects[b, o]
    if free.holder >= 0 or free.closed or free.queue_length == 0:
        return
    weight = t.params[0].age_weight
    best, best_score = 0, 0.0
    i = free.first
    for index in range(free.queue_length):
        waited = now - s.residents[b, i].joined
        i = s.residents[b, i].behind
        score = index - weight * waited
        if index == 0 or score < best_score:
            best, best_score = index, score
    grant_from_queue(t, s, j, b, o, best, now)


@kernel
def best_handover(t: Tables, s: TownState, b: int, o: int, finisher: int, now: int) -> int:
    """Return the waiting resident that the finisher likes best, as an index; -1 without one, or too soon.

    A resident that has waited longer than ``handover_max_age`` is not passed over: residents behind it
    are not considered.
    """
    queued = s.objects[b, o]
    if now - queued.last_handover < t.params[0].handover_spacing:
        return -1
    best, best_score = -1, 0.0
    i = queued.first
    for index in range(queued.queue_length):
        score = ties.regard(s, b, finisher, i) - POSITION_WEIGHT * index
        if score > best_score:
            best, best_score = index, score
        if now - s.residents[b, i].joined > t.params[0].handover_max_age:
            break
        i = s.residents[b, i].behind
    return best


@kernel
def hand_over(t: Tables, s: TownState, j: Journal, b: int, o: int, i: int, index: int, now: int) -> None:
    """Pass a freed object from the one who finished to the entry at an index; both remember the courtesy."""
    freed = s.objects[b, o]
    freed.last_handover = now
    chosen = freed.first
    for _ in range(index):
        chosen = s.residents[b, chosen].behind
    journal.write(j, b, EV_HANDOVER, s.residents[b, i].serial, o, -1, 0, index, 0, 0)
    if journal.is_kept(j, b):
        journal.last(j, b).other = s.residents[b, chosen].serial
    ties.change(t, s, j, b, i, chosen, POLITE_TRUST, POLITE_FAMILIARITY, POLITE_RIVALRY, QUEUE_POLITE, now)
    grant_from_queue(t, s, j, b, o, index, now)


@kernel
def release(t: Tables, s: TownState, j: Journal, b: int, o: int, now: int, success: bool) -> None:
    """Take the object from its holder and pass it on.

    After a success the pair's cool-down starts and the finisher may choose its successor; after a failure
    the pair's cool-down ends.
    """
    freed = s.objects[b, o]
    i = freed.holder
    r = s.residents[b, i]
    set_holder(t, s, b, o, NOBODY)
    freed.affordance = NOBODY
    freed.running = False
    freed.stall = 0
    clear_claim(r)
    lift_cooldown(s, b, i, o)
    if success:
        cool_down(s, b, i, o, now + t.params[0].cooldown_ticks)
    if success and not freed.closed:
        index = best_handover(t, s, b, o, i, now)
        if index >= 0:
            hand_over(t, s, j, b, o, i, index, now)
            return
    assign(t, s, j, b, o, now)


@kernel
def leave(t: Tables, s: TownState, j: Journal, b: int, i: int, reason: int, now: int) -> None:
    """End a claim that is queued or held but not running, and record the reason."""
    r = s.residents[b, i]
    o = r.claim_object
    journal.write(j, b, EV_LEAVE, r.serial, o, r.claim_affordance, reason, now - r.joined, 0, 0)
    if r.claim_stage == STAGE_QUEUED:
        take_from_queue(s, b, o, index_in_queue(s, b, o, i))
        clear_claim(r)
    else:
        release(t, s, j, b, o, now, False)


@kernel
def join(t: Tables, s: TownState, j: Journal, b: int, i: int, o: int, a: int, now: int) -> None:
    """Join the queue of an object that has a holder or a queue."""
    r = s.residents[b, i]
    r.claim_object = o
    r.claim_affordance = a
    append_to_queue(s, b, o, i, now)
    journal.write(j, b, EV_JOIN, r.serial, o, a, 0, s.objects[b, o].queue_length - 1, 0, 0)
    assign(t, s, j, b, o, now)


@kernel
def make_way(t: Tables, s: TownState, j: Journal, b: int, o: int, now: int) -> None:
    """Move an idle holder to the tail after it has stalled the queue for ``ghost_step_after`` ticks."""
    held = s.objects[b, o]
    stalling = held.queue_length > 0 and now > held.granted + held.eta
    held.stall = held.stall + 1 if stalling else 0
    limit = t.params[0].ghost_step_after
    if limit == 0 or held.stall < limit:
        return
    i = held.holder
    conflicts.conflict(t, s, j, b, i, held.first, o, GHOST_STEP, held.queue_length, now)
    set_holder(t, s, b, o, NOBODY)
    held.affordance = NOBODY
    held.stall = 0
    append_to_queue(s, b, o, i, now)
    assign(t, s, j, b, o, now)


@kernel
def time_out(t: Tables, s: TownState, j: Journal, b: int, o: int, now: int) -> None:
    """Take the hold from a holder that does not start in time."""
    held = s.objects[b, o]
    if now - held.granted >= held.eta + t.params[0].hold_ticks:
        leave(t, s, j, b, held.holder, TIMEOUT, now)


@kernel
def grow_impatient(t: Tables, s: TownState, j: Journal, b: int, o: int, now: int) -> None:
    """Record a conflict between a resident that waits for long and the holder."""
    held = s.objects[b, o]
    patience = t.params[0].patience_ticks
    i = held.first
    while i >= 0:
        waited = now - s.residents[b, i].joined
        if waited > 0 and waited % patience == 0 and waited <= IMPATIENT_TIMES * patience:
            conflicts.conflict(t, s, j, b, i, held.holder, o, IMPATIENCE, held.queue_length, now)
        i = s.residents[b, i].behind


@inlined
def is_far(t: Tables, r: Record, o: int) -> bool:
    """Return whether a resident is farther from its object than ``drop_distance``."""
    placed = t.objects[o]
    return max(abs(r.x - placed.x), abs(r.y - placed.y)) > t.params[0].drop_distance


@kernel
def drop_the_far(t: Tables, s: TownState, j: Journal, b: int, o: int, now: int) -> None:
    """End the claim of a resident that is queued or holds from afar for ``drop_ticks`` in a row."""
    claimed = s.objects[b, o]
    limit = t.params[0].drop_ticks
    following = claimed.first
    while following >= 0:
        i = following
        r = s.residents[b, i]
        following = r.behind
        r.drop = r.drop + 1 if is_far(t, r, o) else 0
        if r.drop >= limit:
            leave(t, s, j, b, i, TOO_FAR, now)
    if claimed.holder >= 0 and not claimed.running:
        r = s.residents[b, claimed.holder]
        r.drop = r.drop + 1 if is_far(t, r, o) else 0
        if r.drop >= limit:
            leave(t, s, j, b, claimed.holder, TOO_FAR, now)


@inlined
def upkeep(t: Tables, s: TownState, j: Journal, b: int, now: int) -> None:
    """Phase 5a, per object: stalls, time-outs, impatience, drops. A missing utility stops the first two."""
    for o in range(t.objects.shape[0]):
        claimed = s.objects[b, o]
        if claimed.holder < 0 and claimed.queue_length == 0:
            continue
        if claimed.holder >= 0 and not claimed.running:
            if is_working(t, s, b, o):
                make_way(t, s, j, b, o, now)
            else:
                claimed.stall = 0
                if claimed.granted < now:  # the tick of the grant does not count
                    claimed.granted += 1
        if claimed.holder >= 0 and not claimed.running and is_working(t, s, b, o):
            time_out(t, s, j, b, o, now)
        if claimed.holder >= 0 and claimed.queue_length > 0:
            grow_impatient(t, s, j, b, o, now)
        drop_the_far(t, s, j, b, o, now)


@inlined
def grant_free_objects(t: Tables, s: TownState, j: Journal, b: int, now: int) -> None:
    """Phase 5c: give every free object with a queue to a waiting resident."""
    for o in range(t.objects.shape[0]):
        if s.objects[b, o].queue_length > 0:
            assign(t, s, j, b, o, now)


@kernel
def expected_wait(t: Tables, s: TownState, b: int, o: int) -> int:
    """Return the ticks until a resident that joins now would be served (domain.md, section 6.2)."""
    busy = s.objects[b, o]
    wait = 0
    if busy.running:
        wait += busy.remaining
    elif busy.holder >= 0:
        wait += t.affordances[busy.affordance].duration
    i = busy.first
    for _ in range(busy.queue_length):
        wait += t.affordances[s.residents[b, i].claim_affordance].duration
        i = s.residents[b, i].behind
    return wait


@kernel
def dismiss(t: Tables, s: TownState, j: Journal, b: int, o: int, now: int) -> None:
    """Dismiss the queue and an idle holder of an object that was closed; a running use finishes."""
    target = s.objects[b, o]
    while target.queue_length > 0:
        leave(t, s, j, b, s.objects[b, o].first, CLOSED, now)
    if target.holder >= 0 and not target.running:
        leave(t, s, j, b, target.holder, CLOSED, now)
