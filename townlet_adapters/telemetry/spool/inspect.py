"""Looking into outboxes without a trace: nothing in their folders is written, not even by SQLite.

While a run holds an outbox, only its small files are read: what the control page says. A folder that nobody
holds is kept from being taken for as long as its rows are read.
"""

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from townlet_adapters.telemetry.spool.control import (
    CONTROL_FILE,
    Control,
    UnreadableControlError,
    read_control,
)
from townlet_adapters.telemetry.spool.folder import Files, check, ours, quarantined, segment_files, take_lock
from townlet_adapters.telemetry.spool.label import Label, UnreadableLabelError, label_from_bytes, read_label
from townlet_adapters.telemetry.spool.segment import DATABASE_ERRORS, connect, crc_of
from townlet_core.errors import OutputError

_WILL_ASK: Final = "the next start asks the segment itself"
_NAMELESS: Final = "what it held is known only if the segment after it, or the control page, tells"
_WILL_DECLARE: Final = "its rows from there on will be declared lost, and it goes into quarantine"


@dataclass(slots=True)
class Look:
    """What an outbox shows.

    Attributes:
        folder: where it is.
        held: whether a process uses it now.
        control: its control page, None when that says nothing.
        segments: number and files of each segment.
        sources: whose rows are in it, oldest first.
        bytes: bytes of its segments.
        quarantined: segments put aside.
    """

    folder: Path
    held: bool
    control: Control | None
    segments: list[Files] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    bytes: int = 0
    quarantined: int = 0

    @property
    def state(self) -> str:
        """Say in a word or two how it stands."""
        if self.held:
            return "in use"
        return "waiting" if self.control is None or self.control.waiting else "delivered"


def outboxes_in(folder: Path) -> list[Path]:
    """Find the outboxes: the folder itself, or those directly in it.

    Raises:
        OutputError: when there is none.
    """
    if not folder.is_dir():
        raise OutputError(f"{folder}: there is no such folder")
    try:
        if _is_outbox(folder):
            return [folder]
        found = [path for path in sorted(folder.iterdir()) if path.is_dir() and _is_outbox(path)]
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read: {error.strerror}") from error
    if not found:
        raise OutputError(f"{folder}: is no outbox and holds none; give a spool_dir or a folder in one")
    return found


def _is_outbox(folder: Path) -> bool:
    return (folder / CONTROL_FILE).is_file() or bool(segment_files(folder))


def look(folder: Path) -> Look:
    """Look at an outbox from outside; also while a run uses it."""
    held = False
    try:
        with _undisturbed(folder):
            pass
    except BlockingIOError:
        held = True
    try:
        control = read_control(folder)
    except (UnreadableControlError, OSError):
        control = None
    shown = Look(folder, held, control, segment_files(folder), quarantined=len(quarantined(folder)))
    for files in shown.segments:
        label = _label(files)
        if label is not None and label.source not in shown.sources:
            shown.sources.append(label.source)
    for path in ours(folder):
        if path.name.startswith("segment-") and path.suffix.startswith(".db"):
            shown.bytes += _size(path)
    return shown


def export(folder: Path, problems: list[str], *, everything: bool) -> Iterator[bytes]:
    """Give the lines that wait, oldest first; with ``everything``, the acknowledged ones that are left, too.

    A damaged row ends its segment, as it does for a run; ``problems`` gets a line for each that is left out.

    Raises:
        OutputError: when a run holds the outbox.
    """
    with _held_by_nobody(folder):
        control = _control_or_none(folder)
        settled = control.settled if control is not None else None
        ends: dict[int, int] = {}
        for files in segment_files(folder):
            path = folder / f"segment-{files.number:08d}.db"
            label = _label(files) or _label_inside(folder, files)
            if label is None:
                problems.append(f"{path}: does not say what it is; nothing of it is exported")
                continue
            if settled is None:
                settled = label.start
            problems += _chain_problems(folder, label, ends, settled)
            first = end = label.first if everything else max(label.first, settled - label.base)
            found: list[str] = []
            with _reading(folder, files, found) as db:
                for sequence, line in _rows(db, first, found):
                    yield line
                    end = sequence + 1
            problems += [f"{path}: {each}; what follows in it is left out" for each in found]
            ends[label.number] = sys.maxsize if found else end


def verify(folder: Path) -> list[str]:
    """Read everything; gives a line for each thing that is wrong: file, what, what the next start does.

    Raises:
        OutputError: when a run holds the outbox.
    """
    problems: list[str] = []
    with _held_by_nobody(folder):
        control = None
        try:
            control = read_control(folder)
            if control is not None and None in {control.emitted, control.settled}:
                problems.append(
                    f"{folder / CONTROL_FILE}: a counter is damaged; "
                    "the next start uses what the segments know"
                )
        except (UnreadableControlError, OSError) as error:
            problems.append(
                f"{folder / CONTROL_FILE}: {error}; the next start uses what the segments know, so what was "
                "acknowledged may be sent again, and a tail never committed is not declared"
            )
        settled = (control.settled if control is not None else None) or 0
        ends: dict[int, int] = {}
        for files in segment_files(folder):
            label = _verified_label(folder, files, problems)
            if label is not None:
                problems += _chain_problems(folder, label, ends, settled)
                ends[label.number] = _verify_rows(folder, files, label, problems)
    return problems


