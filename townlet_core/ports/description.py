"""The additional protocol of a world that can describe itself to people."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

WARNING: Final = "warning"
"""Topic of a remark about something that is allowed, but hardly meant."""


class Remark(NamedTuple):
    """One line about a world.

    Attributes:
        topic: what the line is about, in one or two words.
        text: the line.
    """

    topic: str
    text: str


@runtime_checkable
class SupportsDescription(Protocol):
    """A world with something to say about what its options made of it.

    ``townlet config check`` prints every remark, a run logs those with the topic ``warning``.
    """

    def describe(self) -> Sequence[Remark]:
        """Return the remarks, in the order in which people read them; callable before ``reset``."""
        ...
