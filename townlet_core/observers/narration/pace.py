"""The limits of a narration: a few sentences an hour, and no more."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from townlet_core.observers.narration.settings import NarrationSettings

Refusal = Literal["", "dedupe", "cooldown", "window"]
"""Which limit stands against a sentence; empty when none does."""


@dataclass(slots=True)
class Pace:
    """What was narrated lately.

    Attributes:
        narrated: the ticks of the sentences in the window, oldest first.
        latest: the tick of the latest sentence of each category.
        keys: the tick at which each key was narrated, of those that may not be narrated again yet.
    """

    told: deque[int] = field(default_factory=deque)
    latest: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)

    def refusal(
        self, limits: NarrationSettings, tick: int, category: str, key: str, cooldown: int | None
    ) -> Refusal:
        """Return which limit stands against a sentence; changes nothing.

        Args:
            limits: the limits.
            tick: the present tick.
            category: the category of the sentence.
            key: what it is about.
            cooldown: ticks from one sentence of the category to the next; None for one with priority.
        """
        told_at = self.keys.get(key)
        if told_at is not None and tick - told_at < limits.dedupe:
            return "dedupe"
        if cooldown is not None:
            if self.told and tick - self.told[-1] < limits.cooldown:
                return "cooldown"
            latest = self.latest.get(category)
            if latest is not None and tick - latest < cooldown:
                return "cooldown"
        within = sum(at > tick - limits.window for at in self.told)
        return "window" if within >= limits.most else ""

    def accept(self, limits: NarrationSettings, tick: int, category: str, key: str) -> None:
        """Count a sentence that is narrated."""
        span = max(limits.window, limits.cooldown)
        while self.told and self.told[0] <= tick - span:
            self.told.popleft()
        self.told.append(tick)
        self.latest[category] = tick
        self.keys = {each: at for each, at in self.keys.items() if tick - at < limits.dedupe}
        self.keys[key] = tick
