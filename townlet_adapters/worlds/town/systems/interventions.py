"""Changes to a town from outside in phase 1, by tests and by commands."""

from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record, Records, record
from townlet_adapters.worlds.town.codes import (
    ARRIVED_CONSOLE,
    BLOCKED_TILE,
    CANCEL,
    CLOSE_OBJECT,
    EFFECT_CLOSED,
    EFFECT_OFF,
    EFFECT_SCALED,
    EXECUTED,
    EXIT_CAP,
    EXIT_KILLED,
    FORCE_CHAT,
    GONE,
    INTERRUPT,
    INTERRUPTED,
    MAX_NEEDS,
    MORTALITY,
    NO_EVENT,
    NO_EVENT_NUMBER,
    NO_REVIEW,
    NO_ROOM,
    NO_VACANCY,
    PERTURB,
    PRICE_EDIT,
    REMOVE,
    REVIEW,
    SCALE_PRICE,
    SET_EXITS,
    SET_NEED,
    SET_PRICE,
    SET_TIE,
    SPAWN,
    STAGE_RUNNING,
    SWITCH_UTILITY,
    TELEPORT,
    UNUSED,
    WHOLE_PRICE,
)
from townlet_adapters.worlds.town.compiled.state import Journal, Scratch, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import (
    affordances,
    chat,
    effects,
    employment,
    hook_requests,
    lifecycle,
    movement,
    perturbations,
    queues,
    residents,
    ties,
)

INTERVENTION = record(
    ("town", "i8"),
    ("what", "i8"),
    ("who", "i8"),
    *((name, "i8") for name in "abcdefghi"),
    *((name, "f8") for name in "xyz"),
    ("needs", "i8"),
    ("level", "f8", (MAX_NEEDS,)),
    ("serial", "i8"),
    ("answer", "i8"),
    ("event", "i8"),
)
"""One intervention: ``who`` is a slot, district, object or home tile; ``a`` to ``i`` and ``x`` to ``z``
depend on ``what``; ``needs`` has one bit for each need that a newcomer has at a ``level``; ``serial`` is that
of the resident that is meant, -1 for any in the slot, and becomes that of a newcomer. The kernel writes what
became of it into ``answer``, and the number of an event that it scheduled into ``event``."""


@kernel
def change_effects(t: Tables, s: TownState, j: Journal, b: int, order: Record, now: int) -> int:
    """Switch a utility, close or open an object, or set or scale a price; returns the answer."""
    if order.what == SET_PRICE:
        effects.set_base(s, b, order.who, order.a, order.b)
        perturbations.record_price(s, j, b, order.who, order.a, PRICE_EDIT)
        return EXECUTED
    kind, key, scale, imposed = EFFECT_OFF, order.a, 0, order.b == 0
    if order.what == CLOSE_OBJECT:
        kind, key, imposed = EFFECT_CLOSED, 0, order.a != 0
    elif order.what == SCALE_PRICE:
        kind, scale, imposed = EFFECT_SCALED, order.b, order.b != WHOLE_PRICE
    if not imposed:
        effects.lift(s, b, kind, order.who, key, order.c)
    elif not effects.impose(s, b, kind, order.who, key, scale, order.d, order.c):
        return NO_ROOM
    elif kind == EFFECT_CLOSED:
        queues.dismiss(t, s, j, b, order.who, now)
    return EXECUTED


@kernel
def spawn(t: Tables, s: TownState, j: Journal, w: Scratch, b: int, order: Record) -> int:
    """Create a resident; what the order leaves at 0 is as the rules say. Returns the answer."""
    job = order.e - 1
    if job >= 0 and s.job_holders[b, job] >= t.jobs[job].capacity:
        return NO_VACANCY
    home = order.who if order.who >= 0 else lifecycle.quietest_home(t, s, b, order.f - 1)
    x, y = t.homes[home].x, t.homes[home].y
    if order.a > 0:
        x, y = order.a - 1, order.b - 1
        if not movement.is_free(t, s, b, x, y):
            return BLOCKED_TILE
    serial = s.towns[b].next_serial
    answer = residents.admit(t, s, j, w, b, home, x, y, ARRIVED_CONSOLE, order.c - 1, order.d - 1, job)
    if answer == EXECUTED:
        order.serial = serial
        r = s.residents[b, s.roster[b, s.towns[b].population - 1]]
        for n in range(t.params[0].needs):
            if order.needs >> n & 1:
                r.need[n] = order.level[n]
    return answer


