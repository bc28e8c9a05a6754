"""Conflicts between residents (domain.md, section 9.3); ties that remember them do not exist yet."""

from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.worlds.town.codes import EV_CONFLICT, GHOST_STEP, JOSTLE
from townlet_adapters.worlds.town.compiled.state import Journal
from townlet_adapters.worlds.town.systems import journal

GHOST_STEP_BOOST = 1.5
JOSTLE_BOOST = 0.75
WAITING_BOOST = 0.4


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
def conflict(j: Journal, b: int, actor: int, rival: int, obj: int, reason: int, queue_length: int) -> None:
    """Record a conflict between two residents, given by serial."""
    journal.write(j, b, EV_CONFLICT, actor, obj, -1, reason, queue_length, 0, 0)
    if journal.is_kept(j, b):
        row = journal.last(j, b)
        row.other = rival
        row.x = intensity(reason, queue_length)
