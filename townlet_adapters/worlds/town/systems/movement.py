"""Positions of residents: walking, ghost steps, displacement (domain.md, section 7)."""

from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.fields import DX, DY
from townlet_adapters.worlds.town.codes import BLOCKED, EV_MOVED, JOSTLE, MOVED_DISPLACED, MOVED_TELEPORT, OK
from townlet_adapters.worlds.town.compiled.state import Journal, Scratch, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import avoidance, conflicts, journal


@inlined
def lift(s: TownState, margin: int, b: int, i: int) -> None:
    """Remove a resident from its tile; another resident on the tile stays."""
    r = s.residents[b, i]
    mate = r.mate
    s.occupant[b, r.y + margin, r.x + margin] = mate
    if mate >= 0:
        s.residents[b, mate].mate = -1
        r.mate = -1


@inlined
def put(s: TownState, margin: int, b: int, i: int, x: int, y: int) -> None:
    """Place a resident on a tile that holds at most one other."""
    r = s.residents[b, i]
    r.x = x
    r.y = y
    other = int(s.occupant[b, y + margin, x + margin])
    if other >= 0:
        s.residents[b, other].mate = i
        r.mate = other
        # The grid follows from the residents: of two, it holds the lower slot.
        s.occupant[b, y + margin, x + margin] = min(i, other)
    else:
        s.occupant[b, y + margin, x + margin] = i
        r.mate = -1


@inlined
def walk(t: Tables, s: TownState, j: Journal, b: int, i: int, direction: int, now: int) -> int:
    """Try one step north, south, east or west (0..3); returns the result code."""
    r = s.residents[b, i]
    margin = t.params[0].margin
    x = r.x + DX[direction]
    y = r.y + DY[direction]
    height, width = t.passable.shape
    if not (0 <= x < width and 0 <= y < height) or t.passable[y, x] == 0:
        return BLOCKED  # the resident was moved in phases 1-3, after the mask was computed
    found = int(s.occupant[b, y + margin, x + margin])
    if found >= 0:
        alone = s.residents[b, found].mate < 0
        ghost_after = t.params[0].ghost_step_after
        patience_over = ghost_after > 0 and r.blocked >= ghost_after
        if not alone or not (r.ghost or patience_over):
            r.blocked += 1
            return BLOCKED
        if not r.ghost:
            conflicts.conflict(t, s, j, b, i, found, -1, JOSTLE, 0, now)
        r.ghost = True
    else:
        r.ghost = False
    lift(s, margin, b, i)
    put(s, margin, b, i, x, y)
    r.blocked = 0
    r.moved = True
    if r.avoided > 0:
        avoidance.notice(t, s, j, b, i, x - DX[direction], y - DY[direction], now)
    return OK


@kernel
def nearest_free(t: Tables, s: TownState, w: Scratch, b: int, x: int, y: int) -> int:
    """Return the nearest free tile by (path, y, x) as a flat index, -1 when no reachable tile is free."""
    margin = t.params[0].margin
    height, width = t.passable.shape
    if t.passable[y, x] and s.occupant[b, y + margin, x + margin] < 0:
        return y * width + x
    w.visited[height * width] += 1
    stamp = w.visited[height * width]
    w.frontier[0] = y * width + x
    w.visited[y * width + x] = stamp
    head, tail = 0, 1
    while head < tail:
        layer_end = tail
        best = -1
        while head < layer_end:
            here = w.frontier[head]
            head += 1
            for d in range(4):
                ny = here // width + DY[d]
                nx = here % width + DX[d]
                if not (0 <= nx < width and 0 <= ny < height) or t.passable[ny, nx] == 0:
                    continue
                flat = ny * width + nx
                if w.visited[flat] == stamp:
                    continue
                w.visited[flat] = stamp
                w.frontier[tail] = flat
                tail += 1
                if s.occupant[b, ny + margin, nx + margin] < 0 and (best < 0 or flat < best):
                    best = flat
        if best >= 0:
            return best
    return -1


@kernel
def relocate(t: Tables, s: TownState, j: Journal, b: int, i: int, flat: int, reason: int) -> None:
    """Place a resident on a free tile (flat index) and record the move."""
    r = s.residents[b, i]
    width = t.passable.shape[1]
    x, y = flat % width, flat // width
    old = r.y * width + r.x
    lift(s, t.params[0].margin, b, i)
    put(s, t.params[0].margin, b, i, x, y)
    r.ghost = False
    journal.write(j, b, EV_MOVED, r.serial, -1, -1, reason, old, flat, 0)


@inlined
def clean_up_ghosts(t: Tables, s: TownState, j: Journal, w: Scratch, b: int) -> None:
    """Phase 4b: a ghost that shares its tile and did not move is displaced; one alone stops being a ghost."""
    for k in range(s.towns[b].population):
        i = s.roster[b, k]
        r = s.residents[b, i]
        if not r.ghost:
            continue
        if r.mate < 0:
            r.ghost = False
        elif not r.moved:
            flat = nearest_free(t, s, w, b, r.x, r.y)
            if flat >= 0:
                relocate(t, s, j, b, i, flat, MOVED_DISPLACED)


@kernel
def is_free(t: Tables, s: TownState, b: int, x: int, y: int) -> bool:
    """Return whether a tile is on the map, passable and not occupied."""
    margin = t.params[0].margin
    height, width = t.passable.shape
    if not (0 <= x < width and 0 <= y < height) or t.passable[y, x] == 0:
        return False
    return bool(s.occupant[b, y + margin, x + margin] < 0)


@kernel
def teleport(t: Tables, s: TownState, j: Journal, b: int, i: int, x: int, y: int) -> bool:
    """Move a resident to a free passable tile; False when the tile is occupied or impassable."""
    if not is_free(t, s, b, x, y):
        return False
    relocate(t, s, j, b, i, y * t.passable.shape[1] + x, MOVED_TELEPORT)
    s.residents[b, i].blocked = 0
    return True
