"""Requests to affordance hooks, which are Python and cannot run in compiled code (domain.md, section 8.5).

A phase that reaches a hook leaves the kernel: it writes its request and the current entity into the cursor
and returns. Python calls the hook, writes the answer, and calls the kernel again, which resumes at the same
entity. Before the request, the phase has only read the state. So it repeats its checks with the same result,
and passes the request, because the cursor says that the hook was called. A phase that must change the state
before the request (the effects of a finished use, the refund of a failed one) does so when the cursor says
that no hook was called yet.
"""

from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    ASKING,
    BEFORE,
    HOOK_CANCELLED,
    OK,
    PLUGIN,
)
from townlet_adapters.worlds.town.compiled.state import Journal, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import company, economy


@inlined
def ask(t: Tables, c: Record, stage: int, i: int, o: int, a: int, reason: int, paid: int) -> bool:
    """Return whether a hook must be called now; the cursor then holds the request."""
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
    """Return the before-hooks' decision about a use that passed all checks; ``ASKING`` to call them first."""
    if ask(t, c, BEFORE, i, o, a, OK, 0):
        return ASKING
    return HOOK_CANCELLED if c.cancelled else OK


@inlined
def pass_on(c: Record) -> None:
    """Discard the answers for the current entity, so that the next one starts anew."""
    if c.asked != 0:
        c.asked = 0
        c.cancelled = False


@inlined
def enter(c: Record, phase: int) -> None:
    """Begin a phase at its first entity."""
    c.phase = phase
    c.entity = 0


@kernel
def apply_granted(t: Tables, s: TownState, j: Journal, c: Record, b: int, i: int, o: int, now: int) -> None:
    """Needs, stock, inventory, money, ties: apply the effects of after-hooks, within the same bounds."""
    r = s.residents[b, i]
    used = s.objects[b, o]
    for n in range(t.params[0].needs):
        r.need[n] = min(1.0, max(0.0, r.need[n] + c.need[n]))
    for item in range(t.params[0].items):
        used.stock[item] = min(t.objects[o].capacity[item], max(0, used.stock[item] + c.stock[item]))
        r.inventory[item] = min(t.params[0].carry[item], max(0, r.inventory[item] + c.inventory[item]))
    if c.money != 0:
        economy.grant_hook(s, b, i, c.money)
    company.meet(t, s, j, b, i, c.trust, c.familiarity, c.rivalry, PLUGIN, now)
