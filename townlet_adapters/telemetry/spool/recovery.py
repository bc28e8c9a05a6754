"""What an earlier run left: which segments there are, and which numbers are in none of them.

A segment's label tells where its rows begin, and where those of the segment before it ended; the control page
tells how far the numbers went and what was acknowledged. What lies between and is in no segment was lost.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from townlet_adapters.telemetry.ranges import RangeSet
from townlet_adapters.telemetry.spool.base import PROCESS_DIED, SEGMENT_DAMAGED, Loss
from townlet_adapters.telemetry.spool.control import Control, UnreadableControlError, read_control
from townlet_adapters.telemetry.spool.folder import Files, quarantined, segment_files
from townlet_adapters.telemetry.spool.label import Before, Label, UnreadableLabelError, read_label
from townlet_adapters.telemetry.spool.segment import DamagedError, Segment, label_in
from townlet_core.errors import OutputError

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Recovered:
    """What there is.

    Attributes:
        chain: segments that hold rows to deliver, oldest first, or that come after such.
        unlabelled: those of them whose label cannot be read.
        damaged: segments whose loss is to be declared.
        spent: segments of which nothing is needed any more.
        settled: position before which everything was acknowledged.
        losses: what is to be declared, each number once.
        base: position for the number 0 of the next source.
        number: number for the next segment.
        before: what the next segment's label says of the one before it.
        sources: every source that is still known.
    """

    chain: list[Segment] = field(default_factory=list)
    unlabelled: list[Segment] = field(default_factory=list)
    damaged: list[Segment] = field(default_factory=list)
    spent: list[Segment] = field(default_factory=list)
    settled: int = 0
    losses: tuple[Loss, ...] = ()
    base: int = 0
    number: int = 1
    before: Before | None = None
    sources: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Held:
    """A segment as it was found."""

    segment: Segment
    lost: tuple[int, int] | None
    named: bool  # whether anything says what it is
    labelled: bool  # whether its label does


def recover(folder: Path) -> Recovered:
    """Find out what there is, changing nothing.

    Raises:
        OutputError: when the folder belongs to a newer version, or cannot be read.
        TransportError: when the machine is at fault.
    """
    recovery = _Recovery(folder)
    try:
        return recovery.run()
    finally:
        recovery.release()


class _Recovery:
    """One look at a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._control = control_of(folder)
        self._held: list[_Held] = []
        self._losses: list[Loss] = []
        self._result = Recovered()

    def run(self) -> Recovered:
        result = self._result
        files = segment_files(self._folder)
        self._held = [self._hold(each) for each in files]
        result.number = 1 + max([each.number for each in files] + list(quarantined(self._folder)), default=0)
        self._name_the_nameless()
        self._drop_those_never_begun()
        known = {held.segment.label.source for held in self._held if held.named}
        self._drop_those_skipped()
        self._find_ends()
        self._find_settled()
        self._settle_the_newest_source()
        self._walk()
        result.losses = each_once(self._losses)
        result.sources = frozenset(known | ({self._control.source} if self._control else set()))
        return result

    def release(self) -> None:
        """Close every database that was looked into, also where the look broke off."""
        for segment in [*(held.segment for held in self._held), *self._result.spent]:
            with segment.lock:
                segment.release()

    def _hold(self, files: Files) -> _Held:
        label = read_label_of(self._folder, files)
        labelled = label is not None
        label = label or label_inside(self._folder, files)
        segment = Segment(self._folder, label or Label(files.number, "", 0, 0, None))
        if files.label is not None:
            segment.label_path = files.label
        if files.lost is not None:
            segment.damaged, segment.end = "it was found damaged before", files.lost[1]
        return _Held(segment, files.lost, label is not None, labelled)

    def _name_the_nameless(self) -> None:
        """Tell what a segment is from what stands in the one after it, or on the control page."""
        after: _Held | None = None
        for held in reversed(self._held):
            if not held.named:
                label = self._inferred(held.segment.label.number, after)
                if label is not None:
                    path = held.segment.label_path
                    held.segment = Segment(self._folder, label)
                    held.segment.label_path = path
                    held.segment.damaged = "it has lost its label"
                    held.named = True
            after = held

    def _inferred(self, number: int, after: _Held | None) -> Label | None:
        before = after.segment.label.before if after is not None else None
        if before is not None and before.number == number:
            return Label(number, before.source, before.base, before.first, None)
        page = self._control
        if after is None and page is not None:
            first = 0
            for held in self._held:
                label = held.segment.label
                if held.named and label.number < number and label.base == page.base:
                    summary = self._summary(held)
                    first = max(first, held.segment.end if summary is None else summary)
            return Label(number, page.source, page.base, first, None)
        return None

    def _drop_those_never_begun(self) -> None:
        """Leave out a source to which no run ever switched: what it should have declared is still open."""
        while self._held:
            held = self._held[-1]
            label = held.segment.label
            begun = self._control is not None and self._control.base >= label.base
            committed = self._summary(held) is not None or held.segment.damaged
            if not held.named or begun or label.first > 0 or committed:
                return
            self._result.spent.append(self._held.pop().segment)

    def _drop_those_skipped(self) -> None:
        """Leave out what a later run found without rows, see ``_drop_empty_end``, and died before removing.

        The next segment's label then tells of an earlier one. A database that no longer says whose it is
        stays for a person to look at.
        """
        kept: list[_Held] = []
        after: Label | None = None
        for held in reversed(self._held):
            segment = held.segment
            before = after.before if after is not None else None
            is_skipped = before is not None and before.number < segment.label.number
            if is_skipped and held.lost is None and (held.named or not segment.path.exists()):
                self._result.spent.append(segment)
            else:
                kept.append(held)
                after = segment.label
        self._held = kept[::-1]

    def _find_ends(self) -> None:
        """Tell how far each segment goes: what comes after it says so, or its latest commit does."""
        after: Label | None = None
        for held in reversed(self._held):
            segment = held.segment
            if not held.named:
                continue
            if held.lost is not None:
                after = segment.label
                continue
            before = after.before if after is not None else None
            if before is not None and before.number == segment.label.number:
                segment.end, segment.events = before.end, before.events
            else:
                if self._summary(held) is None and after is not None and not segment.damaged:
                    segment.damaged = "the database is gone"
                if segment.damaged:
                    segment.end = max(segment.end, self._latest_end(segment.label, after))
            after = segment.label

    def _latest_end(self, label: Label, after: Label | None) -> int:
        """Tell which number a segment cannot have reached, by where what comes after it begins."""
        if after is not None and after.base == label.base:
            return after.first
        base = after.base if after is not None else (self._control.base if self._control else 0)
        return base - label.base - 1

    def _summary(self, held: _Held) -> int | None:
        """Ask a segment where it ends; notes on it whether it is damaged."""
        segment = held.segment
        if segment.damaged:
            return None
        try:
            with segment.lock:
                told = segment.summary()
        except DamagedError as error:
            segment.damaged = str(error)
            return None
        if told is None:
            return None
        segment.end, segment.events, segment.undeclared = told.end, told.events, told.undeclared
        return told.end

    def _find_settled(self) -> None:
        page, held = self._control, [each for each in self._held if each.named]
        oldest = held[0].segment.label.start if held else (page.base if page else 0)
        settled = page.settled if page is not None else None
        if page is not None and settled is not None:
            finishes = [each.segment.finish for each in held]
            if settled > max(page.base + (page.emitted or 0), *finishes, 0):
                settled = None
        if settled is None:
            if held:
                _log.warning(
                    "%s: what was acknowledged is not known any more; what is there is sent again",
                    self._folder,
                )
            settled = oldest
        self._result.settled = settled

    def _settle_the_newest_source(self) -> None:
        """Declare what the newest source had emitted and not committed, and what it had not declared."""
        result, page = self._result, self._control
        last = next((held.segment for held in reversed(self._held) if held.named), None)
        if page is not None and (last is None or page.base > last.label.base):
            # All its segments are gone: with everything in them acknowledged, or by somebody's hand.
            source, base, end, undeclared = page.source, page.base, 0, tuple[Loss, ...]()
        elif last is not None:
            source, base, end, undeclared = last.label.source, last.label.base, last.end, last.undeclared
        else:
            return
        self._losses += undeclared
        emitted = end
        if page is not None and page.base == base:
            if page.emitted is None:
                _log.warning("%s: how far the numbers of %s went is not known any more", self._folder, source)
            emitted = max(end, page.emitted or 0)
        if last is not None and self._reaches_the_end(last) and last.label.base == base:
            last.end = max(last.end, emitted)
        else:
            if last is not None and result.settled - base > end:
                # Rows that were acknowledged are gone, so what was committed with them is, too.
                self._losses += last.noted
            first = max(end, result.settled - base)
            if first < emitted:
                self._losses.append(Loss.of(source, PROCESS_DIED, [(first, emitted - 1)]))
        result.base = base + max(emitted, result.settled - base) + 1
        if last is not None:
            result.before = _told_of(last)

    def _reaches_the_end(self, last: Segment) -> bool:
        """Whether a segment is damaged, and may have held all that is missing: its end is not known."""
        known = any(held.segment is last and held.lost is not None for held in self._held)
        return bool(last.damaged) and not known

    def _walk(self) -> None:
        """Sort the segments, and declare what is damaged or gone."""
        result = self._result
        reached = result.settled
        for held in self._held:
            segment, label = held.segment, held.segment.label
            if not held.named:
                _log.error("%s: nothing says any more what it held, so its loss cannot be told", segment.path)
                result.damaged.append(segment)
                continue
            self._declare_gap(label.before, reached)
            reached = max(reached, segment.finish)
            # From the oldest on, so that each segment that stays is told of by the one after it.
            spent = segment.end <= max(label.first, result.settled - label.base) and not result.chain
            if held.lost is None and spent:
                result.spent.append(segment)
            elif segment.damaged:
                self._declare_damaged(segment, held.lost[0] if held.lost else None)
            else:
                self._chain(segment)
        self._drop_empty_end()
        unlabelled = {id(held.segment) for held in self._held if not held.labelled}
        result.unlabelled = [segment for segment in result.chain if id(segment) in unlabelled]

    def _drop_empty_end(self) -> None:
        """Let the newest segments go as long as they hold nothing: a run that does nothing leaves nothing.

        The next segment's label tells of the newest one that stays. What those that go had not declared is
        in that label, too, and they are removed once it is in force: whenever a kill comes, each segment
        that stays is told of, and each loss is known.
        """
        chain, named = self._result.chain, [held.segment for held in self._held if held.named]
        while chain and chain[-1] is named[-1] and not chain[-1].events:
            named.pop()
            self._result.spent.append(chain.pop())
            self._result.before = _told_of(named[-1])

    def _chain(self, segment: Segment) -> None:
        """Take a segment that is whole, as far as one can tell without reading it."""
        first = max(segment.label.first, self._result.settled - segment.label.base)
        try:
            with segment.lock:
                segment.measure()
                segment.waiting = segment.events
                if first > segment.label.first:
                    segment.waiting = segment.count(first, segment.end)
        except DamagedError as error:
            segment.damaged = str(error)
            self._declare_damaged(segment, None)
        else:
            self._result.chain.append(segment)

    def _declare_damaged(self, segment: Segment, lost_from: int | None) -> None:
        label = segment.label
        first = lost_from
        if first is None:
            first = max(label.first, self._result.settled - label.base)
        self._losses += label.undeclared
        if first < segment.end:
            self._losses.append(Loss.of(label.source, SEGMENT_DAMAGED, [(first, segment.end - 1)]))
        _log.warning(
            "%s: %s; %d numbers of %s are declared lost, and the file goes into quarantine",
            segment.path,
            segment.damaged,
            max(0, segment.end - first),
            label.source,
        )
        self._result.damaged.append(segment)

    def _declare_gap(self, before: Before | None, reached: int) -> None:
        """Declare a segment that was there before this one, was not settled, and is gone."""
        if before is None or any(held.segment.label.number == before.number for held in self._held):
            return
        first = max(before.first, reached - before.base)
        if first < before.end:
            _log.warning("%s: segment %d is gone", self._folder, before.number)
            self._losses.append(Loss.of(before.source, SEGMENT_DAMAGED, [(first, before.end - 1)]))


