"""How residents deal with each other: what they avoid, seek and say (domain.md, section 17.1)."""

from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.kernels.draws import POLICY, unit
from townlet_adapters.kernels.fields import DX, DY
from townlet_adapters.kernels.records import Record
from townlet_adapters.policies.scripted.columns import (
    AVOID,
    MOVE_NORTH,
    NO_CLAIM,
    NONE,
    RUNNING,
    WAIT,
    Chart,
    Scene,
    allows,
)

TALK_DRAW = 1
"""Index of the draw that decides whether a resident feels like talking in this tick."""
TALK_AT_WORK = 0.12
COMPANY_DRAW = 5
"""Index of the draw that decides whether an idle resident keeps company for some time."""
KEEPS_COMPANY, COMPANY_TICKS = 0.3, 20
"""Its chance, and for how many ticks."""
SHY = -0.2
"""Residents less extroverted than this start no talk and seek no company."""
SEEN_FROM, KEPT = 2, 3
"""Distances in tiles: a resident steps aside for one that it avoids within the first, until it is beyond the
second."""
AT_EASE = 0.3
"""Residents with a need below this do not step aside."""
REACH, PER_REGARD = 16, 10
"""How far company is sought, in steps, and how many steps a regard of 1 is worth."""
NOBODY_NEAR = 1 << 20


@kernel
def has_need_below(c: Chart, r: Record, level: float) -> bool:
    """Return whether any need of a resident is below a level."""
    for n in range(c.needs.shape[0]):
        if r.need[n] < level:
            return True
    return False


@kernel
def distance_to_avoided(s: Scene, r: Record, x: int, y: int, all_of_them: bool) -> int:
    """Return the distance of a tile to the nearest resident that r avoids; ``NOBODY_NEAR`` for none.

    Args:
        s: the instant.
        r: the resident.
        x: column of the tile.
        y: row of the tile.
        all_of_them: whether to count also those from which it stepped away lately.
    """
    nearest = NOBODY_NEAR
    for k in range(s.tie_other.shape[1]):
        other = s.tie_other[r.slot, k]
        if other < 0:
            break
        if s.tie_avoided[r.slot, k] != 0 and (all_of_them or s.tie_quiet_until[r.slot, k] <= s.tick):
            dx, dy = abs(s.xy[other, 0] - x), abs(s.xy[other, 1] - y)
            nearest = min(nearest, max(dx, dy))
    return nearest


@kernel
def must_step_aside(c: Chart, s: Scene, r: Record) -> bool:
    """Rule 3: a resident at ease is near one that it avoids; not again right after it stepped aside."""
    if r.avoided == 0 or c.own[AVOID] == NONE or r.option == c.own[AVOID] or r.claim_stage != NO_CLAIM:
        return False
    return not has_need_below(c, r, AT_EASE) and bool(distance_to_avoided(s, r, r.x, r.y, False) <= SEEN_FROM)


@kernel
def still_near(c: Chart, s: Scene, r: Record) -> bool:
    """Return whether a resident that steps aside is not far enough away yet, and has no critical need."""
    return not has_need_below(c, r, c.critical) and bool(distance_to_avoided(s, r, r.x, r.y, True) <= KEPT)


@kernel
def step_aside(s: Scene, r: Record) -> int:
    """Step to the free neighbour that is farthest from the nearest avoided resident; wait where none is."""
    best, farthest = WAIT, distance_to_avoided(s, r, r.x, r.y, True)
    for d in range(4):
        if not allows(r, MOVE_NORTH + d):
            continue
        x, y = r.x + DX[d], r.y + DY[d]
        distance = distance_to_avoided(s, r, x, y, True)
        if s.occupants[y, x] == 0 and distance > farthest:
            best, farthest = MOVE_NORTH + d, distance
    return best


@kernel
def is_shunned(c: Chart, s: Scene, r: Record, o: int) -> bool:
    """Return whether an avoided resident claims an object, and no critical need excuses to go there."""
    if r.avoided == 0 or has_need_below(c, r, c.critical):
        return False
    for k in range(s.tie_other.shape[1]):
        other = s.tie_other[r.slot, k]
        if other < 0:
            break
        if s.tie_avoided[r.slot, k] != 0 and s.claim_object[other] == o:
            return True
    return False


