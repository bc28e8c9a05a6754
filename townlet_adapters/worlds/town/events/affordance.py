"""Uses of objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class AffordanceStart(Event):
    """A use began and was paid for (``paid`` in mills, ``alternative`` = number of the charge taken)."""

    kind: ClassVar[str] = "affordance.start"
    agent_id: str
    object_id: str
    affordance_id: str
    duration: int
    paid: int
    alternative: int


@dataclass(frozen=True, slots=True)
class AffordanceFinish(Event):
    """A use was completed; ``effects`` are those of the manifest, by effect key."""

    kind: ClassVar[str] = "affordance.finish"
    agent_id: str
    object_id: str
    affordance_id: str
    effects: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AffordanceFail(Event):
    """A use could not start or finish after ``progress`` ticks; ``refunded`` mills were returned."""

    kind: ClassVar[str] = "affordance.fail"
    agent_id: str
    object_id: str
    affordance_id: str
    reason: str
    detail: str | None
    progress: int
    refunded: int
