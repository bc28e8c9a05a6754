"""The part of a drawing that never changes: ground, places with their names, objects."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from townlet_core.dto.plan import PlanPlace, TownPlan

NO_PLACE: Final = -1

Spot = tuple[int, int]
"""A tile (x, y)."""


class Label(NamedTuple):
    """The name of a place.

    Attributes:
        text: the name.
        x: tile in the west of the free tiles that it stands on.
        y: row of these tiles.
        room: number of these tiles.
    """

    text: str
    x: int
    y: int
    room: int


@dataclass(frozen=True, slots=True)
class Ground:
    """The ground of a town, ready to be looked up tile by tile.

    Attributes:
        plan: the plan.
        kinds: number of the kind of each tile, as ``[y][x]``.
        places: number of the place of each tile, ``NO_PLACE`` for none, as ``[y][x]``.
        place_kinds: the kinds of places in the order in which they first occur.
        objects: id of the object on each tile that has one.
        labels: the name of each place that has room for it.
    """

    plan: TownPlan
    kinds: list[list[int]]
    places: list[list[int]]
    place_kinds: tuple[str, ...]
    objects: dict[Spot, str]
    labels: tuple[Label, ...]

    @classmethod
    def of(cls, plan: TownPlan) -> "Ground":
        """Read a plan."""
        places = [[NO_PLACE] * plan.width for _ in range(plan.height)]
        for number, place in enumerate(plan.places):
            for x, y, length in place.tiles:
                places[y][x : x + length] = [number] * length
        objects = {item.at: item.id for item in plan.objects}
        return cls(
            plan=plan,
            kinds=plan.ground(),
            places=places,
            place_kinds=tuple(dict.fromkeys(place.kind for place in plan.places)),
            objects=objects,
            labels=tuple(_labels(plan, objects)),
        )

    def place_kind(self, x: int, y: int) -> int | None:
        """Return the number of the kind of place at a tile; None without a place."""
        number = self.places[y][x]
        return None if number == NO_PLACE else self.place_kinds.index(self.plan.places[number].kind)

    def walkable(self, x: int, y: int) -> bool:
        """Return whether the ground at a tile can be walked on."""
        return self.plan.tile_kinds[self.kinds[y][x]].walkable

    def district_at(self, x: int, y: int) -> str | None:
        """Return the id of the district that a tile belongs to."""
        for district in self.plan.districts:
            (left, top), (width, height) = district.at, district.size
            if left <= x < left + width and top <= y < top + height:
                return district.id
        return None


def _labels(plan: TownPlan, objects: dict[Spot, str]) -> Iterator[Label]:
    """List a label for each place: on its longest row without an object, the one nearest to its middle."""
    for place in plan.places:
        free = list(_free(place, objects))
        if free:
            rows = [y for _, y, _ in free]
            middle = (min(rows) + max(rows)) / 2
            x, y, room = max(free, key=lambda run: (run[2], -abs(run[1] - middle), -run[1]))
            yield Label(place.name, x, y, room)


def _free(place: PlanPlace, objects: dict[Spot, str]) -> Iterator[tuple[int, int, int]]:
    """List the runs of a place's tiles that no object interrupts."""
    for left, y, length in place.tiles:
        begun = left
        for x in range(left, left + length + 1):
            if x == left + length or (x, y) in objects:
                if x > begun:
                    yield begun, y, x - begun
                begun = x + 1
