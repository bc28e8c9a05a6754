"""A queue on the disk, across runs: rows go in at one end, and leave at the other once the peer has them.

open -> (losses) -> begin -> commit ... commit        the committer
                      read, acknowledge, read ...     the sender
                      note_emitted ...                the town
"""

import logging
import os
import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Final, TypeAlias

from townlet_adapters.telemetry.clock import Clock
from townlet_adapters.telemetry.spool.base import SEGMENT_DAMAGED, Loss, OutboxLimits, Row
from townlet_adapters.telemetry.spool.control import Cell, Control, ControlPage, sealed
from townlet_adapters.telemetry.spool.folder import (
    MOST_QUARANTINED,
    check,
    check_length,
    drop_unfinished,
    put_aside,
    quarantined,
    take_lock,
)
from townlet_adapters.telemetry.spool.label import Before, Label
from townlet_adapters.telemetry.spool.recovery import Recovered, each_once, recover
from townlet_adapters.telemetry.spool.segment import DamagedError, Segment, refused
from townlet_adapters.telemetry.transports.base import Batch, TransportError
from townlet_core.errors import ContractError, OutputError
from townlet_core.events.health import SpoolHealth

_log = logging.getLogger(__name__)

_ROW_BYTES: Final = 24  # what a row costs beside its line
_COMMIT_BYTES: Final = 16384  # what a commit costs beside its rows, at most, but for long lists of losses
_STEPS: Final = 8  # room is given back in at least so many steps

_Condemned: TypeAlias = tuple[Segment, tuple[Loss, ...]]


