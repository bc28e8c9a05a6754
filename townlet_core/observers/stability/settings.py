"""What is measured, and from which value on it is worth an alert: ``observers.stability`` of a config."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from townlet_core.bounds import Bounds
from townlet_core.observers.facts import Facts
from townlet_core.observers.values import REWARD

LONGEST_WINDOW: Final = 100_000
"""Most ticks of a window, so that the state stays small."""
METRICS_TICKS: Final = 60
"""Ticks from one ``stability.metrics`` to the next."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Low:
    """A number of an agent that stays low."""

    of: str
    """the number: `COLUMN` or `COLUMN.NAME` of the view, or `reward`"""

    at_most: float
    """a tick with the number at or below this counts"""

    ticks: int = field(metadata=Bounds(ge=1))
    """so many such ticks in a row are one incident"""


@dataclass(frozen=True, slots=True)
class Share:
    """The share of some facts among others."""

    of: tuple[Facts, ...] = field(metadata=Bounds(min_length=1))
    """facts that are counted, or that mark an agent"""

    among: tuple[Facts, ...] = field(metadata=Bounds(min_length=1))
    """facts that they are a share of"""

    by: str = ""
    """field with the id of an agent: a fact of `among` counts when a fact of `of` has marked its agent \
since the one before; when empty, the facts of `of` are counted themselves"""

    forget: tuple[Facts, ...] = ()
    """facts that take the mark from their agent"""


@dataclass(frozen=True, slots=True)
class Returns:
    """Sums of an agent's number over whole days."""

    of: str = REWARD
    """the number: `reward`, or `COLUMN` or `COLUMN.NAME` of the view"""

    samples: int = field(default=20, metadata=Bounds(ge=2, le=1000))
    """days of agents that must have been seen"""


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure of the world divided by another."""

    of: str
    """name of a figure of `loop.tick`"""

    among: str
    """name of the figure to divide by"""


@dataclass(frozen=True, slots=True)
class Alert:
    """One number to measure; it has exactly one of the forms `count` and `low`, `share`, `switches`, ...

    Without `above` and `at_least` it is measured and never fires.
    """

    window: int = field(default=0, metadata=Bounds(ge=0, le=LONGEST_WINDOW))
    """ticks over which it is measured; 0 for the whole run"""

    above: float | None = None
    """it fires when the value is greater than this"""

    at_least: float | None = None
    """it fires when the value is this or greater"""

    samples: int = field(default=0, metadata=Bounds(ge=0))
    """`share`: facts of `among`, `switches`: ticks of agents, before which the value is 0"""

    count: tuple[Facts, ...] = ()
    """the number of such facts"""

    low: tuple[Low, ...] = ()
    """the number of such incidents, added to `count`"""

    share: Share | None = None
    """the share of some facts among others"""

    switches: str | None = None
    """the changes of a number of each agent in the view, from one value that is not negative to another, \
for each tick of each agent"""

    spread: Returns | None = None
    """the variance of the day sums, divided by the square of their mean or by 1, whichever is greater"""

    fall: Returns | None = None
    """how far the mean of the latest day sums has fallen below that of as many before, as a share of it"""

    figure: str | None = None
    """a figure of `loop.tick`"""

    ratio: Ratio | None = None
    """one figure of `loop.tick` divided by another"""

    def __post_init__(self) -> None:
        """Check what no single key shows.

        Raises:
            ValueError: when there is not one form, or there are two thresholds.
        """
        forms = (
            self.count or self.low or None,
            self.share,
            self.switches,
            self.spread,
            self.fall,
            self.figure,
            self.ratio,
        )
        if sum(form is not None for form in forms) != 1:
            raise ValueError(
                "give exactly one of count (with low, or alone), share, switches, spread, fall, figure, ratio"
            )
        if self.above is not None and self.at_least is not None:
            raise ValueError("give one of above and at_least")


@dataclass(frozen=True, slots=True)
class StabilitySettings:
    """Alerts about a run."""

    enabled: bool = True
    """whether anything is measured"""

    alerts: Mapping[str, Alert | None] = field(default_factory=dict)
    """what is measured, by name, on top of what the world brings; null leaves out what it brings"""

    def __post_init__(self) -> None:
        """Check the names; raises ``ValueError``."""
        for name in self.alerts:
            require_name(name)

    @property
    def active(self) -> Mapping[str, Alert]:
        """What is measured, by name; empty when nothing is."""
        return {name: each for name, each in self.alerts.items() if each is not None and self.enabled}


def require_name(name: str) -> None:
    """Check a name of a config's own; raises ``ValueError``."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name {name!r:.80} must have lower-case letters, digits and underscores")
