"""One segment: rows of one source; one run appends to it; removed as a whole once the peer has them."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple

from townlet_adapters.telemetry.ranges import Range, RangeSet
from townlet_adapters.telemetry.spool.base import SEGMENT_DAMAGED, Before, Loss, Numbers, Row
from townlet_adapters.telemetry.spool.control import UnreadableError
from townlet_adapters.telemetry.spool.folder import Folder, append_at
from townlet_adapters.telemetry.spool.frames import (
    LABEL,
    ROW,
    Frame,
    frame_of_label,
    frames_of,
    last_mark,
    read_frames,
    row_near,
)
from townlet_adapters.telemetry.spool.label import (
    Label,
    label_from_bytes,
    label_to_bytes,
    losses_from_json,
    losses_to_json,
    note_of_damage,
    note_of_losses,
)

_NONE: Final = losses_to_json(())
_CLOSED: Final = -1
_GONE: Final = -2


class Extent(NamedTuple):
    """How far the rows of a segment go.

    Attributes:
        size: bytes of its file that count.
        end: its rows have lower numbers than this.
        events: how many rows it holds.
    """

    size: int
    end: int
    events: int


class Tail(NamedTuple):
    """What the end of a file says of a segment.

    Attributes:
        extent: how far its rows go.
        undeclared: losses that no row of it declares; None when the end is damaged or was not finished.
        is_torn: whether the file ends with something else than a frame.
    """

    extent: Extent
    undeclared: tuple[Loss, ...] | None
    is_torn: bool


class Lost(NamedTuple):
    """Rows that are damaged or gone.

    Attributes:
        first: lowest number that one of them may have.
        last: highest.
        rows: how many.
    """

    first: int
    last: int
    rows: int


class Segment:
    """A file of rows and its label. One thread appends, one reads; the outbox sees to it.

    Attributes:
        label: what it is; with the notes made since.
        extent: how far its rows go.
        waiting: rows that are not acknowledged; the outbox keeps it.
        is_condemned: whether nothing in it can be read, and it is kept for a person to look at.
        is_removed: whether its files went with their folder; what is at their path now is not its own.
        owes: whether its damage is still to be declared; the outbox keeps it.
    """

    suffix = ".rows"

    def __init__(self, folder: Folder, label: Label, extent: Extent | None = None) -> None:
        """Stand for the segment of this label; touches nothing."""
        self.label = label
        self.extent = extent or Extent(0, label.first, 0)
        self.waiting = 0
        self.owes = self.is_condemned = self.is_removed = False
        self._folder = folder
        self._label_bytes = 0
        self._notes = threading.Lock()  # the committer and the sender may both have something to note
        self._known = Numbers(label.noted)
        self._salt = label.number
        self._writer = self._reader = _CLOSED
        self._cursor: tuple[int, int, int] | None = (
            None  # offset, number of the row before it, rows before it
        )

    @property
    def name(self) -> str:
        """Return the name that its files have in common."""
        return f"segment-{self.label.number:08d}"

    @property
    def path(self) -> str:
        """Return the path of its rows, for messages."""
        return f"{self._folder.path / self.name}{self.suffix}"

    @property
    def finish(self) -> int:
        """Position in the queue at which it ends."""
        return self.label.base + self.extent.end

    @property
    def size(self) -> int:
        """Bytes that it takes on the disk."""
        return self.extent.size + self._label_bytes

    def before(self) -> Before:
        """Return what the label of the next segment says of this one."""
        label, extent = self.label, self.extent
        return Before(label.number, label.source, label.base, label.first, extent.end, extent.events)

    # ---- writing -------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the files.

        Raises:
            OSError: when the disk does not take them; there are none then.
        """
        data = label_to_bytes(self.label)
        copy = frame_of_label(data, self._salt)
        self._writer = self._folder.create(self.name + self.suffix)
        try:
            append_at(self._writer, copy, 0, self._folder)
            os.close(self._folder.put(f"{self.name}.label", data))
        except OSError:
            self.remove()
            raise
        self._label_bytes = len(data)
        self.extent = self.extent._replace(size=len(copy))

    def append(self, rows: Sequence[Row], undeclared: Sequence[Loss], at: float) -> Extent:
        """Store rows and what no row declares: all, or nothing.

        Returns:
            How far the rows go now; they count once the outbox has set it.

        Raises:
            ValueError: when the rows are not in order.
            OSError: when the disk does not take them.
        """
        size, end, events = self.extent
        mark = losses_to_json(undeclared) if undeclared else _NONE
        data = frames_of(rows, (end - 1, events), int(at), mark, self._salt)
        self.note([*undeclared, *_gaps(rows, end, self.label.source)])
        append_at(self._writer, data, size, self._folder)
        return Extent(size + len(data), rows[-1].sequence + 1 if rows else end, events + len(rows))

    def may_grow(self) -> bool:
        """Whether the file ends where the rows end, and a failed sync left nothing unknown behind."""
        return not self._folder.durable and os.fstat(self._writer).st_size == self.extent.size

    def note(self, losses: Sequence[Loss]) -> None:
        """Write losses into the label that are not in it: they are known then if the rows are destroyed.

        Raises:
            OSError: when the disk does not take it.
        """
        with self._notes:
            new = self._known.add(losses)
            if not new:
                return
            try:
                self._add_note(note_of_losses(new))
            except OSError:
                self._known = Numbers(self.label.noted)
                raise
            self.label = replace(self.label, noted=self.label.noted + new)

    def note_damage(self, ranges: Sequence[Range]) -> None:
        """Write into the label which rows are damaged; only remember it when the label is gone.

        Raises:
            OSError: when the disk does not take it.
        """
        with self._notes:
            self.label = replace(self.label, damaged=(*self.label.damaged, *ranges))
            if not self.is_removed:
                self._add_note(note_of_damage(ranges))

    def _add_note(self, data: bytes) -> None:
        self._folder.append(f"{self.name}.label", data)
        self._label_bytes += len(data)

    # ---- reading -------------------------------------------------------------------------------

    def read(
        self, first: int, most_events: int, most_bytes: int, behind: int = 0
    ) -> tuple[list[Row], list[Lost], int, int]:
        """Read the next rows, from the number ``first`` on; each call goes on where the one before ended.

        At least one row, however large, unless there is none any more. ``behind`` is how many rows are not to
        be delivered any more: if some of them are damaged or gone, nothing is lost.

        Returns:
            The rows; what is damaged among and before them, or up to the end when there are no rows; when the
            first row was committed, in seconds since 1970; one more than the last number that was passed.

        Raises:
            OSError: when the file cannot be opened or read.
        """
        extent = self.extent
        if self._cursor is None:
            offset, before, passed = self._seek(first)
            self._cursor = (offset, before, passed) if passed >= behind else (offset, first - 1, behind)
        offset, before, passed = self._cursor
        rows: list[Row] = []
        lost: list[Lost] = []
        size, at, at_end = 0, 0, True
        for kind, sequence, gap, ordinal, time, payload, _, end in self._frames(offset, extent.size):
            if kind != ROW or sequence <= before:
                continue
            size += len(payload)
            if sequence >= extent.end:
                break
            if rows and (len(rows) >= most_events or size > most_bytes):
                at_end = False
                break
            if sequence - gap - 1 != before or ordinal != passed:
                lost.append(Lost(before + 1, sequence - gap - 1, ordinal - passed))
            at = at if rows else time
            rows.append(Row(sequence, payload))
            offset, before, passed = end, sequence, ordinal + 1
        if at_end and not rows and (before < extent.end - 1 or passed < extent.events):
            lost.append(Lost(before + 1, extent.end - 1, extent.events - passed))
            before, passed = extent.end - 1, extent.events
        self._cursor = offset, before, passed
        return rows, lost, at, before + 1

    def locate(self, number: int) -> tuple[int, int]:
        """Return how many rows have lower numbers, and when the first of the others was committed, or 0.

        Raises:
            OSError: when the file cannot be opened or read.
        """
        offset, _, passed = self._seek(number)
        rows = (frame for frame in self._frames(offset, self.extent.size) if frame.kind == ROW)
        return passed, next((frame.at for frame in rows), 0)

    def relabel(self) -> None:
        """Write the label again, which could not be read.

        Raises:
            OSError: when the disk does not take it.
        """
        data = label_to_bytes(self.label)
        os.close(self._folder.put(f"{self.name}.label", data))
        self._label_bytes = len(data)

    def copy_of_label(self) -> Label | None:
        """Return the label that stands before the rows; None when it is damaged.

        Raises:
            OSError: when the file cannot be opened or read.
        """
        fd = self._open()
        size = os.fstat(fd).st_size if fd >= 0 else 0
        first = next(self._frames(0, size), None)
        if first is not None and first.kind == LABEL:
            with suppress(UnreadableError):
                return label_from_bytes(first.payload)
        return None

    def tail(self) -> Tail:
        """Find out where the rows end, from the rows alone.

        Raises:
            OSError: when the file cannot be opened or read.
        """
        fd = self._open()
        size = os.fstat(fd).st_size if fd >= 0 else 0
        mark = last_mark(fd, size, self._salt) if size else None
        end, events, undeclared, reached = self.label.first, 0, None, 0
        if mark is not None:
            end, events, reached = mark.sequence, mark.ordinal, mark.end
            if reached == size:
                with suppress(ValueError):
                    undeclared = losses_from_json(mark.payload)
        for frame in self._frames(reached, size):
            reached = frame.end
            if frame.kind == ROW:
                end, events = frame.sequence + 1, frame.ordinal + 1
        return Tail(Extent(size, end, events), undeclared, reached < size)

    def measure(self) -> None:
        """Find out what the label takes on the disk."""
        with suppress(OSError):
            self._label_bytes = (self._folder.path / f"{self.name}.label").stat().st_size

    def is_whole(self) -> bool:
        """Return whether the file is where it was, and as long as its rows."""
        try:
            there = (self._folder.path / (self.name + self.suffix)).lstat()
        except OSError:
            return False
        opened = [fd for fd in (self._writer, self._reader) if fd >= 0]
        return there.st_size >= self.extent.size and all(
            os.path.samestat(os.fstat(fd), there) for fd in opened
        )

    def _frames(self, offset: int, size: int) -> Iterator[Frame]:
        fd = self._open()
        return read_frames(fd, offset, size, self._salt) if fd >= 0 else iter(())

    def _seek(self, first: int) -> tuple[int, int, int]:
        fd, size = self._open(), self.extent.size
        offset = row_near(fd, size, self._salt, first) if fd >= 0 else 0
        before, passed = self.label.first - 1, 0
        for frame in self._frames(offset, size):
            if frame.kind != ROW:
                continue
            if frame.sequence >= first:
                break
            offset, before, passed = frame.end, frame.sequence, frame.ordinal + 1
        return offset, before, passed

    def _open(self) -> int:
        """Open the rows for reading; a file that is not there is as good as an empty one."""
        if self._reader == _CLOSED:
            try:
                self._reader = self._folder.open(self.name + self.suffix, os.O_RDONLY)
            except FileNotFoundError:
                self._reader = _GONE
        return self._reader

    # ---- the end -------------------------------------------------------------------------------

    def remove(self) -> None:
        """Remove the files, which needs no room on the disk; the label goes last.

        Raises:
            OSError: when they cannot be removed.
        """
        self.drop_rows()
        (self._folder.path / f"{self.name}.label").unlink(missing_ok=True)

    def drop_rows(self) -> None:
        """Remove the rows and keep the label.

        Raises:
            OSError: when they cannot be removed.
        """
        self.release()
        (self._folder.path / (self.name + self.suffix)).unlink(missing_ok=True)
        self.extent = self.extent._replace(size=0)

    def release(self) -> None:
        """Close the files; reading opens them again."""
        for fd in (self._writer, self._reader):
            if fd >= 0:
                os.close(fd)
        self._writer = self._reader = _CLOSED


def _gaps(rows: Sequence[Row], end: int, source: str) -> list[Loss]:
    """Return the numbers that are missing in rows, of which the first one may be ``end``."""
    if not rows or rows[-1].sequence - end == len(rows) - 1:
        return []
    held = RangeSet()
    for row in rows:
        held.add(row.sequence)
    return [Loss.of(source, SEGMENT_DAMAGED, held.holes(end, rows[-1].sequence))]
