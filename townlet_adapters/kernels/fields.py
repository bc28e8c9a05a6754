"""Distance fields over a map: the distance of every passable tile from a goal, in 4-neighbour steps.

A field covers a window of the map around its goal, so that a town of many districts needs memory in
proportion to its map. Fields with goals at the same tiles of their windows share their distances: a town
repeats one district.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Records, record

UNREACHABLE = 255
"""Value of a tile from which the goal cannot be reached within 254 steps."""

DX = np.array([0, 0, 1, -1], dtype=np.int64)
DY = np.array([-1, 1, 0, 0], dtype=np.int64)
"""Steps in the order in which directions are tried: north, south, east, west."""

FIELD = record(
    ("window", "i8"), ("x", "i8"), ("y", "i8"), ("district", "i8"),
    # The same for all fields of a town: a further array would have to be passed in every call.
    ("width", "i8"), ("height", "i8"), ("columns", "i8"), ("entries", "i8"),
)  # fmt: skip
"""One field: its window's distances, the window's north-western tile, the district of the goal.

Then width and height of a district in tiles, how many districts are side by side, and the field of the first
one's entry, which those of the others follow, row by row."""


Steps: TypeAlias = npt.NDArray[np.uint8]
"""Steps to a goal, uint8[windows, h, w]; 255 unreachable."""


@inlined
def steps_to(steps: Steps, fields: Records, f: int, x: int, y: int) -> int:
    """Return the number of steps from a tile to the goal of a field; 255 when that is unreachable."""
    field = fields[f]
    _, height, width = steps.shape
    column = x - field.x
    row = y - field.y
    if 0 <= column < width and 0 <= row < height:
        return int(steps[field.window, row, column])
    return UNREACHABLE


@kernel
def detour(steps: Steps, fields: Records, f: int, x: int, y: int) -> int:
    """Return the field of an entry that leads towards a goal that is too far away for its own field.

    It is the entry of the neighbouring district that is nearer to the goal's district; that of the own one
    where the neighbour's is unreachable, or where the goal is in the own district.
    """
    field = fields[f]
    row = y // field.height
    column = x // field.width
    own = field.entries + row * field.columns + column
    row += min(max(field.district // field.columns - row, -1), 1)
    column += min(max(field.district % field.columns - column, -1), 1)
    nearer = field.entries + row * field.columns + column
    return int(nearer if nearer != own and steps_to(steps, fields, nearer, x, y) < UNREACHABLE else own)


@inlined
def way_to(steps: Steps, fields: Records, f: int, x: int, y: int) -> int:
    """Return the field to walk down from a tile in order to get to the goal of a field.

    It is the field itself wherever it reaches.
    """
    return f if steps_to(steps, fields, f, x, y) < UNREACHABLE else detour(steps, fields, f, x, y)


@kernel
def flood(passable, field, frontier, count):
    """Fill ``field`` outwards from its goal tiles.

    Args:
        passable: uint8[H, W], 1 where one can stand.
        field: uint8[H, W], 0 on the tiles of the goal, 255 elsewhere; filled in place.
        frontier: int32[at least H * W], starts with ``count`` flat indices of goal tiles; overwritten.
        count: number of goal tiles.
    """
    height, width = passable.shape
    head = 0
    while head < count:
        here = frontier[head]
        head += 1
        y = here // width
        x = here - y * width
        distance = np.int64(field[y, x]) + 1
        if distance >= UNREACHABLE:
            continue
        for d in range(4):
            ny = y + DY[d]
            nx = x + DX[d]
            inside = 0 <= ny < height and 0 <= nx < width
            if inside and passable[ny, nx] and field[ny, nx] > distance:
                field[ny, nx] = distance
                frontier[count] = ny * width + nx
                count += 1
