"""Events on disk: a file for each source, nothing twice, nothing acknowledged that a crash could take."""

import fcntl
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from townlet_adapters.telemetry.collector.checking import Event
from townlet_adapters.telemetry.collector.files import OpenFiles
from townlet_adapters.telemetry.collector.ledger import Ledger, Report, report_of
from townlet_adapters.telemetry.collector.plan import Plan, StoreLimits, Trouble, Write
from townlet_adapters.telemetry.collector.recovery import read_folder
from townlet_adapters.telemetry.collector.shelf import FILE_SUFFIX, Shelf, replace_file
from townlet_core.errors import OutputError
from townlet_core.events.health import Histogram

_log = logging.getLogger(__name__)

REPORT_FILE: Final = "report.json"

_LOCK: Final = ".lock"


class Lane:
    """What one peer sends in one order: once something of it could not be stored, nothing behind it is.

    Attributes:
        trouble: why something could not be stored; None as long as all could.
    """

    __slots__ = ("trouble",)

    def __init__(self) -> None:
        """Begin without trouble."""
        self.trouble: Trouble | None = None


class Submission(NamedTuple):
    """Events of one source that are to be stored, in this order."""

    lane: Lane
    source: str
    events: Sequence[Event]


class Outcome(NamedTuple):
    """What became of a submission.

    Attributes:
        stored: how many of its events, from the front, are on disk now, duplicates included.
        duplicates: how many of those were stored before.
        through: the highest number of the source on disk, None when there is none.
        trouble: why the others are not; None when there are no others.
    """

    stored: int
    duplicates: int
    through: int | None
    trouble: Trouble | None


class StoreFigures(NamedTuple):
    """Figures for whoever watches a store.

    Attributes:
        bytes: bytes of all events on disk.
        sources: sources known.
        sync_seconds: how long it took to bring a group of writes to the disk.
    """

    bytes: int
    sources: int
    sync_seconds: Histogram


