"""Segments of format 1, which kept their rows in SQLite: read until they are delivered, never written.

A database with a log beside it is read from a copy in the system's temporary folder, because SQLite would
write to it.
"""

import os
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from townlet_adapters.telemetry.spool.control import UnreadableError
from townlet_adapters.telemetry.spool.folder import Folder, segment_name
from townlet_adapters.telemetry.spool.frames import ROW, Frame
from townlet_adapters.telemetry.spool.label import Label, label_from_bytes, losses_from_json
from townlet_adapters.telemetry.spool.rows import Extent, Place, Tail

_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError, TypeError, ValueError)
"""What SQLite raises for a damaged file, and what its values lead to."""


class LegacyRows:
    """The rows of a segment of format 1; see ``StoredRows``. An offset is the number of a row.

    Attributes:
        path: the database, for messages.
    """

    _db: sqlite3.Connection | None = None
    _copy: tempfile.TemporaryDirectory[str] | None = None

    def __init__(self, folder: Folder, number: int) -> None:
        """Stand for the rows of the segment of this number; touches nothing."""
        self._folder = folder.path
        self._name = segment_name(number)
        self.path = str(self._files()[0])

    def copy_of_label(self) -> Label | None:
        """Return the label that is in the database; None when it is damaged."""
        with suppress(*_ERRORS, OSError, UnreadableError):
            (data,) = self._connection().execute("SELECT label FROM segment").fetchone()
            return label_from_bytes(data)
        return None

    def tail(self, label: Label) -> Tail:
        """Find out where the rows end: the latest commit says it."""
        size = sum(path.stat().st_size for path in self._files() if path.exists())
        with suppress(*_ERRORS, OSError):
            last, events, losses, crc = (
                self._connection()
                .execute("SELECT last, events, undeclared, crc FROM commits ORDER BY number DESC LIMIT 1")
                .fetchone()
            )
            if crc == zlib.crc32(f"{last} {events} {losses}".encode()):
                return Tail(Extent(size, last + 1, events), losses_from_json(losses), is_torn=False)
        undeclared = label.noted if self._has_no_commit() else None
        return Tail(Extent(size, label.first, 0), undeclared, size > 0 and undeclared is None)

    def is_whole(self, size: int) -> bool:  # noqa: ARG002 - as all rows have it
        """Whether the database is there."""
        return self._files()[0].exists()

    def remove(self) -> None:
        """Remove the database with its log, then the labels that only format 1 has."""
        self.release()
        for path in (*self._files(), *self._folder.glob(f"{self._name}.lost-*")):
            path.unlink(missing_ok=True)

    def release(self) -> None:
        """Close the database; reading opens it again."""
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None

    def _files(self) -> list[Path]:
        path = self._folder / f"{self._name}.db"
        return [path, *(path.with_name(f"{path.name}-{end}") for end in ("wal", "shm", "journal"))]

    def _has_no_commit(self) -> bool:
        with suppress(*_ERRORS, OSError):
            return bool(self._connection().execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,))
        return False

    def seek(self, label: Label, number: int, size: int) -> Place:  # noqa: ARG002 - as all rows have it
        """Return the place before the first row of at least this number."""
        before, passed = label.first - 1, 0
        with suppress(*_ERRORS, OSError):
            last, passed = (
                self._connection()
                .execute("SELECT max(sequence), count(*) FROM rows WHERE sequence < ?", (number,))
                .fetchone()
            )
            before = before if last is None else last
        return Place(before + 1, before, passed)

    def frames(self, offset: int, size: int) -> Iterator[Frame]:  # noqa: ARG002 - as all rows have it
        """Iterate over the rows from a number on, without those that are damaged."""
        with suppress(*_ERRORS, OSError):
            db = self._connection()
            at = self._committed_at(offset)
            (index,) = db.execute("SELECT count(*) FROM rows WHERE sequence < ?", (offset,)).fetchone()
            for sequence, gap, crc, line in db.execute(
                "SELECT sequence, gap, crc, line FROM rows WHERE sequence >= ? ORDER BY sequence", (offset,)
            ):
                if crc == zlib.crc32(line, (sequence + gap * 0x9E3779B1) & 0xFFFFFFFF):
                    yield Frame(ROW, sequence, gap, index, at, line, sequence, sequence + 1)
                index += 1

    def _committed_at(self, sequence: int) -> int:
        query = "SELECT at FROM commits WHERE last >= ? ORDER BY last, number LIMIT 1"
        found = self._connection().execute(query, (sequence,)).fetchone()
        return int(found[0]) if found else 0

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            path, log = self._files()[:2]
            if not (log.exists() and log.stat().st_size):
                self._db = _connect(path, "mode=ro&immutable=1")
            else:
                self._copy = tempfile.TemporaryDirectory(prefix="townlet-spool-")
                copy = Path(self._copy.name) / path.name
                try:
                    shutil.copyfile(log, copy.with_name(log.name), follow_symlinks=False)
                    shutil.copyfile(path, copy, follow_symlinks=False)
                    self._db = _connect(copy, "mode=rw")
                except (OSError, sqlite3.Error):
                    self.release()
                    raise
        return self._db


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a database that exists, and trust nothing in it."""
    uri = f"file:{quote(os.fspath(path.absolute()))}?{mode}"
    db = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA cell_size_check = ON")
    except sqlite3.Error:
        db.close()
        raise
    return db
