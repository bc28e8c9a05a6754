"""A queue on the disk, across runs: rows go in at one end, and leave at the other once the peer has them.

open -> (losses) -> begin -> commit ... commit        the committer
                      read, acknowledge, read ...     the sender
                      note_emitted ...                the town
"""

import errno
import logging
import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Final, TypeAlias

from townlet_adapters.disk import DISK, Disk
from townlet_adapters.telemetry.clock import Clock
from townlet_adapters.telemetry.ranges import Range
from townlet_adapters.telemetry.spool.base import (
    OUTBOX_REMOVED,
    SEGMENT_DAMAGED,
    Before,
    Loss,
    OutboxLimits,
    Row,
    each_once,
)
from townlet_adapters.telemetry.spool.control import Control, ControlPage
from townlet_adapters.telemetry.spool.folder import MOST_QUARANTINED, Folder, put_aside, quarantined
from townlet_adapters.telemetry.spool.frames import HEAD
from townlet_adapters.telemetry.spool.label import Label
from townlet_adapters.telemetry.spool.recovery import Recovered, recover
from townlet_adapters.telemetry.spool.segment import Extent, Lost, Segment
from townlet_core.errors import ContractError, OutputError
from townlet_core.events.health import SpoolHealth
from townlet_core.ports.transport import Batch, TransportError

_log = logging.getLogger(__name__)

_COMMIT_BYTES: Final = 1024  # what a commit costs beside its rows, but for long lists of losses
_STEPS: Final = 8  # room is given back in at least so many steps
_AHEAD: Final = 4096
_AHEAD_BYTES: Final = 1 << 20
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

_Found: TypeAlias = tuple[Segment, tuple[Loss, ...]]


