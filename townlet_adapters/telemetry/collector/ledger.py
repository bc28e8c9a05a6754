"""The account of every source: stored, declared lost, missing."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final, NamedTuple

from townlet_adapters.telemetry.collector.checking import MOST_REASONS, Event, Loss
from townlet_adapters.telemetry.collector.shelf import Shelf, json_ranges
from townlet_adapters.telemetry.ranges import RangeSet
from townlet_core.jsonvalue import JsonObject

REPORT_FORMAT: Final = 1


class SourceReport(NamedTuple):
    """The report on one source.

    Attributes:
        source: its name.
        owner: name of the sender that alone may send it and declare losses of it; None when none has yet.
        file: name of its file, None when nothing of it was stored.
        events: different events stored.
        duplicates: arrivals of events that were stored already.
        first: the lowest number stored, None when there is none.
        through: the highest number stored, None when there is none.
        missing: numbers up to the highest known that were neither stored nor declared lost.
        declared: numbers declared lost, by reason.
        contradictions: numbers declared lost that are stored all the same.
    """

    source: str
    owner: str | None
    file: str | None
    events: int
    duplicates: int
    first: int | None
    through: int | None
    missing: RangeSet
    declared: Mapping[str, RangeSet]
    contradictions: RangeSet

    @property
    def declared_in_all(self) -> RangeSet:
        """Numbers declared lost, for whatever reason."""
        return union(self.declared.values())

    def to_json(self) -> JsonObject:
        """Return it as JSON."""
        return {
            "source": self.source,
            "owner": self.owner,
            "file": self.file,
            "events": self.events,
            "duplicates": self.duplicates,
            "first": self.first,
            "through": self.through,
            "missing": json_ranges(self.missing),
            "declared": {reason: json_ranges(self.declared[reason]) for reason in sorted(self.declared)},
            "contradictions": json_ranges(self.contradictions),
        }


class Totals(NamedTuple):
    """All sources together.

    Attributes:
        sources: how many there are.
        events: different events stored.
        duplicates: arrivals of events that were stored already.
        missing: numbers neither stored nor declared lost.
        declared: numbers declared lost.
        contradictions: numbers declared lost that are stored all the same.
    """

    sources: int
    events: int
    duplicates: int
    missing: int
    declared: int
    contradictions: int


class Report(NamedTuple):
    """The report on a folder.

    Attributes:
        sources: every source, by name.
    """

    sources: tuple[SourceReport, ...]

    @property
    def exact(self) -> bool:
        """Whether every number is stored or declared lost, and none is both."""
        return not any(source.missing or source.contradictions for source in self.sources)

    @property
    def totals(self) -> Totals:
        """The sums over all sources."""
        return Totals(
            len(self.sources),
            sum(each.events for each in self.sources),
            sum(each.duplicates for each in self.sources),
            sum(each.missing.count() for each in self.sources),
            sum(each.declared_in_all.count() for each in self.sources),
            sum(each.contradictions.count() for each in self.sources),
        )

    def to_json(self) -> JsonObject:
        """Return it as JSON."""
        return {
            "format": REPORT_FORMAT,
            "exact": self.exact,
            "totals": self.totals._asdict(),
            "sources": [each.to_json() for each in self.sources],
        }


class Account(NamedTuple):
    """The content of a report on a source; see ``SourceReport``."""

    source: str
    owner: str | None
    file: str | None
    stored: RangeSet
    duplicates: int
    declared: Mapping[str, RangeSet]


class Ledger:
    """All sources that are known: by their files, or because a loss of them was declared.

    Not locked; a caller that uses it from two threads locks it.

    Attributes:
        shelves: the files, by source.
        owners: the owner of each source that has one, with or without a file.
        ranges: how many ranges are kept in mind, of all sources together.
    """

    def __init__(self, owners: Mapping[str, str] = MappingProxyType({})) -> None:
        """Begin with no file."""
        self.shelves: dict[str, Shelf] = {}
        self.owners: dict[str, str] = dict(owners)
        self.ranges = 0
        self._declared: dict[str, dict[str, RangeSet]] = {}
        self._settled: dict[str, int] = {}  # grows, and is worked out when it is asked for

    def __len__(self) -> int:
        """Count the sources."""
        return len(self.shelves.keys() | self._declared.keys())

    def __contains__(self, source: str) -> bool:
        """Return whether a source is known."""
        return source in self.shelves or source in self._declared

    def admit(self, shelf: Shelf) -> None:
        """Add a file, with what its loss records declare."""
        self.shelves[shelf.source] = shelf
        self.ranges += len(shelf.stored)
        for (source, reason), ranges in shelf.losses.items():
            self.declare(Loss(source, reason, ranges))

    def enter(self, shelf: Shelf, events: Iterable[Event]) -> None:
        """Note events that are at the end of a file now; the file may be known already or be new."""
        self.ranges -= len(shelf.stored)
        for event in events:
            shelf.take(event)
            if event.loss is not None:
                self.declare(event.loss)
        self.ranges += len(shelf.stored)
        self.shelves[shelf.source] = shelf

    def declare(self, loss: Loss) -> None:
        """Note numbers that are declared lost."""
        ranges = self._declared.setdefault(loss.source, {}).setdefault(loss.reason, RangeSet())
        self.ranges -= len(ranges)
        for each in loss.ranges:
            ranges.add(*each)
        self.ranges += len(ranges)

    def settled_through(self, source: str) -> int:
        """Return the highest number up to which every number is stored or declared lost; -1 for none.

        A hole ends it, however much is stored behind: its sender may still have what is missing.
        """
        shelf = self.shelves.get(source)
        known = [*self._declared.get(source, {}).values(), *([shelf.stored] if shelf is not None else [])]
        through = self._settled.get(source, -1)
        while (further := max((each.end_of(through + 1) for each in known), default=-1)) > through:
            through = further
        if through >= 0:
            self._settled[source] = through
        return through

    def room_for(self, loss: Loss, most_ranges: int) -> bool:
        """Return whether noting a loss keeps its source within so many ranges."""
        declared = self._declared.get(loss.source, {})
        if loss.reason not in declared and len(declared) >= MOST_REASONS:
            return False
        return sum(map(len, declared.values())) + len(loss.ranges) <= most_ranges

    def snapshot(self) -> Sequence[Account]:
        """Copy the content of a report, so that the report can be made while the ledger changes."""
        return [self._account(source) for source in sorted(self.shelves.keys() | self._declared.keys())]

    def _account(self, source: str) -> Account:
        shelf, owner = self.shelves.get(source), self.owners.get(source)
        declared = {reason: ranges.copy() for reason, ranges in self._declared.get(source, {}).items()}
        if shelf is None:
            return Account(source, owner, None, RangeSet(), 0, declared)
        return Account(source, owner, shelf.path.name, shelf.stored.copy(), shelf.duplicates, declared)


def report_of(accounts: Iterable[Account]) -> Report:
    """Build the report, with the numbers that are missing."""
    return Report(tuple(map(_report, accounts)))


def _report(account: Account) -> SourceReport:
    stored, lost = account.stored, union(account.declared.values())
    highest = max((each.last for each in (stored, lost) if each.last is not None), default=-1)
    return SourceReport(
        account.source,
        account.owner,
        account.file,
        stored.count(),
        account.duplicates,
        next((each.first for each in stored), None),
        stored.last,
        difference(stored.holes(0, highest), lost),
        account.declared,
        difference(lost, difference(lost, stored)),
    )


def union(sets: Iterable[RangeSet]) -> RangeSet:
    """Return the numbers that are in any of the sets."""
    return RangeSet(chain.from_iterable(sets))


def difference(numbers: RangeSet, without: RangeSet) -> RangeSet:
    """Return the numbers of one set that are not in the other."""
    return RangeSet(chain.from_iterable(without.holes(*each) for each in numbers))
