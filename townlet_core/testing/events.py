"""The events of ``FakeWorld`` and ``FakeStage``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class FakeStart(Event):
    """An agent began to use a thing."""

    kind: ClassVar[str] = "fake.start"
    agent_id: str
    object_id: str
    use: str


@dataclass(frozen=True, slots=True)
class FakeFinish(Event):
    """An agent finished a use; ``effects`` are the changes of its needs by name."""

    kind: ClassVar[str] = "fake.finish"
    agent_id: str
    object_id: str
    use: str
    effects: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FakePair:
    """Two agents that quarrelled."""

    agent_id: str
    rival: str
    intensity: float


@dataclass(frozen=True, slots=True)
class FakeQuarrels(Event):
    """All quarrels of a tick; emitted only in ticks with a quarrel."""

    kind: ClassVar[str] = "fake.quarrels"
    pairs: tuple[FakePair, ...]


@dataclass(frozen=True, slots=True)
class FakeDay(Event):
    """A day ended; ``totals`` counts what was done so far."""

    kind: ClassVar[str] = "fake.day"
    day: int
    totals: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FakeHeld(Event):
    """A stage let an agent wait instead of what its policy had chosen."""

    kind: ClassVar[str] = "fake.held"
    agent_id: str
    action: int
    stage: str


FAKE_EVENTS: Final[tuple[type[Event], ...]] = (FakeDay, FakeFinish, FakeHeld, FakeQuarrels, FakeStart)
"""Every kind that ``FakeWorld`` and ``FakeStage`` emit."""