@kernel
def tie_to(s: Scene, owner: int, other: int) -> int:
    """Return the number of a tie; -1 without one."""
    for k in range(s.tie_other.shape[1]):
        if s.tie_other[owner, k] == other:
            return k
    return NONE


@kernel
def regard(s: Scene, r: Record, other: int) -> float:
    """Return how much a resident likes another one; nothing makes up for it that either avoids the other."""
    mine, its = tie_to(s, r.slot, other), tie_to(s, other, r.slot)
    if its != NONE and s.tie_avoided[other, its] != 0:
        return -float(NOBODY_NEAR)
    if mine == NONE:
        return 0.0
    if s.tie_avoided[r.slot, mine] != 0:
        return -float(NOBODY_NEAR)
    return float(s.tie_trust[r.slot, mine] + s.tie_familiarity[r.slot, mine] - s.tie_rivalry[r.slot, mine])


@kernel
def companion(c: Chart, s: Scene, r: Record, event: int) -> int:
    """Return the slot of the resident to walk up to for a talk, in the same place; -1 for none.

    The nearest one that would listen, where liking makes up for steps; ties go to the lower slot.

    Args:
        c: the world's constants.
        s: the instant.
        r: the resident.
        event: the event to which it must be invited, 0 for any resident.
    """
    if c.talk == NONE or s.talk_ready[r.slot] > s.tick:
        return NONE
    place = c.place_at[r.y, r.x]
    best, least = NONE, float(NOBODY_NEAR)
    for other in range(s.alive.shape[0]):
        if other == r.slot or s.alive[other] == 0 or s.claim_stage[other] == RUNNING:
            continue
        if event != 0 and s.invite[other] != event:
            continue
        x, y = s.xy[other, 0], s.xy[other, 1]
        steps = abs(x - r.x) + abs(y - r.y)
        if steps > REACH or s.talk_ready[other] > s.tick or c.place_at[y, x] != place:
            continue
        cost = steps - PER_REGARD * regard(s, r, other)
        if cost < least:
            best, least = other, cost
    return best


@kernel
def walk_up_to(s: Scene, r: Record, other: int) -> int:
    """Take a step that brings a resident nearer to another one; wait where none does."""
    x, y = s.xy[other, 0], s.xy[other, 1]
    here = abs(x - r.x) + abs(y - r.y)
    for d in range(4):
        nx, ny = r.x + DX[d], r.y + DY[d]
        nearer = abs(x - nx) + abs(y - ny) < here
        if nearer and allows(r, MOVE_NORTH + d) and s.occupants[ny, nx] == 0:
            return MOVE_NORTH + d
    return WAIT


@kernel
def talk_or(c: Chart, s: Scene, r: Record, action: int, chance: float) -> int:
    """Return ``talk`` when it is possible and the resident feels like it; else the action."""
    if c.talk == NONE or r.extroversion < SHY or not allows(r, c.talk):
        return action
    if chance < 1 and unit(c.seed, POLICY, s.tick, r.serial, TALK_DRAW) >= chance:
        return action
    return int(c.talk)


@kernel
def mingle(c: Chart, s: Scene, r: Record, event: int) -> int:
    """Talk if possible, else walk up to company; wait when there is none, which leaves room for leisure.

    Company is that of an event, 0 for any.
    """
    action = talk_or(c, s, r, WAIT, 1.0)
    if action != WAIT:
        return action
    other = companion(c, s, r, event)
    return walk_up_to(s, r, other) if other != NONE else WAIT


@kernel
def keep_company(c: Chart, s: Scene, r: Record) -> int:
    """Talk, or walk up to company, at times at which an idle resident feels like it; wait otherwise."""
    if unit(c.seed, POLICY, s.tick // COMPANY_TICKS, r.serial, COMPANY_DRAW) >= KEEPS_COMPANY:
        return WAIT
    return mingle(c, s, r, 0)
