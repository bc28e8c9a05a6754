"""The sender's side of an outbox: rows in flight, and what turns out to be damaged or gone."""

import logging
import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from townlet_adapters.telemetry.ranges import Range
from townlet_adapters.telemetry.spool.base import OUTBOX_REMOVED, SEGMENT_DAMAGED, Loss, Row, each_once
from townlet_adapters.telemetry.spool.faults import refused
from townlet_adapters.telemetry.spool.folder import Folder
from townlet_adapters.telemetry.spool.queue import Queue
from townlet_adapters.telemetry.spool.rows import Extent
from townlet_adapters.telemetry.spool.segment import Lost, Segment
from townlet_core.ports.transport import Batch

_log = logging.getLogger(__name__)

_AHEAD: Final = 4096
_AHEAD_BYTES: Final = 1 << 20


class Reading:
    """Rows that were read and are not acknowledged. Safe to use from several threads, one at a time."""

    def __init__(self, source: str, folder: Folder, queue: Queue) -> None:
        """Read from ``queue``; ``source`` is that of this run."""
        self._source = source
        self._folder = folder
        self._queue = queue
        self._lock = threading.Lock()
        self._flight: list[Row] = []
        self._flight_source = ""

    def read(self, most_events: int, most_bytes: int) -> Batch | None:
        """Read the oldest rows not acknowledged; see ``Outbox.read``."""
        with self._lock:
            if not self._flight:
                try:
                    self._fetch(most_events, most_bytes)
                except OSError as error:
                    raise refused(error) from error
            rows = _front(self._flight, most_events, most_bytes)
            if not rows:
                return None
            return Batch(self._flight_source, [row.sequence for row in rows], [row.line for row in rows])

    def acknowledge(self, source: str, through: int) -> int:
        """Settle rows; see ``Outbox.acknowledge``."""
        total = 0
        with self._lock:
            while (self._flight or self._reads_on(source, through)) and self._flight_source == source:
                count = bisect_left(self._flight, through + 1, key=_sequence_of)
                if not count:
                    break
                total += count
                self._queue.settle(count, self._flight[count - 1].sequence)
                self._flight = self._flight[count:]
        return total

    def _reads_on(self, source: str, through: int) -> bool:
        """Read what an acknowledgement covers that was not read; returns whether there is anything."""
        turn = self._queue.turn()
        if turn is None or turn.segment.label.source != source or turn.first > through:
            return False
        try:
            self._fetch(_AHEAD, _AHEAD_BYTES)
        except OSError as error:
            _log.warning("%s: what was acknowledged is sent again: %s", self._folder.path, error)
        return bool(self._flight)

    def _fetch(self, most_events: int, most_bytes: int) -> None:
        while (turn := self._queue.turn()) is not None:
            segment = turn.segment
            rows, lost, at, end = segment.read(turn.first, most_events, most_bytes, turn.behind)
            if lost and not self._folder.is_in_place():
                segment.is_removed = True
            for each in lost:
                self._lose(segment, turn.first, each, "rows are damaged or gone")
            self._flight, self._flight_source = rows, segment.label.source
            if rows:
                self._queue.note_oldest(at)
                return
            self._queue.pass_by(segment, end)

    # ---- for the committer -----------------------------------------------------------------------

    def check_files(self, *, in_place: bool) -> None:
        """Declare what other programs took out of the files; ``in_place`` is whether the folder is there."""
        with self._lock:
            for segment in self._queue.in_use():
                segment.is_removed |= not in_place
                if segment.is_removed or not segment.is_whole():
                    self._lose_what_is_gone(segment)

    def astray(self) -> list[Loss]:
        """Return the rows in flight whose segment was removed: after a kill, nothing else would name them.

        They are marked as lost with each commit until they are acknowledged, but not declared by this run.
        """
        with self._lock:
            turn = self._queue.turn()
            if turn is None or not turn.segment.is_removed or not self._flight:
                return []
            numbers = [(row.sequence, row.sequence) for row in self._flight]
            # One of the rows may declare what the label names.
            return [Loss.of(self._flight_source, OUTBOX_REMOVED, numbers), *turn.segment.label.noted]

    def let_go(self) -> None:
        """Leave the rows in flight to the files."""
        with self._lock:
            self._flight = []

    def close(self) -> None:
        """Release the files, once no thread reads them."""
        with self._lock:
            self._queue.close()

    # ---- damage ----------------------------------------------------------------------------------

    def _lose_what_is_gone(self, segment: Segment) -> None:
        """Declare what is not in the file any more; rows in flight are in memory, and may still arrive."""
        label, extent, turn = segment.label, segment.extent, self._queue.turn()
        flight = self._flight if turn is not None and turn.segment is segment else []
        segment.release()
        kept = Extent(0, label.first, 0) if segment.is_removed else segment.tail().extent
        first = flight[-1].sequence + 1 if flight else self._queue.first_in(segment)
        first = max(first, kept.end)
        rows = min(segment.waiting - len(flight), extent.events - kept.events)
        if first < extent.end:
            why = "the outbox was removed" if segment.is_removed else "was removed, replaced or cut"
            self._lose(segment, first, Lost(first, extent.end - 1, rows), why)
            segment.extent = Extent(kept.size, first, extent.events - rows)

    def _lose(self, segment: Segment, first: int, lost: Lost, why: str) -> None:
        """Declare rows of a segment lost that were not acknowledged."""
        label = segment.label
        known = label.damaged
        numbers = [Range(max(lost.first, first), lost.last)] if lost.last >= max(lost.first, first) else []
        new = [each for each in numbers if not any(a <= each.first and each.last <= b for a, b in known)]
        if new:
            reason = OUTBOX_REMOVED if segment.is_removed else SEGMENT_DAMAGED
            # A lost row may have declared what the label names; once is enough.
            losses = each_once([Loss.of(label.source, reason, new), *(() if known else label.noted)])
            if label.source == self._source:
                losses = (replace(losses[0], rows=lost.rows), *losses[1:])
            _log.warning(
                "%s: %s; numbers %d to %d of %s are declared lost",
                segment.path,
                why,
                new[0].first,
                new[0].last,
                label.source,
            )
            try:
                segment.note_damage(new)
            except OSError as error:
                _log.warning("%s: cannot be marked as damaged: %s", segment.path, error)
            # Before the rows stop waiting: a segment without waiting rows that owes nothing is removed.
            self._queue.undeclared.find(segment, losses)
        self._queue.lose(segment, lost.rows)


def _front(rows: Sequence[Row], most_events: int, most_bytes: int) -> list[Row]:
    """Return the first rows within the limits, and at least one."""
    front: list[Row] = []
    size = 0
    for row in rows[:most_events]:
        size += len(row.line)
        if front and size > most_bytes:
            break
        front.append(row)
    return front


def _sequence_of(row: Row) -> int:
    return row.sequence
