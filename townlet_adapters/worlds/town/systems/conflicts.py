"""Conflicts between residents, which their ties remember (domain.md, sections 9.3 and 12)."""

from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.worlds.town.codes import CONFLICT, EV_CONFLICT, GHOST_STEP, JOSTLE
from townlet_adapters.worlds.town.compiled.state import Journal, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import journal, ties

GHOST_STEP_BOOST = 1.5
JOSTLE_BOOST = 0.75
WAITING_BOOST = 0.4
RIVALRY_PER_INTENSITY = 0.2


@kernel
def intensity(reason: int, queue_length: int) -> float:
    """clamp(boost + 0.25 * max(q - 1, 0), 0.1, 5); a jostle has no queue."""
    boost = WAITING_BOOST
    if reason == GHOST_STEP:
        boost = GHOST_STEP_BOOST
    elif reason == JOSTLE:
        boost = JOSTLE_BOOST
    return min(5.0, max(0.1, boost + 0.25 * max(queue_length - 1, 0)))


@kernel
def conflict(
    t: Tables, s: TownState, j: Journal, b: int, actor: int, rival: int,
    obj: int, reason: int, queue_length: int, now: int,
) -> None:  # fmt: skip
    """Record a conflict between two residents, given by slot; both resent it."""
    strength = intensity(reason, queue_length)
    journal.write(j, b, EV_CONFLICT, s.residents[b, actor].serial, obj, -1, reason, queue_length, 0, 0)
    if journal.is_kept(j, b):
        row = journal.last(j, b)
        row.other = s.residents[b, rival].serial
        row.x = strength
    ties.change(t, s, j, b, actor, rival, 0.0, 0.0, RIVALRY_PER_INTENSITY * strength, CONFLICT, now)
