"""What an earlier run left: which segments there are, and which numbers are in none of them.

A segment's label says where its rows begin, and where those of the segment before it ended; the control page
says how far the numbers went and what was acknowledged. A number between that is in no segment was lost.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from townlet_adapters.telemetry.ranges import Range
from townlet_adapters.telemetry.spool.base import (
    PROCESS_DIED,
    SEGMENT_DAMAGED,
    Before,
    Loss,
    Numbers,
    each_once,
)
from townlet_adapters.telemetry.spool.control import Control, UnreadableError, read_control
from townlet_adapters.telemetry.spool.folder import FORMAT, Folder, quarantined, segment_files
from townlet_adapters.telemetry.spool.label import Label, read_label
from townlet_adapters.telemetry.spool.rows import Extent, RowsFile, StoredRows
from townlet_adapters.telemetry.spool.segment import Segment
from townlet_core.errors import OutputError

_OTHERS: Final = "what other files know of the segment is used"
_CONDEMNED: Final = re.compile(r".*\.lost-(\d+)-(\d+)")


@dataclass(slots=True)
class Recovered:
    """What there is.

    Attributes:
        chain: segments with rows to deliver, oldest first, or that come after such.
        unlabelled: those of them whose label has to be written again.
        spent: segments of which nothing is needed any more.
        oldest: when the oldest row to deliver was committed, in seconds since 1970; 0 when it is not known.
        settled: position before which everything was acknowledged.
        losses: what is to be declared, each number once.
        base: position for the number 0 of the next source.
        number: number for the next segment.
        before: what the next segment's label says of the one before it.
        sources: every source that is still known.
        quarantined: segments in quarantine.
        problems: a line for each thing that is wrong: file, what, and what comes of it.
    """

    chain: list[Segment] = field(default_factory=list)
    unlabelled: list[Segment] = field(default_factory=list)
    spent: list[Segment] = field(default_factory=list)
    oldest: float = 0.0
    settled: int = 0
    losses: tuple[Loss, ...] = ()
    base: int = 0
    number: int = 1
    before: Before | None = None
    sources: frozenset[str] = frozenset()
    quarantined: int = 0
    problems: list[str] = field(default_factory=list)


def recover(folder: Folder) -> Recovered:
    """Find out what there is, changing nothing.

    Raises:
        OutputError: when the outbox belongs to a newer version.
        OSError: when the folder cannot be read.
    """
    recovery = _Recovery(folder)
    try:
        return recovery.run()
    finally:
        recovery.release()


class _Recovery:
    """One look at a folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._result = Recovered()
        self._page = self._read_page()
        self._losses: list[Loss] = []
        self._ends: dict[int, int] = {}  # by number of the segment, by what its rows say
        self.held: list[Segment] = []

    def run(self) -> Recovered:
        result = self._result
        files = segment_files(self._folder.path)
        aside = quarantined(self._folder.path)
        result.quarantined = len(aside)
        result.number = 1 + max([*files, *aside], default=0)
        self._hold(files)
        labels = [segment.label for segment in self.held]
        result.sources = frozenset(
            {label.source for label in labels} | ({self._page.source} if self._page else set())
        )
        undeclared = self._find_ends()
        self._find_settled()
        self._settle_the_newest_source(undeclared)
        self._walk()
        result.losses = each_once(self._losses)
        return result

    def release(self) -> None:
        """Close every file that was looked into."""
        for segment in (*self.held, *self._result.spent):
            segment.release()

    # ---- what each segment is ------------------------------------------------------------------

    def _read_page(self) -> Control | None:
        path = self._folder.path / "control"
        try:
            page = read_control(self._folder.path)
        except UnreadableError as error:
            _refuse_newer(self._folder.path, error)
            page, why = None, str(error)
        except OSError as error:
            page, why = None, f"cannot be read: {error.strerror}"
        else:
            if page is None or None not in {page.emitted, page.settled}:
                return page
            why = "a counter is damaged"
        self._result.problems.append(
            f"{path}: {why}; the next start uses what the segments know, so what was acknowledged may be "
            "sent again, and numbers that were given and never committed are not declared"
        )
        return page

    def _hold(self, files: dict[int, list[Path]]) -> None:
        """Make the segments, newest first. Without a label, the copy in the rows counts, or the next one."""
        after: Label | None = None
        for number in sorted(files, reverse=True):
            segment = self._segment(number, files[number])
            label = self._read_label(files[number])
            known = label or segment.rows.copy_of_label()
            before = self._before(after)
            if known is None and before is not None and before.number == number:
                known = Label(number, before.source, before.base, before.first, None)
            if known is not None:
                segment.release()
                segment = self._segment(number, files[number], known)
            if after is not None and before is not None and before.number < number:
                # A run found it without rows, left it out of the chain, and died before it was removed.
                self._result.spent.append(segment)
            elif known is None:
                self._leave_out(segment, empty=not sum(path.stat().st_size for path in files[number]))
            else:
                if label is None:
                    self._result.unlabelled.append(segment)
                    is_missing = not any(path.suffix == ".label" for path in files[number])
                    # One without rows was made just before a kill.
                    if is_missing and segment.tail().extent.events:
                        self._result.problems.append(f"{segment.path}: has no label; {_OTHERS}")
                self.held.insert(0, segment)
                after = known

    def _before(self, after: Label | None) -> Before | None:
        """Return what a label says of the segment before it; the page stands for the one after the newest."""
        if after is not None:
            return after.before
        return self._page.before if self._page is not None else None

    def _leave_out(self, segment: Segment, *, empty: bool) -> None:
        """Leave out a segment that no file describes; an empty one was made just before a kill."""
        self._result.spent.append(segment)
        if not empty:
            segment.is_condemned = True
            self._result.problems.append(
                f"{segment.path}: no file says what it held, so its loss cannot be declared; it goes into "
                "quarantine"
            )

    def _segment(self, number: int, files: list[Path], label: Label | None = None) -> Segment:
        label = label or Label(number, "", 0, 0, None)
        if any(path.suffix.startswith((".db", ".lost-")) for path in files):
            from townlet_adapters.telemetry.spool.legacy import (  # noqa: PLC0415 - brings sqlite3
                LegacyRows,
            )

            rows: StoredRows = LegacyRows(self._folder, number)
        else:
            rows = RowsFile(self._folder, number)
        segment = Segment(self._folder, label, rows)
        segment.label_file.measure()
        return segment

    def _read_label(self, files: list[Path]) -> Label | None:
        for path in files:
            if path.suffix == ".label" or path.suffix.startswith(".lost-"):
                try:
                    label = read_label(path)
                except UnreadableError as error:
                    _refuse_newer(self._folder.path, error)
                    why = str(error)
                except OSError as error:
                    why = f"cannot be read: {error.strerror}"
                else:
                    if f"-{label.number:08d}." in path.name:
                        return replace(label, damaged=label.damaged + _condemned(path))
                    why = f"is the label of segment {label.number}"
                self._result.problems.append(f"{path}: {why}; {_OTHERS}")
                return None
        return None

    # ---- how far each goes ---------------------------------------------------------------------

    def _find_ends(self) -> tuple[Loss, ...]:
        """Find the ends: the next label says it, or the rows do; returns what the newest left undeclared."""
        after: Label | None = None
        undeclared: tuple[Loss, ...] = ()
        for segment in reversed(self.held):
            label, tail = segment.label, segment.tail()
            self._ends[label.number] = tail.extent.end
            before = self._before(after)
            if before is not None and before.number == label.number:
                segment.extent = Extent(tail.extent.size, before.end, before.events)
            else:
                segment.extent = tail.extent
                if after is not None and tail.undeclared is None:
                    segment.extent = tail.extent._replace(end=_latest_end(label, after))
            if after is None:
                undeclared = label.noted if tail.undeclared is None else tail.undeclared
            after = label
        return undeclared

    def _find_settled(self) -> None:
        page, held = self._page, self.held
        settled = page.settled if page is not None else None
        if page is not None and settled is not None:
            farthest = max(page.base + (page.emitted or 0), *(each.finish for each in held), 0)
            if settled > farthest:
                self._result.problems.append(
                    f"{self._folder.path / 'control'}: says that more was acknowledged than was sent; "
                    "what is there is sent again"
                )
                settled = None
        oldest = held[0].label.start if held else (page.base if page else 0)
        self._result.settled = oldest if settled is None else settled

    def _settle_the_newest_source(self, undeclared: tuple[Loss, ...]) -> None:
        """Declare what the newest source had given and not committed, and what it had not declared."""
        result, page = self._result, self._page
        last = self.held[-1] if self.held else None
        self._losses += undeclared
        reason = PROCESS_DIED
        if last is not None and (page is None or page.base <= last.label.base):
            source, base, end = last.label.source, last.label.base, last.extent.end
            if not last.extent.events and last.tail().is_torn:
                reason = SEGMENT_DAMAGED
                last.is_condemned = True
                result.problems.append(
                    f"{last.path}: holds nothing that can be read; its rows will be declared lost, and it "
                    "goes into quarantine"
                )
        elif page is not None:
            # It has no segment: it committed nothing, or its files were removed.
            source, base, end = page.source, page.base, 0
        else:
            return
        emitted = end
        if page is not None and page.base == base:
            emitted = max(end, page.emitted or 0)
        acknowledged = result.settled - base
        if last is not None and acknowledged > end and last.label.base == base:
            # Rows that were acknowledged are gone, and with them what says which losses they declared.
            self._losses += last.label.noted
        first = max(end, acknowledged)
        if first < emitted:
            self._losses.append(Loss.of(source, reason, [(first, emitted - 1)]))
        result.base = base + max(emitted, acknowledged) + 1

    # ---- what becomes of each ------------------------------------------------------------------

    def _walk(self) -> None:
        """Sort the segments, and declare what is damaged or gone."""
        result = self._result
        reached = result.settled
        for index, segment in enumerate(self.held):
            label = segment.label
            if label.before is not None:
                self._declare_gone(label.before, reached)
            reached = max(reached, segment.finish)
            if label.damaged:
                known = [loss for later in self.held[index + 1 :] for loss in later.label.noted]
                found = [Loss.of(label.source, SEGMENT_DAMAGED, label.damaged), *label.noted]
                self._losses += Numbers(known).add(found)
            first = max(label.first, result.settled - label.base)
            if self._ends[label.number] < segment.extent.end > first:
                result.problems.append(
                    f"{segment.path}: ends before row {segment.extent.end - 1}; the rows that are missing "
                    "will be declared lost"
                )
            # From the oldest on, so that each segment that stays is named by the one after it.
            if (first >= segment.extent.end and not result.chain) or not segment.extent.events:
                result.spent.append(segment)
            else:
                segment.waiting = segment.extent.events
                if not result.chain or first > label.first:
                    rows, at = segment.locate(first)
                    segment.waiting -= rows
                    result.oldest = result.oldest or float(at)
                result.chain.append(segment)
        if self._page is not None and self._page.before is not None:
            self._declare_gone(self._page.before, reached)
        with_rows = [segment for segment in self.held if segment.extent.events]
        result.before = with_rows[-1].before() if with_rows else None

    def _declare_gone(self, before: Before, reached: int) -> None:
        first = max(before.first, reached - before.base)
        if first < before.end and before.number not in {segment.label.number for segment in self.held}:
            self._result.problems.append(
                f"{self._folder.path}: segment {before.number} is gone and was not acknowledged whole; its "
                f"rows {first} to {before.end - 1} are declared lost, unless they were before"
            )
            self._losses.append(Loss.of(before.source, SEGMENT_DAMAGED, [(first, before.end - 1)]))


def _condemned(label: Path) -> tuple[Range, ...]:
    """Return the rows that format 1 had found damaged and not declared; the name of the label says which."""
    match = _CONDEMNED.fullmatch(label.name)
    if match is None or int(match[2]) <= int(match[1]):
        return ()
    return (Range(int(match[1]), int(match[2]) - 1),)


def _latest_end(label: Label, after: Label) -> int:
    """Return a number that a segment cannot have reached, by where the one after it begins."""
    return after.first if after.base == label.base else after.base - label.base - 1


def _refuse_newer(folder: Path, error: UnreadableError) -> None:
    if error.version is not None and error.version > FORMAT:
        raise OutputError(
            f"{folder}: holds an outbox of format {error.version}; this version of Townlet knows 1 to "
            f"{FORMAT}; deliver it with the version that wrote it, or name another folder"
        )
