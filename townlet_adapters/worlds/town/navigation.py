"""Distances, computed once for a map: to every object, place and home tile."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.compiler import entry_kernel
from townlet_adapters.kernels.fields import UNREACHABLE, flood
from townlet_adapters.worlds.town.plan import HomeTile, TownObject

NEAREST = 8
"""Planners consider at most this many objects of a type."""


def reach_tiles(
    placed: TownObject, passable: npt.NDArray[np.uint8], place_at: npt.NDArray[np.int32]
) -> list[tuple[int, int]]:
    """Return the passable tiles (x, y) of the object's place within one step of it, also diagonally."""
    height, width = passable.shape
    return [
        (x, y)
        for y in range(max(0, placed.y - 1), min(height, placed.y + 2))
        for x in range(max(0, placed.x - 1), min(width, placed.x + 2))
        if passable[y, x] and place_at[y, x] == placed.place
    ]


@entry_kernel
def flood_all(
    passable: npt.NDArray[np.uint8],
    goal_start: npt.NDArray[np.int64],
    goals: npt.NDArray[np.int32],
    frontier: npt.NDArray[np.int32],
    fields: npt.NDArray[np.uint8],
) -> None:
    """Fill one field for each row of goal tiles (flat indices ``goals[goal_start[f]:goal_start[f + 1]]``)."""
    width = passable.shape[1]
    for f in range(fields.shape[0]):
        count = 0
        for k in range(goal_start[f], goal_start[f + 1]):
            fields[f, goals[k] // width, goals[k] % width] = 0
            frontier[count] = goals[k]
            count += 1
        flood(passable, fields[f], frontier, count)


def distance_fields(
    objects: tuple[TownObject, ...],
    places: int,
    homes: tuple[HomeTile, ...],
    passable: npt.NDArray[np.uint8],
    place_at: npt.NDArray[np.int32],
) -> npt.NDArray[np.uint8]:
    """Compute uint8[F, H, W]: steps to every object's reach, then to every place, then to every home tile."""
    width = passable.shape[1]
    goals: list[npt.NDArray[np.int64]] = [
        np.array([y * width + x for x, y in reach_tiles(placed, passable, place_at)], np.int64)
        for placed in objects
    ]
    belongs = np.where(passable.ravel() > 0, place_at.ravel(), -1)
    order = np.argsort(belongs, kind="stable")
    edges = np.searchsorted(belongs[order], np.arange(places + 1))
    goals += [order[edges[place] : edges[place + 1]] for place in range(places)]
    goals += [np.array([home.y * width + home.x], np.int64) for home in homes]
    start = np.zeros(len(goals) + 1, np.int64)
    np.cumsum([len(tiles) for tiles in goals], out=start[1:])
    fields = np.full((len(goals), *passable.shape), UNREACHABLE, np.uint8)
    flat = np.concatenate(goals) if goals else np.zeros(0, np.int64)
    frontier = np.zeros(passable.size, np.int32)
    flood_all(passable, start, flat.astype(np.int32), frontier, fields)
    return fields


@entry_kernel
def rank_objects(
    object_type: npt.NDArray[np.int32], fields: npt.NDArray[np.uint8], nearest: npt.NDArray[np.int32]
) -> None:
    """Fill int32[T, H, W, 8] with the nearest objects of each type by (path, number)."""
    _, height, width, depth = nearest.shape
    for o in range(object_type.shape[0]):
        kind = object_type[o]
        for y in range(height):
            for x in range(width):
                distance = fields[o, y, x]
                if distance == UNREACHABLE:
                    continue
                hole = depth
                while hole > 0:
                    other = nearest[kind, y, x, hole - 1]
                    if other >= 0 and fields[other, y, x] <= distance:
                        break
                    hole -= 1
                for k in range(depth - 1, hole, -1):
                    nearest[kind, y, x, k] = nearest[kind, y, x, k - 1]
                if hole < depth:
                    nearest[kind, y, x, hole] = o


def nearest_objects(
    object_type: npt.NDArray[np.int32], types: int, fields: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int32]:
    """Rank the objects of every type by path from every tile."""
    nearest = np.full((types, *fields.shape[1:], NEAREST), -1, np.int32)
    rank_objects(object_type, fields, nearest)
    return nearest


def target_block(
    types: Sequence[int],
    object_xy: npt.NDArray[np.int32],
    nearest: npt.NDArray[np.int32],
    fields: npt.NDArray[np.uint8],
) -> npt.NDArray[np.float32]:
    """Compute the targets of these types of object for every tile (DOMAIN section 16.3)."""
    _, height, width = fields.shape
    block = np.zeros((height, width, len(types), 3), np.float64)
    ys, xs = np.mgrid[0:height, 0:width]
    for k, kind in enumerate(types):
        first = nearest[kind, :, :, 0]
        known = first >= 0
        chosen = np.where(known, first, 0)
        if not known.any():
            block[:, :, k] = (0.0, 0.0, 1.0)
            continue
        path = fields[chosen, ys, xs].astype(np.float64)
        dx = (object_xy[chosen, 0] - xs).astype(np.float64)
        dy = (object_xy[chosen, 1] - ys).astype(np.float64)
        length = np.maximum(np.hypot(dx, dy), math.ulp(1.0))
        moving = known & (path > 0)
        block[:, :, k, 0] = np.where(moving, dx / length, 0.0)
        block[:, :, k, 1] = np.where(moving, dy / length, 0.0)
        block[:, :, k, 2] = np.where(known, np.minimum(1.0, path / (width + height)), 1.0)
    return np.ascontiguousarray(block.reshape(height, width, -1).astype(np.float32))
