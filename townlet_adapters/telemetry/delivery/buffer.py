"""The buffer for messages that wait to be written, and the order in which a full one drops them."""

from collections import deque
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

from townlet_adapters.telemetry.envelope import Shedding
from townlet_core.events.health import QueueHealth

SUPERSEDED: Final = "superseded"
BASE_LOST: Final = "base_lost"
BUFFER_FULL: Final = "buffer_full"

_RESERVE: Final = 16  # one part out of this many is reserved for critical messages


Line: TypeAlias = tuple[int, bytes, Shedding, int | None]
"""A waiting line: its number; the envelope with its newline; its class; and the number of the bulk line
without which this bulk line is useless. A plain tuple: the town creates one for every message, and a named
tuple takes three times as long."""


class Shed(NamedTuple):
    """A dropped line.

    Attributes:
        sequence: its number.
        shedding: its class.
        reason: why it was dropped.
    """

    sequence: int
    shedding: Shedding
    reason: str


class BoundedBuffer:
    """Encoded lines in the order of their sequence, with limits on events and bytes.

    Lines taken for writing are in flight: they occupy room until they are settled, and are never dropped.
    Not locked; a caller with two threads must lock it.

    Attributes:
        events: lines held, in flight or not.
        size: their bytes.
        peak_events: most lines held so far.
    """

    def __init__(self, capacity_events: int, capacity_bytes: int) -> None:
        """Hold at most this many lines and bytes, whichever limit is reached first."""
        self.capacity_events, self.capacity_bytes = capacity_events, capacity_bytes
        common_events = capacity_events - capacity_events // _RESERVE
        common_bytes = capacity_bytes - capacity_bytes // _RESERVE
        self._event_limits = (capacity_events, common_events, common_events)
        self._byte_limits = (capacity_bytes, common_bytes, common_bytes)
        self._waiting: tuple[deque[Line], ...] = (deque(), deque(), deque())
        self._flight: list[Line] = []
        self._patches = 0
        self.events = 0
        self.size = 0
        self.peak_events = 0

    @property
    def in_flight(self) -> Sequence[Line]:
        """The lines taken and not settled yet."""
        return self._flight

    def health(self) -> QueueHealth:
        """Return what waits, and the limits."""
        return QueueHealth(
            events=self.events,
            bytes=self.size,
            peak_events=self.peak_events,
            capacity_events=self.capacity_events,
            capacity_bytes=self.capacity_bytes,
        )

    def fits(self, shedding: Shedding, size: int) -> bool:
        """Return whether a line of ``size`` bytes has room now."""
        return self.events < self._event_limits[shedding] and self.size + size <= self._byte_limits[shedding]

    def could_fit(self, shedding: Shedding, size: int) -> bool:
        """Return whether a line of ``size`` bytes would have room in an empty buffer."""
        return size <= self._byte_limits[shedding] and self._event_limits[shedding] > 0

    def append(self, line: Line) -> None:
        """Add a line that fits; its number must be greater than all before."""
        _, envelope, shedding, base = line
        self._waiting[shedding].append(line)
        if base is not None:
            self._patches += 1
        self.events = events = self.events + 1
        self.size += len(envelope)
        if events > self.peak_events:  # noqa: PLR1730 - a call of max() costs the town twice as much
            self.peak_events = events

    def shed_for(self, shedding: Shedding, size: int) -> tuple[list[Shed], bool]:
        """Drop lines until one of ``size`` bytes fits: bulk, then normal, then critical, oldest first.

        A line never displaces one of a better class. Lines that are useless without a dropped line are
        dropped with it.

        Returns:
            The dropped lines, and whether there is room now.
        """
        gone: list[Shed] = []
        if not self.could_fit(shedding, size):
            return gone, False
        while not self.fits(shedding, size):
            victim = next((c for c in reversed(Shedding) if c >= shedding and self._waiting[c]), None)
            if victim is None:
                return gone, False
            line = self._waiting[victim].popleft()
            self._forget(line)
            number = line[0]
            newer = victim is Shedding.BULK and (shedding is Shedding.BULK or self._waiting[victim])
            gone.append(Shed(number, victim, SUPERSEDED if newer else BUFFER_FULL))
            if victim is Shedding.BULK:
                gone += self._shed_patches_of(number)
        return gone, True

    def _forget(self, gone: Line) -> None:
        _, envelope, _, base = gone
        self.events -= 1
        self.size -= len(envelope)
        self._patches -= base is not None

    def _shed_patches_of(self, sequence: int) -> Iterator[Shed]:
        """Drop the waiting lines that depend on this one, directly or indirectly."""
        if not self._patches:
            return
        lost = {sequence}
        kept: list[Line] = []
        bulk = self._waiting[Shedding.BULK]
        for each in bulk:
            number, _, _, base = each
            if base in lost:
                lost.add(number)
                self._forget(each)
                yield Shed(number, Shedding.BULK, BASE_LOST)
            else:
                kept.append(each)
        if len(lost) > 1:
            bulk.clear()
            bulk.extend(kept)

    def take(self, most_events: int, most_bytes: int) -> Sequence[Line]:
        """Put waiting lines in flight, in order, up to a batch; an unsettled batch is returned again."""
        if not self._flight:
            size = 0
            while len(self._flight) < most_events:
                oldest = min((queue for queue in self._waiting if queue), default=None, key=_first_number)
                if oldest is None:
                    break
                _, envelope, _, base = line = oldest[0]
                size += len(envelope)
                if self._flight and size > most_bytes:
                    break
                self._patches -= base is not None
                self._flight.append(line)
                oldest.popleft()
        return self._flight

    def settle(self, count: int) -> None:
        """Remove the first ``count`` lines in flight."""
        self.events -= count
        self.size -= sum(len(envelope) for _, envelope, _, _ in self._flight[:count])
        # A new list: the caller that took the old one may still read it.
        self._flight = self._flight[count:]

    def clear(self, reason: str) -> list[Shed]:
        """Drop all lines; returns them in order."""
        left = sorted(
            (*self._flight, *(each for queue in self._waiting for each in queue)), key=itemgetter(0)
        )
        for queue in self._waiting:
            queue.clear()
        self._flight = []
        self.events = self.size = self._patches = 0
        return [Shed(number, shedding, reason) for number, _, shedding, _ in left]


def _first_number(queue: deque[Line]) -> int:
    return queue[0][0]
