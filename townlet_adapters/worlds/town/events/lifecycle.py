"""Arrivals of residents and moves without walking."""

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
class LifecycleMoved(Event):
    """A resident was moved without walking; ``reason`` is teleport or displaced.

    The field ``from_`` is called ``from`` in JSON.
    """

    kind: ClassVar[str] = "lifecycle.moved"
    agent_id: str
    from_: tuple[int, int]
    to: tuple[int, int]
    reason: str
