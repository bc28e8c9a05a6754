"""What the observer ``stability`` reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class StabilityMetrics(Event):
    """The numbers that are watched, every 60 ticks.

    ``values`` has each by its name, after tick ``window_end``. ``standing`` names the alerts that have fired
    and whose value has not come back under the threshold yet. ``streak``, ``candidate_ready`` and ``state``
    are those of the promotion before this tick; without an observer of it they are 0, false and ``none``.
    """

    kind: ClassVar[str] = "stability.metrics"
    values: Mapping[str, float]
    window_end: int
    standing: tuple[str, ...]
    streak: int
    candidate_ready: bool
    state: str


@dataclass(frozen=True, slots=True)
class StabilityAlert(Event):
    """A number crossed its threshold upwards; it fires again once it was back under the threshold.

    The value is that over the ``window`` ticks that end with this one; 0 stands for the whole run.
    """

    kind: ClassVar[str] = "stability.alert"
    alert: str
    value: float
    threshold: float
    window: int
