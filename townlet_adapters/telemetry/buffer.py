"""Room for messages that wait to be written, and who has to go when it is full."""

from collections import deque
from enum import IntEnum


class Shedding(IntEnum):
    """What is given up first: the highest number."""

    CRITICAL = 0
    NORMAL = 1
    BULK = 2


SUPERSEDED = "superseded"
BUFFER_FULL = "buffer_full"

_RESERVE = 16  # one part in so many is kept free for critical messages


class BoundedBuffer:
    """Encoded lines in the order of their sequence, within a number of events and of bytes.

    Lines taken for writing are in flight: they use up room until they are settled, and are never shed.
    Not locked; whoever uses it from two threads does that.

    Attributes:
        events: lines held, in flight or not.
        size: their bytes.
    """

    def __init__(self, capacity_events: int, capacity_bytes: int) -> None:
        """Make room for so many lines and so many bytes, whichever comes first."""
        common_events = capacity_events - capacity_events // _RESERVE
        common_bytes = capacity_bytes - capacity_bytes // _RESERVE
        self._event_limits = (capacity_events, common_events, common_events)
        self._byte_limits = (capacity_bytes, common_bytes, common_bytes)
        self._waiting: tuple[deque[tuple[int, bytes]], ...] = (deque(), deque(), deque())
        self._flight: list[bytes] = []
        self.events = 0
        self.size = 0

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

    def append(self, shedding: Shedding, sequence: int, line: bytes) -> None:
        """Hold a line that fits; ``sequence`` is greater than every one before."""
        self._waiting[shedding].append((sequence, line))
        self.events += 1
        self.size += len(line)

    def shed_for(self, shedding: Shedding, size: int) -> tuple[list[str], bool]:
        """Give lines up until one of ``size`` bytes fits: bulk, then normal, then critical, oldest first.

        A line never makes one of a better class go.

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
            _, line = self._waiting[victim].popleft()
            self.events -= 1
            self.size -= len(line)
            newer = victim is Shedding.BULK and (shedding is Shedding.BULK or self._waiting[victim])
            reasons.append(SUPERSEDED if newer else BUFFER_FULL)
        return reasons, True

    def take(self, most_events: int, most_bytes: int) -> list[bytes]:
        """Put waiting lines in flight, in order, up to a batch; an unsettled batch is handed out again."""
        if not self._flight:
            size = 0
            while len(self._flight) < most_events:
                oldest = min((queue for queue in self._waiting if queue), default=None, key=_first_sequence)
                if oldest is None or (self._flight and size + len(oldest[0][1]) > most_bytes):
                    break
                _, line = oldest.popleft()
                size += len(line)
                self._flight.append(line)
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
        self.events = self.size = 0
        return count


def _first_sequence(queue: deque[tuple[int, bytes]]) -> int:
    return queue[0][0]
