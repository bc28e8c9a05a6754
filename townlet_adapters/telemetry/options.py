"""What a config may say of the sinks we ship."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from townlet_adapters.telemetry.delivery import DeliveryLimits


class SinkOptions(BaseModel):
    """What every sink takes."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    on_full: Literal["wait", "shed"] = "wait"
    """what happens when the buffer is full: `wait` for a sink that still moves, or `shed` at once"""

    buffer_events: Annotated[int, Field(ge=1)] = 8192
    """most events held in memory"""

    buffer_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024 * 1024
    """most bytes held in memory"""

    def limits(self) -> DeliveryLimits:
        """What delivery needs to know of this."""
        return DeliveryLimits(self.on_full, self.buffer_events, self.buffer_bytes)


class StdoutOptions(SinkOptions):
    """Options of the sink `stdout`."""


class FileOptions(SinkOptions):
    """Options of the sink `file`."""

    path: Annotated[str, Field(min_length=1)] = "events.ndjson"
    """the file; a relative path starts in the run folder"""
