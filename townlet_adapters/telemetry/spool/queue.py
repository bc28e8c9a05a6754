"""The rows that wait: in which segments they are, and up to where they are acknowledged."""

import logging
import threading
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from townlet_adapters.telemetry.clock import Clock
from townlet_adapters.telemetry.spool.base import Row
from townlet_adapters.telemetry.spool.control import Control, ControlPage
from townlet_adapters.telemetry.spool.folder import Folder, Quarantine
from townlet_adapters.telemetry.spool.label import Label
from townlet_adapters.telemetry.spool.recovery import Recovered
from townlet_adapters.telemetry.spool.rows import Extent
from townlet_adapters.telemetry.spool.segment import Segment
from townlet_adapters.telemetry.spool.undeclared import Undeclared
from townlet_core.events.health import Durability, SpoolHealth

_log = logging.getLogger(__name__)


class Turn(NamedTuple):
    """Where delivery goes on.

    Attributes:
        segment: the oldest segment with a row that is not acknowledged.
        first: the lowest number that such a row may have.
        behind: how many rows of the segment are not to be delivered any more.
    """

    segment: Segment
    first: int
    behind: int


class Queue:
    """The segments of an outbox, oldest first, and the counts of the control page.

    Safe to use from several threads. No verb waits while a file is read or rows are written, but those that
    free segments; the others write at most 24 bytes into a page of the file system's memory.

    Attributes:
        undeclared: losses that no committed row declares yet.
        page: the control page; None before this run has one, and after the end.
        newest: the segment that this run's rows go into; None before the first one.
    """

    def __init__(self, found: Recovered, quarantine: Quarantine, clock: Clock) -> None:
        """Begin with the segments of earlier runs."""
        self.undeclared = Undeclared()
        self._quarantine = quarantine
        self._clock = clock
        self._lock = threading.RLock()
        self._chain = found.chain
        self.newest: Segment | None = None
        self._settled = found.settled
        self._waiting = sum(segment.waiting for segment in found.chain)
        self._oldest = found.oldest
        self.page: ControlPage | None = None

    # ---- the control page ------------------------------------------------------------------------

    def open_page(self, folder: Folder, origin: Label, rows: Sequence[Row]) -> None:
        """Write the first control page of this run, whose first rows are about to be added.

        Args:
            folder: the outbox's.
            origin: names the source, its base, and the latest segment of an earlier source.
            rows: the first rows.

        Raises:
            OSError: when the disk does not take it; the page before stays in force.
        """
        emitted = rows[-1].sequence + 1 if rows else 0
        waiting = self._waiting + len(rows)
        page = ControlPage(
            folder,
            Control(origin.source, origin.base, emitted, self._settled, waiting, self._oldest, origin.before),
        )
        with self._lock:
            self.page = page

    def _note(self) -> None:
        if self.page is not None:
            self.page.note_queue(self._settled, self._waiting, self._oldest if self._waiting else 0.0)

    # ---- the committer's side --------------------------------------------------------------------

    def add(self, segment: Segment) -> None:
        """Add a segment for the next rows."""
        with self._lock:
            self.newest = segment
            self._chain.append(segment)

    def take_back(self, segment: Segment) -> None:
        """Remove the newest segment, which was begun in vain."""
        with self._lock:
            self._chain.remove(segment)
            self.newest = None

    def commit(self, rows: Sequence[Row], extent: Extent) -> None:
        """Count what was stored in the newest segment."""
        newest = self.newest
        if newest is None:
            return
        with self._lock:
            newest.extent = extent
            if rows:
                if not self._waiting:
                    self._oldest = self._clock.wall()
                newest.waiting += len(rows)
                self._waiting += len(rows)
                self._note()

    def in_use(self) -> list[Segment]:
        """Return the segments of which a row waits, and the newest one."""
        with self._lock:
            return [each for each in self._chain if each.waiting or each is self.newest]

    def is_delivered(self, segment: Segment) -> bool:
        """Return whether a segment has rows on the disk, and all of them were delivered."""
        with self._lock:
            return not (segment.waiting or self.undeclared.owes(segment)) and segment.extent.size > 0

    @property
    def size(self) -> int:
        """Bytes of the segments on the disk."""
        with self._lock:
            return sum(segment.size for segment in self._chain)

    # ---- the sender's side -----------------------------------------------------------------------

    def turn(self) -> Turn | None:
        """Return where delivery goes on; None when nothing waits."""
        with self._lock:
            for segment in self._chain:
                first = self.first_in(segment)
                if first < segment.extent.end:
                    return Turn(segment, first, segment.extent.events - segment.waiting)
        return None

    def first_in(self, segment: Segment) -> int:
        """Return the lowest number that a row of a segment may have which is not acknowledged."""
        with self._lock:
            return max(segment.label.first, self._settled - segment.label.base)

    def note_oldest(self, at: float) -> None:
        """Note when the oldest row was committed, in seconds since 1970; 0 when that is not known."""
        with self._lock:
            self._oldest = at or self._oldest
            self._note()

    def pass_by(self, segment: Segment, end: int) -> None:
        """Settle the numbers of a segment below ``end``, which belong to no row that can be read."""
        with self._lock:
            self._settled = max(self._settled, segment.label.base + end)
            self._note()

    def settle(self, count: int, through: int) -> None:
        """Settle the oldest rows, of which the last has the number ``through``."""
        with self._lock:
            turn = self.turn()
            if turn is not None:
                turn.segment.waiting -= count
                self._waiting -= count
                self._settled = turn.segment.label.base + through + 1
                self._note()

    def lose(self, segment: Segment, rows: int) -> None:
        """Count rows of a segment that are lost."""
        with self._lock:
            segment.waiting -= rows
            self._waiting -= rows
            self._note()

    # ---- what is not needed any more -------------------------------------------------------------

    def free(self) -> None:
        """Remove the segments of which everything was acknowledged; needs no room on the disk."""
        with self._lock:
            # From the oldest on, so that each segment that stays is named by the one after it.
            spent = list(takewhile(self._is_spent, self._chain))
            self._chain = self._chain[len(spent) :]
        page = self.page
        if spent and page is not None:
            try:
                # Were they gone and the page not what it is, they would be declared lost.
                page.sync()
            except OSError as error:
                _log.warning("%s: cannot be synced: %s", page.path, error)
        for segment in spent:
            self.remove(segment)

    def _is_spent(self, segment: Segment) -> bool:
        return (
            segment is not self.newest
            and segment.extent.end <= self.first_in(segment)
            and not self.undeclared.owes(segment)
        )

    def remove(self, segment: Segment) -> None:
        """Remove a segment that is not needed; a damaged one goes into quarantine."""
        try:
            if segment.label.damaged or segment.is_condemned:
                segment.release()
                self._quarantine.take(segment.label.number)
            else:
                segment.remove()
        except OSError as error:
            # It is below what is settled, so the next start knows that it is not needed.
            _log.warning("%s: cannot be removed: %s", segment.path, error)

    # ---- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Release the files; the counts stay."""
        with self._lock:
            self.release()

    def release(self) -> None:
        """Do the same without a lock; for the child of a fork."""
        for segment in self._chain:
            segment.release()
        self.page = None

    def stats(self, durability: Durability) -> SpoolHealth:
        """Return what waits, in an outbox of this durability; does not wait for the disk."""
        with self._lock:
            damaged = sum(bool(segment.label.damaged) for segment in self._chain)
            return SpoolHealth(
                events=self._waiting,
                bytes=sum(segment.size for segment in self._chain),
                oldest_age_s=max(0.0, self._clock.wall() - self._oldest) if self._waiting else 0.0,
                segments=len(self._chain),
                quarantined=self._quarantine.segments + damaged,
                durability=durability,
            )
