"""Changes to a town from outside in phase 1, by tests and by commands."""

from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.kernels.records import Record, Records, record
from townlet_adapters.worlds.town.codes import (
    ARRIVED_CONSOLE,
    BLOCKED_TILE,
    CLOSE_OBJECT,
    CLOSED,
    EXECUTED,
    EXIT_KILLED,
    GONE,
    INTERRUPTED,
    REMOVE,
    SET_NEED,
    SPAWN,
    SWITCH_UTILITY,
    TELEPORT,
)
from townlet_adapters.worlds.town.compiled.state import Journal, Scratch, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import affordances, hook_requests, movement, queues, residents

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
def close_object(t: Tables, s: TownState, j: Journal, b: int, o: int, closed: bool, now: int) -> None:
    """Close an object, dismissing its queue and an idle holder while a running use finishes; or open it."""
    target = s.objects[b, o]
    target.closed = closed
    if not closed:
        return
    while target.queue_length > 0:
        queues.leave(t, s, j, b, s.objects[b, o].first, CLOSED, now)
    if target.holder >= 0 and not target.running:
        queues.leave(t, s, j, b, target.holder, CLOSED, now)


@kernel
def intervene(t: Tables, s: TownState, j: Journal, w: Scratch, b: int, order: Record, now: int) -> bool:
    """Execute one intervention and write its answer; an impossible one changes nothing.

    Returns:
        Whether it is done; if not, a hook must be called first.
    """
    c = w.cursor[0]
    order.answer = EXECUTED
    if order.what == SWITCH_UTILITY:
        s.districts[b, order.who].utility[order.a] = order.b
        return True
    if order.what == CLOSE_OBJECT:
        close_object(t, s, j, b, order.who, order.a != 0, now)
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
