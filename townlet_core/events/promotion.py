"""What the observer ``promotion`` reports."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from townlet_core.events.base import Event

PromotionName = Literal["monitoring", "ready", "promoted"]


@dataclass(frozen=True, slots=True)
class PromotionState(Event):
    """The state of the promotion changed, or a rollback is advised.

    ``release`` is the release that runs from here on: null before the first promotion. ``reason`` is
    ``candidate_ready`` (enough windows passed in a row), ``streak_broken``, ``promoted``, ``rollback``, or
    ``rollback_advised: `` with the names of the canaries; with that one, ``from`` and ``to`` are the same.
    The field ``from_`` is called ``from`` in JSON.
    """

    kind: ClassVar[str] = "promotion.state"
    from_: PromotionName
    to: PromotionName
    release: str | None
    reason: str
