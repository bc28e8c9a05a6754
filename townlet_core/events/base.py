"""The base class of events, and the two forms in which an event is passed on."""

from dataclasses import dataclass
from typing import ClassVar


class Event:
    """Something that happened. Subclasses are frozen, slotted dataclasses and define their ``kind``.

    The base class itself is not a dataclass: it keeps the JSON of the data beside the fields.
    """

    __slots__ = ("_json",)

    kind: ClassVar[str]
    _json: bytes


@dataclass(frozen=True, slots=True)
class Fact:
    """An event with its place in the total order of a run; the digest covers all facts.

    Attributes:
        seq: run-wide number, from 0, without gaps.
        tick: the tick being executed when it happened.
        event: the event.
    """

    seq: int
    tick: int
    event: Event


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An event about the machinery, not the town: it has no ``seq`` and is in no digest.

    Attributes:
        tick: the tick being executed when it happened.
        event: the event.
    """

    tick: int
    event: Event
