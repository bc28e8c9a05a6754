"""Room for messages that wait to be written, and who has to go when it is full."""

from collections import deque
from enum import IntEnum
from typing import NamedTuple


class Shedding(IntEnum):
    """What is given up first: the highest number."""

    CRITICAL = 0
    NORMAL = 1
    BULK = 2


SUPERSEDED = "superseded"
BASE_LOST = "base_lost"
BUFFER_FULL = "buffer_full"

_RESERVE = 16  # one part in so many is kept free for critical messages


class _Line(NamedTuple):
    """A line that waits."""

    sequence: int
    line: bytes
    base: int | None


class BoundedBuffer:
    """Encoded lines in the order of their sequence, within a number of events and of bytes.

    Lines taken for writing are in flight: they use up room until they are settled, and are never shed.
    Not locked; whoever uses it from two threads does that.

    Attributes:
        events: lines held, in flight or not.
        size: their bytes.
        bulk_shed: bulk lines given up so far.
    """

    def __init__(self, capacity_events: int, capacity_bytes: int) -> None:
        """Make room for so many lines and so many bytes, whichever comes first."""
        common_events = capacity_events - capacity_events // _RESERVE
        common_bytes = capacity_bytes - capacity_bytes // _RESERVE
        self._event_limits = (capacity_events, common_events, common_events)
        self._byte_limits = (capacity_bytes, common_bytes, common_bytes)
        self._waiting: tuple[deque[_Line], ...] = (deque(), deque(), deque())
        self._flight: list[bytes] = []
        self._patches = 0
        self.events = 0
        self.size = 0
        self.bulk_shed = 0

    @property
    def in_flight(self) -> bool:
        """Whether lines were taken that are not settled yet."""
        return bool(self._flight)

    def fits(self, shedding: Shedding, size: int) -> bool:
        """Whether a line of ``size`` bytes has room now."""
        return self.events < self._event_limits[shedding] and self.size + size <= self._byte_limits[shedding]

    def could_fit(self, shedding: Shedding, size: int) -> bool:
        """Whether a line of ``size`` bytes would have room if nothing else were held."""
        return size <= self._byte_limits[shedding] and self._event_limits[shedding] > 0

    def append(self, shedding: Shedding, sequence: int, line: bytes, base: int | None = None) -> None:
        """Hold a line that fits.

        Args:
            shedding: what it may be given up for.
            sequence: its number, greater than every one before.
            line: the line.
            base: number of the bulk line without which this one, bulk too, is worth nothing.
        """
        self._waiting[shedding].append(_Line(sequence, line, base))
        self._patches += base is not None
        self.events += 1
        self.size += len(line)

    def shed_for(self, shedding: Shedding, size: int) -> tuple[list[str], bool]:
        """Give lines up until one of ``size`` bytes fits: bulk, then normal, then critical, oldest first.

        A line never makes one of a better class go. Lines that are worth nothing without one that goes
        go with it.

        Returns:
            The reason for each line given up, and whether there is room now.
        """
        reasons: list[str] = []
        if not self.could_fit(shedding, size):
            return reasons, False
        while not self.fits(shedding, size):
            victim = next((c for c in reversed(Shedding) if c >= shedding and self._waiting[c]), None)
            if victim is None:
                return reasons, False
            gone = self._waiting[victim].popleft()
            self._forget(gone)
            newer = victim is Shedding.BULK and (shedding is Shedding.BULK or self._waiting[victim])
            reasons.append(SUPERSEDED if newer else BUFFER_FULL)
            if victim is Shedding.BULK:
                orphans = self._shed_patches_of(gone.sequence)
                reasons += [BASE_LOST] * orphans
                self.bulk_shed += 1 + orphans
        return reasons, True

    def _forget(self, gone: _Line) -> None:
        self.events -= 1
        self.size -= len(gone.line)
        self._patches -= gone.base is not None

    def _shed_patches_of(self, sequence: int) -> int:
        """Give up the waiting lines that need this one, directly or not; returns how many."""
        if not self._patches:
            return 0
        lost = {sequence}
        kept: list[_Line] = []
        bulk = self._waiting[Shedding.BULK]
        for each in bulk:
            if each.base in lost:
                lost.add(each.sequence)
                self._forget(each)
            else:
                kept.append(each)
        if len(lost) > 1:
            bulk.clear()
            bulk.extend(kept)
        return len(lost) - 1

    def take(self, most_events: int, most_bytes: int) -> list[bytes]:
        """Put waiting lines in flight, in order, up to a batch; an unsettled batch is handed out again."""
        if not self._flight:
            size = 0
            while len(self._flight) < most_events:
                oldest = min((queue for queue in self._waiting if queue), default=None, key=_first_sequence)
                if oldest is None or (self._flight and size + len(oldest[0].line) > most_bytes):
                    break
                taken = oldest.popleft()
                size += len(taken.line)
                self._patches -= taken.base is not None
                self._flight.append(taken.line)
        return self._flight

    def settle(self, count: int) -> None:
        """Forget the first ``count`` lines in flight: they have arrived."""
        self.events -= count
        self.size -= sum(map(len, self._flight[:count]))
        # A new list: the transport may still hold the one it was handed.
        self._flight = self._flight[count:]

    def clear(self) -> int:
        """Give up everything; returns how many lines that were."""
        count = self.events
        for queue in self._waiting:
            queue.clear()
        self._flight = []
        self.events = self.size = self._patches = 0
        return count


def _first_sequence(queue: deque[_Line]) -> int:
    return queue[0].sequence
