"""The file of a segment's rows: appended to by one run, read until all of them are acknowledged."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from townlet_adapters.telemetry.spool.base import Loss, Row
from townlet_adapters.telemetry.spool.control import UnreadableError
from townlet_adapters.telemetry.spool.folder import Folder, append_at, segment_name
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


class Place(NamedTuple):
    """A place between two rows.

    Attributes:
        offset: offset of a frame at or before the next row, by which ``StoredRows.frames`` finds it.
        before: number of the row before it, or one less than the first number of the segment.
        passed: how many rows are before it.
    """

    offset: int
    before: int
    passed: int


class StoredRows(Protocol):
    """The rows of a segment on the disk, in whatever format.

    Attributes:
        path: the file, for messages.
    """

    path: str

    def frames(self, offset: int, size: int) -> Iterator[Frame]:
        """Iterate over the frames from an offset to ``size``, without those that are damaged.

        Raises:
            OSError: when the file cannot be opened or read.
        """
        ...

    def seek(self, label: Label, number: int, size: int) -> Place:
        """Return the place before the first row of at least this number.

        Raises:
            OSError: when the file cannot be opened or read.
        """
        ...

    def copy_of_label(self) -> Label | None:
        """Return the label that stands before the rows; None when it is damaged.

        Raises:
            OSError: when the file cannot be opened or read.
        """
        ...

    def tail(self, label: Label) -> Tail:
        """Find out where the rows end, from the rows alone.

        Raises:
            OSError: when the file cannot be opened or read.
        """
        ...

    def is_whole(self, size: int) -> bool:
        """Return whether the file is where it was, and has at least so many bytes."""
        ...

    def remove(self) -> None:
        """Remove the file.

        Raises:
            OSError: when it cannot be removed.
        """
        ...

    def release(self) -> None:
        """Close the file; reading opens it again, and nothing can be appended any more."""
        ...


class RowsFile:
    """A file of frames. One thread appends, one reads; the outbox sees to it.

    Attributes:
        path: where it is, for messages.
    """

    def __init__(self, folder: Folder, number: int) -> None:
        """Stand for the rows of the segment of this number; touches nothing."""
        self._folder = folder
        self._name = f"{segment_name(number)}.rows"
        self._salt = number
        self._writer = self._reader = _CLOSED
        self.path = str(folder.path / self._name)

    # ---- writing -------------------------------------------------------------------------------

    def create(self, label: Label) -> int:
        """Make the file, with a copy of the label; returns its bytes.

        Raises:
            OSError: when the disk does not take it; there is none then.
        """
        copy = frame_of_label(label_to_bytes(label), self._salt)
        self._writer = self._folder.create(self._name)
        try:
            append_at(self._writer, copy, 0, self._folder)
        except OSError:
            self.remove()
            raise
        return len(copy)

    def append(self, rows: Sequence[Row], undeclared: Sequence[Loss], at: float, extent: Extent) -> Extent:
        """Store rows and what no row declares: all, or nothing; ``extent`` is how far the rows go now.

        Returns:
            How far they go then.

        Raises:
            ValueError: when the rows are not in order.
            OSError: when the disk does not take them.
        """
        size, end, events = extent
        mark = losses_to_json(undeclared) if undeclared else _NONE
        data = frames_of(rows, (end - 1, events), int(at), mark, self._salt)
        append_at(self._writer, data, size, self._folder)
        return Extent(size + len(data), rows[-1].sequence + 1 if rows else end, events + len(rows))

    @property
    def is_open(self) -> bool:
        """Whether rows can be appended."""
        return self._writer >= 0

    def end_writing(self, size: int) -> None:
        """Append no more, unless the file ends at ``size`` and a failed sync left nothing unknown behind."""
        if self.is_open and (self._folder.durable or os.fstat(self._writer).st_size != size):
            os.close(self._writer)
            self._writer = _CLOSED

    # ---- reading -------------------------------------------------------------------------------

    def frames(self, offset: int, size: int) -> Iterator[Frame]:
        """Iterate over the frames; see ``StoredRows``."""
        fd = self._open()
        return read_frames(fd, offset, size, self._salt) if fd >= 0 else iter(())

    def seek(self, label: Label, number: int, size: int) -> Place:
        """Find a row; see ``StoredRows``."""
        fd = self._open()
        place = Place(row_near(fd, size, self._salt, number) if fd >= 0 else 0, label.first - 1, 0)
        for frame in self.frames(place.offset, size):
            if frame.kind != ROW:
                continue
            if frame.sequence >= number:
                break
            place = Place(frame.end, frame.sequence, frame.ordinal + 1)
        return place

    def copy_of_label(self) -> Label | None:
        """Return the label before the rows; see ``StoredRows``."""
        first = next(self.frames(0, self._size()), None)
        if first is not None and first.kind == LABEL:
            with suppress(UnreadableError):
                return label_from_bytes(first.payload)
        return None

    def tail(self, label: Label) -> Tail:
        """Find the end; see ``StoredRows``."""
        fd, size = self._open(), self._size()
        mark = last_mark(fd, size, self._salt) if size else None
        end, events, undeclared, reached = label.first, 0, None, 0
        if mark is not None:
            end, events, reached = mark.sequence, mark.ordinal, mark.end
            if reached == size:
                with suppress(ValueError):
                    undeclared = losses_from_json(mark.payload)
        for frame in self.frames(reached, size):
            reached = frame.end
            if frame.kind == ROW:
                end, events = frame.sequence + 1, frame.ordinal + 1
        return Tail(Extent(size, end, events), undeclared, reached < size)

    def is_whole(self, size: int) -> bool:
        """Return whether the file is where it was; see ``StoredRows``."""
        try:
            there = (self._folder.path / self._name).lstat()
        except OSError:
            return False
        opened = [fd for fd in (self._writer, self._reader) if fd >= 0]
        return there.st_size >= size and all(os.path.samestat(os.fstat(fd), there) for fd in opened)

    def _size(self) -> int:
        fd = self._open()
        return os.fstat(fd).st_size if fd >= 0 else 0

    def _open(self) -> int:
        """Open the rows for reading; a file that is not there is as good as an empty one."""
        if self._reader == _CLOSED:
            try:
                self._reader = self._folder.open(self._name, os.O_RDONLY)
            except FileNotFoundError:
                self._reader = _GONE
        return self._reader

    # ---- the end -------------------------------------------------------------------------------

    def remove(self) -> None:
        """Remove the file; see ``StoredRows``."""
        self.release()
        (self._folder.path / self._name).unlink(missing_ok=True)

    def release(self) -> None:
        """Close the file; see ``StoredRows``."""
        for fd in (self._writer, self._reader):
            if fd >= 0:
                os.close(fd)
        self._writer = self._reader = _CLOSED
