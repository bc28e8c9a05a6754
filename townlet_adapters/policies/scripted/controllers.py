"""Controllers: how a resident carries out its option, one action per tick (domain.md, section 17.1)."""

from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.kernels.draws import POLICY, integer
from townlet_adapters.kernels.fields import DX, DY, UNREACHABLE, steps_to, way_to
from townlet_adapters.kernels.records import Record
from townlet_adapters.policies.scripted.columns import (
    HELD,
    MOVE_NORTH,
    WAIT,
    Chart,
    Scene,
    allows,
)
from townlet_adapters.policies.scripted.planning import steps
from townlet_adapters.policies.scripted.society import TALK_AT_WORK, mingle, talk_or

PATIENCE = 2
"""Blocked moves after which a resident pushes forward instead of stepping aside."""
TO_THE_RIGHT = (2, 3, 1, 0)
"""The direction to the right of north, south, east and west."""
NOWHERE = -1
STROLL = 3
"""Index of the draw that chooses the tile to stroll to."""


@kernel
def leads_on(c: Chart, s: Scene, field: int, x: int, y: int) -> bool:
    """Return whether a tile has a free neighbour nearer to the goal."""
    height, width = s.occupants.shape
    here = steps_to(c.field_steps, c.fields, field, x, y)
    for d in range(4):
        nx = x + DX[d]
        ny = y + DY[d]
        inside = 0 <= nx < width and 0 <= ny < height
        if inside and steps_to(c.field_steps, c.fields, field, nx, ny) < here and s.occupants[ny, nx] == 0:
            return True
    return False


@kernel
def walk(c: Chart, s: Scene, r: Record, goal: int) -> int:
    """Take a step down a field; wait at the goal, or if the goal is unreachable.

    Where the goal is too far away for its field, the way leads by the entries of the districts between.

    The first choice is a free nearer tile. The second, while patience lasts, is the tile to the right of the
    blocked direction, if it is free and at the same distance. The last is to push into the occupied tile:
    after three blocked moves the world lets one succeed.

    A resident steps aside only to the right, and only if the path continues from there. A step aside is not a
    blocked move. So two residents face to face that step to the same side, or one in front of tiles that stay
    occupied, would otherwise repeat it forever.
    """
    field = way_to(c.field_steps, c.fields, goal, r.x, r.y)
    here = steps(c, r, field)
    if here == 0 or here >= UNREACHABLE:
        return WAIT
    push = NOWHERE
    for d in range(4):
        if not allows(r, MOVE_NORTH + d):
            continue
        x = r.x + DX[d]
        y = r.y + DY[d]
        if steps_to(c.field_steps, c.fields, field, x, y) < here:
            if s.occupants[y, x] == 0:
                return MOVE_NORTH + d
            if push == NOWHERE:
                push = d
    if push == NOWHERE:
        return WAIT
    aside = TO_THE_RIGHT[push]
    if r.blocked < PATIENCE and allows(r, MOVE_NORTH + aside):
        x = r.x + DX[aside]
        y = r.y + DY[aside]
        level = steps_to(c.field_steps, c.fields, field, x, y) == here and s.occupants[y, x] == 0
        if level and leads_on(c, s, field, x, y):
            return MOVE_NORTH + aside
    return MOVE_NORTH + push


@kernel
def go_home(c: Chart, s: Scene, r: Record) -> int:
    """Walk home; a tile next to an occupied home tile is close enough, and no resident is pushed away."""
    if steps(c, r, r.home_field) > 1:
        return walk(c, s, r, r.home_field)
    for d in range(4):
        if not allows(r, MOVE_NORTH + d):
            continue
        x = r.x + DX[d]
        y = r.y + DY[d]
        if steps_to(c.field_steps, c.fields, r.home_field, x, y) == 0 and s.occupants[y, x] == 0:
            return MOVE_NORTH + d
    return WAIT


@kernel
def stroll(c: Chart, s: Scene, r: Record, place: int, chosen_at: int) -> int:
    """Walk within a place towards the tile drawn at the last choice, without leaving it or pushing."""
    first, last = c.place_tiles[place], c.place_tiles[place + 1] - 1
    row = integer(first, last, c.seed, POLICY, chosen_at, r.serial, STROLL)
    field = c.object_place.shape[0] + place
    width = s.occupants.shape[1]
    to_x = c.tiles[row] % width
    to_y = c.tiles[row] // width
    here = abs(to_x - r.x) + abs(to_y - r.y)
    for d in range(4):
        if not allows(r, MOVE_NORTH + d):
            continue
        x = r.x + DX[d]
        y = r.y + DY[d]
        nearer = abs(to_x - x) + abs(to_y - y) < here
        if nearer and steps_to(c.field_steps, c.fields, field, x, y) == 0 and s.occupants[y, x] == 0:
            return MOVE_NORTH + d
    return WAIT


@kernel
def work(c: Chart, s: Scene, r: Record, chosen_at: int) -> int:
    """Walk to the workplace; inside it, stroll, and talk now and then."""
    field = c.jobs[r.job].field
    if steps(c, r, field) == 0:
        strolled = stroll(c, s, r, field - c.object_place.shape[0], chosen_at)
        return talk_or(c, s, r, strolled, TALK_AT_WORK)
    return walk(c, s, r, field)


@kernel
def attend(c: Chart, s: Scene, r: Record, chosen_at: int) -> int:
    """Walk to the place of the event; there, talk to others who are invited, walk up to them, or stroll."""
    field = c.object_place.shape[0] + r.invite_place
    if steps(c, r, field) > 0:
        return walk(c, s, r, field)
    action = mingle(c, s, r, r.invite)
    return action if action != WAIT else stroll(c, s, r, r.invite_place, chosen_at)


@kernel
def use(c: Chart, s: Scene, r: Record, o: int, a: int) -> int:
    """Walk to an object; within its reach, use it."""
    if steps(c, r, o) > 0:
        return walk(c, s, r, o)
    action = int(c.uses[a].action)
    return action if allows(r, action) else WAIT


@kernel
def pursue_claim(c: Chart, s: Scene, r: Record) -> int:
    """Wait in the queue; once the object is held, use it."""
    if r.claim_stage != HELD:
        return WAIT
    return use(c, s, r, r.claim_object, r.claim_affordance)
