"""Steps away from a resident that is avoided (domain.md, section 12)."""

from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.worlds.town.codes import EV_AVOIDANCE
from townlet_adapters.worlds.town.compiled.state import Journal, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import journal, ties

KEPT_DISTANCE = 3
QUIET_TICKS = 120
"""Ticks after an avoidance in which a further one of the same pair is not recorded."""


@kernel
def notice(t: Tables, s: TownState, j: Journal, b: int, i: int, from_x: int, from_y: int, now: int) -> None:
    """Record the avoided residents that a step left behind: within ``KEPT_DISTANCE`` before, not after."""
    r = s.residents[b, i]
    for k in range(r.ties):
        tie = s.ties[b, i, k]
        if tie.rivalry < t.profiles[r.profile].avoids_from or tie.quiet_until > now:
            continue
        if ties.meet(s, b, i, tie.other):
            continue
        other = s.residents[b, tie.other]
        before = max(abs(from_x - other.x), abs(from_y - other.y))
        after = max(abs(r.x - other.x), abs(r.y - other.y))
        if before <= KEPT_DISTANCE < after:
            tie.quiet_until = now + QUIET_TICKS
            r.avoidances += 1
            journal.write(j, b, EV_AVOIDANCE, r.serial, -1, -1, 0, after, 0, 0)
            if journal.is_kept(j, b):
                journal.last(j, b).other = other.serial
