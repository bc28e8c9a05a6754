"""What an outbox takes, holds and declares lost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from townlet_adapters.telemetry.ranges import Range, RangeSet

PROCESS_DIED: Final = "process_died"
SEGMENT_DAMAGED: Final = "segment_damaged"


class Row(NamedTuple):
    """One line that waits.

    Attributes:
        sequence: its number within its source.
        line: the envelope with its newline.
    """

    sequence: int
    line: bytes


@dataclass(frozen=True, slots=True)
class Loss:
    """Numbers of one source that will never be delivered, and why.

    Attributes:
        source: whose numbers.
        reason: ``process_died``, ``segment_damaged``, or one by which a sink counts what it dropped.
        ranges: the numbers, ascending, not empty.
        rows: how many rows of the outbox's own source, committed and not acknowledged, went with them; what
            else the ranges name was no row, or had been declared by one that went.
    """

    source: str
    reason: str
    ranges: tuple[Range, ...]
    rows: int = 0

    @classmethod
    def of(cls, source: str, reason: str, numbers: Iterable[tuple[int, int]]) -> "Loss":
        """Make one from ranges in any order."""
        return cls(source, reason, tuple(RangeSet(numbers)))

    @property
    def count(self) -> int:
        """How many numbers that are."""
        return sum(last - first + 1 for first, last in self.ranges)


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much an outbox may hold, and what its content survives.

    Attributes:
        bytes: most bytes of segments on the disk; quarantined ones have a bound of their own.
        segment_bytes: size at which a new segment is begun; at most an eighth of ``bytes`` is used.
        durability: ``process``: what was committed survives ``kill -9``; ``power``: the loss of power, too.
    """

    bytes: int = 1 << 30
    segment_bytes: int = 64 << 20
    durability: Literal["process", "power"] = "process"
