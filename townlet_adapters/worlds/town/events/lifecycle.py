"""Arrivals and exits of residents, and moves without walking."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class LifecycleArrive(Event):
    """A resident was created; ``reason`` is start, replacement or console."""

    kind: ClassVar[str] = "lifecycle.arrive"
    agent_id: str
    serial: int
    slot: int
    name: str
    district: int
    position: tuple[int, int]
    profile: str
    job_id: str | None
    wallet: int
    reason: str


@dataclass(frozen=True, slots=True)
class LifecycleExit(Event):
    """A resident left town for good; ``wallet`` went to the treasury. ``reason`` is killed.

    Attributes:
        slot: the slot that it leaves.
        age: ticks since it arrived.
        terminal: its last reward, 0 for a resident that was killed.
    """

    kind: ClassVar[str] = "lifecycle.exit"
    agent_id: str
    slot: int
    reason: str
    age: int
    wallet: int
    terminal: float


@dataclass(frozen=True, slots=True)
class LifecycleMoved(Event):
    """A resident was moved without walking; ``reason`` is teleport or displaced.

    The field ``from_`` is called ``from`` in JSON.
    """

    kind: ClassVar[str] = "lifecycle.moved"
    agent_id: str
    from_: tuple[int, int]
    to: tuple[int, int]
    reason: str
