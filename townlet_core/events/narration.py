"""What the observer ``narration`` narrates people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonValue


@dataclass(frozen=True, slots=True)
class Narration(Event):
    """A sentence about what happened, for people who watch.

    ``key`` is the category with the ids that it is about, sorted; the same key is not narrated twice in a
    short time. ``priority`` says whether the pauses between sentences did not apply to it. ``data`` has the
    ``kind`` of the fact behind it, and the values of its fields that the sentence or the key names.
    """

    kind: ClassVar[str] = "narration"
    category: str
    message: str
    priority: bool
    key: str
    data: Mapping[str, JsonValue]
