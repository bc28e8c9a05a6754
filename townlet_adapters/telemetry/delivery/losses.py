"""What a sink numbered and will never deliver, until a record of it is on its way: exact, and bounded."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Final

from townlet_adapters.telemetry.delivery.buffer import BASE_LOST, BUFFER_FULL, SUPERSEDED
from townlet_adapters.telemetry.ranges import RangeSet
from townlet_adapters.telemetry.spool.base import Loss
from townlet_core.events.telemetry import TelemetryLoss

MOST_RANGES: Final = 512
"""Most ranges that one record names."""
_MOST_HELD: Final = 8192  # ranges by reason; beyond it, all that was shed is declared as `buffer_full`
_SHED: Final = (SUPERSEDED, BASE_LOST)


def parts_of(loss: Loss, most: int = MOST_RANGES) -> list[Loss]:
    """Cut a loss into as many parts as it takes records to name it."""
    ranges = loss.ranges
    return [replace(loss, ranges=ranges[n : n + most]) for n in range(0, len(ranges), most)]


def record_of_loss(loss: Loss) -> TelemetryLoss:
    """Spell the record that declares a loss."""
    ranges = tuple((first, last) for first, last in loss.ranges)  # a named tuple is not JSON to every writer
    return TelemetryLoss(loss.source, ranges, loss.count, loss.reason)


class Losses:
    """Numbers that no record names yet, by source and reason. Not locked.

    A number is undeclared from ``note`` or ``hold`` until ``settled`` is told of the record that names it: a
    record that is given up itself declares nothing.
    """

    def __init__(self, source: str) -> None:
        """Begin with nothing lost; ``source`` is our own."""
        self._source = source
        self._open: dict[tuple[str, str], RangeSet] = {}
        self._held: list[Loss] = []
        self._under_way: dict[int, Loss] = {}

    @property
    def pending(self) -> bool:
        """Whether there is anything that a record should be made of now: one at a time is under way."""
        return bool(self._open) and not self._under_way

    def note(self, reason: str, ranges: Iterable[tuple[int, int]], source: str = "") -> None:
        """Add numbers of another source, or of ours unless told."""
        key = source or self._source, reason
        held = self._open.get(key)
        if held is None:
            held = self._open[key] = RangeSet()
        for first, last in ranges:
            held.add(first, last)
        if len(held) > _MOST_HELD and reason in _SHED:
            self._fold()

    def hold(self, reason: str, ranges: Iterable[tuple[int, int]], source: str) -> None:
        """Add numbers that no record is made of before ``release``."""
        self._held.append(Loss.of(source, reason, ranges))

    def release(self) -> None:
        """Let records be made of what was held."""
        held, self._held = self._held, []
        for each in held:
            self.note(each.reason, each.ranges, each.source)

    def next_part(self, most: int = MOST_RANGES) -> Loss | None:
        """Give what the next record should name, or None; nothing changes until it is ``sent``."""
        for (source, reason), ranges in self._open.items():
            return Loss(source, reason, tuple(islice(ranges, most)))
        return None

    def sent(self, sequence: int, part: Loss) -> None:
        """Note that the record number ``sequence`` names this part, which ``next_part`` gave last."""
        key = part.source, part.reason
        rest = RangeSet(islice(self._open[key], len(part.ranges), None))
        if rest:
            self._open[key] = rest
        else:
            del self._open[key]
        self._under_way[sequence] = part

    def settled(self, through: int) -> None:
        """Forget what records with numbers up to ``through`` named: they have arrived, or are committed."""
        # Numbers only grow, so the oldest record comes first.
        while self._under_way and (oldest := next(iter(self._under_way))) <= through:
            del self._under_way[oldest]

    def gave_up(self, sequence: int) -> None:
        """Take back what the record number ``sequence`` named, if it was a record: it was shed."""
        part = self._under_way.pop(sequence, None)
        if part is not None:
            self.note(part.reason, part.ranges, part.source)

    def undeclared(self, through: int) -> tuple[Loss, ...]:
        """Give what no record up to the number ``through`` names."""
        told = {key: [*ranges] for key, ranges in self._open.items()}
        for sequence, part in self._under_way.items():
            if sequence > through:
                told.setdefault((part.source, part.reason), []).extend(part.ranges)
        for each in self._held:
            told.setdefault((each.source, each.reason), []).extend(each.ranges)
        return tuple(Loss.of(source, reason, ranges) for (source, reason), ranges in told.items())

    def _fold(self) -> None:
        """Keep memory bounded: one reason for all that was shed, since runs of it then grow together.

        What lies between two runs is a line that was kept, and the buffer bounds their number.
        """
        for reason in _SHED:
            self.note(BUFFER_FULL, self._open.pop((self._source, reason), ()))
