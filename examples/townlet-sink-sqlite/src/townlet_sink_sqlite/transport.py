"""A transport to SQLite: one transaction for each batch, so that it is stored as a whole or not at all."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from townlet_core.errors import OutputError
from townlet_core.ports.transport import Batch, Condition, TransportError

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
# A batch may be delivered again after a crash; its rows exist then.
_INSERT = "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"
_PATIENCE = 0.1  # seconds to wait for another program's lock; the worker checks that often whether to stop


class SqliteTransport:
    """Appends to one SQLite file; ``open`` on the run's thread, the rest on the sink's worker."""

    def __init__(self, path: Path) -> None:
        """Write to ``path``; missing folders are created."""
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._parents: sqlite3.Connection | None = None
        self._over = False

    def open(self) -> None:
        """Open the file and create the tables.

        Raises:
            OutputError: when it cannot be written, or is not a SQLite file.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # From here on, only the worker uses the connection, and that is another thread.
            self._database = sqlite3.connect(self._path, timeout=_PATIENCE, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            if self._database is not None:
                self._database.close()
                self._database = None
            raise OutputError(
                f"{self._path}: cannot be opened for events: {error}; choose a new file, or one of this sink"
            ) from error

    def write(self, batch: Batch) -> int:
        """Insert all lines or none; after ``interrupt``, none.

        Raises:
            TransportError: when SQLite refuses them.
        """
        if self._database is None:
            raise TransportError("closed", "the file is not open", verdict="fatal")
        if self._over:
            return 0
        try:
            with self._database:
                self._database.executemany(_INSERT, _rows(batch))
        except sqlite3.OperationalError as error:
            # Locked, full or unreadable for now: the sink keeps the lines and retries.
            raise TransportError("sqlite", str(error), verdict="retry") from error
        except sqlite3.Error as error:
            raise TransportError("sqlite", str(error), verdict="fatal") from error
        return len(batch.lines)

    def interrupt(self) -> None:
        """Refuse further batches; a running one waits for a lock for at most a tenth of a second."""
        self._over = True

    def condition(self) -> Condition:
        """Return whether the file is open."""
        return Condition(connected=self._database is not None)

    def close(self) -> None:
        """Write everything to the one file, and close it.

        Raises:
            TransportError: when that fails.
        """
        try:
            if self._database is not None:
                self._database.close()
        except sqlite3.Error as error:
            raise TransportError("sqlite", str(error)) from error
        finally:
            self._database = None

    def abandon(self) -> None:
        """Keep the connection unused and open: after a fork, only the parent may use and close it."""
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
