"""Sets of sequence numbers as ranges: what is stored, what is lost, what is missing."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Range(NamedTuple):
    """Numbers from ``first`` to ``last``, both included."""

    first: int
    last: int


class RangeSet:
    """A set of numbers in ascending, disjoint ranges that do not touch; memory grows only with the gaps."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Start with these ranges, in any order; they may overlap."""
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Add one number, or all from ``first`` to ``last``."""
        last = first if last is None else last
        if last < first:
            raise ValueError(f"a range cannot end before it begins: {first} to {last}")
        # Ranges that overlap or touch the new one are merged with it.
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def holes(self, first: int, last: int) -> "RangeSet":
        """Return the numbers from ``first`` to ``last`` that are not in the set."""
        missing = RangeSet()
        index = bisect_left(self._lasts, first)
        while first <= last:
            if index == len(self._firsts) or self._firsts[index] > last:
                missing.add(first, last)
                break
            if self._firsts[index] > first:
                missing.add(first, self._firsts[index] - 1)
            first = self._lasts[index] + 1
            index += 1
        return missing

    def end_of(self, number: int) -> int:
        """Return the last number of the range that holds ``number``; -1 when it is not in the set."""
        index = bisect_left(self._lasts, number)
        return self._lasts[index] if index < len(self._firsts) and self._firsts[index] <= number else -1

    def clear(self) -> None:
        """Remove all numbers."""
        self._firsts.clear()
        self._lasts.clear()

    def copy(self) -> "RangeSet":
        """Return an independent copy."""
        other = RangeSet()
        other._firsts, other._lasts = self._firsts.copy(), self._lasts.copy()
        return other

    @property
    def last(self) -> int | None:
        """The highest number in the set, None when it is empty."""
        return self._lasts[-1] if self._lasts else None

    def count(self) -> int:
        """Return how many numbers are in the set."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def __contains__(self, number: int) -> bool:
        """Return whether the number is in the set."""
        index = bisect_left(self._lasts, number)
        return index < len(self._firsts) and self._firsts[index] <= number

    def __iter__(self) -> Iterator[Range]:
        """Iterate over the ranges, ascending."""
        return map(Range, self._firsts, self._lasts)

    def __len__(self) -> int:
        """Return the number of ranges, which determines the memory of the set."""
        return len(self._firsts)

    def __eq__(self, other: object) -> bool:
        """Return whether two sets hold the same numbers."""
        if not isinstance(other, RangeSet):
            return NotImplemented
        return self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]  # a mutable set cannot be a key

    def __repr__(self) -> str:
        """Format the ranges."""
        return f"RangeSet({[tuple(each) for each in self]})"
