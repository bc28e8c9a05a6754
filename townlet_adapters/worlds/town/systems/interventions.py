"""Changes to a town from outside in phase 1, by tests and by commands."""

from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.kernels.records import Record, Records, record
from townlet_adapters.worlds.town.codes import (
    ARRIVED_CONSOLE,
    BLOCKED_TILE,
    CLOSE_OBJECT,
    CLOSED,
    EFFECT_CLOSED,
    EFFECT_OFF,
    EFFECT_SCALED,
    EXECUTED,
    EXIT_KILLED,
    GONE,
    INTERRUPT,
    INTERRUPTED,
    NO_ROOM,
    REMOVE,
    SCALE_PRICE,
    SET_NEED,
    SET_PRICE,
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
    effects,
    hook_requests,
    movement,
    queues,
    residents,
)

INTERVENTION = record(
    ("town", "i8"),
    ("what", "i8"),
    ("who", "i8"),
    *((name, "i8") for name in "abcdef"),
    *((name, "f8") for name in "xyz"),
    ("serial", "i8"),
    ("answer", "i8"),
)
"""One intervention: ``who`` is a slot, district, object or home tile; ``a`` to ``f`` and ``x`` to ``z``
depend on ``what``; ``serial`` is that of the resident that is meant, -1 for any in the slot; the
kernel writes what became of it into ``answer``."""


@kernel
def reset_context(r: Record) -> None:
    """Make the policy discard its plan for a resident."""
    r.ctx_reset = True
    r.option = -1
    r.goal = -1
    r.commit = 0


@kernel
def dismiss(t: Tables, s: TownState, j: Journal, b: int, o: int, now: int) -> None:
    """Dismiss the queue and an idle holder of an object that was closed; a running use finishes."""
    target = s.objects[b, o]
    while target.queue_length > 0:
        queues.leave(t, s, j, b, s.objects[b, o].first, CLOSED, now)
    if target.holder >= 0 and not target.running:
        queues.leave(t, s, j, b, target.holder, CLOSED, now)


@kernel
def change_effects(t: Tables, s: TownState, j: Journal, b: int, order: Record, now: int) -> int:
    """Switch a utility, close or open an object, or set or scale a price; returns the answer."""
    if order.what == SET_PRICE:
        effects.set_base(s, b, order.who, order.a, order.b)
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
        dismiss(t, s, j, b, order.who, now)
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
    if order.what == SPAWN:
        order.answer = residents.admit(t, s, j, w, b, order.who, ARRIVED_CONSOLE)
        return True
    r = s.residents[b, order.who]
    if not r.alive or (order.serial >= 0 and r.serial != order.serial):
        order.answer = GONE
    elif order.what == REMOVE:
        return residents.remove(t, s, j, w, b, order.who, EXIT_KILLED, now)
    elif order.what == SET_NEED:
        r.need[order.a] = min(1.0, max(0.0, order.x))
        reset_context(r)
    elif order.what == TELEPORT:
        if c.asked == 0 and not movement.teleport(t, s, j, b, order.who, order.a, order.b):
            order.answer = BLOCKED_TILE
            return True
        if not affordances.end_claim(t, s, j, c, b, order.who, INTERRUPTED, now):
            return False
        reset_context(r)
    elif order.what == INTERRUPT:
        idle = order.a != 0
        if not (idle and r.claim_stage == STAGE_RUNNING):
            if not affordances.end_claim(t, s, j, c, b, order.who, UNUSED if idle else INTERRUPTED, now):
                return False
        reset_context(r)
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