@kernel
def set_exits(s: TownState, b: int, order: Record) -> int:
    """Set whether residents leave by themselves, how many a day, or how far apart; returns the answer."""
    town = s.towns[b]
    if order.who == MORTALITY:
        town.mortality = order.a
    elif order.who == EXIT_CAP:
        town.exit_cap = order.a
    else:
        town.exit_spacing = order.a
    return EXECUTED


@inlined
def is_gone(s: TownState, b: int, i: int, serial: int) -> bool:
    """Return whether a slot is empty, or its resident leaves in this tick or is not the one that is meant."""
    r = s.residents[b, i]
    return not r.alive or r.leaving > 0 or (serial >= 0 and r.serial != serial)


@kernel
def bring_together(t: Tables, s: TownState, j: Journal, b: int, order: Record, now: int) -> int:
    """Make two residents chat, or set what they make of each other; returns the answer."""
    one, two = order.who, order.a
    if is_gone(s, b, two, order.b - 1):
        return GONE
    if order.what == FORCE_CHAT:
        return chat.force(t, s, j, b, one, two, order.x, now)
    ties.put(t, s, j, b, one, two, order.c, order.x, order.y, order.z, now)
    if order.d != 0:
        ties.put(t, s, j, b, two, one, order.c, order.x, order.y, order.z, now)
    return EXECUTED


@kernel
def intervene(t: Tables, s: TownState, j: Journal, w: Scratch, b: int, order: Record, now: int) -> bool:
    """Execute one intervention and write its answer; an impossible one changes nothing.

    Returns:
        Whether it is done; if not, a hook must be called first.
    """
    c = w.cursor[0]
    order.answer = EXECUTED
    what = order.what
    if what == SWITCH_UTILITY or what == CLOSE_OBJECT or what == SET_PRICE or what == SCALE_PRICE:
        order.answer = change_effects(t, s, j, b, order, now)
        return True
    if what == PERTURB:
        order.event = perturbations.schedule(t, s, j, b, order, now)
        order.answer = EXECUTED if order.event != NO_EVENT_NUMBER else NO_ROOM
        return True
    if what == CANCEL:
        order.answer = EXECUTED if perturbations.cancel(t, s, j, b, order.a) else NO_EVENT
        return True
    if order.what == SPAWN:
        order.answer = spawn(t, s, j, w, b, order)
        return True
    if order.what == SET_EXITS:
        order.answer = set_exits(s, b, order)
        return True
    r = s.residents[b, order.who]
    if is_gone(s, b, order.who, order.serial):
        order.answer = GONE
    elif order.what == FORCE_CHAT or order.what == SET_TIE:
        order.answer = bring_together(t, s, j, b, order, now)
    elif order.what == REMOVE:
        lifecycle.mark(s, b, order.who, EXIT_KILLED, order.a != 0)
    elif order.what == REVIEW:
        if not employment.settle_review(t, s, j, b, order.who, order.a != 0, now):
            order.answer = NO_REVIEW
    elif order.what == SET_NEED:
        r.need[order.a] = min(1.0, max(0.0, order.x))
        residents.reset_context(r)
    elif order.what == TELEPORT:
        if c.asked == 0 and not movement.teleport(t, s, j, b, order.who, order.a, order.b):
            order.answer = BLOCKED_TILE
            return True
        if not affordances.end_claim(t, s, j, c, b, order.who, INTERRUPTED, now):
            return False
        residents.reset_context(r)
    elif order.what == INTERRUPT:
        idle = order.a != 0
        if not (idle and r.claim_stage == STAGE_RUNNING):
            if not affordances.end_claim(t, s, j, c, b, order.who, UNUSED if idle else INTERRUPTED, now):
                return False
        residents.reset_context(r)
    return True


@kernel
def intervene_all(t: Tables, s: TownState, j: Journal, w: Scratch, b: int, orders: Records, now: int) -> bool:
    """Phase 1: this town's interventions in the order of acceptance; True when a hook must be called."""
    c = w.cursor[0]
    for k in range(c.entity, orders.shape[0]):
        if orders[k].town == b:
            if not intervene(t, s, j, w, b, orders[k], now):
                c.entity = k
                return True
            hook_requests.pass_on(c)
    return False
