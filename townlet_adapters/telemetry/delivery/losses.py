"""Numbers of a sink that will never be delivered, until a record declares them: exact, and bounded."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Final

from townlet_adapters.telemetry.delivery.buffer import BASE_LOST, BUFFER_FULL, SUPERSEDED
from townlet_adapters.telemetry.ranges import RangeSet
from townlet_adapters.telemetry.spool.base import Loss
from townlet_core.events.telemetry import TelemetryLoss

MOST_RANGES: Final = 512
"""Most ranges in one record."""
_MOST_HELD: Final = 8192  # ranges by reason; beyond it, all dropped lines are declared as `buffer_full`
_SHED: Final = (SUPERSEDED, BASE_LOST)


def parts_of(loss: Loss, most: int = MOST_RANGES) -> list[Loss]:
    """Cut a loss into parts that each fit one record."""
    ranges = loss.ranges
    return [replace(loss, ranges=ranges[n : n + most]) for n in range(0, len(ranges), most)]


def record_of_loss(loss: Loss) -> TelemetryLoss:
    """Return the record that declares a loss."""
    ranges = tuple((first, last) for first, last in loss.ranges)  # some JSON writers refuse named tuples
    return TelemetryLoss(loss.source, ranges, loss.count, loss.reason)


class Losses:
    """Numbers that no record declares yet, by source and reason. Not locked.

    A number is undeclared from ``note`` or ``hold`` until ``settled`` is called for the record that declares
    it: a record that is dropped declares nothing.
    """

    def __init__(self, source: str) -> None:
        """Start without losses; ``source`` is the sink's own."""
        self._source = source
        self._open: dict[tuple[str, str], RangeSet] = {}
        self._held: list[Loss] = []
        self._under_way: dict[int, Loss] = {}

    @property
    def pending(self) -> bool:
        """Whether a record must be made now; only one at a time is under way."""
        return bool(self._open) and not self._under_way

    def note(self, reason: str, ranges: Iterable[tuple[int, int]], source: str = "") -> None:
        """Add numbers of another source, or by default of the own one."""
        key = source or self._source, reason
        held = self._open.get(key)
        if held is None:
            held = self._open[key] = RangeSet()
        for first, last in ranges:
            held.add(first, last)
        if len(held) > _MOST_HELD and reason in _SHED:
            self._fold()

    def hold(self, reason: str, ranges: Iterable[tuple[int, int]], source: str) -> None:
        """Add numbers that get no record before ``release``."""
        self._held.append(Loss.of(source, reason, ranges))

    def release(self) -> None:
        """Allow records of the held numbers."""
        held, self._held = self._held, []
        for each in held:
            self.note(each.reason, each.ranges, each.source)

    def next_part(self, most: int = MOST_RANGES) -> Loss | None:
        """Return the content of the next record, or None; nothing changes until it is ``sent``."""
        for (source, reason), ranges in self._open.items():
            return Loss(source, reason, tuple(islice(ranges, most)))
        return None

    def sent(self, sequence: int, part: Loss) -> None:
        """Record that the record number ``sequence`` declares this part, the latest from ``next_part``."""
        key = part.source, part.reason
        rest = RangeSet(islice(self._open[key], len(part.ranges), None))
        if rest:
            self._open[key] = rest
        else:
            del self._open[key]
        self._under_way[sequence] = part

    def settled(self, through: int) -> None:
        """Remove what records with numbers up to ``through`` declare: they have arrived, or are committed."""
        # Numbers only grow, so the oldest record comes first.
        while self._under_way and (oldest := next(iter(self._under_way))) <= through:
            del self._under_way[oldest]

    def dropped(self, sequence: int) -> None:
        """Restore what the record number ``sequence`` declared, if it was a record: it was dropped."""
        part = self._under_way.pop(sequence, None)
        if part is not None:
            self.note(part.reason, part.ranges, part.source)

    def undeclared(self, through: int) -> tuple[Loss, ...]:
        """Return what no record up to the number ``through`` declares."""
        found = {key: [*ranges] for key, ranges in self._open.items()}
        for sequence, part in self._under_way.items():
            if sequence > through:
                found.setdefault((part.source, part.reason), []).extend(part.ranges)
        for each in self._held:
            found.setdefault((each.source, each.reason), []).extend(each.ranges)
        return tuple(Loss.of(source, reason, ranges) for (source, reason), ranges in found.items())

    def _fold(self) -> None:
        """Limit memory: use one reason for all dropped lines, so that their ranges join.

        A line between two ranges was kept, and the buffer limits the number of such lines.
        """
        for reason in _SHED:
            self.note(BUFFER_FULL, self._open.pop((self._source, reason), ()))