class Outbox:
    """Rows of this run and of earlier ones, oldest first, in segments that are freed as a whole.

    Safe to use from several threads: the town notes numbers, one committer commits, one sender reads and
    acknowledges, any thread asks for ``stats``. A commit does not wait for a read, nor a read for a commit.
    ``note_emitted`` and ``stats`` write at most 24 bytes into a page of the file system's memory.
    """

    def __init__(self, folder: Path, limits: OutboxLimits, clock: Clock, disk: Disk = DISK) -> None:
        """Keep the outbox in ``folder``, which no other process may use meanwhile; touches nothing yet."""
        self._path = folder
        self._limit = limits.bytes
        self._segment_bytes = min(limits.segment_bytes, limits.bytes // _STEPS)
        self._durability = limits.durability
        self._clock = clock
        self._folder = Folder(folder, disk, durable=limits.durability == "power")
        self._source = ""
        self._recovered: Recovered | None = None

        # In the order in which they are taken. `_state` guards what follows it, and is not held while a file
        # is read or rows are written.
        self._committing = threading.Lock()
        self._reading = threading.Lock()
        self._state = threading.Lock()
        self._chain: list[Segment] = []
        self._newest: Segment | None = None
        self._settled = 0
        self._waiting = 0
        self._oldest = 0.0
        self._found: list[_Found] = []
        self._aside = 0
        self._page: ControlPage | None = None

        self._base = 0
        self._number = 1
        self._before: Before | None = None
        self._is_open = False  # whether rows go into the newest segment
        self._end = 0
        self._undeclared: tuple[Loss, ...] = ()
        self._marked: tuple[Loss, ...] = ()  # the same and what was astray, as the disk has it
        self._taken: list[_Found] = []
        self._flight: list[Row] = []
        self._flight_source = ""

    # ---- the beginning ---------------------------------------------------------------------------

    def open(self, source: str) -> tuple[Loss, ...]:
        """Take the folder, find out what an earlier run lost, and keep it for ``begin`` to settle.

        ``source`` is new: one that the outbox has never held. The folder is made when missing. Until
        ``begin`` has succeeded, the next ``open`` finds the same losses again.

        Returns:
            What is to be declared lost first of all: one ``Loss`` for each source and reason.

        Raises:
            OutputError: when the folder cannot be used, is a link, belongs to another user or a newer
                version, or another process uses it.
            ContractError: when ``source`` is not new.
        """
        self._folder.take()
        try:
            found = self._recover(source)
        except BaseException:
            self._folder.release()
            raise
        for problem in found.problems:
            _log.warning("%s", problem)
        self._source, self._recovered = source, found
        self._chain = found.chain
        self._settled = found.settled
        self._waiting = sum(segment.waiting for segment in found.chain)
        self._oldest = found.oldest
        self._base, self._number, self._before = found.base, found.number, found.before
        return found.losses

    def _recover(self, source: str) -> Recovered:
        try:
            found = recover(self._folder)
            self._aside = len(quarantined(self._path))
        except OSError as error:
            raise OutputError(f"{self._path}: the outbox cannot be read: {error}") from error
        if source in found.sources:
            raise ContractError(f"{self._path}: the outbox has held {source} before; each run has its own")
        return found

    def begin(self, rows: Sequence[Row]) -> None:
        """Commit the first rows of this run, which declare what ``open`` found lost, and settle it.

        All or nothing; may be empty. Not bound by the limit of bytes. Numbers below the last row's plus one
        then count as emitted. Comes once, before everything below.

        Raises:
            OutputError: when the disk does not take it; nothing has changed, and it may be tried again.
        """
        found = self._recovered
        if found is None:
            raise ContractError("begin comes after open, once")
        try:
            extent = None
            if rows or found.losses:
                segment = self._next_segment(found.losses)
                try:
                    extent = segment.append(rows, (), self._clock.wall())
                except OSError:
                    self._take_back(segment)
                    raise
            try:
                page = ControlPage(self._folder, self._first_page(rows))
            except OSError:
                if self._newest is not None:
                    self._take_back(self._newest)
                raise
        except OSError as error:
            raise OutputError(
                f"{self._path}: the outbox cannot be begun: {error}; make room, or name another folder"
            ) from error
        with self._state:
            self._page = page
            if extent is not None:
                self._note_committed(rows, extent)
        self._recovered = None
        self._clear_up(found)

    def _first_page(self, rows: Sequence[Row]) -> Control:
        emitted = rows[-1].sequence + 1 if rows else 0
        waiting = self._waiting + len(rows)
        return Control(
            self._source, self._base, emitted, self._settled, waiting, self._oldest, before=self._before
        )

    def _take_back(self, segment: Segment) -> None:
        """Remove a segment that was begun in vain; the next one may have its number."""
        self._chain.remove(segment)
        self._newest, self._is_open = None, False
        segment.remove()

    def _clear_up(self, found: Recovered) -> None:
        for segment in found.unlabelled:
            try:
                segment.relabel()
            except OSError as error:
                _log.warning("%s: its label cannot be written: %s", segment.path, error)
        for segment in found.spent:
            self._remove(segment)

    # ---- the town's side -------------------------------------------------------------------------

    def note_emitted(self, count: int) -> None:
        """Note that the numbers below ``count`` were given; writes 8 bytes, never raises.

        Comes before the message is put where a worker can take it. Not for two threads at once.
        """
        page = self._page
        if page is not None:
            page.note_emitted(count)

    # ---- the committer's side --------------------------------------------------------------------

    def commit(self, rows: Sequence[Row], undeclared: Sequence[Loss]) -> None:
        """Store rows, all or none; ascending, above every one before; may be empty.

        Args:
            rows: what to store.
            undeclared: every loss known now, of this run or found by ``open`` or ``take_losses``, that no
                committed row declares, those in ``rows`` included. What one of ``rows`` declares is left
                out. They replace those of the commit before, and come back from ``open`` after a crash.

        Raises:
            TransportError: ``outbox_full``, ``no_space`` or another fault of the disk, with the verdict
                ``retry``; nothing was stored.
        """
        with self._committing:
            try:
                self._look_after()
                self._commit(rows, tuple(undeclared))
            except OSError as error:
                raise _refused(error) from error
            self._free()

    def _commit(self, rows: Sequence[Row], losses: tuple[Loss, ...]) -> None:
        with self._state:
            taken, found = tuple(self._taken), tuple(self._found)
        # What was found just now, the caller cannot have among its own yet.
        losses = each_once([*losses, *_losses_of(found)])
        marked = each_once([*losses, *self._astray()])
        known = each_once([*self._undeclared, *marked, *_losses_of(taken)])
        fresh = bool(taken or found)
        if not rows and not fresh and marked == self._marked:
            return
        size = sum(len(row.line) + HEAD for row in rows) + _COMMIT_BYTES
        if not self._fits(size):
            self._drop_delivered()
            if not self._fits(size):
                raise TransportError("outbox_full", f"{self._path}: {self._limit} bytes are in use")
        try:
            extent = self._append(rows, marked, known, fresh=fresh)
        except OSError as error:
            # A full disk may be full of what was delivered.
            if error.errno not in _FULL or not self._drop_delivered():
                raise
            extent = self._append(rows, marked, known, fresh=fresh)
        self._undeclared, self._marked = losses, marked
        self._taken = self._taken[len(taken) :]
        with self._state:
            self._note_committed(rows, extent)
            for segment, _ in taken:
                segment.owes = any(each is segment for each, _ in (*self._found, *self._taken))

    def _append(
        self, rows: Sequence[Row], losses: tuple[Loss, ...], known: tuple[Loss, ...], *, fresh: bool
    ) -> Extent:
        """Store rows in the newest segment, or in a new one if that is full or not to be relied on.

        What another segment lost is declared in a new one, whose label names it: should that be damaged, too,
        the loss is still known.
        """
        segment = self._newest
        full = segment is None or segment.extent.size >= self._segment_bytes
        if segment is None or full or not self._is_open or (fresh and segment.extent.events):
            segment = self._next_segment(known)
        try:
            return segment.append(rows, losses, self._clock.wall())
        except OSError:
            # After a failed sync, nobody knows what the disk holds, and the next one may report success.
            self._is_open = segment.may_grow()
            raise

    def _next_segment(self, losses: tuple[Loss, ...]) -> Segment:
        former = self._newest
        before = former.before() if former is not None and former.extent.events else self._before
        label = Label(self._number, self._source, self._base, self._end, before, losses)
        segment = Segment(self._folder, label)
        segment.create()
        self._number += 1
        self._before = before
        with self._state:
            self._newest, self._is_open = segment, True
            self._chain.append(segment)
        self._free()
        return segment

    def _note_committed(self, rows: Sequence[Row], extent: Extent) -> None:
        """Count what was stored in the newest segment; the state is locked."""
        if self._newest is None:
            return
        self._newest.extent = extent
        if rows:
            if not self._waiting:
                self._oldest = self._clock.wall()
            self._end = rows[-1].sequence + 1
            self._newest.waiting += len(rows)
            self._waiting += len(rows)
            self._note_queue()

    def _fits(self, size: int) -> bool:
        with self._state:
            return sum(segment.size for segment in self._chain) + size <= self._limit

    def _drop_delivered(self) -> bool:
        """Remove the rows of the newest segment if all were delivered; returns whether there were any."""
        newest = self._newest
        with self._state:
            if newest is None or not newest.extent.size or newest.waiting or newest.owes:
                return False
            self._is_open = False
        # Its label stays until that of the next one is there: it names the losses that are not declared.
        newest.drop_rows()
        return True

    # ---- the sender's side -----------------------------------------------------------------------

    def read(self, most_events: int, most_bytes: int) -> Batch | None:
        """Read the oldest rows not acknowledged, of one source; the same again until they are.

        At least one row, however large. A smaller limit than the last one gives the front of the same rows.

        Returns:
            None when nothing waits.

        Raises:
            TransportError: when the machine, not the segment, is at fault; with the verdict ``retry``.
        """
        with self._reading:
            if not self._flight:
                try:
                    self._fetch(most_events, most_bytes)
                except OSError as error:
                    raise _refused(error) from error
            rows: list[Row] = []
            size = 0
            for row in self._flight[:most_events]:
                size += len(row.line)
                if rows and size > most_bytes:
                    break
                rows.append(row)
            if not rows:
                return None
            return Batch(self._flight_source, [row.sequence for row in rows], [row.line for row in rows])

    def acknowledge(self, source: str, through: int) -> int:
        """Settle the rows of ``source`` with numbers up to ``through``, and free what is settled whole.

        Needs no room on the disk. An acknowledgement beyond the last row, or of a source whose turn it is
        not, settles no more than there is.

        Returns:
            How many rows that settled.
        """
        total = 0
        with self._reading:
            while (self._flight or self._reads_on(source, through)) and self._flight_source == source:
                count = bisect_left(self._flight, through + 1, key=_sequence_of)
                if not count:
                    break
                total += count
                self._settle(count)
            self._free()
        return total

    def _reads_on(self, source: str, through: int) -> bool:
        """Read what an acknowledgement covers that was not read; returns whether there is anything."""
        with self._state:
            turn = self._turn()
        if turn is None or turn[0].label.source != source or turn[1] > through:
            return False
        try:
            self._fetch(_AHEAD, _AHEAD_BYTES)
        except OSError as error:
            _log.warning("%s: what was acknowledged is sent again: %s", self._path, error)
        return bool(self._flight)

    def _turn(self) -> tuple[Segment, int] | None:
        """Return the segment to deliver from and the first number in it; the state is locked."""
        for segment in self._chain:
            first = max(segment.label.first, self._settled - segment.label.base)
            if first < segment.extent.end:
                return segment, first
        return None

    def _fetch(self, most_events: int, most_bytes: int) -> None:
        while True:
            with self._state:
                turn = self._turn()
                behind = turn[0].extent.events - turn[0].waiting if turn is not None else 0
            if turn is None:
                return
            segment, first = turn
            rows, lost, at, end = segment.read(first, most_events, most_bytes, behind)
            if lost and not self._folder.is_in_place():
                segment.is_removed = True
            for each in lost:
                self._lose(segment, first, each, "rows are damaged or gone")
            self._flight, self._flight_source = rows, segment.label.source
            with self._state:
                if rows:
                    self._oldest = at or self._oldest
                else:
                    self._settled = max(self._settled, segment.label.base + end)
                self._note_queue()
            if rows:
                return

    def _settle(self, count: int) -> None:
        """Settle the first rows in flight."""
        reached = self._flight[count - 1].sequence + 1
        self._flight = self._flight[count:]
        with self._state:
            turn = self._turn()
            if turn is not None:
                segment = turn[0]
                segment.waiting -= count
                self._waiting -= count
                self._settled = segment.label.base + reached
                self._note_queue()

    def _note_queue(self) -> None:
        if self._page is not None:
            self._page.note_queue(self._settled, self._waiting, self._oldest if self._waiting else 0.0)

    def _free(self) -> None:
        """Remove the segments of which everything was acknowledged; needs no room on the disk."""
        with self._state:
            # From the oldest on, so that each segment that stays is named by the one after it.
            spent = list(takewhile(self._is_spent, self._chain))
            self._chain = self._chain[len(spent) :]
        if spent and self._page is not None:
            try:
                # Were they gone and the page not what it is, they would be declared lost.
                self._page.sync()
            except OSError as error:
                _log.warning("%s: the control page cannot be synced: %s", self._path, error)
        for segment in spent:
            self._remove(segment)

    def _is_spent(self, segment: Segment) -> bool:
        first = max(segment.label.first, self._settled - segment.label.base)
        return segment is not self._newest and segment.extent.end <= first and not segment.owes

    def _remove(self, segment: Segment) -> None:
        try:
            if segment.label.damaged or segment.is_condemned:
                segment.release()
                put_aside(self._path, segment.label.number, MOST_QUARANTINED * self._segment_bytes)
                self._aside = len(quarantined(self._path))
            else:
                segment.remove()
        except OSError as error:
            # It is below what is settled, so the next start knows that it is not needed.
            _log.warning("%s: cannot be removed: %s", segment.path, error)

    # ---- damage ----------------------------------------------------------------------------------

    def _lose(self, segment: Segment, first: int, lost: Lost, why: str) -> None:
        """Declare rows of a segment lost that were not acknowledged."""
        label = segment.label
        reason = OUTBOX_REMOVED if segment.is_removed else SEGMENT_DAMAGED
        known = label.damaged
        numbers = [Range(max(lost.first, first), lost.last)] if lost.last >= max(lost.first, first) else []
        new = [each for each in numbers if not any(a <= each.first and each.last <= b for a, b in known)]
        losses: tuple[Loss, ...] = ()
        if new:
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
        with self._state:
            segment.waiting -= lost.rows
            self._waiting -= lost.rows
            self._note_queue()
            if losses:
                segment.owes = True
                self._found.append((segment, losses))

    def take_losses(self) -> tuple[Loss, ...]:
        """Return what was found lost since the last call, in segments of any source; for the committer.

        From the next commit on they are the caller's to pass as ``undeclared`` until a committed row
        declares them. Count by ``rows``, which is how many rows of this run no longer wait; the ranges may
        name again what was declared before, by a row that may have gone with the segment.
        """
        with self._state:
            found, self._found = self._found, []
        with self._committing:
            self._taken += found
        return tuple(_losses_of(found))

    def _look_after(self) -> None:
        """Notice what another program did to the files, and put right what can be.

        Raises:
            OSError: when the control page cannot be written.
            TransportError: when the outbox was removed and cannot be made again.
        """
        in_place = self._folder.is_in_place()
        with self._reading:
            for segment in [each for each in self._chain if each.waiting or each is self._newest]:
                segment.is_removed |= not in_place
                if segment.is_removed or not segment.is_whole():
                    self._lose_what_is_gone(segment)
        if not in_place:
            self._marked = ()  # what was marked is gone, and has to be marked again
            if self._folder.is_taken:
                _log.error("%s: the outbox was removed or replaced while it was used", self._path)
            self._folder.release()
            try:
                self._folder.take()
            except OutputError as error:
                raise TransportError(OUTBOX_REMOVED, f"the outbox was removed, and {error}") from error
        if self._page is not None:
            with self._state:
                wrong = self._page.repair()
            if wrong:
                _log.warning("%s: the control page %s; it is written again", self._path, wrong)

    def _astray(self) -> list[Loss]:
        """Return the rows in flight whose segment was removed: after a kill, nothing else would name them.

        They are marked as lost with each commit until they are acknowledged, but not declared by this run.
        """
        with self._reading:
            with self._state:
                turn = self._turn()
            if turn is None or not turn[0].is_removed or not self._flight:
                return []
            numbers = [(row.sequence, row.sequence) for row in self._flight]
            # One of the rows may declare what the label names.
            return [Loss.of(self._flight_source, OUTBOX_REMOVED, numbers), *turn[0].label.noted]

    def _lose_what_is_gone(self, segment: Segment) -> None:
        """Declare what is not in the file any more; rows in flight are in memory, and may still arrive."""
        label, extent = segment.label, segment.extent
        with self._state:
            turn = self._turn()
        flight = self._flight if turn is not None and turn[0] is segment else []
        segment.release()
        if segment is self._newest:
            self._is_open = False
        kept = Extent(0, label.first, 0) if segment.is_removed else segment.tail().extent
        first = flight[-1].sequence + 1 if flight else max(label.first, self._settled - label.base)
        first = max(first, kept.end)
        rows = min(segment.waiting - len(flight), extent.events - kept.events)
        if first < extent.end:
            why = "the outbox was removed" if segment.is_removed else "was removed, replaced or cut"
            self._lose(segment, first, Lost(first, extent.end - 1, rows), why)
            segment.extent = Extent(kept.size, first, extent.events - rows)

    # ---- the end ---------------------------------------------------------------------------------

    def stats(self) -> SpoolHealth:
        """Return what waits; does not wait for the disk."""
        with self._state:
            age = max(0.0, self._clock.wall() - self._oldest) if self._waiting else 0.0
            return SpoolHealth(
                events=self._waiting,
                bytes=sum(segment.size for segment in self._chain),
                oldest_age_s=age,
                segments=len(self._chain),
                quarantined=self._aside + sum(bool(segment.label.damaged) for segment in self._chain),
                durability=self._durability,
            )

    def close(self) -> None:
        """Release the folder; what waits stays. No call may follow but ``stats`` and ``take_losses``.

        What is found lost at this moment is returned by ``take_losses``, and declared by the next run.
        """
        with self._committing:
            if self._page is not None:
                try:
                    self._close_books()
                except (OSError, TransportError) as error:
                    _log.warning("%s: cannot be closed in good order: %s", self._path, error)
            with self._reading, self._state:
                for segment in self._chain:
                    segment.release()
                self._page = None
                self._folder.release()
        if self._waiting:
            _log.warning(
                "%s: %d events wait here; the next run with this outbox delivers them, or townlet spool send",
                self._path,
                self._waiting,
            )

    def _close_books(self) -> None:
        with self._reading:
            self._flight = []
        self._look_after()
        found = _losses_of([*self._taken, *self._found])
        if found or self._marked != self._undeclared:
            self._next_segment(each_once([*self._undeclared, *found]))
        if self._page is not None:
            self._page.sync()

    def abandon(self) -> None:
        """Close the files in the child of a fork: the outbox is the parent's, and stays as it is."""
        # No lock is taken: at the fork, a thread that the child does not have may have held it.
        self._state = threading.Lock()
        for segment in self._chain:
            segment.release()
        self._page = None
        self._folder.release()


def _sequence_of(row: Row) -> int:
    return row.sequence


def _losses_of(found: Sequence[_Found]) -> list[Loss]:
    return [loss for _, losses in found for loss in losses]


def _refused(error: OSError) -> TransportError:
    code = "no_space" if error.errno in _FULL else "io_error"
    return TransportError(code, f"the outbox cannot be used: {error}")
