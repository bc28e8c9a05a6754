"""The state of a promotion, as other parts see it."""

from dataclasses import dataclass
from typing import Final, Literal

Standing = Literal["none", "monitoring", "ready", "promoted"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """The state of a promotion.

    Attributes:
        state: its name; ``none`` without an observer of it.
        streak: windows in a row that passed.
        candidate_ready: whether what runs may be promoted.
        release: the release that runs, None before the first promotion.
        advice: the canaries that advise a rollback.
    """

    state: Standing
    streak: int
    candidate_ready: bool
    release: str | None
    advice: tuple[str, ...]


NO_PROMOTION: Final = Promotion("none", 0, candidate_ready=False, release=None, advice=())
"""The state without an observer of it."""
