"""The plan of a world: the ground and what stands on it, for everything that draws the world."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, TypeGuard

from townlet_core.jsonvalue import JsonValue

PLAN_KIND: Final = "state.plan"
"""Kind of a ``PlanMessage``."""


@dataclass(frozen=True, slots=True)
class TileKind:
    """A kind of ground.

    Attributes:
        name: its name.
        walkable: whether an agent can stand on it, where no object stands.
    """

    name: str
    walkable: bool


@dataclass(frozen=True, slots=True)
class PlanPlace:
    """A part of the ground with a name.

    Attributes:
        id: its id.
        kind: its kind.
        name: its name for people.
        tiles: its tiles as runs (x, y, length) from west to east, row by row.
    """

    id: str
    kind: str
    name: str
    tiles: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class PlanObject:
    """An object that stays where it is.

    Attributes:
        id: its id, the key of its entry in frames.
        type: its type.
        at: its tile (x, y).
    """

    id: str
    type: str
    at: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PlanDistrict:
    """A rectangle of the ground that has values of its own in frames.

    Attributes:
        id: the key of its entries in frames.
        at: its tile in the north west (x, y).
        size: tiles from west to east, and from north to south.
    """

    id: str
    at: tuple[int, int]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PlanUnit:
    """How people count what a frame counts in small steps.

    Attributes:
        name: name of the unit, in plural.
        size: the number in a frame that is one unit.
    """

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class TownPlan:
    """Everything that is needed to draw a world and that never changes while it runs.

    The tile (0, 0) is in the north west; x grows to the east, y to the south.

    Attributes:
        name: name of the map.
        width: tiles from west to east.
        height: tiles from north to south.
        ticks_per_day: number of ticks in a day.
        tile_kinds: the kinds of ground.
        rows: the ground from north to south; a row is a number of a kind, how many tiles of it follow, the
            next kind, and so on.
        places: places; no tile belongs to two.
        objects: objects.
        homes: tiles (x, y) where agents live.
        entries: tiles (x, y) where agents come in.
        districts: districts.
        units: units of the numbers of an agent's entry in frames, by key.
    """

    name: str
    width: int
    height: int
    ticks_per_day: int
    tile_kinds: tuple[TileKind, ...]
    rows: tuple[tuple[int, ...], ...]
    places: tuple[PlanPlace, ...] = ()
    objects: tuple[PlanObject, ...] = ()
    homes: tuple[tuple[int, int], ...] = ()
    entries: tuple[tuple[int, int], ...] = ()
    districts: tuple[PlanDistrict, ...] = ()
    units: Mapping[str, PlanUnit] = field(default_factory=dict)

    def ground(self) -> list[list[int]]:
        """Return the number of the kind of each tile, as ``[y][x]``."""
        return [decode_row(row) for row in self.rows]


@dataclass(frozen=True, slots=True)
class PlanMessage:
    """A plan on its way to the sinks; it is not a fact and carries no ``seq``.

    Attributes:
        tick: the executed tick.
        plan: the plan.
        planhash: SHA-256 of the plan's canonical JSON in hex, as on the frames that belong to it.
    """

    tick: int
    plan: TownPlan
    planhash: str


def is_tile(value: JsonValue) -> TypeGuard[Sequence[int]]:
    """Return whether a value of a frame is a tile [x, y]."""
    return isinstance(value, (tuple, list)) and [type(number) for number in value] == [int, int]


def encode_row(kinds: Iterable[int]) -> tuple[int, ...]:
    """Return a row of ``TownPlan.rows`` for the kind of each of its tiles."""
    runs = ((kind, sum(1 for _ in same)) for kind, same in groupby(kinds))
    return tuple(number for run in runs for number in run)


def decode_row(row: tuple[int, ...]) -> list[int]:
    """Return the kind of each tile for a row of ``TownPlan.rows``."""
    return [kind for kind, count in zip(row[::2], row[1::2], strict=True) for _ in range(count)]


def runs_of(numbers: Iterable[Iterable[int]]) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """List the runs of equal numbers in a grid, row by row, each with its number.

    Args:
        numbers: a number for each tile, as ``[y][x]``.
    """
    for y, row in enumerate(numbers):
        x = 0
        for number, same in groupby(row):
            length = sum(1 for _ in same)
            yield number, (x, y, length)
            x += length
