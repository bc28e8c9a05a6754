"""Section 7, movement and ghost steps."""

from tests.model import ties
from tests.model.conflicts import conflict
from tests.model.conventions import DIRECTIONS


def others(town, resident):
    """Who else stands on a resident's tile."""
    return [each for each in town.at[resident.x, resident.y] if each is not resident]


def leave_tile(town, resident):
    """Step off a tile."""
    town.at[resident.x, resident.y].remove(resident)


def stand(town, resident, x, y):
    """Step on a tile."""
    resident.x, resident.y = x, y
    town.at.setdefault((x, y), []).append(resident)


def nearest_free(town, x, y):
    """The free passable tile that is nearest by (path, y, x), or none."""
    return next((tile for tile in town.ground.around(x, y) if not town.at.get(tile)), None)


def may_step(town, resident, direction):
    """What the mask says: the neighbour is on the map and passable, occupied or not."""
    dx, dy = DIRECTIONS[direction]
    return town.ground.stands(resident.x + dx, resident.y + dy)


def step(town, resident, direction):
    """A move enters a free passable neighbour; blocks are counted until it may push in."""
    dx, dy = DIRECTIONS[direction]
    x, y = resident.x + dx, resident.y + dy
    if not town.ground.stands(x, y):
        return "blocked"
    there, before = town.at.get((x, y), []), (resident.x, resident.y)
    if not there:
        _enter(town, resident, x, y)
        resident.ghost = False
        ties.avoid(town, resident, before)
        return "ok"
    patience = town.options.queues.ghost_step_after
    pushes = patience > 0 and resident.blocked >= patience
    if len(there) == 1 and (pushes or resident.ghost):
        rival = there[0]
        _enter(town, resident, x, y)
        if not resident.ghost:
            conflict(town, resident, rival, "jostle", None, 0)
        resident.ghost = True
        ties.avoid(town, resident, before)
        return "ok"
    resident.blocked += 1
    return "blocked"


def _enter(town, resident, x, y):
    leave_tile(town, resident)
    stand(town, resident, x, y)
    resident.blocked = 0
    resident.walked = True


def make_room(town):
    """By serial: a ghost that did not move and still shares is displaced; one that is alone is no ghost."""
    for resident in town.residents:
        if not resident.ghost:
            continue
        if not others(town, resident):
            resident.ghost = False
        elif not resident.walked:
            resident.ghost = False
            move_to(town, resident, nearest_free(town, resident.x, resident.y), "displaced")


def move_to(town, resident, tile, reason):
    """Move without walking."""
    start = (resident.x, resident.y)
    leave_tile(town, resident)
    stand(town, resident, *tile)
    town.emit("lifecycle.moved", agent_id=resident.id, from_=start, to=tile, reason=reason)
