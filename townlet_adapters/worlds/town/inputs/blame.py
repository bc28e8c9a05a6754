"""Who is asked to change something: the place at which a problem of a text is reported.

A problem of a file of the modeller is reported at its line. The texts that came with the town are right, so a
problem of one of them is reported at the part of the config that it does not fit to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from townlet_adapters.documents import KeyPath, spell_key
from townlet_core.errors import Problem


class Places(Protocol):
    """Builds the problem of a part of a text; a ``Document`` does."""

    def problem(self, path: KeyPath, found: str, allowed: str) -> Problem:
        """Build the problem of the part at ``path``."""
        ...


@dataclass(frozen=True, slots=True)
class ShippedPlaces:
    """Builds the problems of a text that came with the town.

    Attributes:
        name: what the text is called in messages, such as ``the shipped map 'town_48'``.
        culprit: returns the key of the options that a part does not fit to, and what to do when the options
            stay as they are; may be empty.
    """

    name: str
    culprit: Callable[[KeyPath], tuple[KeyPath, str]]

    def problem(self, path: KeyPath, found: str, allowed: str) -> Problem:
        """Build the problem of a part, reported at the options."""
        key, remedy = self.culprit(path)
        what = f"{self.name} does not fit: {spell_key(path)}: {found}"
        return Problem(spell_key(key), what, f"keep what it needs, or {remedy}" if remedy else allowed)
