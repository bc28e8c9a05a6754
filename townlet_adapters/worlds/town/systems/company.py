"""What a use does between residents near each other: nearby effects, shared meals (domain.md, section 12)."""

from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.worlds.town.codes import EV_MEAL, SHARED_MEAL, STAGE_RUNNING
from townlet_adapters.worlds.town.compiled.state import Journal, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import journal, ties

NEAR = 2
MOST_NEAR = 2
"""Most residents with which one use changes ties."""
TOGETHER = 5
"""Ticks for which two residents must have eaten at the same time."""
MEAL_TRUST, MEAL_FAMILIARITY = 0.10, 0.25
EVERYBODY = -1


@kernel
def eats_along(t: Tables, s: TownState, b: int, i: int, since: int, now: int) -> bool:
    """Return whether a resident is at a meal, together with one begun in the tick ``since``."""
    r = s.residents[b, i]
    if r.claim_stage != STAGE_RUNNING or not t.affordances[r.claim_affordance].meal:
        return False
    return now - max(since, s.objects[b, r.claim_object].started) + 1 >= TOGETHER


@kernel
def nearest(t: Tables, s: TownState, b: int, i: int, skip: int, since: int, now: int) -> int:
    """Return the nearest other resident by (cheb, serial); -1 when none is near.

    Args:
        t: the tables.
        s: the state.
        b: which town.
        i: the resident.
        skip: a slot to leave out, -1 for none.
        since: the tick in which the resident's meal began, for who eats along; ``EVERYBODY`` for any use.
        now: the tick being executed.
    """
    r = s.residents[b, i]
    best, least = -1, NEAR + 1
    for k in range(s.towns[b].population):
        other = s.roster[b, k]
        if other == i or other == skip:
            continue
        distance = max(abs(s.residents[b, other].x - r.x), abs(s.residents[b, other].y - r.y))
        if distance < least and (since == EVERYBODY or eats_along(t, s, b, other, since, now)):
            best, least = other, distance
    return best


@kernel
def meet(
    t: Tables, s: TownState, j: Journal, b: int, i: int,
    trust: float, familiarity: float, rivalry: float, reason: int, now: int,
) -> None:  # fmt: skip
    """Change the ties between a resident that finished a use and the nearest others."""
    if trust == 0 and familiarity == 0 and rivalry == 0:
        return
    met = -1
    for _ in range(MOST_NEAR):
        met = nearest(t, s, b, i, met, EVERYBODY, now)
        if met < 0:
            return
        ties.change(t, s, j, b, i, met, trust, familiarity, rivalry, reason, now)


@kernel
def share_meal(t: Tables, s: TownState, j: Journal, b: int, i: int, o: int, a: int, now: int) -> None:
    """Record with which of the nearest residents a finished meal was shared."""
    if not t.affordances[a].meal:
        return
    met = -1
    for _ in range(MOST_NEAR):
        met = nearest(t, s, b, i, met, s.objects[b, o].started, now)
        if met < 0:
            return
        journal.write(j, b, EV_MEAL, s.residents[b, i].serial, o, a, 0, t.objects[o].place, 0, 0)
        if journal.is_kept(j, b):
            journal.last(j, b).other = s.residents[b, met].serial
        ties.change(t, s, j, b, i, met, MEAL_TRUST, MEAL_FAMILIARITY, 0.0, SHARED_MEAL, now)
