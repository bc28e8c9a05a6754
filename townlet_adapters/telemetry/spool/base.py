"""What an outbox takes, holds and declares lost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from townlet_adapters.telemetry.ranges import Range, RangeSet

PROCESS_DIED: Final = "process_died"
SEGMENT_DAMAGED: Final = "segment_damaged"
OUTBOX_REMOVED: Final = "outbox_removed"

_STEPS: Final = 8  # room is given back in at least so many steps


class Row(NamedTuple):
    """One event that waits.

    Attributes:
        sequence: its number within its source.
        line: its envelope, ending in a newline.
    """

    sequence: int
    line: bytes


class Before(NamedTuple):
    """The segment with rows that comes before, as it was when the next one began.

    Attributes:
        number: its place in the order of segments.
        source: source of its rows.
        base: position in the queue of that source's number 0.
        first: its rows have this number or higher ones.
        end: its rows have lower numbers than this.
        events: how many rows it holds.
    """

    number: int
    source: str
    base: int
    first: int
    end: int
    events: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Numbers of one source that will never be delivered, and why.

    Attributes:
        source: source of the numbers.
        reason: ``process_died``, ``segment_damaged``, ``outbox_removed``, or a reason for which a sink drops.
        ranges: the numbers, ascending, not empty.
        rows: how many rows of the running source, committed and not acknowledged, were lost. The ranges may
            name more numbers: those that were dropped before, or that a lost row declared.
    """

    source: str
    reason: str
    ranges: tuple[Range, ...]
    rows: int = 0

    @classmethod
    def of(cls, source: str, reason: str, numbers: Iterable[tuple[int, int]]) -> "Loss":
        """Make a loss from ranges in any order."""
        return cls(source, reason, tuple(RangeSet(numbers)))

    @property
    def count(self) -> int:
        """Count the numbers."""
        return sum(last - first + 1 for first, last in self.ranges)


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much an outbox may hold, and what its content survives.

    Attributes:
        bytes: most bytes of segments on the disk, without those in quarantine.
        segment_bytes: size at which the next segment begins; an eighth of ``bytes`` where that is less.
        durability: ``process``: committed rows survive ``kill -9``; ``power``: they survive a power cut, too.
    """

    bytes: int = 1 << 30
    segment_bytes: int = 64 << 20
    durability: Literal["process", "power"] = "process"

    @property
    def bytes_of_segment(self) -> int:
        """Size at which the next segment begins, so that room is given back in small enough steps."""
        return min(self.segment_bytes, self.bytes // _STEPS)


class Numbers:
    """Which numbers of each source have been named."""

    def __init__(self, losses: Iterable[Loss] = ()) -> None:
        """Begin with the numbers that losses name."""
        self._named: dict[str, RangeSet] = {}
        self.add(losses)

    def add(self, losses: Iterable[Loss]) -> tuple[Loss, ...]:
        """Add the numbers of losses; returns the losses without the numbers that were there before."""
        new: list[Loss] = []
        for loss in losses:
            named = self._named.setdefault(loss.source, RangeSet())
            rest = [hole for first, last in loss.ranges for hole in named.holes(first, last)]
            for first, last in rest:
                named.add(first, last)
            if rest:
                new.append(Loss.of(loss.source, loss.reason, rest))
        return tuple(new)


def each_once(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """Join losses by source and reason; a number that several name stays with the first of them."""
    joined: dict[tuple[str, str], list[Range]] = {}
    for loss in Numbers().add(losses):
        joined.setdefault((loss.source, loss.reason), []).extend(loss.ranges)
    return tuple(Loss.of(source, reason, ranges) for (source, reason), ranges in joined.items())
