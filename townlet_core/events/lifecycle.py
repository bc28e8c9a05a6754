"""Coming into town and being moved about in it."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class LifecycleArrive(Event):
    """A resident came into being; ``reason`` is start, replacement or console."""

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

    The field that the event table calls ``from`` is spelt so in JSON.
    """

    kind: ClassVar[str] = "lifecycle.moved"
    agent_id: str
    from_: tuple[int, int]
    to: tuple[int, int]
    reason: str
