"""When a run may be promoted, and when a rollback is advised: ``observers.promotion`` of a config."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from townlet_core.bounds import Bounds
from townlet_core.observers.stability.settings import require_name


@dataclass(frozen=True, slots=True)
class Canary:
    """A number of the observer `stability` that speaks against a promoted release."""

    value: str
    """name of the number, as below `observers.stability.alerts`"""

    above: float = 0.0
    """it speaks when the value is greater than this, ..."""

    times_baseline: float = field(default=0.0, metadata=Bounds(ge=0))
    """... and greater than this many times the value at the promotion"""

    windows: int = field(default=1, metadata=Bounds(ge=1, le=10))
    """windows in a row at whose end it must be so"""


@dataclass(frozen=True, slots=True)
class PromotionSettings:
    """Windows of a run that pass or fail, and what follows."""

    enabled: bool = True
    """whether windows are judged; without alerts none are"""

    window: int = field(default=1440, metadata=Bounds(ge=60, le=100_000))
    """ticks of a window"""

    required_passes: int = field(default=2, metadata=Bounds(ge=1, le=10))
    """windows in a row that must pass before what runs may be promoted"""

    allowed_alerts: tuple[str, ...] = ()
    """alerts with which a window passes all the same"""

    canaries: Mapping[str, Canary | None] = field(default_factory=dict)
    """what advises a rollback of a promoted release, by name, on top of what the world brings; null leaves \
out what it brings"""

    def __post_init__(self) -> None:
        """Check the names; raises ``ValueError``."""
        for name in self.canaries:
            require_name(name)
