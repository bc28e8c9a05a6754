"""One segment: rows of one source; one run appends to it; removed as a whole once the peer has them."""

from collections.abc import Sequence
from typing import NamedTuple

from townlet_adapters.telemetry.ranges import Range, RangeSet
from townlet_adapters.telemetry.spool.base import SEGMENT_DAMAGED, Before, Loss, Row
from townlet_adapters.telemetry.spool.folder import Folder
from townlet_adapters.telemetry.spool.frames import ROW
from townlet_adapters.telemetry.spool.label import Label, LabelFile
from townlet_adapters.telemetry.spool.rows import Extent, Place, RowsFile, StoredRows, Tail


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
        rows: its rows on the disk.
        label_file: its label on the disk.
        extent: how far its rows go; the queue keeps it.
        waiting: rows that are not acknowledged; the queue keeps it.
        is_condemned: whether nothing in it can be read, and it is kept for a person to look at.
        is_removed: whether its files went with their folder; what is at their path now is not its own.
    """

    def __init__(self, folder: Folder, label: Label, rows: StoredRows) -> None:
        """Stand for the segment of this label, which has these rows."""
        self.rows = rows
        self.label_file = LabelFile(folder, label)
        self.extent = Extent(0, label.first, 0)
        self.waiting = 0
        self.is_condemned = self.is_removed = False
        self._place: Place | None = None  # where reading goes on

    @property
    def label(self) -> Label:
        """What it is; with the notes made since."""
        return self.label_file.label

    @property
    def path(self) -> str:
        """The path of its rows, for messages."""
        return self.rows.path

    @property
    def finish(self) -> int:
        """Position in the queue at which it ends."""
        return self.label.base + self.extent.end

    @property
    def size(self) -> int:
        """Bytes that it takes on the disk."""
        return self.extent.size + self.label_file.size

    def before(self) -> Before:
        """Return what the label of the next segment says of this one."""
        label, extent = self.label, self.extent
        return Before(label.number, label.source, label.base, label.first, extent.end, extent.events)

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
        offset, before, passed = self._place or self._place_to_begin(first, behind)
        rows: list[Row] = []
        lost: list[Lost] = []
        size, at, at_end = 0, 0, True
        for kind, sequence, gap, ordinal, time, payload, _, end in self.rows.frames(offset, extent.size):
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
        self._place = Place(offset, before, passed)
        return rows, lost, at, before + 1

    def _place_to_begin(self, first: int, behind: int) -> Place:
        place = self.rows.seek(self.label, first, self.extent.size)
        return place if place.passed >= behind else Place(place.offset, first - 1, behind)

    def locate(self, number: int) -> tuple[int, int]:
        """Return how many rows have lower numbers, and when the first of the others was committed, or 0.

        Raises:
            OSError: when the file cannot be opened or read.
        """
        place = self.rows.seek(self.label, number, self.extent.size)
        rows = (frame for frame in self.rows.frames(place.offset, self.extent.size) if frame.kind == ROW)
        return place.passed, next((frame.at for frame in rows), 0)

    def tail(self) -> Tail:
        """Find out where the rows end, from the rows alone.

        Raises:
            OSError: when the file cannot be opened or read.
        """
        return self.rows.tail(self.label)

    def is_whole(self) -> bool:
        """Return whether the file is where it was, and as long as its rows."""
        return self.rows.is_whole(self.extent.size)

    # ---- the end -------------------------------------------------------------------------------

    def note_damage(self, ranges: Sequence[Range]) -> None:
        """Write into the label which rows are damaged; only remember it when the label is gone.

        Raises:
            OSError: when the disk does not take it.
        """
        self.label_file.note_damage(ranges, is_there=not self.is_removed)

    def remove(self) -> None:
        """Remove the files, which needs no room on the disk; the label goes last.

        Raises:
            OSError: when they cannot be removed.
        """
        self.drop_rows()
        self.label_file.remove()

    def drop_rows(self) -> None:
        """Remove the rows and keep the label.

        Raises:
            OSError: when they cannot be removed.
        """
        self.rows.remove()
        self.extent = self.extent._replace(size=0)

    def release(self) -> None:
        """Close the files; reading opens them again."""
        self.rows.release()


class OwnSegment(Segment):
    """A segment that this run makes and appends to."""

    def __init__(self, folder: Folder, label: Label) -> None:
        """Stand for the segment of this label; touches nothing."""
        self._file = RowsFile(folder, label.number)
        super().__init__(folder, label, self._file)

    @property
    def is_open(self) -> bool:
        """Whether rows can be appended."""
        return self._file.is_open

    def create(self) -> None:
        """Make the files.

        Raises:
            OSError: when the disk does not take them; there are none then.
        """
        size = self._file.create(self.label)
        try:
            self.label_file.write()
        except OSError:
            self.remove()
            raise
        self.extent = self.extent._replace(size=size)

    def append(self, rows: Sequence[Row], undeclared: Sequence[Loss], at: float) -> Extent:
        """Store rows and what no row declares: all, or nothing.

        Returns:
            How far the rows go now; they count once the queue has it.

        Raises:
            ValueError: when the rows are not in order.
            OSError: when the disk does not take them. If it is not known what the file holds then, the
                segment is not open any more, since the next sync may report success.
        """
        try:
            self.label_file.note([*undeclared, *_gaps(rows, self.extent.end, self.label.source)])
            return self._file.append(rows, undeclared, at, self.extent)
        except OSError:
            self._file.end_writing(self.extent.size)
            raise


def _gaps(rows: Sequence[Row], end: int, source: str) -> list[Loss]:
    """Return the numbers that are missing in rows, of which the first one may be ``end``."""
    if not rows or rows[-1].sequence - end == len(rows) - 1:
        return []
    held = RangeSet()
    for row in rows:
        held.add(row.sequence)
    return [Loss.of(source, SEGMENT_DAMAGED, held.holes(end, rows[-1].sequence))]
