"""What every event is, and the two ways an event travels."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Subclasses are frozen, slotted and name their ``kind``."""

    kind: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Fact:
    """An event with its place in the run's one total order; facts are what the digest covers.

    Attributes:
        seq: run-wide number, from 0, without gaps.
        tick: the tick being executed when it happened.
        event: what happened.
    """

    seq: int
    tick: int
    event: Event


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An event about the machinery, not the town: no ``seq``, in no digest.

    Attributes:
        tick: the tick being executed when it happened.
        event: what happened.
    """

    tick: int
    event: Event
