"""Sums over the latest ticks."""

from collections import deque
from collections.abc import Sequence
from typing import Final

NEVER: Final = 1 << 62
"""A tick that does not come."""


class SlidingSum:
    """The sum of what was added in the latest ticks.

    Attributes:
        total: the sum after the latest call.
        changes_at: the first tick at whose end it is another one without an addition.
    """

    def __init__(self, window: int) -> None:
        """Start with nothing; ``window`` is the number of ticks, 0 for all of a run."""
        self._window = window
        self._entries: deque[tuple[int, int]] = deque()
        self.total = 0
        self.changes_at = NEVER

    def add(self, tick: int, amount: int = 1) -> None:
        """Add an amount in a tick."""
        self.total += amount
        if self._window:
            if self._entries and self._entries[-1][0] == tick:
                amount += self._entries.pop()[1]
            self._entries.append((tick, amount))
            self.changes_at = self._entries[0][0] + self._window

    def at(self, tick: int) -> int:
        """Return the sum over the window that ends with a tick; ticks come in order."""
        entries = self._entries
        while entries and entries[0][0] + self._window <= tick:
            self.total -= entries.popleft()[1]
        self.changes_at = entries[0][0] + self._window if entries else NEVER
        return self.total

    def export(self) -> list[list[int]]:
        """Return the entries; a sum without a window has one."""
        if not self._window:
            return [[0, self.total]] if self.total else []
        return [list(entry) for entry in self._entries]

    def restore(self, entries: Sequence[Sequence[int]]) -> None:
        """Continue from exported entries.

        Raises:
            ValueError: when they are not in order.
        """
        read = [(tick, amount) for tick, amount in entries]
        if [tick for tick, _ in read] != sorted({tick for tick, _ in read}):
            raise ValueError("the entries of a sum are not in order")
        self.total = sum(amount for _, amount in read)
        self._entries = deque(read if self._window else ())
        self.changes_at = read[0][0] + self._window if self._window and read else NEVER


class Crowd:
    """The occupied slots, worked out again only when the agents change; one for all measures of an observer.

    Attributes:
        ids: the agent of each slot, empty text for none.
        living: the slots with an agent, in order.
        newcomers: the slots that have another agent than in the tick before, or none any more.
    """

    def __init__(self) -> None:
        """Start without any slot."""
        self.ids: tuple[str, ...] = ()
        self.living: list[int] = []
        self.newcomers: list[int] = []

    def see(self, agent_ids: tuple[str, ...]) -> None:
        """Take over the agents of a tick that are others than those of the tick before."""
        before, self.ids = self.ids, agent_ids
        self.living = [slot for slot, agent_id in enumerate(agent_ids) if agent_id]
        self.newcomers = [
            slot for slot, agent_id in enumerate(agent_ids) if slot >= len(before) or before[slot] != agent_id
        ]