def _told_of(segment: Segment) -> Before:
    """Spell what the label of the next segment says of this one."""
    label = segment.label
    return Before(label.number, label.source, label.base, label.first, segment.end, segment.events)


def control_of(folder: Path) -> Control | None:
    """Read the control page; one that says nothing is as good as none, and is told of.

    Raises:
        OutputError: when it is of a newer version, or cannot be read.
    """
    try:
        return read_control(folder)
    except UnreadableControlError as error:
        _refuse_newer(folder, error.version)
        _log.warning("%s: the control page %s; what the segments know is used", folder, error)
    except OSError as error:
        _log.warning("%s: the control page cannot be read: %s; what the segments know is used", folder, error)
    return None


def read_label_of(folder: Path, files: Files) -> Label | None:
    """Read the label of a segment; None, with a line in the log, when it says nothing.

    Raises:
        OutputError: when it is of a newer version.
    """
    if files.label is not None:
        try:
            label = read_label(files.label)
        except UnreadableLabelError as error:
            _refuse_newer(folder, error.version)
            _log.warning("%s: %s; the segment is asked itself", files.label, error)
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.warning("%s: cannot be read: %s; the segment is asked itself", files.label, error)
        else:
            if label.number == files.number:
                return label
    return None


def label_inside(folder: Path, files: Files) -> Label | None:
    """Ask a segment itself what it is."""
    told = label_in(folder / f"segment-{files.number:08d}.db")
    return told if told is not None and told.number == files.number else None


def _refuse_newer(folder: Path, version: int | None) -> None:
    if version is not None and version > 1:
        raise OutputError(
            f"{folder}: holds an outbox of format {version}, and this version of Townlet knows format 1; "
            "deliver it with the version that wrote it, or name another folder"
        )


def each_once(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """Join losses by source and reason, so that each number is in one of them: the first that names it."""
    named: dict[str, RangeSet] = {}
    joined: dict[tuple[str, str], RangeSet] = {}
    for loss in losses:
        before = named.setdefault(loss.source, RangeSet())
        into = joined.setdefault((loss.source, loss.reason), RangeSet())
        for first, last in loss.ranges:
            for new in before.holes(first, last):
                into.add(new.first, new.last)
            before.add(first, last)
    return tuple(Loss.of(source, reason, numbers) for (source, reason), numbers in joined.items() if numbers)
