"""Chance for what strangers wrote: a pure function of what they are shown."""

from typing import Final

from townlet_core import seeding

FIRST_DRAW: Final = 1000
"""Draws of the stream ``world`` below this index are the town's own."""


class Draws:
    """Numbers drawn from what a context is about; whoever inherits says what that is."""

    __slots__ = ()

    def draw(self, index: int) -> int:
        """Draw 64 bits, the same ones whenever the same context and index meet again.

        Args:
            index: which of the draws, from 0: where two numbers must be independent, give them two indices.
        """
        return seeding.draw(*self._key(index))

    def unit(self, index: int) -> float:
        """Draw a double in [0, 1)."""
        return seeding.unit(*self._key(index))

    def integer(self, low: int, high: int, index: int) -> int:
        """Draw an integer in [low, high]; the range holds fewer than 2**31 numbers."""
        return seeding.integer(low, high, *self._key(index))

    def _key(self, index: int) -> tuple[int, int, int, int, int]:
        raise NotImplementedError


def own_index(name: str, index: int) -> int:
    """Number a draw apart from the town's own ones and from those that others draw with the same index.

    Args:
        name: of the function that draws.
        index: which of its draws.

    Raises:
        ValueError: when the index is negative.
    """
    if index < 0:
        raise ValueError(f"draw {index}; allowed: from 0")
    return FIRST_DRAW + (seeding.text_key(name) + index) % (seeding.SEED_LIMIT - FIRST_DRAW)
