"""What a sink says of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class TelemetryLoss(Event):
    """Messages that a sink had numbered and will never deliver. A diagnostic, sent by that sink alone.

    ``source`` is the one whose sequence has the gaps: the sink's own, or after a crash that of the run
    before. ``ranges`` are pairs of the first and the last ``sequence`` lost, ascending; ``count`` is how many
    messages that are. ``reason`` is one of those by which a sink counts what it dropped, or
    ``process_died``, or ``segment_damaged``.
    """

    kind: ClassVar[str] = "telemetry.loss"
    source: str
    ranges: Sequence[tuple[int, int]]
    count: int
    reason: str
