"""SQLite as a way out: one transaction for each batch, so that a batch is there whole or not at all."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from townlet_adapters.telemetry.transports.base import Batch, Condition, TransportError
from townlet_core.errors import OutputError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    source TEXT NOT NULL, sequence INTEGER NOT NULL, tick INTEGER NOT NULL, seq INTEGER,
    kind TEXT NOT NULL, time TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (source, sequence)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_kind ON events (kind, tick);
CREATE VIEW IF NOT EXISTS frames AS
    SELECT source, sequence, tick, data FROM events WHERE kind = 'state.frame';
"""
# A batch may come again after a crash: its place is taken then.
_INSERT = "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"
_PATIENCE = 0.1  # seconds to wait for another program's lock; a worker that is to stop looks up this often


class SqliteTransport:
    """Appends to one SQLite file; ``open`` on the run's thread, the rest on the sink's worker."""

    def __init__(self, path: Path) -> None:
        """Write to ``path``; it and its folder are made when missing."""
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._parents: sqlite3.Connection | None = None
        self._over = False

    def open(self) -> None:
        """Open the file and make the tables.

        Raises:
            OutputError: when it cannot be written, or is no SQLite file.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # The worker is another thread, and the only one that uses the connection from here on.
            self._database = sqlite3.connect(self._path, timeout=_PATIENCE, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            if self._database is not None:
                self._database.close()
                self._database = None
            raise OutputError(
                f"{self._path}: cannot be opened for events: {error}; name a new file, or one of this sink's"
            ) from error

    def write(self, batch: Batch) -> int:
        """Insert the lines; all of them or none, and none after ``interrupt``.

        Raises:
            TransportError: when SQLite did not take them.
        """
        if self._database is None:
            raise TransportError("closed", "the file is not open", verdict="fatal")
        if self._over:
            return 0
        try:
            with self._database:
                self._database.executemany(_INSERT, _rows(batch))
        except sqlite3.OperationalError as error:
            # Locked, full or unreadable for now: the sink keeps the lines and tries again.
            raise TransportError("sqlite", str(error), verdict="retry") from error
        except sqlite3.Error as error:
            raise TransportError("sqlite", str(error), verdict="fatal") from error
        return len(batch.lines)

    def interrupt(self) -> None:
        """Let no further batch begin; one that runs waits for a lock no longer than a tenth of a second."""
        self._over = True

    def condition(self) -> Condition:
        """Tell whether the file is open."""
        return Condition(connected=self._database is not None)

    def close(self) -> None:
        """Bring everything into the one file, and let go.

        Raises:
            TransportError: when that failed.
        """
        try:
            if self._database is not None:
                self._database.close()
        except sqlite3.Error as error:
            raise TransportError("sqlite", str(error)) from error
        finally:
            self._database = None

    def abandon(self) -> None:
        """Leave the connection alone: after a fork it is the parent's, as is closing it."""
        self._database, self._parents = None, self._database


def _rows(batch: Batch) -> Iterator[tuple[str, int, int, int | None, str, str, str]]:
    for line in batch.lines:
        event = json.loads(line)
        yield (
            event["source"],
            int(event["sequence"]),
            event["tick"],
            event.get("seq"),
            event["type"].removeprefix("townlet."),
            event["time"],
            json.dumps(event["data"], separators=(",", ":")),
        )
