"""Asking affordance hooks, which are Python and so lie outside compiled code (DOMAIN section 8.5).

A phase that comes to a hook leaves the kernel: it writes its question and the entity it stands at into the
cursor and returns. Python asks, writes the answer, and calls the kernel again, which goes back to the very
entity. Up to the question it only looked; so it looks again, finds everything as it was, and passes the
question, since the cursor says that it was asked. What must be done before the question (a finished use has
had its effects, a failed one its refund) is done by whoever finds that nothing was asked yet.
"""

from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    ASKING,
    BEFORE,
    HOOK_CANCELLED,
    INVENTORY_LIMITS,
    ITEMS,
    NEEDS,
    OK,
)
from townlet_adapters.worlds.town.state import TownState
from townlet_adapters.worlds.town.systems import economy
from townlet_adapters.worlds.town.tables import Tables

_ITEMS = len(ITEMS)
_NEEDS = len(NEEDS)


@inlined
def ask(t: Tables, c: Record, stage: int, i: int, o: int, a: int, reason: int, paid: int) -> bool:
    """Tell whether a hook must be asked now; the cursor then holds the question."""
    if t.affordances[a].hooked[stage] == 0 or c.asked >= stage:
        return False
    c.stage = stage
    c.slot = i
    c.object = o
    c.affordance = a
    c.reason = reason
    c.paid = paid
    return True


@inlined
def consent(t: Tables, c: Record, i: int, o: int, a: int) -> int:
    """Say whether before-hooks let a use start that no check forbids; ``ASKING`` when they must be asked."""
    if ask(t, c, BEFORE, i, o, a, OK, 0):
        return ASKING
    return HOOK_CANCELLED if c.cancelled else OK


@inlined
def pass_on(c: Record) -> None:
    """Forget the answers that the entity got: the next one asks anew."""
    if c.asked != 0:
        c.asked = 0
        c.cancelled = False


@inlined
def enter(c: Record, phase: int) -> None:
    """Begin a phase at its first entity."""
    c.phase = phase
    c.entity = 0


@kernel
def apply_granted(t: Tables, s: TownState, c: Record, b: int, i: int, o: int) -> None:
    """Needs, stock, inventory, money: what after-hooks add to the effects, within the same bounds."""
    r = s.residents[b, i]
    used = s.objects[b, o]
    for n in range(_NEEDS):
        r.need[n] = min(1.0, max(0.0, r.need[n] + c.need[n]))
    for item in range(_ITEMS):
        used.stock[item] = min(t.objects[o].capacity[item], max(0, used.stock[item] + c.stock[item]))
        r.inventory[item] = min(INVENTORY_LIMITS[item], max(0, r.inventory[item] + c.inventory[item]))
    if c.money != 0:
        economy.grant_hook(s, b, i, c.money)
