"""One file of rows: appended to by one run, read until the peer has everything, then removed as a whole.

Every row carries a checksum and its distance from the row before, so that neither a changed row nor a missing
one goes unnoticed, whatever the database makes of a damaged file.
"""

import ctypes
import errno
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from townlet_adapters.telemetry.ranges import RangeSet
from townlet_adapters.telemetry.spool.base import SEGMENT_DAMAGED, Loss, Row
from townlet_adapters.telemetry.spool.label import (
    Label,
    UnreadableLabelError,
    add_note,
    label_from_bytes,
    label_to_bytes,
    losses_from_text,
    losses_to_text,
    write_label,
)
from townlet_adapters.telemetry.transports.base import TransportError

PAGE: Final = 4096
DATABASE_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; its messages quote the database, and may then be no text."""
LARGEST_WAL: Final = 1024  # pages in the log at which they go into the database itself
_SMALLEST_WAL: Final = 8

_SCHEMA: Final = (
    "CREATE TABLE segment (label BLOB NOT NULL)",
    """CREATE TABLE rows (
        sequence INTEGER PRIMARY KEY, gap INTEGER NOT NULL, crc INTEGER NOT NULL, line BLOB NOT NULL
    )""",
    """CREATE TABLE commits (
        number INTEGER PRIMARY KEY, last INTEGER NOT NULL, events INTEGER NOT NULL, at REAL NOT NULL,
        undeclared TEXT NOT NULL, crc INTEGER NOT NULL
    )""",
    "CREATE INDEX commits_by_last ON commits (last)",
)
_IDENTITY: Final = 4  # fields of a label that tell segments apart
_NONE: Final = losses_to_text(())
_WRITES: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
    }
)
_MACHINE: Final = {
    sqlite3.SQLITE_FULL: "no_space",
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_NOMEM: "out_of_memory",
    sqlite3.SQLITE_INTERRUPT: "interrupted",
}


class DamagedError(Exception):
    """A segment does not hold what was committed to it."""


class Summary(NamedTuple):
    """What a segment holds, as its latest commit says.

    Attributes:
        end: its rows have lower numbers than this.
        events: how many rows it holds.
        undeclared: losses that no row up to here declares.
    """

    end: int
    events: int
    undeclared: tuple[Loss, ...]


def crc_of(sequence: int, gap: int, line: bytes) -> int:
    """Give the checksum of a row."""
    return zlib.crc32(line, (sequence + gap * 0x9E3779B1) & 0xFFFFFFFF)


class Segment:
    """One database and its label. Whoever calls a method that names it holds ``lock``.

    Attributes:
        label: what it is.
        lock: held for every use of the database, which is at most one batch long.
        end: its rows have lower numbers than this; the outbox keeps it.
        events: rows that it holds; the outbox keeps it.
        waiting: rows that are not acknowledged; the outbox keeps it.
        size: bytes that it takes on the disk.
        noted: losses that are in its label.
        begun: whether anything was ever committed to it, as far as is known.
        damaged: why nothing may go into it or come out of it any more; empty when it is whole.
        undeclared: losses that travelled in its latest commit; the outbox keeps it.
    """

    def __init__(
        self, folder: Path, label: Label, *, durable: bool = False, segment_bytes: int = LARGEST_WAL * PAGE
    ) -> None:
        """Stand for the segment of this label; touches nothing yet."""
        self.label = label
        self.path = folder / f"segment-{label.number:08d}.db"
        self.label_path = self.path.with_suffix(".label")
        self.lock = threading.Lock()
        self.end = label.first
        self.events = self.waiting = self.size = 0
        self.damaged = ""
        self.undeclared = label.undeclared
        self.noted = list(label.undeclared)
        self._known = _numbers_of(self.noted)
        self._durable = durable
        self._wal_pages = max(_SMALLEST_WAL, min(LARGEST_WAL, segment_bytes // PAGE // 4))
        self._db: sqlite3.Connection | None = None
        self._created = False
        self.begun = False

    @property
    def finish(self) -> int:
        """Position in the queue at which it ends."""
        return self.label.base + self.end

    @property
    def files(self) -> tuple[Path, ...]:
        """Give every file that belongs to it, the one that says so first."""
        beside = [self.path.with_name(f"{self.path.name}-{end}") for end in ("wal", "shm", "journal")]
        return (self.label_path, self.path, *beside)

    def create(self) -> None:
        """Write the label and an empty database; holding the lock.

        Raises:
            OSError: when the disk does not take it.
        """
        write_label(self.label_path, self.label, durable=self._durable)
        self._created = True
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        if self._durable:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def relabel(self) -> None:
        """Write the label again, which nobody could read any more.

        Raises:
            OSError: when the disk does not take it.
        """
        write_label(self.label_path, self.label, durable=self._durable)

    def append(self, rows: Sequence[Row], undeclared: Sequence[Loss], at: float) -> None:
        """Store rows in one transaction; holding the lock.

        Raises:
            DamagedError: when the database is not what it was.
            TransportError: when the disk does not take them; nothing was stored.
        """
        self._note([*undeclared, *_gaps(rows, self.end, self.label.source)])
        last = rows[-1].sequence if rows else self.end - 1
        events = self.events + len(rows)
        losses = losses_to_text(undeclared) if undeclared else _NONE
        try:
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            if not self.begun:
                for statement in _SCHEMA:
                    db.execute(statement)
                db.execute("INSERT INTO segment VALUES (?)", (label_to_bytes(self.label),))
            db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", _records(rows, self.end - 1))
            db.execute(
                "INSERT INTO commits VALUES (NULL, ?, ?, ?, ?, ?)",
                (last, events, at, losses, _crc_of_commit(last, events, losses)),
            )
            db.execute("COMMIT")
        except DATABASE_ERRORS as error:
            self._roll_back()
            raise _translated(error, self.path) from error
        except BaseException:
            self._roll_back()
            raise
        self.begun = True
        self.measure()

    def _note(self, losses: Sequence[Loss]) -> None:
        """Write into the label what is new: it is known then whatever becomes of the database."""
        if not losses:
            return
        new: list[Loss] = []
        for loss in losses:
            known = self._known.setdefault(loss.source, RangeSet())
            rest = [hole for first, last in loss.ranges for hole in known.holes(first, last)]
            if rest:
                new.append(Loss.of(loss.source, loss.reason, rest))
        if not new:
            return
        for loss in new:
            for first, last in loss.ranges:
                self._known[loss.source].add(first, last)
        try:
            add_note(self.label_path, new, durable=self._durable)
        except OSError as error:
            self._known = _numbers_of(self.noted)
            raise refused(error) from error
        self.noted += new

    def read(self, first: int, most_events: int, most_bytes: int) -> list[Row]:
        """Give rows from the number ``first`` on, at least one; holding the lock.

        Rows before a damaged one are given; whoever asks for that one next is told.

        Raises:
            DamagedError: when the first row is not what was committed, or is missing.
            TransportError: when the machine is at fault.
        """
        rows: list[Row] = []
        size, before = 0, first - 1
        try:
            found = self._connection().execute(
                "SELECT sequence, gap, crc, line FROM rows WHERE sequence >= ? ORDER BY sequence LIMIT ?",
                (first, most_events),
            )
            for sequence, gap, crc, line in found:
                size += len(line)
                if rows and size > most_bytes:
                    break
                after = sequence - gap - 1
                follows = after == before if rows else after <= before
                if not follows or sequence >= self.end or crc != crc_of(sequence, gap, line):
                    if rows:
                        break
                    raise DamagedError(f"row {sequence} is not what was committed")
                rows.append(Row(sequence, line))
                before = sequence
        except DATABASE_ERRORS as error:
            if not rows:
                raise _translated(error, self.path) from error
        except TypeError as error:
            if not rows:
                raise DamagedError("a row holds something else than numbers and bytes") from error
        if not rows:
            raise DamagedError(f"the rows from {first} on are missing")
        return rows

    def summary(self) -> Summary | None:
        """Tell what was committed; None when nothing ever was; holding the lock.

        Raises:
            DamagedError: when that cannot be told.
            TransportError: when the machine is at fault.
        """
        if not self.path.exists() or self.path.stat().st_size == 0:
            return None
        try:
            db = self._connection()
            if db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
                return None
            label = db.execute("SELECT label FROM segment").fetchone()
            told = db.execute(
                "SELECT last, events, undeclared, crc FROM commits ORDER BY number DESC LIMIT 1"
            ).fetchone()
            if label_from_bytes(label[0])[:_IDENTITY] != self.label[:_IDENTITY]:
                raise DamagedError("is not the segment that its label tells of")
            last, events, undeclared, crc = told
            if crc != _crc_of_commit(last, events, undeclared):
                raise DamagedError("its latest commit is not what it was")
            self.begun = True
            return Summary(last + 1, events, losses_from_text(undeclared))
        except DATABASE_ERRORS as error:
            raise _translated(error, self.path) from error
        except (TypeError, ValueError, AttributeError, UnreadableLabelError) as error:
            raise DamagedError("its latest commit cannot be read") from error

    def count(self, first: int, end: int) -> int:
        """Count the rows from ``first`` to below ``end``; holding the lock.

        Raises:
            DamagedError: when they cannot be counted.
            TransportError: when the machine is at fault.
        """
        try:
            counted: tuple[int] = (
                self._connection()
                .execute("SELECT count(*) FROM rows WHERE sequence >= ? AND sequence < ?", (first, end))
                .fetchone()
            )
        except DATABASE_ERRORS as error:
            raise _translated(error, self.path) from error
        return counted[0]

    def committed_at(self, sequence: int) -> float:
        """Tell when a row was committed, in seconds since 1970, or 0; holding the lock."""
        try:
            found = self._connection().execute(
                "SELECT at FROM commits WHERE last >= ? ORDER BY last, number LIMIT 1", (sequence,)
            )
            at: tuple[float] | None = found.fetchone()
        except (*DATABASE_ERRORS, DamagedError, TransportError):
            return 0.0
        return float(at[0]) if at else 0.0

    def measure(self) -> None:
        """Find out what it takes on the disk."""
        self.size = sum(path.stat().st_size for path in self.files if path.exists())

    def release(self) -> None:
        """Close the database; it opens again when it is used; holding the lock."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def remove(self) -> None:
        """Remove the files, which needs no room on the disk; holding the lock.

        The label goes first: what is left after a kill is then a segment that tells of itself.
        """
        try:
            for path in self.files:
                path.unlink(missing_ok=True)
        finally:
            if self._db is not None:
                # What is closed here is gone already, so nothing of it need reach the disk.
                with suppress(*DATABASE_ERRORS):
                    self._db.execute("PRAGMA synchronous = OFF")
                self.release()

    def condemn(self, lost_from: int) -> None:
        """Note in the label's name which rows are lost, to the end; needs no room on the disk."""
        path = self.path.with_suffix(f".lost-{lost_from}-{self.end}")
        if self.label_path.exists():
            self.label_path.rename(path)
        else:
            write_label(path, self.label, durable=self._durable)
        self.label_path = path

    def move_to(self, folder: Path) -> None:
        """Put the files elsewhere; holding the lock."""
        try:
            for path in self.files:
                if path.exists():
                    path.rename(folder / path.name)
        finally:
            self.release()

    def abandon(self) -> None:
        """Never close the database: after a fork it is the parent's, and closing it would write to it."""
        if self._db is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._db))
            self._db = None

    def _connection(self) -> sqlite3.Connection:
        if self._db is not None:
            return self._db
        db = connect(self.path, "rw")
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            if self._created:
                db.execute(f"PRAGMA page_size = {PAGE}")
                db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
            db.execute(f"PRAGMA wal_autocheckpoint = {self._wal_pages}")
        except DATABASE_ERRORS:
            db.close()
            raise
        self._db = db
        return db

    def _roll_back(self) -> None:
        if self._db is None or not self._db.in_transaction:
            return
        try:
            self._db.execute("ROLLBACK")
        except DATABASE_ERRORS:
            # Whatever state it is in, the one that the file is in is found when it is opened again.
            self.release()


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a database that exists, and trust nothing in it."""
    uri = f"file:{quote(str(path.absolute()))}?{'mode=ro&immutable=1' if mode == 'ro' else 'mode=rw'}"
    db = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA cell_size_check = ON")
    except DATABASE_ERRORS:
        db.close()
        raise
    return db


def label_in(path: Path) -> Label | None:
    """Ask a database what segment it is; None when it cannot tell."""
    if not path.exists():
        return None
    try:
        db = connect(path, "rw")
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            found = db.execute("SELECT label FROM segment").fetchone()
        finally:
            db.close()
        return label_from_bytes(found[0]) if found else None
    except (*DATABASE_ERRORS, UnreadableLabelError, TypeError, AttributeError):
        return None


def _records(rows: Sequence[Row], before: int) -> Iterator[tuple[int, int, int, bytes]]:
    for sequence, line in rows:
        gap = sequence - before - 1
        if gap < 0:
            raise ValueError(f"row {sequence} comes after row {before}; rows are stored in ascending order")
        yield sequence, gap, crc_of(sequence, gap, line), line
        before = sequence


def _gaps(rows: Sequence[Row], end: int, source: str) -> list[Loss]:
    """Give the numbers that are missing in rows, of which the first one may be ``end``."""
    if not rows or rows[-1].sequence - end == len(rows) - 1:
        return []
    held = RangeSet()
    for row in rows:
        held.add(row.sequence)
    return [Loss.of(source, SEGMENT_DAMAGED, held.holes(end, rows[-1].sequence))]


def refused(error: OSError) -> TransportError:
    """Translate what the operating system said of a file in the folder."""
    code = "no_space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "io_error"
    return TransportError(code, f"the disk refuses to be written: {error}")


def _numbers_of(losses: Sequence[Loss]) -> dict[str, RangeSet]:
    numbers: dict[str, RangeSet] = {}
    for loss in losses:
        known = numbers.setdefault(loss.source, RangeSet())
        for first, last in loss.ranges:
            known.add(first, last)
    return numbers


def _crc_of_commit(last: int, events: int, losses: str) -> int:
    return zlib.crc32(f"{last} {events} {losses}".encode())


def _translated(error: Exception, path: Path) -> DamagedError | TransportError:
    """Tell apart what the machine does to us and what became of the file."""
    # Python sets it on what SQLite itself said, and on nothing else.
    code = vars(error).get("sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code in _WRITES:
        return TransportError("io_error", f"{path}: the disk refuses to be written: {error}")
    if code & 0xFF in _MACHINE:
        return TransportError(_MACHINE[code & 0xFF], f"{path}: {error}")
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except FileNotFoundError:
            return DamagedError("the database is gone")
        except OSError as reason:
            return TransportError("cannot_open", f"{path}: {reason.strerror}")
        return TransportError("cannot_open", f"{path}: {error}")
    return DamagedError(f"the database is not usable: {error}")
