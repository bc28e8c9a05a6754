"""The type of transforms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from townlet_core.ports.telemetry import Message


@dataclass(frozen=True, slots=True)
class Withheld:
    """The decision of a transform not to send a message to its sink.

    Attributes:
        reason: why; the sink's ``rejected`` counts the message under this reason.
    """

    reason: str


Transform: TypeAlias = Callable[[Message], Message | Withheld]
"""A pure function for one sink: returns the message to send, or why none is sent."""
