"""Looking into outboxes without a trace: nothing in their folders is written.

While a run uses an outbox, only its small files are read. While its rows are read, no run can start on it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from townlet_adapters.telemetry.spool.control import Control, UnreadableError, read_control
from townlet_adapters.telemetry.spool.folder import (
    CONTROL_FILE,
    Folder,
    check,
    quarantined,
    segment_files,
    take_lock,
)
from townlet_adapters.telemetry.spool.label import read_label
from townlet_adapters.telemetry.spool.recovery import Recovered, recover
from townlet_adapters.telemetry.spool.segment import Segment
from townlet_core.errors import OutputError

_BATCH = 512, 1 << 20


@dataclass(slots=True)
class Look:
    """What an outbox shows from outside.

    Attributes:
        folder: where it is.
        held: whether a process uses it now.
        control: its control page, None when that cannot be read.
        segments: how many there are.
        sources: sources of their rows, oldest first.
        bytes: bytes of their files.
        quarantined: segments in quarantine.
    """

    folder: Path
    held: bool
    control: Control | None
    segments: int = 0
    sources: list[str] = field(default_factory=list)
    bytes: int = 0
    quarantined: int = 0

    @property
    def state(self) -> str:
        """Return its state in a word or two."""
        if self.held:
            return "in use"
        return "waiting" if self.control is None or self.control.waiting else "delivered"


def outboxes_in(folder: Path) -> list[Path]:
    """Find the outboxes: the folder itself, or those directly in it.

    Raises:
        OutputError: when there is none, or one is a link, or another user owns it or may write to it.
    """
    if not folder.is_dir():
        raise OutputError(f"{folder}: there is no such folder")
    try:
        found = (
            [folder]
            if _is_outbox(folder)
            else [each for each in sorted(folder.iterdir()) if _is_outbox(each)]
        )
        for each in found:
            check(each)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read: {error.strerror}") from error
    if not found:
        raise OutputError(
            f"{folder}: is not an outbox and has none in it; name a spool_dir or a folder in one"
        )
    return found


def _is_outbox(folder: Path) -> bool:
    return folder.is_dir() and ((folder / CONTROL_FILE).is_file() or bool(segment_files(folder)))


def look(folder: Path) -> Look:
    """Look at an outbox from outside; also while a run uses it."""
    held = False
    try:
        with _undisturbed(folder):
            pass
    except BlockingIOError:
        held = True
    control = None
    with suppress(UnreadableError, OSError):
        control = read_control(folder)
    files = segment_files(folder)
    shown = Look(folder, held, control, len(files), quarantined=len(quarantined(folder)))
    for path in (path for paths in files.values() for path in paths):
        with suppress(UnreadableError, OSError):
            shown.bytes += path.stat().st_size
            if path.suffix == ".label" and (source := read_label(path).source) not in shown.sources:
                shown.sources.append(source)
    return shown


def export(folder: Path, problems: list[str], *, everything: bool) -> Iterator[bytes]:
    """Iterate over the lines that wait, oldest first; ``everything`` adds acknowledged ones that are left.

    ``problems`` gets a line for each thing that is left out.

    Raises:
        OutputError: when a run uses the outbox.
    """
    with _recovered(folder) as found:
        segments = [*found.spent, *found.chain] if everything else found.chain
        for segment in sorted(segments, key=lambda segment: segment.label.number):
            first = segment.label.first
            if not everything:
                first = max(first, found.settled - segment.label.base)
            yield from _lines(segment, first, problems, "is left out")
        problems += [
            f"{segment.path}: holds nothing that can be read; it is left out"
            for segment in found.spent
            if segment.is_condemned
        ]


def verify(folder: Path) -> list[str]:
    """Read everything; returns a line for each thing that is wrong: file, what, what the next start does.

    Raises:
        OutputError: when a run uses the outbox.
    """
    with _recovered(folder) as found:
        problems = list(found.problems)
        for segment in sorted([*found.spent, *found.chain], key=lambda segment: segment.label.number):
            for _ in _lines(segment, segment.label.first, problems, "will be declared lost"):
                pass
        return problems


def _lines(segment: Segment, first: int, problems: list[str], fate: str) -> Iterator[bytes]:
    while True:
        rows, lost, _, _ = segment.read(first, *_BATCH)
        problems += [
            f"{segment.path}: {each.rows} rows between {each.first} and {each.last} are damaged or gone; "
            f"what was not acknowledged of them {fate}"
            for each in lost
        ]
        yield from (row.line for row in rows)
        if not rows:
            return


@contextmanager
def _recovered(folder: Path) -> Iterator[Recovered]:
    check(folder)
    try:
        with _undisturbed(folder):
            found = recover(Folder(folder))
            try:
                yield found
            finally:
                for segment in (*found.spent, *found.chain):
                    segment.release()
    except BlockingIOError as error:
        raise OutputError(
            f"{folder}: a run uses this outbox, and its rows cannot be read meanwhile; "
            "wait until it ends, or look at it with townlet spool ls"
        ) from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read: {error}") from error


@contextmanager
def _undisturbed(folder: Path) -> Iterator[None]:
    """Keep a run from starting on the folder; one without a lock file was never used.

    Raises:
        BlockingIOError: when a run uses it.
    """
    try:
        fd = take_lock(folder, shared=True)
    except FileNotFoundError:
        yield
        return
    try:
        yield
    finally:
        os.close(fd)
