"""Random draws for plugin code: each is a pure function of the plugin's context."""

from typing import Final

from townlet_core import seeding

FIRST_DRAW: Final = 1000
"""In the stream ``world``, draws below this index are reserved for the town."""


class Draws:
    """Random numbers that depend on a context; the subclass defines the key."""

    __slots__ = ()

    def draw(self, index: int) -> int:
        """Return 64 random bits; the same context and index always give the same bits.

        Args:
            index: number of the draw, from 0. Two independent numbers need two indices.
        """
        return seeding.draw(*self._key(index))

    def unit(self, index: int) -> float:
        """Return a random double in [0, 1)."""
        return seeding.unit(*self._key(index))

    def integer(self, low: int, high: int, index: int) -> int:
        """Return a random integer in [low, high]; the range holds fewer than 2**31 numbers."""
        return seeding.integer(low, high, *self._key(index))

    def _key(self, index: int) -> tuple[int, int, int, int, int]:
        raise NotImplementedError


def own_index(name: str, index: int) -> int:
    """Return a draw number that differs from the town's own and from those of other functions' draws.

    Args:
        name: name of the function that draws.
        index: number of its draw.

    Raises:
        ValueError: when the index is negative.
    """
    if index < 0:
        raise ValueError(f"draw index {index} is out of range (0 or more)")
    return FIRST_DRAW + (seeding.text_key(name) + index) % (seeding.SEED_LIMIT - FIRST_DRAW)
