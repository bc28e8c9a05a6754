"""Distance fields over a grid: the distance of every passable tile from a goal, in 4-neighbour steps."""

import numpy as np

from townlet_adapters.kernels.compiler import kernel

UNREACHABLE = 255
"""Value of a tile from which the goal cannot be reached within 254 steps."""

DX = np.array([0, 0, 1, -1], dtype=np.int64)
DY = np.array([-1, 1, 0, 0], dtype=np.int64)
"""Steps in the order in which directions are tried: north, south, east, west."""


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
