"""A queue on the disk, across runs: rows go in at one end, and leave at the other once the peer has them.

open -> (losses) -> begin -> commit ... commit        the committer
                      read, acknowledge, read ...     the sender
                      note_emitted ...                the town

``queue`` knows which segments there are and what is acknowledged, ``undeclared`` which losses no row declares
yet; ``writing`` stores rows for the committer, ``reading`` reads them for the sender.
"""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from townlet_adapters.disk import DISK, Disk
from townlet_adapters.telemetry.clock import Clock
from townlet_adapters.telemetry.spool.base import OUTBOX_REMOVED, Loss, OutboxLimits, Row
from townlet_adapters.telemetry.spool.control import ControlPage
from townlet_adapters.telemetry.spool.faults import refused
from townlet_adapters.telemetry.spool.folder import MOST_QUARANTINED, Folder, Quarantine
from townlet_adapters.telemetry.spool.label import Label
from townlet_adapters.telemetry.spool.queue import Queue
from townlet_adapters.telemetry.spool.reading import Reading
from townlet_adapters.telemetry.spool.recovery import Recovered, recover
from townlet_adapters.telemetry.spool.writing import Writing
from townlet_core.errors import ContractError, OutputError
from townlet_core.events.health import SpoolHealth
from townlet_core.ports.transport import Batch, TransportError

_log = logging.getLogger(__name__)


