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
    """A resident left town for good; ``wallet`` went to the treasury.

    Attributes:
        slot: the slot that it leaves.
        reason: collapse, neglect, eviction, unemployment, age_out (it moved away) or killed.
        age: ticks since it arrived.
        terminal: the reward for leaving, 0 for a resident that moved away or was killed.
    """

    kind: ClassVar[str] = "lifecycle.exit"
    agent_id: str
    slot: int
    reason: str
    age: int
    wallet: int
    terminal: float


@dataclass(frozen=True, slots=True)
class LifecycleExitPending(Event):
    """A resident is due to leave town and has to wait, once for each reason and cause.

    Attributes:
        reason: why it is due: one of those of ``lifecycle.exit``.
        cause: what keeps it: suppressed (something is off or dear), cap (others left today) or spacing (the
            last exit is too near).
    """

    kind: ClassVar[str] = "lifecycle.exit_pending"
    agent_id: str
    reason: str
    cause: str


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
