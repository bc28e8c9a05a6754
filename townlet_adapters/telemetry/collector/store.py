"""Events on disk: a file for each source, each event once, nothing acknowledged that a crash could lose."""

import fcntl
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from townlet_adapters.disk import DISK, Disk
from townlet_adapters.telemetry.collector.checking import Event
from townlet_adapters.telemetry.collector.files import OpenFiles, make_folder, secure, trouble_of
from townlet_adapters.telemetry.collector.ledger import Ledger, Report, report_of
from townlet_adapters.telemetry.collector.owners import OWNERS_FILE, OwnersFile, read_owners
from townlet_adapters.telemetry.collector.plan import Plan, StoreLimits, Trouble, Write
from townlet_adapters.telemetry.collector.recovery import read_folder
from townlet_adapters.telemetry.collector.shelf import FILE_SUFFIX, Shelf, replace_file
from townlet_core.errors import OutputError
from townlet_core.events.health import Histogram

_log = logging.getLogger(__name__)

REPORT_FILE: Final = "report.json"

_LOCK: Final = ".lock"


class Lane:
    """The order of what one peer sends: once something of it could not be stored, nothing behind it is.

    Attributes:
        trouble: why something could not be stored; None as long as all could.
    """

    __slots__ = ("trouble",)

    def __init__(self) -> None:
        """Start without trouble."""
        self.trouble: Trouble | None = None


class Submission(NamedTuple):
    """Events of one source that are to be stored, in this order.

    Attributes:
        lane: the order that they are a part of.
        owner: name of the sender.
        source: their source.
        events: the events.
    """

    lane: Lane
    owner: str
    source: str
    events: Sequence[Event]


class Outcome(NamedTuple):
    """The result of a submission.

    Attributes:
        stored: how many of its events, from the front, are on disk now, duplicates included.
        duplicates: how many of those were stored before.
        trouble: why the others are not stored; None when all are.
    """

    stored: int
    duplicates: int
    trouble: Trouble | None


class Standing(NamedTuple):
    """What is known of a source before its sender sends.

    Attributes:
        owner: name of the sender that owns it, None when none does yet.
        settled_through: the highest number up to which all are stored or declared lost; -1 for none.
    """

    owner: str | None
    settled_through: int


class StoreFigures(NamedTuple):
    """The figures of a store for monitors.

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

    def __init__(self, folder: Path, limits: StoreLimits | None = None, disk: Disk = DISK) -> None:
        """Store in ``folder``; it is made when missing."""
        self._folder, self._disk = folder, disk
        self._limits = limits or StoreLimits()
        self._guard = threading.Lock()  # over the ledger and all shelves
        self._ledger = Ledger()
        self._files = OpenFiles(folder, disk)
        self._owners = OwnersFile(folder, disk)
        self._lock_fd = -1
        self._bytes = 0

    def open(self) -> None:
        """Lock the folder and read its state; half lines that a crash left are cut off.

        Raises:
            OutputError: when it cannot be written, another collector has it, or it has a foreign file.
        """
        try:
            make_folder(self._folder, self._disk)
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
        """Bring events to the disk, all of them together, and wait until they are there.

        An error of the disk is not raised; see ``Outcome.trouble``.
        """
        plan = Plan(self._folder, self._ledger, self._bytes, self._limits)
        planned: list[Write | None] = []
        for lane, owner, source, events in submissions:
            lane.trouble = lane.trouble or plan.add(owner, source, events)
            planned.append(plan.writes[source] if lane.trouble is None else None)
        trouble = self._claim(plan.claims)
        for write in plan.writes.values():
            write.trouble = trouble if write.claims else None
        self._write([write for write in plan.writes.values() if write.fresh and write.trouble is None])
        with self._guard:
            self._ledger.owners.update(plan.claims if trouble is None else {})
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

    def standing(self, source: str) -> Standing:
        """Return what is known of a source."""
        with self._guard:
            return Standing(self._ledger.owners.get(source), self._ledger.settled_through(source))

    def report(self) -> Report:
        """Return the report on every source."""
        with self._guard:
            accounts = self._ledger.snapshot()
        return report_of(accounts)

    def write_report(self) -> None:
        """Write ``report.json`` beside the files; the former one stays if that fails."""
        text = orjson.dumps(self.report().to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        try:
            replace_file(self._folder / REPORT_FILE, text, self._disk)
        except OSError as error:
            _log.warning("%s: cannot be written: %s", self._folder / REPORT_FILE, error.strerror)

    def figures(self) -> StoreFigures:
        """Return the figures."""
        with self._guard:
            return StoreFigures(self._bytes, len(self._ledger), self._files.seconds())

    def close(self) -> None:
        """Write every index that is behind, and unlock the folder."""
        for shelf in self._ledger.shelves.values():
            self._index(shelf, most_behind=0)
        self._files.close()
        self._owners.close()
        self._unlock()

    def _recover(self) -> None:
        shelves = list(read_folder(self._folder))
        self._ledger = Ledger(self._owners.open())
        # What an index covers was on the disk before the index was written.
        secure(
            self._folder,
            [each for each in shelves if each.unfinished or each.size > each.indexed[0]],
            self._disk,
        )
        for shelf in shelves:
            if shelf.unfinished:
                _log.warning("%s: cut off %d bytes of an unfinished line", shelf.path, shelf.unfinished)
                shelf.unfinished = 0
            self._ledger.admit(shelf)
            self._bytes += shelf.size
        known = {shelf.path for shelf in self._ledger.shelves.values()}
        for path in set(self._folder.glob(f"*{FILE_SUFFIX}")) - known:
            # It was read, and holds at most the beginning of a line that was never acknowledged.
            path.unlink()

    def _claim(self, claims: Mapping[str, str]) -> Trouble | None:
        """Bring new owners to the disk before anything of their sources; returns why that failed."""
        if not claims:
            return None
        try:
            self._owners.append(claims)
        except OSError as error:
            return trouble_of(self._owners.path, error)
        return None

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
        if write is None:
            return Outcome(0, 0, submission.lane.trouble)
        stored, duplicates = write.count_stored(submission.events)
        write.shelf.duplicates += duplicates
        if stored == len(submission.events):
            return Outcome(stored, duplicates, None)
        submission.lane.trouble = write.trouble
        return Outcome(stored, duplicates, write.trouble)

    def _index(self, shelf: Shelf, most_behind: int) -> None:
        """Write an index that is behind; only the duration of the next start depends on it."""
        if not shelf.size or (shelf.size, shelf.duplicates) == shelf.indexed:
            return
        if shelf.size - shelf.indexed[0] < most_behind:
            return
        try:
            shelf.save_index(self._disk)
        except OSError as error:
            _log.warning("%s: cannot be written: %s", shelf.index_path, error.strerror)

    def _unlock(self) -> None:
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def read_report(folder: Path) -> Report:
    """Build the report from the files of a folder, whether or not a collector is writing there.

    Raises:
        OutputError: when there is no such folder, or it has a foreign file.
    """
    if not folder.is_dir():
        raise OutputError(f"{folder}: is not a folder; name the one that a collector wrote to with --out")
    try:
        ledger = Ledger(read_owners(folder)[0])
    except OSError as error:
        raise OutputError(f"{folder / OWNERS_FILE}: cannot be read: {error.strerror}") from error
    for shelf in read_folder(folder):
        ledger.admit(shelf)
    return report_of(ledger.snapshot())
