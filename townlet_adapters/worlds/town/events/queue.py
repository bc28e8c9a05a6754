"""Queues, grants and the conflicts around them."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class QueueJoin(Event):
    """A resident joined a queue at ``position`` (0 = next)."""

    kind: ClassVar[str] = "queue.join"
    agent_id: str
    object_id: str
    affordance_id: str
    position: int


@dataclass(frozen=True, slots=True)
class QueueGrant(Event):
    """A resident got the object after it had ``waited`` that many ticks."""

    kind: ClassVar[str] = "queue.grant"
    agent_id: str
    object_id: str
    affordance_id: str
    waited: int


@dataclass(frozen=True, slots=True)
class QueueLeave(Event):
    """A waiting resident or an idle holder dropped its claim after ``waited`` ticks.

    ``reason`` is one of left, timeout, too_far, idle, closed, interrupted, agent_exit.
    """

    kind: ClassVar[str] = "queue.leave"
    agent_id: str
    object_id: str
    reason: str
    waited: int


@dataclass(frozen=True, slots=True)
class QueueConflict(Event):
    """Two residents got in each other's way; ``reason`` is ghost_step, jostle or waiting."""

    kind: ClassVar[str] = "queue.conflict"
    actor: str
    rival: str
    object_id: str | None
    reason: str
    queue_length: int
    intensity: float


@dataclass(frozen=True, slots=True)
class QueueHandover(Event):
    """A resident that finished passed the object to one it likes, at ``from_index`` of the queue."""

    kind: ClassVar[str] = "queue.handover"
    agent_id: str
    to: str
    object_id: str
    from_index: int


@dataclass(frozen=True, slots=True)
class RivalryEntry:
    """One conflict within a tick's digest."""

    actor: str
    rival: str
    reason: str
    intensity: float


@dataclass(frozen=True, slots=True)
class RivalryEvents(Event):
    """All conflicts of one tick; emitted only in ticks with a conflict."""

    kind: ClassVar[str] = "rivalry.events"
    events: tuple[RivalryEntry, ...]
