"""What a sink counts of itself: plain integers where it is busy, spelled when somebody asks."""

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
        """Begin empty; ``bounds`` ascend, in seconds."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def read(self) -> Histogram:
        """Tell how they are distributed."""
        counts = tuple(self._counts)
        return Histogram(self._bounds, counts, self._sum, sum(counts))


class Account:
    """The counters of one sink; whoever changes them holds the sink's lock.

    Attributes:
        numbered: messages that were given a number, which is the next number, too.
        by_class: those by class.
        long: those of more than ``SOFT_EVENT_BYTES``.
        delivered: messages that the destination has.
        spooled: messages that wait in the outbox.
        dead_lettered: messages put aside.
        dropped: messages given up, by reason and class.
        rejected: messages refused at the door, by reason.
        bytes_delivered: bytes of the delivered ones.
    """

    def __init__(self) -> None:
        """Begin at zero."""
        self.numbered = 0
        self.by_class = [0, 0, 0]
        self.long = 0
        self.delivered = self.spooled = self.dead_lettered = 0
        self.dropped: Counter[tuple[str, Shedding]] = Counter()
        self.rejected: Counter[str] = Counter()
        self.bytes_delivered = 0

    def take_back(self, count: int) -> None:
        """Count so many delivered messages as dropped: they were written, and the disk may have lost them."""
        self.delivered -= count
        # Which class each of them had is not remembered; most messages of a file are facts.
        self.dropped[NOT_SYNCED, Shedding.NORMAL] += count

    def dropped_by_reason(self) -> dict[str, int]:
        """Sum what was given up over the classes."""
        told: Counter[str] = Counter()
        for (reason, _), count in self.dropped.items():
            told[reason] += count
        return dict(told)

    def dropped_by_class(self) -> Mapping[str, Mapping[str, int]]:
        """Spell what was given up, by reason and then by class."""
        told: dict[str, dict[str, int]] = {}
        for (reason, shedding), count in self.dropped.items():
            told.setdefault(reason, {})[CLASSES[shedding]] = count
        return told

    def emitted_by_class(self) -> Mapping[str, int]:
        """Spell what was numbered, by class."""
        return dict(zip(CLASSES, self.by_class, strict=True))
