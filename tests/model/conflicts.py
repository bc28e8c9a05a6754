"""Section 9, conflicts: each is a fact, and the tick's are summed up in one more."""

from tests.model import ties
from tests.model.conventions import clamp

BOOST = {"ghost_step": 1.5, "jostle": 0.75, "waiting": 0.4}


def conflict(town, actor, rival, reason, thing, queue_length):  # noqa: PLR0913, PLR0917 - the fields of the fact
    """Two residents get in each other's way."""
    intensity = clamp(BOOST[reason] + 0.25 * max(queue_length - 1, 0), 0.1, 5.0)
    town.emit(
        "queue.conflict",
        actor=actor.id,
        rival=rival.id,
        object_id=thing.id if thing else None,
        reason=reason,
        queue_length=queue_length,
        intensity=intensity,
    )
    ties.change(town, actor, rival, "conflict", rivalry=0.2 * intensity)
    town.conflicts.append({"actor": actor.id, "rival": rival.id, "reason": reason, "intensity": intensity})


def sum_up(town):
    """``rivalry.events`` closes a tick with conflicts."""
    if town.conflicts:
        town.emit("rivalry.events", events=tuple(town.conflicts))
        town.conflicts = []
