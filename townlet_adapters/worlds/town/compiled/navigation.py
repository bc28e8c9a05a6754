"""Distances, computed once for a map: to every object, place, home tile and entry.

A field covers the goal's district and its neighbours. All windows show the same district several times, so a
window is flooded once for each set of goal tiles in it, however many districts there are.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.compiler import entry_kernel
from townlet_adapters.kernels.fields import FIELD, UNREACHABLE, Steps, flood, steps_to
from townlet_adapters.kernels.records import Records
from townlet_adapters.worlds.town.inputs.plan import TownPlan

NEAREST = 8
"""Planners consider at most this many objects of a type."""
SPAN = 3
"""A field covers at most this many districts in each direction; the goal's in the middle, where possible."""
_BAND = 64
"""Rows of the map for which targets are computed together, to bound the memory for intermediate results."""


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


def _goals_of(plan: TownPlan, passable: npt.NDArray[np.uint8]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Return district and goal tiles of every field, as flat indices of the map."""
    width = plan.width
    for placed in plan.objects:
        yield placed.district, np.array([y * width + x for x, y in placed.reach], np.int64)
    belongs = np.where(passable.ravel() > 0, plan.place_at.ravel(), -1)
    order = np.argsort(belongs, kind="stable")
    edges = np.searchsorted(belongs[order], np.arange(len(plan.places) + 1))
    for number, place in enumerate(plan.places):
        yield place.district, order[edges[number] : edges[number + 1]]
    for home in plan.home_tiles:
        yield home.district, np.array([home.y * width + home.x], np.int64)
    for district, (x, y) in enumerate(plan.entries):
        yield district, np.array([y * width + x], np.int64)


def find_fields(plan: TownPlan, passable: npt.NDArray[np.uint8]) -> tuple[Steps, Records]:
    """Compute the fields of every object's reach, every place, every home tile and every district's entry."""
    rows, columns = plan.grid_rows, plan.grid_cols
    side_y, side_x = plan.height // rows, plan.width // columns
    height, width = min(SPAN, rows) * side_y, min(SPAN, columns) * side_x
    placed: list[tuple[int, int, int, int]] = []
    known: dict[bytes, int] = {}
    flooded: list[npt.NDArray[np.int64]] = []
    for district, tiles in _goals_of(plan, passable):
        y = min(max(district // columns - SPAN // 2, 0), max(rows - SPAN, 0)) * side_y
        x = min(max(district % columns - SPAN // 2, 0), max(columns - SPAN, 0)) * side_x
        inside = (tiles // plan.width - y) * width + tiles % plan.width - x
        window = known.setdefault(inside.tobytes(), len(flooded))
        if window == len(flooded):
            flooded.append(inside)
        placed.append((window, x, y, district))
    start = np.zeros(len(flooded) + 1, np.int64)
    np.cumsum([len(tiles) for tiles in flooded], out=start[1:])
    steps = np.full((len(flooded), height, width), UNREACHABLE, np.uint8)
    # Every window has the passable tiles of this one: all districts are alike.
    corner = np.ascontiguousarray(passable[:height, :width])
    goals = np.concatenate(flooded).astype(np.int32)
    flood_all(corner, start, goals, np.zeros(corner.size, np.int32), steps)
    grid = (side_x, side_y, columns, len(placed) - plan.districts)
    return steps, np.array([(*each, *grid) for each in placed], FIELD)


@entry_kernel
def rank_objects(
    object_type: npt.NDArray[np.int32], steps: Steps, fields: Records, nearest: npt.NDArray[np.int32]
) -> None:
    """Fill int32[T, H, W, 8] with the nearest objects of each type by (path, number)."""
    _, height, width = steps.shape
    depth = nearest.shape[3]
    for o in range(object_type.shape[0]):
        kind = object_type[o]
        field = fields[o]
        for y in range(field.y, field.y + height):
            for x in range(field.x, field.x + width):
                distance = steps_to(steps, fields, o, x, y)
                if distance == UNREACHABLE:
                    continue
                hole = depth
                while hole > 0:
                    other = nearest[kind, y, x, hole - 1]
                    if other >= 0 and steps_to(steps, fields, other, x, y) <= distance:
                        break
                    hole -= 1
                for k in range(depth - 1, hole, -1):
                    nearest[kind, y, x, k] = nearest[kind, y, x, k - 1]
                if hole < depth:
                    nearest[kind, y, x, hole] = o


def nearest_objects(
    object_type: npt.NDArray[np.int32],
    types: int,
    steps: Steps,
    fields: Records,
    passable: npt.NDArray[np.uint8],
) -> npt.NDArray[np.int32]:
    """Rank the objects of every type by path from every tile."""
    nearest = np.full((types, *passable.shape, NEAREST), -1, np.int32)
    rank_objects(object_type, steps, fields, nearest)
    return nearest


def target_block(
    types: Sequence[int],
    object_xy: npt.NDArray[np.int32],
    nearest: npt.NDArray[np.int32],
    steps: Steps,
    fields: Records,
) -> npt.NDArray[np.float32]:
    """Compute the targets of these types of object for every tile (domain.md, section 16.3)."""
    _, height, width, _ = nearest.shape
    block = np.zeros((height, width, len(types), 3), np.float32)
    for top in range(0, height, _BAND):
        rows = slice(top, min(top + _BAND, height))
        for k, kind in enumerate(types):
            first = nearest[kind, rows, :, 0]
            if not (first >= 0).any():
                block[rows, :, k] = (0.0, 0.0, 1.0)
                continue
            pointers = _pointers(object_xy, first, steps, fields, top, width + height)
            for column, values in enumerate(pointers):
                block[rows, :, k, column] = values
    return block.reshape(height, width, -1)


def _pointers(
    object_xy: npt.NDArray[np.int32],
    first: npt.NDArray[np.int32],
    steps: Steps,
    fields: Records,
    top: int,
    scale: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the unit vector to the nearest object and the path to it, for some rows of the map."""
    known = first >= 0
    chosen = np.where(known, first, 0)
    ys, xs = np.mgrid[top : top + first.shape[0], 0 : first.shape[1]]
    field = fields[chosen]
    # Where nothing is known, the field of object 0 may not reach: any tile of its window will do.
    inside_y = np.where(known, ys - field["y"], 0)
    inside_x = np.where(known, xs - field["x"], 0)
    path = steps[field["window"], inside_y, inside_x].astype(np.float64)
    dx = (object_xy[chosen, 0] - xs).astype(np.float64)
    dy = (object_xy[chosen, 1] - ys).astype(np.float64)
    length = np.maximum(np.hypot(dx, dy), math.ulp(1.0))
    moving = known & (path > 0)
    return (
        np.where(moving, dx / length, 0.0),
        np.where(moving, dy / length, 0.0),
        np.where(known, np.minimum(1.0, path / scale), 1.0),
    )
