"""Losses that no committed row declares yet, from the moment they are found.

found -> taken by the committer -> passed by it with each commit -> declared by a row that it commits
"""

import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from townlet_adapters.telemetry.spool.base import Loss, each_once
from townlet_adapters.telemetry.spool.segment import Segment

_Found: TypeAlias = tuple[Segment, tuple[Loss, ...]]


class Statement(NamedTuple):
    """What one commit says of losses.

    Attributes:
        passed: those that no committed row declares.
        marked: the same and rows that are astray; the mark behind the rows holds them.
        known: the same, those of the commit before and those taken since; the label of a new segment names
            them.
        taken: what the caller took before this commit.
        is_fresh: whether something was found since the commit before.
    """

    passed: tuple[Loss, ...]
    marked: tuple[Loss, ...]
    known: tuple[Loss, ...]
    taken: tuple[_Found, ...]
    is_fresh: bool


class Undeclared:
    """The losses of one outbox that wait for a row to declare them. Safe to use from several threads.

    A segment owes while a loss in it is found or taken, and no commit after that has stored it.
    """

    def __init__(self) -> None:
        """Start without a loss."""
        self._lock = threading.Lock()
        self._found: list[_Found] = []
        self._taken: list[_Found] = []
        self._passed: tuple[Loss, ...] = ()
        self._marked: tuple[Loss, ...] = ()  # as the disk has it

    def find(self, segment: Segment, losses: tuple[Loss, ...]) -> None:
        """Add losses that were found in a segment."""
        with self._lock:
            self._found.append((segment, losses))

    def take(self) -> tuple[Loss, ...]:
        """Return what was found since the last call: from the next commit on, the caller passes it."""
        with self._lock:
            found, self._found = self._found, []
            self._taken += found
        return tuple(_losses_of(found))

    def has_found(self) -> bool:
        """Return whether something was found since the last ``take``."""
        return bool(self._found)

    def owes(self, segment: Segment) -> bool:
        """Return whether losses in a segment are still to be stored elsewhere."""
        with self._lock:
            return any(each is segment for each, _ in (*self._found, *self._taken))

    # ---- the committer's side --------------------------------------------------------------------

    def statement(self, passed: Iterable[Loss], astray: Iterable[Loss]) -> Statement:
        """Return what the next commit says: what the caller passes, what was just found, what is astray."""
        with self._lock:
            taken, found = tuple(self._taken), tuple(self._found)
        # What was found just now, the caller cannot have among its own yet.
        losses = each_once([*passed, *_losses_of(found)])
        marked = each_once([*losses, *astray])
        known = each_once([*self._passed, *marked, *_losses_of(taken)])
        return Statement(losses, marked, known, taken, bool(taken or found))

    def is_stored(self, statement: Statement) -> bool:
        """Return whether the disk holds all of it already."""
        return not statement.is_fresh and statement.marked == self._marked

    def note_stored(self, statement: Statement) -> None:
        """Record that the disk holds it now."""
        self._passed, self._marked = statement.passed, statement.marked
        with self._lock:
            self._taken = self._taken[len(statement.taken) :]

    def note_marks_gone(self) -> None:
        """Record that the disk lost what was marked, so that it is marked again."""
        self._marked = ()

    def at_the_end(self) -> tuple[Loss, ...] | None:
        """Return what the label of a last segment names; None when the disk holds all of it already."""
        with self._lock:
            found = _losses_of([*self._taken, *self._found])
        if not found and self._marked == self._passed:
            return None
        return each_once([*self._passed, *found])


def _losses_of(found: Sequence[_Found]) -> list[Loss]:
    return [loss for _, losses in found for loss in losses]