def _verified_label(folder: Path, files: Files, problems: list[str]) -> Label | None:
    label = _label(files)
    if label is None:
        path = folder / f"segment-{files.number:08d}.db"
        named = files.label or path.with_suffix(".label")
        problems.append(f"{named}: is missing or cannot be read; {_WILL_ASK}")
        label = _label_inside(folder, files)
        if label is None:
            problems.append(f"{path}: does not say what it is; {_NAMELESS}")
    return label


def _chain_problems(folder: Path, label: Label, ends: Mapping[int, int], settled: int) -> Iterator[str]:
    """Compare where a segment says that the one before it ended with where that one ends."""
    before = label.before
    if before is None or before.base + before.end <= settled:
        return
    if before.number not in ends:
        yield (
            f"{folder}: segment {before.number} is not there, and was not acknowledged whole; the next start "
            "declares what is missing lost, unless it did already"
        )
    elif ends[before.number] < before.end:
        path = folder / f"segment-{before.number:08d}.db"
        yield f"{path}: ends at row {ends[before.number] - 1} instead of {before.end - 1}; {_WILL_DECLARE}"


def _verify_rows(folder: Path, files: Files, label: Label, problems: list[str]) -> int:
    """Read the rows of a segment; returns where they end."""
    path = folder / f"segment-{files.number:08d}.db"
    if files.lost is not None:
        problems.append(
            f"{path}: was found damaged; the next start declares its rows from {files.lost[0]} on lost"
        )
        return sys.maxsize
    found: list[str] = []
    end = label.first
    with _reading(folder, files, found) as db:
        for sequence, _ in _rows(db, label.first, found):
            end = sequence + 1
    problems += [f"{path}: {each}; {_WILL_DECLARE}" for each in found]
    return sys.maxsize if found else end


def _rows(db: sqlite3.Connection | None, first: int, problems: list[str]) -> Iterator[tuple[int, bytes]]:
    """Give rows until the first damaged one."""
    if db is None:
        return
    before: int | None = None
    try:
        for sequence, gap, crc, line in db.execute(
            "SELECT sequence, gap, crc, line FROM rows WHERE sequence >= ? ORDER BY sequence", (first,)
        ):
            after = sequence - gap - 1
            follows = after < first if before is None else after == before
            if not follows or crc != crc_of(sequence, gap, line):
                problems.append(f"row {sequence} is not what was committed, or one before it is missing")
                return
            yield sequence, line
            before = sequence
        last = db.execute("SELECT max(last) FROM commits").fetchone()[0]
        if last is not None and last >= first and (before is None or before < last):
            problems.append(f"the rows after {before} up to {last} are missing")
    except (*DATABASE_ERRORS, TypeError) as error:
        problems.append(f"cannot be read: {error}")


@contextmanager
def _reading(
    folder: Path, files: Files, problems: list[str] | None = None
) -> Iterator[sqlite3.Connection | None]:
    """Open a segment without touching it: one with a log is copied, for SQLite would write to it."""
    path = folder / f"segment-{files.number:08d}.db"
    problems = [] if problems is None else problems
    log = path.with_name(path.name + "-wal")
    with tempfile.TemporaryDirectory(prefix="townlet-spool-") as place:
        mode = "ro"
        try:
            if log.exists() and log.stat().st_size:
                mode = "rw"
                shutil.copyfile(log, Path(place) / log.name, follow_symlinks=False)
                path = Path(shutil.copyfile(path, Path(place) / path.name, follow_symlinks=False))
            db = connect(path, mode)
        except (OSError, *DATABASE_ERRORS) as error:
            problems.append(f"cannot be opened: {error}")
            yield None
            return
        with closing(db):
            if not _has_tables(db, problems):
                yield None
                return
            yield db


def _has_tables(db: sqlite3.Connection, problems: list[str]) -> bool:
    """Whether anything was ever committed."""
    try:
        return bool(db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    except DATABASE_ERRORS as error:
        problems.append(f"is not usable: {error}")
        return False


def _label(files: Files) -> Label | None:
    if files.label is None:
        return None
    try:
        return read_label(files.label)
    except (UnreadableLabelError, OSError, ValueError, TypeError, KeyError):
        return None


def _label_inside(folder: Path, files: Files) -> Label | None:
    with _reading(folder, files) as db:
        try:
            found = db.execute("SELECT label FROM segment").fetchone() if db is not None else None
            return label_from_bytes(found[0]) if found else None
        except (*DATABASE_ERRORS, UnreadableLabelError, TypeError, AttributeError):
            return None


def _control_or_none(folder: Path) -> Control | None:
    try:
        return read_control(folder)
    except (UnreadableControlError, OSError):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _undisturbed(folder: Path) -> Iterator[None]:
    """Keep a run from starting on the folder; one without a lock was never used.

    Raises:
        BlockingIOError: when a run holds it.
    """
    try:
        fd = take_lock(folder, shared=True)
    except BlockingIOError:
        raise
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.close(fd)


@contextmanager
def _held_by_nobody(folder: Path) -> Iterator[None]:
    check(folder)
    try:
        with _undisturbed(folder):
            yield
    except BlockingIOError as error:
        raise OutputError(
            f"{folder}: a run holds this outbox, and its rows cannot be read meanwhile; "
            "wait until it ends, or look at it with townlet spool ls"
        ) from error
