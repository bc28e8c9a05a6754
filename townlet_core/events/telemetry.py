"""The events that a sink emits about itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class TelemetryLoss(Event):
    """Messages that a sink had numbered and will never deliver. A diagnostic, sent by that sink alone.

    ``source`` is the source whose sequence has the gaps: the sink's own, or after a crash that of the
    previous run. ``ranges`` are pairs of the first and the last ``sequence`` lost, ascending; ``count`` is
    the number of lost messages. ``reason`` is one of the reasons by which a sink counts dropped messages, or
    ``process_died``, ``segment_damaged`` or ``outbox_removed``.
    """

    kind: ClassVar[str] = "telemetry.loss"
    source: str
    ranges: Sequence[tuple[int, int]]
    count: int
    reason: str