class Store:
    """A folder of events. ``store`` and ``close`` are called by one thread at a time, the rest by any."""

    def __init__(self, folder: Path, limits: StoreLimits | None = None) -> None:
        """Store in ``folder``; it is made when missing."""
        self._folder = folder
        self._limits = limits or StoreLimits()
        self._guard = threading.Lock()  # over the ledger and all shelves
        self._ledger = Ledger()
        self._files = OpenFiles(folder)
        self._lock_fd = -1
        self._bytes = 0

    def open(self) -> None:
        """Take the folder, and learn what is in it; half lines that a crash left are cut off.

        Raises:
            OutputError: when it cannot be written, another collector has it, or a file is not ours.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock_fd = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._recover()
        except BlockingIOError as error:
            self._unlock()
            raise OutputError(
                f"{self._folder}: another collector writes here; name another folder, or stop that one"
            ) from error
        except OSError as error:
            self._unlock()
            raise OutputError(f"{self._folder}: cannot be used: {error.strerror}") from error
        except OutputError:
            self._unlock()
            raise

    def store(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Bring events to the disk, all of them with one wait for it.

        Blocks until that is done, and raises nothing for what a disk can do: see ``Outcome.trouble``.
        """
        plan = Plan(self._folder, self._ledger, self._bytes, self._limits)
        planned: list[Write | None] = []
        for source, events, lane in ((each.source, each.events, each.lane) for each in submissions):
            lane.trouble = lane.trouble or plan.add(source, events)
            planned.append(plan.writes[source] if lane.trouble is None else None)
        self._write([write for write in plan.writes.values() if write.fresh])
        with self._guard:
            for write in plan.writes.values():
                self._settle(write)
            outcomes = list(map(self._outcome, submissions, planned))
        for source in self._files.close_idle():
            shelf = self._ledger.shelves.get(source)
            if shelf is not None:
                self._index(shelf, most_behind=0)
        for write in plan.writes.values():
            self._index(write.shelf, self._limits.unindexed_bytes)
        return outcomes

    def through(self, source: str) -> int | None:
        """Tell the highest number of a source that is on disk; None when there is none."""
        with self._guard:
            shelf = self._ledger.shelves.get(source)
            return shelf.stored.last if shelf is not None else None

    def report(self) -> Report:
        """Tell of every source."""
        with self._guard:
            accounts = self._ledger.snapshot()
        return report_of(accounts)

    def write_report(self) -> None:
        """Put the report beside the files, as ``report.json``; the one before stays if that fails."""
        text = orjson.dumps(self.report().to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        try:
            replace_file(self._folder / REPORT_FILE, text)
        except OSError as error:
            _log.warning("%s: cannot be written: %s", self._folder / REPORT_FILE, error.strerror)

    def figures(self) -> StoreFigures:
        """Give the figures."""
        with self._guard:
            return StoreFigures(self._bytes, len(self._ledger), self._files.seconds())

    def close(self) -> None:
        """Write every index that is behind, and let go of the folder."""
        for shelf in self._ledger.shelves.values():
            self._index(shelf, most_behind=0)
        self._files.close()
        self._unlock()

    def _recover(self) -> None:
        for shelf in read_folder(self._folder):
            if shelf.unfinished:
                os.truncate(shelf.path, shelf.size)
                _log.warning("%s: cut off %d bytes of an unfinished line", shelf.path, shelf.unfinished)
                shelf.unfinished = 0
            self._ledger.admit(shelf)
            self._bytes += shelf.size
        known = {shelf.path for shelf in self._ledger.shelves.values()}
        for path in set(self._folder.glob(f"*{FILE_SUFFIX}")) - known:
            # It was read, and holds at most the beginning of a line that nobody was told is stored.
            path.unlink()

    def _write(self, writes: Sequence[Write]) -> None:
        for write in writes:
            lines = [event.line for event in write.fresh]
            write.kept, write.trouble = self._files.append(write.shelf, lines)
        failed = self._files.sync([write.shelf for write in writes if write.kept])
        for write in writes:
            trouble = failed.get(write.shelf.source)
            if trouble is not None:
                write.kept, write.trouble = 0, trouble

    def _settle(self, write: Write) -> None:
        if not write.kept:
            return
        shelf, events = write.shelf, write.fresh[: write.kept]
        before = shelf.size
        self._ledger.enter(shelf, events)
        shelf.end_with(events[-1].line)
        self._bytes += shelf.size - before

    def _outcome(self, submission: Submission, write: Write | None) -> Outcome:
        shelf = self._ledger.shelves.get(submission.source)
        through = shelf.stored.last if shelf is not None else None
        if write is None:
            return Outcome(0, 0, through, submission.lane.trouble)
        stored, duplicates = write.count_stored(submission.events)
        write.shelf.duplicates += duplicates
        if stored == len(submission.events):
            return Outcome(stored, duplicates, through, None)
        submission.lane.trouble = write.trouble
        return Outcome(stored, duplicates, through, write.trouble)

    def _index(self, shelf: Shelf, most_behind: int) -> None:
        """Write an index that is behind; nothing depends on it but the time that the next start takes."""
        if not shelf.size or (shelf.size, shelf.duplicates) == shelf.indexed:
            return
        if shelf.size - shelf.indexed[0] < most_behind:
            return
        try:
            shelf.save_index()
        except OSError as error:
            _log.warning("%s: cannot be written: %s", shelf.index_path, error.strerror)

    def _unlock(self) -> None:
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def read_report(folder: Path) -> Report:
    """Work the report out from the files of a folder, whether a collector writes there just now or not.

    Raises:
        OutputError: when there is no such folder, or a file in it is not ours.
    """
    if not folder.is_dir():
        raise OutputError(f"{folder}: is not a folder; name the one that a collector wrote to with --out")
    ledger = Ledger()
    for shelf in read_folder(folder):
        ledger.admit(shelf)
    return report_of(ledger.snapshot())
