"""What happens between residents, and the ties that remember it."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class SocialChat(Event):
    """Two residents talked, well or badly; ``quality`` is that of the speaker, from 0.1 to 1."""

    kind: ClassVar[str] = "social.chat"
    speaker: str
    listener: str
    success: bool
    quality: float


@dataclass(frozen=True, slots=True)
class SocialSharedMeal(Event):
    """The first of ``agents`` finished a meal while the second was at one beside it."""

    kind: ClassVar[str] = "social.shared_meal"
    agents: tuple[str, str]
    place_id: str


@dataclass(frozen=True, slots=True)
class SocialAvoidance(Event):
    """A resident stepped away from one it avoids, to a ``distance`` in tiles."""

    kind: ClassVar[str] = "social.avoidance"
    agent_id: str
    rival: str
    distance: int


@dataclass(frozen=True, slots=True)
class SocialTie(Event):
    """A tie of ``owner`` to ``other`` began or ended; ``status`` is added or removed.

    ``reason`` is what happened between the two, a command, or decay, capacity or exit.
    """

    kind: ClassVar[str] = "social.tie"
    owner: str
    other: str
    status: str
    reason: str
    trust: float
    familiarity: float
    rivalry: float


@dataclass(frozen=True, slots=True)
class SocialThreshold(Event):
    """A tie rose across a threshold: friend, rival or feud; ``value`` is its trust, else its rivalry."""

    kind: ClassVar[str] = "social.threshold"
    owner: str
    other: str
    threshold: str
    value: float
