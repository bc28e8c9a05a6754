"""The committer's side of an outbox: the segment that this run's rows go into, and the next one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from townlet_adapters.telemetry.clock import Clock
from townlet_adapters.telemetry.spool.base import Loss, OutboxLimits, Row
from townlet_adapters.telemetry.spool.faults import is_full
from townlet_adapters.telemetry.spool.folder import Folder
from townlet_adapters.telemetry.spool.frames import HEAD
from townlet_adapters.telemetry.spool.label import Label
from townlet_adapters.telemetry.spool.queue import Queue
from townlet_adapters.telemetry.spool.rows import Extent
from townlet_adapters.telemetry.spool.segment import OwnSegment
from townlet_adapters.telemetry.spool.undeclared import Statement
from townlet_core.ports.transport import TransportError

_COMMIT_BYTES: Final = 1024  # what a commit costs beside its rows, but for long lists of losses


class Writing:
    """Stores rows in segments of this run; used by one thread at a time.

    Its next segment's label says who this run is and where its rows begin.
    """

    def __init__(
        self, following: Label, folder: Folder, queue: Queue, clock: Clock, limits: OutboxLimits
    ) -> None:
        """Begin without a segment; ``following`` is the label of the first one."""
        self._following = following
        self._folder = folder
        self._queue = queue
        self._clock = clock
        self._limits = limits
        self._segment: OwnSegment | None = None

    def begin(self, rows: Sequence[Row], losses: Sequence[Loss]) -> None:
        """Store the first rows, which declare losses of earlier runs, and write the control page.

        Raises:
            OSError: when the disk does not take it; nothing has changed.
        """
        segment = extent = None
        try:
            if rows or losses:
                segment = self.begin_segment(losses)
                extent = segment.append(rows, (), self._clock.wall())
            self._queue.open_page(self._folder, self._following, rows)
        except OSError:
            if segment is not None:
                self._queue.take_back(segment)
                self._segment = None
                segment.remove()
            raise
        if extent is not None:
            self._count(rows, extent)

    def commit(self, rows: Sequence[Row], losses: Iterable[Loss], astray: Iterable[Loss]) -> None:
        """Store rows, and what no row declares; see ``Outbox.commit``.

        Raises:
            TransportError: ``outbox_full``.
            OSError: when the disk does not take it; nothing was stored.
        """
        statement = self._queue.undeclared.statement(losses, astray)
        if not rows and self._queue.undeclared.is_stored(statement):
            return
        size = sum(len(row.line) + HEAD for row in rows) + _COMMIT_BYTES
        if not self._fits(size):
            self._drop_delivered()
            if not self._fits(size):
                in_use = f"{self._folder.path}: {self._limits.bytes} bytes are in use"
                raise TransportError("outbox_full", in_use)
        try:
            extent = self._store(rows, statement)
        except OSError as error:
            # A full disk may be full of what was delivered.
            if not is_full(error) or not self._drop_delivered():
                raise
            extent = self._store(rows, statement)
        self._count(rows, extent)
        self._queue.undeclared.note_stored(statement)

    def begin_segment(self, losses: Sequence[Loss]) -> OwnSegment:
        """Make the next segment; its label names losses.

        Raises:
            OSError: when the disk does not take it; there is none then.
        """
        former = self._segment
        if former is not None and former.extent.events:
            self._following = replace(self._following, before=former.before())
        segment = OwnSegment(self._folder, replace(self._following, noted=tuple(losses)))
        segment.create()
        self._following = replace(self._following, number=self._following.number + 1)
        self._segment = segment
        self._queue.add(segment)
        self._queue.free()
        return segment

    def _store(self, rows: Sequence[Row], statement: Statement) -> Extent:
        """Store rows in the newest segment, or in a new one if that is full or not to be relied on.

        What another segment lost is declared in a new one, whose label names it: should that be damaged, too,
        the loss is still known.
        """
        segment = self._segment
        if (
            segment is None
            or not segment.is_open
            or segment.extent.size >= self._limits.bytes_of_segment
            or (statement.is_fresh and segment.extent.events)
        ):
            segment = self.begin_segment(statement.known)
        return segment.append(rows, statement.marked, self._clock.wall())

    def _count(self, rows: Sequence[Row], extent: Extent) -> None:
        self._queue.commit(rows, extent)
        if rows:
            self._following = replace(self._following, first=rows[-1].sequence + 1)

    def _fits(self, size: int) -> bool:
        return self._queue.size + size <= self._limits.bytes

    def _drop_delivered(self) -> bool:
        """Remove the rows of the newest segment if all were delivered; returns whether there were any."""
        newest = self._segment
        if newest is None or not self._queue.is_delivered(newest):
            return False
        # Its label stays until that of the next one is there: it names the losses that are not declared.
        newest.drop_rows()
        return True
