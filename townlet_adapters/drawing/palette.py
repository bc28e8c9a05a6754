"""The colours of a drawing."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from townlet_adapters.drawing.ground import Ground

Colour = tuple[int, int, int]
"""Red, green and blue, each in [0, 255]."""

_TILES: Final[Mapping[str, Colour]] = MappingProxyType(
    {
        "floor": (58, 84, 52),
        "road": (92, 90, 88),
        "door": (150, 108, 60),
        "wall": (128, 116, 104),
        "water": (44, 92, 148),
    }
)
_WALKABLE: Final[Colour] = (70, 78, 60)
_BARRIER: Final[Colour] = (110, 104, 98)
_PLACES: Final[tuple[Colour, ...]] = (
    (96, 74, 60), (60, 84, 92), (104, 66, 62), (70, 70, 108), (92, 88, 48), (48, 100, 60), (94, 62, 96),
    (56, 96, 92),
)  # fmt: skip
"""Floors of the kinds of places, in the order in which they first occur."""
_OBJECTS: Final[Mapping[str, Colour]] = MappingProxyType(
    {"free": (176, 164, 130), "used": (250, 206, 96), "closed": (196, 60, 52)}
)
_FIGURES: Final[tuple[Colour, ...]] = (
    (255, 232, 120), (130, 220, 255), (255, 160, 130), (170, 240, 150), (240, 170, 255), (255, 200, 90),
    (150, 200, 255), (255, 150, 190),
)  # fmt: skip
_NIGHT: Final = 0.55
_OUTAGE: Final = 0.45
_NIGHT_TINT: Final[Colour] = (8, 10, 34)


def ground_colour(ground: Ground, x: int, y: int) -> Colour:
    """Return the colour of the ground at a tile by day."""
    kind = ground.plan.tile_kinds[ground.kinds[y][x]]
    place = ground.place_kind(x, y)
    # What cannot be walked on looks like itself, wherever it is.
    if place is not None and kind.walkable and kind.name != "door":
        return _PLACES[place % len(_PLACES)]
    return _TILES.get(kind.name, _WALKABLE if kind.walkable else _BARRIER)


def object_colour(condition: str) -> Colour:
    """Return the colour of an object in a condition."""
    return _OBJECTS[condition]


def figure_colour(slot: int) -> Colour:
    """Return the colour of the resident of a slot."""
    return _FIGURES[slot % len(_FIGURES)]


def lit(colour: Colour, *, night: bool, dark: bool) -> Colour:
    """Return a colour at night, and in a district in which something is off."""
    share = (_NIGHT if night else 1.0) * (_OUTAGE if dark else 1.0)
    tint = _NIGHT_TINT if night else (0, 0, 0)
    red, green, blue = (min(255, round(part * share + more)) for part, more in zip(colour, tint, strict=True))
    return red, green, blue
