"""What a transform is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from townlet_core.ports.telemetry import Message


@dataclass(frozen=True, slots=True)
class Withheld:
    """A message that a transform keeps from its sink.

    Attributes:
        reason: why, as it is counted among the sink's ``rejected``.
    """

    reason: str


Transform: TypeAlias = Callable[[Message], Message | Withheld]
"""A pure function on the way to one sink: gives the message to send, or why none is sent."""
