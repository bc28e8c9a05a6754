"""The options that every sink has: the size of its buffer, and what happens when it is full."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from townlet_adapters.validation import Section

OnFull: TypeAlias = Literal["wait", "shed"]


class DeliveryLimits(Section):
    """Options of every sink."""

    on_full: OnFull = "wait"
    """what happens when the buffer is full: `wait` while the sink makes progress, or `shed` (drop) at once"""

    buffer_events: Annotated[int, Field(ge=1)] = 8192
    """most events held in memory"""

    buffer_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024 * 1024
    """most bytes held in memory"""