class Outbox:
    """Rows of this run and of earlier ones, oldest first, in segments that are freed as a whole.

    Safe to use from several threads: the town's notes, one committer commits, one sender reads and
    acknowledges, anybody asks for ``stats``. Neither ``note_emitted`` nor ``stats`` ever waits for the disk,
    and a commit waits for a read of at most one batch.
    """

    def __init__(self, folder: Path, limits: OutboxLimits, clock: Clock) -> None:
        """Keep the outbox in ``folder``, which nobody else may use meanwhile; touches nothing yet."""
        self._folder = folder
        self._limit = limits.bytes
        self._segment_bytes = min(limits.segment_bytes, limits.bytes // _STEPS)
        self._durability = limits.durability
        self._clock = clock
        self._source = ""
        self._recovered: Recovered | None = None
        self._lock_fd = -1

        # In the order in which they are taken; then a segment's own, then `_state`, which guards what follows
        # it and is never held while the disk is used.
        self._committing = threading.Lock()
        self._reading = threading.Lock()
        self._state = threading.Lock()
        self._chain: list[Segment] = []
        self._active: Segment | None = None
        self._settled = 0
        self._waiting = 0
        self._oldest = 0.0
        self._condemned: list[_Condemned] = []
        self._aside = 0

        self._base = 0
        self._number = 1
        self._end = 0
        self._before: Before | None = None
        self._undeclared: tuple[Loss, ...] = ()
        self._taken: list[_Condemned] = []
        self._flight: list[Row] = []
        self._flight_source = ""
        self._page: ControlPage | None = None
        self._cells: memoryview | list[int] = [0] * (max(Cell) + 1)

    def open(self, source: str) -> tuple[Loss, ...]:
        """Take the folder, find out what an earlier run lost, and hold it for ``begin`` to settle.

        ``source`` is new: one that the outbox has never held. The folder is made when missing. Until
        ``begin`` has succeeded, the next ``open`` finds the same losses again.

        Returns:
            What is to be declared lost first of all: one ``Loss`` for each source and reason.

        Raises:
            OutputError: when the folder cannot be used, is a link, has too long a path, belongs to a newer
                version, or another process uses it.
            ContractError: when ``source`` is not new.
        """
        check_length(self._folder)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            check(self._folder)
            self._lock_fd = take_lock(self._folder)
        except BlockingIOError as error:
            raise OutputError(
                f"{self._folder}: another process uses this outbox; "
                "wait until it ends, or name another folder"
            ) from error
        except OSError as error:
            raise OutputError(f"{self._folder}: cannot be used as an outbox: {error.strerror}") from error
        try:
            self._recovered = self._take_stock(source)
        except BaseException:
            self._unlock()
            raise
        self._source = source
        return self._recovered.losses

    def begin(self, rows: Sequence[Row]) -> None:
        """Commit the first rows of this run, which declare what ``open`` found lost, and settle it.

        All or nothing; may be empty. Not bound by the limit of bytes. Numbers below the last row's plus one
        then count as emitted. Comes once, before everything below.

        Raises:
            OutputError: when the disk does not take it; nothing has changed, and it may be tried again.
        """
        recovered = self._recovered
        if recovered is None:
            raise ContractError("begin comes after open, once")
        label = Label(self._number, self._source, self._base, 0, self._before, recovered.losses)
        self._number += 1
        segment = self._segment(label)
        try:
            page = ControlPage(self._folder, self._first_page(rows), durable=self._durability == "power")
            try:
                with segment.lock:
                    segment.create()
                    segment.append(rows, (), self._clock.wall())
                page.install()
            except (OSError, TransportError, DamagedError):
                page.discard()
                with segment.lock:
                    segment.remove()
                raise
        except (OSError, TransportError, DamagedError) as error:
            raise OutputError(
                f"{self._folder}: the outbox cannot be begun: {error}; make room, or name another folder"
            ) from error
        with self._state:
            self._chain.append(segment)
            self._active = segment
            self._note_committed(segment, rows)
        self._use(page)
        self._recovered = None
        for each in recovered.unlabelled:
            try:
                each.relabel()
            except OSError as error:
                _log.warning("%s: its label cannot be written: %s", each.path, error)
        for each in recovered.damaged:
            self._put_aside(each)
        for each in recovered.spent:
            self._remove(each)

    def note_emitted(self, count: int) -> None:
        """Note that the numbers below ``count`` were given; one store to memory, never waits, never raises.

        Comes before the message is put where a worker can take it. Not for two threads at once.
        """
        self._cells[Cell.EMITTED] = sealed(count)

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
            taken, losses = tuple(self._taken), tuple(undeclared)
            size = sum(len(row.line) for row in rows) + _ROW_BYTES * len(rows) + _COMMIT_BYTES
            known = each_once([*self._undeclared, *losses, *_losses_of(taken)])
            if not self._fits(size):
                self._drop_delivered(known)
                if not self._fits(size):
                    raise TransportError("outbox_full", f"{self._folder}: {self._limit} bytes are in use")
            try:
                self._append(rows, losses, known, fresh=bool(taken))
            except TransportError:
                # A full disk may be full of what was delivered.
                if not self._drop_delivered(known):
                    raise
                self._append(rows, losses, known, fresh=bool(taken))
            self._undeclared = losses
            self._taken = self._taken[len(taken) :]
            for segment, _ in taken:
                self._put_aside(segment)

    def read(self, most_events: int, most_bytes: int) -> Batch | None:
        """Give the oldest rows not acknowledged, of one source; the same again until they are.

        At least one row, however large. A smaller limit than the last one gives the front of the same rows.

        Returns:
            None when nothing waits.

        Raises:
            TransportError: when the machine, not the segment, is at fault; with the verdict ``retry``.
        """
        with self._reading:
            if not self._flight:
                self._fetch(most_events, most_bytes)
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

        Needs no room on the disk. Numbers that are not stored are not settled: an acknowledgement beyond
        the last row, or of a source whose turn it is not, settles no more than there is.

        Returns:
            How many rows that settled.
        """
        with self._reading:
            total = 0
            while (turn := self._turn()) is not None:
                segment, first, end = turn
                stop = min(through + 1, end)
                if segment.label.source != source or stop <= first:
                    break
                count, whole = self._settle(segment, first, stop)
                total += count
                if not whole:
                    break
            self._free()
            return total

    def take_losses(self) -> tuple[Loss, ...]:
        """Give what was found damaged since the last call, in segments of any source; for the committer.

        From the next commit on they are the caller's to pass as ``undeclared`` until a committed row
        declares them. Count by ``rows``, which is how many rows of this run no longer wait; the ranges may
        name again what was declared before, by a row that may have gone with the segment.
        """
        with self._state:
            found, self._condemned = self._condemned, []
        with self._committing:
            self._taken += found
        return tuple(_losses_of(found))

    def stats(self) -> SpoolHealth:
        """Tell what waits; cheap, never waits for the disk."""
        with self._state:
            age = max(0.0, self._clock.wall() - self._oldest) if self._waiting else 0.0
            return SpoolHealth(
                events=self._waiting,
                bytes=sum(segment.size for segment in self._chain),
                oldest_age_s=age,
                segments=len(self._chain),
                quarantined=self._aside + len(self._condemned) + len(self._taken),
                durability=self._durability,
            )

    def close(self) -> None:
        """Let go of the folder; what waits stays. No call may follow but ``stats``."""
        with self._committing, self._reading:
            with self._state:
                segments = [*self._chain, *(each for each, _ in self._condemned + self._taken)]
            for segment in segments:
                with segment.lock:
                    segment.release()
            if self._page is not None:
                self._page.flush()
            self._let_go_of_page()
            self._unlock()
        if self._waiting:
            _log.warning(
                "%s: %d events wait here; a run with this outbox sends them, or townlet spool send",
                self._folder,
                self._waiting,
            )

    def abandon(self) -> None:
        """Let go after a fork, in the child: everything is the parent's, and nothing of it is touched."""
        # No lock is taken: at the fork, a thread that the child does not have may have held it.
        self._state = threading.Lock()
        for segment in [*self._chain, *(each for each, _ in self._condemned + self._taken)]:
            segment.abandon()
        self._let_go_of_page()
        self._unlock()

    # ---- the beginning ---------------------------------------------------------------------------

    def _take_stock(self, source: str) -> Recovered:
        try:
            drop_unfinished(self._folder)
            found = recover(self._folder)
            self._aside = len(quarantined(self._folder))
        except (OSError, TransportError) as error:
            raise OutputError(f"{self._folder}: the outbox cannot be read: {error}") from error
        if source in found.sources:
            raise ContractError(f"{self._folder}: the outbox has held {source} before; each run has its own")
        self._chain = found.chain
        self._settled = found.settled
        self._waiting = sum(segment.waiting for segment in found.chain)
        self._base, self._number, self._before = found.base, found.number, found.before
        if found.chain:
            oldest = found.chain[0]
            with oldest.lock:
                self._oldest = oldest.committed_at(max(oldest.label.first, self._settled - oldest.label.base))
        return found

    def _first_page(self, rows: Sequence[Row]) -> Control:
        emitted = rows[-1].sequence + 1 if rows else 0
        return Control(
            self._source, self._base, emitted, self._settled, self._waiting + len(rows), self._oldest
        )

    def _use(self, page: ControlPage) -> None:
        self._page = page
        self._cells = page.cells

    # ---- the committer's side --------------------------------------------------------------------

    def _append(
        self, rows: Sequence[Row], undeclared: tuple[Loss, ...], known: tuple[Loss, ...], *, fresh: bool
    ) -> None:
        """Store rows in the active segment, or in a new one if that is full or not to be relied on.

        What another segment lost is declared in a new one, whose label tells of it: should that be damaged,
        too, the loss is still known.
        """
        while True:
            segment = self._active
            if segment is None or segment.size >= self._segment_bytes or (fresh and segment.begun):
                segment = self._next_segment(known)
            with segment.lock:
                if segment.damaged:
                    continue
                try:
                    segment.append(rows, undeclared, self._clock.wall())
                except DamagedError as error:
                    self._seal(segment)
                    if not segment.begun:
                        self._discard(segment)
                        raise TransportError("io_error", f"{segment.path}: {error}") from error
                    _log.warning("%s: %s; what follows goes into another segment", segment.path, error)
                    continue
                except TransportError:
                    if not segment.begun:
                        self._discard(segment)
                    raise
                with self._state:
                    self._note_committed(segment, rows)
            return

    def _note_committed(self, segment: Segment, rows: Sequence[Row]) -> None:
        """Count what was stored; the state is locked."""
        if not rows:
            return
        if not self._waiting:
            self._oldest = self._clock.wall()
        segment.end = self._end = rows[-1].sequence + 1
        segment.events += len(rows)
        segment.waiting += len(rows)
        self._waiting += len(rows)
        self._tell_people()

    def _next_segment(self, losses: tuple[Loss, ...]) -> Segment:
        former = self._active
        if former is not None:
            self._seal(former)
        label = Label(self._number, self._source, self._base, self._end, self._before, losses)
        segment = self._segment(label)
        try:
            with segment.lock:
                segment.create()
        except OSError as error:
            with segment.lock:
                segment.remove()
            raise refused(error) from error
        self._number += 1
        with self._state:
            self._active = segment
            self._chain.append(segment)
        if former is not None:
            # Its log goes into the database, which takes less room; whoever reads it opens it again.
            with former.lock:
                former.release()
                former.measure()
        self._free()
        return segment

    def _segment(self, label: Label) -> Segment:
        return Segment(
            self._folder, label, durable=self._durability == "power", segment_bytes=self._segment_bytes
        )

    def _seal(self, segment: Segment) -> None:
        """Put nothing more into a segment if that is where rows go, and remember what it came to."""
        with self._state:
            if self._active is not segment:
                return
            self._active = None
            if segment.begun:
                label = segment.label
                self._before = Before(
                    label.number, label.source, label.base, label.first, segment.end, segment.events
                )

    def _discard(self, segment: Segment) -> None:
        """Remove a segment into which nothing was ever committed; its lock is held."""
        with self._state:
            self._active = None
            self._chain.remove(segment)
        segment.remove()

    def _fits(self, size: int) -> bool:
        with self._state:
            return sum(segment.size for segment in self._chain) + size <= self._limit

    def _drop_delivered(self, known: tuple[Loss, ...]) -> bool:
        """Let go of the active segment if all of it was delivered; returns whether it was."""
        active = self._active
        if active is None or not active.events:
            return False
        with self._state:
            if active.waiting:
                return False
        try:
            # The next one's label tells of what is undeclared, so it comes before this one goes.
            self._next_segment(known)
        except TransportError:
            # There is not even room for a label before this one has gone.
            self._free()
        return True

    # ---- the sender's side -----------------------------------------------------------------------

    def _turn(self) -> tuple[Segment, int, int] | None:
        """Give the segment that is to be delivered from, the first number in it and the end of them."""
        with self._state:
            for segment in self._chain:
                first = max(segment.label.first, self._settled - segment.label.base)
                if first < segment.end:
                    return segment, first, segment.end
        return None

    def _fetch(self, most_events: int, most_bytes: int) -> None:
        while (turn := self._turn()) is not None:
            segment, first, _ = turn
            with segment.lock:
                try:
                    self._flight = segment.read(first, most_events, most_bytes)
                except DamagedError as error:
                    self._condemn(segment, first, str(error))
                    continue
                oldest = segment.committed_at(first)
            self._flight_source = segment.label.source
            with self._state:
                self._oldest = oldest or self._oldest
                self._tell_people()
            return

    def _settle(self, segment: Segment, first: int, stop: int) -> tuple[int, bool]:
        """Settle the rows of a segment from ``first`` to below ``stop``; returns how many, and whether all.

        What was read is counted by that; beyond it the segment is asked, which may fail.
        """
        count = bisect_left(self._flight, stop, key=_sequence_of)
        reached = self._flight[count - 1].sequence + 1 if count else first
        damage = ""
        if count == len(self._flight) and reached < stop:
            with segment.lock:
                try:
                    count += segment.count(reached, stop)
                    reached = stop
                except DamagedError as error:
                    damage = str(error)
                except TransportError as error:
                    _log.warning("%s: what was acknowledged is sent again: %s", segment.path, error)
        else:
            reached = stop
        with self._state:
            self._flight = self._flight[count:]
            segment.waiting -= count
            self._waiting -= count
            self._pass(segment.label.base + reached)
        if damage:
            with segment.lock:
                self._condemn(segment, reached, damage)
        return count, reached == stop or bool(damage)

    def _pass(self, position: int) -> None:
        """Note that everything before a position is settled; the state is locked."""
        self._settled = position
        self._cells[Cell.SETTLED] = sealed(position)
        self._tell_people()

    def _tell_people(self) -> None:
        self._cells[Cell.WAITING] = sealed(self._waiting)
        self._cells[Cell.OLDEST] = sealed(int(self._oldest * 1000) if self._waiting else 0)

    def _free(self) -> None:
        """Remove the segments of which everything was acknowledged; needs no room on the disk."""
        with self._state:
            # From the oldest on, so that each segment that stays is told of by the one after it.
            spent = list(takewhile(self._is_spent, self._chain))
            self._chain = self._chain[len(spent) :]
        for segment in spent:
            self._remove(segment)

    def _is_spent(self, segment: Segment) -> bool:
        first = max(segment.label.first, self._settled - segment.label.base)
        return segment is not self._active and segment.end <= first

    def _remove(self, segment: Segment) -> None:
        try:
            with segment.lock:
                segment.remove()
        except OSError as error:
            # It is below what is settled, so the next start knows that it is not needed.
            _log.warning("%s: cannot be removed: %s", segment.path, error)

    def _condemn(self, segment: Segment, first: int, why: str) -> None:
        """Give up the rows of a segment from ``first`` on; its lock is held, and nothing is in flight."""
        segment.damaged = why
        self._seal(segment)
        label = segment.label
        own = label.source == self._source
        lost = Loss.of(label.source, SEGMENT_DAMAGED, [(first, segment.end - 1)])
        _log.warning(
            "%s: %s; numbers %d to %d of %s are declared lost, and the file goes into quarantine",
            segment.path,
            why,
            first,
            segment.end - 1,
            label.source,
        )
        try:
            segment.condemn(first)
        except OSError as error:
            _log.warning("%s: cannot be marked as damaged: %s", segment.path, error)
        with self._state:
            rows = segment.waiting
            segment.waiting = 0
            self._waiting -= rows
            losses = each_once([lost, *segment.noted])
            if own:
                losses = (replace(losses[0], rows=rows), *losses[1:])
            self._condemned.append((segment, losses))
            self._chain.remove(segment)
            self._pass(segment.finish)

    # ---- the end ---------------------------------------------------------------------------------

    def _put_aside(self, segment: Segment) -> None:
        try:
            put_aside(self._folder, segment, MOST_QUARANTINED * self._segment_bytes)
        except OSError as error:
            _log.warning("%s: cannot be put into quarantine: %s", segment.path, error)
        self._aside = len(quarantined(self._folder))

    def _let_go_of_page(self) -> None:
        # Whoever holds the cells still may go on storing: the memory goes when nobody does any more.
        self._cells = [0] * (max(Cell) + 1)
        self._page = None

    def _unlock(self) -> None:
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def _sequence_of(row: Row) -> int:
    return row.sequence


def _losses_of(condemned: Sequence[_Condemned]) -> list[Loss]:
    return [loss for _, losses in condemned for loss in losses]
