"""The plan of a group of submissions: which events are new, in which file, and within which limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from townlet_adapters.telemetry.collector.checking import Event, Loss, file_stem
from townlet_adapters.telemetry.collector.files import DiskTrouble
from townlet_adapters.telemetry.collector.ledger import Ledger
from townlet_adapters.telemetry.collector.shelf import FILE_SUFFIX, Shelf
from townlet_adapters.telemetry.ranges import RangeSet

Trouble: TypeAlias = DiskTrouble | Literal["folder_full", "too_many_gaps", "too_many_sources", "other_owner"]
"""Why nothing can be stored: what a disk does; the folder has its most bytes; the numbers of a source leave
more gaps than are kept in mind; there are more sources than are kept in mind; the sender owns neither the
source nor, for a loss record, the source that it is about."""


class StoreLimits(NamedTuple):
    """The limits of a store.

    Attributes:
        folder_bytes: most bytes of all files together; None for as many as the disk takes.
        sources: most sources known.
        ranges: most ranges kept in mind for one source, stored and declared counted apart.
        all_ranges: most ranges kept in mind for all sources together, which is what bounds the memory.
        unindexed_bytes: most bytes of one file that a start has to read.
    """

    folder_bytes: int | None = None
    sources: int = 10_000
    ranges: int = 65_536
    all_ranges: int = 1 << 20
    unindexed_bytes: int = 16 << 20


@dataclass(slots=True)
class Write:
    """Events that are to be written to one file.

    Attributes:
        shelf: the file.
        fresh: the events that are not in it yet.
        places: the index of each number in ``fresh``.
        kept: how many of ``fresh`` are on disk; the rest could not be written.
        trouble: why the rest could not be written.
        claims: sources that get an owner by this write.
    """

    shelf: Shelf
    fresh: list[Event] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    kept: int = 0
    trouble: Trouble | None = None
    claims: set[str] = field(default_factory=set)

    def count_stored(self, events: Sequence[Event]) -> tuple[int, int]:
        """Count the events from the front that are on disk, and those among them that were there before."""
        duplicates = 0
        for count, event in enumerate(events):
            place = self.places.get(event.sequence)
            if place is None or self.fresh[place] is not event:
                duplicates += 1
            if place is not None and place >= self.kept:
                return count, duplicates - (self.fresh[place] is not event)
        return len(events), duplicates


class Plan:
    """The writes that go to the disk together.

    Attributes:
        writes: the events for each file, by source.
        claims: the sender that becomes the owner of each source that had none.
    """

    def __init__(self, folder: Path, ledger: Ledger, stored_bytes: int, limits: StoreLimits) -> None:
        """Plan writes into a folder, given its ledger, its bytes and its limits."""
        self._folder = folder
        self._ledger = ledger
        self._bytes = stored_bytes
        self._limits = limits
        self._new_sources: set[str] = set()
        self.writes: dict[str, Write] = {}
        self.claims: dict[str, str] = {}

    def add(self, owner: str, source: str, events: Sequence[Event]) -> Trouble | None:
        """Add the new ones among a source's events, or none of them; returns why none.

        Args:
            owner: name of the sender.
            source: the source of all events.
            events: the events, in order.
        """
        sources = {source, *(event.loss.source for event in events if event.loss is not None)}
        owners = {each: self._ledger.owners.get(each) or self.claims.get(each) for each in sources}
        if not set(owners.values()) <= {owner, None}:
            return "other_owner"
        write = self.writes.get(source) or Write(self._shelf(source))
        fresh: dict[int, Event] = {}
        for event in events:
            if event.sequence not in write.shelf.stored and event.sequence not in write.places:
                fresh.setdefault(event.sequence, event)
        if fresh:
            trouble = self._refuse(write, fresh)
            if trouble is not None:
                return trouble
        self.writes[source] = write
        write.claims |= {each for each, found in owners.items() if found is None}
        self.claims.update(dict.fromkeys(write.claims, owner))
        write.places.update((sequence, len(write.fresh) + index) for index, sequence in enumerate(fresh))
        write.fresh += fresh.values()
        return None

    def _shelf(self, source: str) -> Shelf:
        known = self._ledger.shelves.get(source)
        return known or Shelf(source, self._folder / (file_stem(source) + FILE_SUFFIX))

    def _refuse(self, write: Write, fresh: Mapping[int, Event]) -> Trouble | None:
        """Check the limits, and count what is within them; returns the limit that is exceeded."""
        limits = self._limits
        losses = [event.loss for event in fresh.values() if event.loss is not None]
        sources = {write.shelf.source, *(loss.source for loss in losses)}
        new = self._new_sources | {source for source in sources if source not in self._ledger}
        if new and len(self._ledger) + len(new) > limits.sources:
            return "too_many_sources"
        if self._leaves_gaps(write, fresh) or not self._has_room_for(losses):
            return "too_many_gaps"
        size = self._bytes + sum(len(event.line) for event in fresh.values())
        if limits.folder_bytes is not None and size > limits.folder_bytes:
            return "folder_full"
        self._bytes, self._new_sources = size, new
        return None

    def _leaves_gaps(self, write: Write, fresh: Mapping[int, Event]) -> bool:
        stored = write.shelf.stored
        room = min(self._limits.ranges - len(stored), self._limits.all_ranges - self._ledger.ranges)
        if len(write.fresh) + len(fresh) <= room:
            return False
        # What closes a gap is accepted at any time, so the new numbers are compared with those stored.
        more = RangeSet((number, number) for number in (*write.places, *fresh))
        apart = sum(each.first - 1 not in stored and each.last + 1 not in stored for each in more)
        return apart > max(room, 0)

    def _has_room_for(self, losses: Sequence[Loss]) -> bool:
        more = sum(len(loss.ranges) for loss in losses)
        within = not more or self._ledger.ranges + more <= self._limits.all_ranges
        return within and all(self._ledger.room_for(loss, self._limits.ranges) for loss in losses)
