"""The kinds of ground, in the order of their numbers."""

from typing import Final, Literal, TypeAlias

Tile: TypeAlias = Literal["floor", "road", "door", "wall", "water"]
TILES: Final[tuple[Tile, ...]] = ("floor", "road", "door", "wall", "water")
FIRST_IMPASSABLE_TILE: Final = 3
"""Tiles with a code below this one are passable."""