class Outbox:
    """Rows of this run and of earlier ones, oldest first, in segments that are freed as a whole.

    Safe to use from several threads: the town notes numbers, one committer commits, one sender reads and
    acknowledges, any thread asks for ``stats``. A commit does not wait for a read, nor a read for a commit.
    ``note_emitted`` and ``stats`` write at most 24 bytes into a page of the file system's memory.
    """

    def __init__(self, folder: Path, limits: OutboxLimits, clock: Clock, disk: Disk = DISK) -> None:
        """Keep the outbox in ``folder``, which no other process may use meanwhile; touches nothing yet."""
        self._folder = Folder(folder, disk, durable=limits.durability == "power")
        self._limits = limits
        self._clock = clock
        self._set_up("", Recovered())

    def _set_up(self, source: str, found: Recovered) -> None:
        """Make the parts, which begin with what earlier runs left; nothing is in use yet."""
        folder, limits, clock = self._folder, self._limits, self._clock
        self._recovered: Recovered | None = None
        # Locks are taken in this order: this one, that of the reading, that of the queue, the others'.
        self._committing = threading.Lock()
        most = MOST_QUARANTINED * limits.bytes_of_segment
        quarantine = Quarantine(folder.path, most, found.quarantined)
        self._queue = Queue(found, quarantine, clock)
        self._reading = Reading(source, folder, self._queue)
        following = Label(found.number, source, found.base, 0, found.before)
        self._writing = Writing(following, folder, self._queue, clock, limits)

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
        self._set_up(source, found)
        self._recovered = found
        return found.losses

    def _recover(self, source: str) -> Recovered:
        path = self._folder.path
        try:
            found = recover(self._folder)
        except OSError as error:
            raise OutputError(f"{path}: the outbox cannot be read: {error}") from error
        if source in found.sources:
            raise ContractError(f"{path}: the outbox has held {source} before; each run has its own")
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
            self._writing.begin(rows, found.losses)
        except OSError as error:
            raise OutputError(
                f"{self._folder.path}: the outbox cannot be begun: {error}; make room, or name another folder"
            ) from error
        self._recovered = None
        for segment in found.unlabelled:
            try:
                segment.label_file.write()
            except OSError as error:
                _log.warning("%s: its label cannot be written: %s", segment.path, error)
        for segment in found.spent:
            self._queue.remove(segment)

    # ---- the town's side -------------------------------------------------------------------------

    def note_emitted(self, count: int) -> None:
        """Note that the numbers below ``count`` were given; writes 8 bytes, never raises.

        Comes before the message is put where a worker can take it. Not for two threads at once.
        """
        page = self._queue.page
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
                self._writing.commit(rows, undeclared, self._reading.astray())
            except OSError as error:
                raise refused(error) from error
            self._queue.free()

    def has_losses(self) -> bool:
        """Return whether something was found lost since the last ``take_losses``; for any thread."""
        return self._queue.undeclared.has_found()

    def take_losses(self) -> tuple[Loss, ...]:
        """Return what was found lost since the last call, in segments of any source.

        Only the committer calls it, and not between collecting ``undeclared`` and the commit: from the next
        commit on they are the caller's to pass until a committed row declares them. A commit that neither
        passes nor declares one would leave it unknown after a kill.

        Count by ``rows``, which is how many rows of this run no longer wait; the ranges may name again what
        was declared before, by a row that may have gone with the segment.
        """
        return self._queue.undeclared.take()

    def _look_after(self) -> None:
        """Notice what another program did to the files, and put right what can be.

        Raises:
            OSError: when the control page cannot be written.
            TransportError: when the outbox was removed and cannot be made again.
        """
        in_place = self._folder.is_in_place()
        self._reading.check_files(in_place=in_place)
        if not in_place:
            self._queue.undeclared.note_marks_gone()
            if self._folder.is_taken:
                _log.error("%s: the outbox was removed or replaced while it was used", self._folder.path)
            self._folder.release()
            try:
                self._folder.take()
            except OutputError as error:
                raise TransportError(OUTBOX_REMOVED, f"the outbox was removed, and {error}") from error
        page = self._queue.page
        wrong = "" if page is None else page.repair()
        if wrong:
            _log.warning("%s: the control page %s; it is written again", self._folder.path, wrong)

    # ---- the sender's side -----------------------------------------------------------------------

    def read(self, most_events: int, most_bytes: int) -> Batch | None:
        """Read the oldest rows not acknowledged, of one source; the same again until they are.

        At least one row, however large. A smaller limit than the last one gives the front of the same rows.

        Returns:
            None when nothing waits.

        Raises:
            TransportError: when the machine, not the segment, is at fault; with the verdict ``retry``.
        """
        return self._reading.read(most_events, most_bytes)

    def acknowledge(self, source: str, through: int) -> int:
        """Settle the rows of ``source`` with numbers up to ``through``, and free what is settled whole.

        Needs no room on the disk. An acknowledgement beyond the last row, or of a source whose turn it is
        not, settles no more than there is.

        Returns:
            How many rows that settled.
        """
        count = self._reading.acknowledge(source, through)
        self._queue.free()
        return count

    # ---- the end ---------------------------------------------------------------------------------

    def stats(self) -> SpoolHealth:
        """Return what waits; does not wait for the disk."""
        return self._queue.stats(self._limits.durability)

    def close(self) -> None:
        """Release the folder; what waits stays. No call may follow but ``stats`` and ``take_losses``.

        What is found lost at this moment is returned by ``take_losses``, and declared by the next run.
        """
        with self._committing:
            page = self._queue.page
            if page is not None:
                try:
                    self._close_books(page)
                except (OSError, TransportError) as error:
                    _log.warning("%s: cannot be closed in good order: %s", self._folder.path, error)
            self._reading.close()
            self._folder.release()
        waiting = self.stats().events
        if waiting:
            _log.warning(
                "%s: %d events wait here; the next run with this outbox delivers them, or townlet spool send",
                self._folder.path,
                waiting,
            )

    def _close_books(self, page: ControlPage) -> None:
        self._reading.let_go()
        self._look_after()
        losses = self._queue.undeclared.at_the_end()
        if losses is not None:
            self._writing.begin_segment(losses)
        page.sync()

    def abandon(self) -> None:
        """Close the files in the child of a fork: the outbox is the parent's, and stays as it is."""
        # No lock is taken: at the fork, a thread that the child does not have may have held it.
        self._queue.release()
        self._folder.release()
        self._set_up("", Recovered())
