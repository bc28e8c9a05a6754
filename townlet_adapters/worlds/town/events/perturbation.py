"""Events that happen to a town: outages, dear prices, closures, meetings, festivals."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class PerturbationScheduled(Event):
    """An event was scheduled by hand; ``kind`` is the name of its spec.

    The field ``kind_`` is called ``kind`` in JSON.
    """

    kind: ClassVar[str] = "perturbation.scheduled"
    event_id: str
    kind_: str
    starts_at: int


@dataclass(frozen=True, slots=True)
class PerturbationStarted(Event):
    """An event started; it is under way in the ticks before ``ends_at``.

    The field ``kind_``, the name of its spec, is called ``kind`` in JSON.

    Attributes:
        targets: what it is about: targets of prices, utilities, objects, or the two residents and the place
            of a meeting, or the place of a festival.
        magnitude: permille of the prices; null for an event that scales none.
        source: scheduler or manual.
    """

    kind: ClassVar[str] = "perturbation.started"
    event_id: str
    kind_: str
    district: int
    targets: tuple[str, ...]
    magnitude: int | None
    ends_at: int
    source: str


@dataclass(frozen=True, slots=True)
class PerturbationEnded(Event):
    """An event that was under way ended; the field ``kind_`` is called ``kind`` in JSON."""

    kind: ClassVar[str] = "perturbation.ended"
    event_id: str
    kind_: str


@dataclass(frozen=True, slots=True)
class PerturbationCancelled(Event):
    """An event was cancelled: before it started (``pending``), or else it ends now.

    An event that is about nothing when it is due is cancelled, too. The field ``kind_`` is called ``kind`` in
    JSON.
    """

    kind: ClassVar[str] = "perturbation.cancelled"
    event_id: str
    kind_: str
    pending: bool
