"""The plan of the town for those who draw it."""

from types import MappingProxyType
from typing import Final

from townlet_adapters.worlds.town.codes import TICKS_PER_DAY
from townlet_adapters.worlds.town.inputs import plan as inputs
from townlet_adapters.worlds.town.inputs.tiles import FIRST_IMPASSABLE_TILE, TILES
from townlet_adapters.worlds.town.inputs.townmap import NO_PLACE
from townlet_core.dto.plan import (
    PlanDistrict,
    PlanObject,
    PlanPlace,
    PlanUnit,
    TileKind,
    TownPlan,
    encode_row,
    runs_of,
)

COIN: Final = 1000
"""Mills of a coin."""

_UNITS: Final = MappingProxyType({"wallet": PlanUnit("coins", COIN)})


def drawn_plan(plan: inputs.TownPlan) -> TownPlan:
    """Return what is needed to draw a town."""
    width, height = plan.width // plan.grid_cols, plan.height // plan.grid_rows
    runs: dict[int, list[tuple[int, int, int]]] = {}
    for place, run in runs_of(plan.place_at.tolist()):
        if place != NO_PLACE:
            runs.setdefault(place, []).append(run)
    return TownPlan(
        name=plan.id,
        width=plan.width,
        height=plan.height,
        ticks_per_day=TICKS_PER_DAY,
        tile_kinds=tuple(
            TileKind(name, walkable=code < FIRST_IMPASSABLE_TILE) for code, name in enumerate(TILES)
        ),
        rows=tuple(map(encode_row, plan.tiles.tolist())),
        places=tuple(
            PlanPlace(place.id, place.kind, _spelled(place.id), tuple(runs.get(number, ())))
            for number, place in enumerate(plan.places)
        ),
        objects=tuple(PlanObject(item.id, item.type, (item.x, item.y)) for item in plan.objects),
        homes=tuple((tile.x, tile.y) for tile in plan.home_tiles),
        entries=plan.entries,
        districts=tuple(
            PlanDistrict(
                str(number),
                (number % plan.grid_cols * width, number // plan.grid_cols * height),
                (width, height),
            )
            for number in range(plan.districts)
        ),
        units=_UNITS,
    )


def _spelled(place: str) -> str:
    """Return the name of a place for people, who see its district: that of ``home_1@r0c2`` is ``home 1``."""
    return place.partition("@")[0].replace("_", " ")
