"""Counters of a sink: plain integers in the hot path, converted on request."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Final

from townlet_adapters.telemetry.envelope import Shedding
from townlet_core.events.health import Histogram

EMIT_BOUNDS: Final = (2e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2, 0.1, 1.0)
FLUSH_BOUNDS: Final = (1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0)
ACK_BOUNDS: Final = (1e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0)
NOT_SYNCED: Final = "not_synced"
CLASSES: Final = tuple(each.name.lower() for each in Shedding)


class Meter:
    """A histogram with fixed bounds; one writer, any reader."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Start empty; ``bounds`` are ascending, in seconds."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def read(self) -> Histogram:
        """Return the distribution."""
        counts = tuple(self._counts)
        return Histogram(self._bounds, counts, self._sum, sum(counts))


class Account:
    """The account of one sink; only the holder of the sink's lock may change it.

    Attributes:
        numbered: messages that got a number, which is also the next number.
        by_class: these messages by class.
        long: these messages of more than ``SOFT_EVENT_BYTES``.
        delivered: messages that the destination has.
        spooled: messages that wait in the outbox.
        dead_lettered: messages put aside.
        dropped: accepted messages that were lost, by reason and class.
        rejected: messages that ``emit`` refused, by reason.
        bytes_delivered: bytes of the delivered messages.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.numbered = 0
        self.by_class = [0, 0, 0]
        self.long = 0
        self.delivered = self.spooled = self.dead_lettered = 0
        self.dropped: Counter[tuple[str, Shedding]] = Counter()
        self.rejected: Counter[str] = Counter()
        self.bytes_delivered = 0

    def take_back(self, count: int) -> None:
        """Count delivered messages as dropped: they were written, and the disk may have lost them."""
        self.delivered -= count
        # The class of each is not kept; most messages of a file are facts.
        self.dropped[NOT_SYNCED, Shedding.NORMAL] += count

    def dropped_by_reason(self) -> dict[str, int]:
        """Return the dropped messages by reason, summed over the classes."""
        totals: Counter[str] = Counter()
        for (reason, _), count in self.dropped.items():
            totals[reason] += count
        return dict(totals)

    def dropped_by_class(self) -> Mapping[str, Mapping[str, int]]:
        """Return the dropped messages by reason and then by class."""
        totals: dict[str, dict[str, int]] = {}
        for (reason, shedding), count in self.dropped.items():
            totals.setdefault(reason, {})[CLASSES[shedding]] = count
        return totals

    def emitted_by_class(self) -> Mapping[str, int]:
        """Return the numbered messages by class."""
        return dict(zip(CLASSES, self.by_class, strict=True))
