"""The states of a promotion: monitoring, ready, promoted."""

from dataclasses import dataclass, field
from typing import Final

from townlet_core.events.promotion import PromotionName, PromotionState

MOST_KEPT: Final = 50
"""Changes of state that are kept, the latest ones."""

READY: Final = "candidate_ready"
BROKEN: Final = "streak_broken"
PROMOTED: Final = "promoted"
ROLLBACK: Final = "rollback"
ADVISED: Final = "rollback_advised"


class NotReadyError(ValueError):
    """What was asked for is not possible in this state; the message says why, and what is needed."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the history.

    Attributes:
        tick: the tick in which it happened.
        from_: the state before.
        to: the state after.
        release: the release that runs from here on.
        reason: why.
    """

    tick: int
    from_: PromotionName
    to: PromotionName
    release: str | None
    reason: str


@dataclass(slots=True)
class Ladder:
    """The state machine; each method returns the fact about a change, None without one.

    Attributes:
        required: passes in a row before a promotion.
        state: the state.
        streak: windows in a row that passed.
        release: the release that runs, None before the first promotion.
        former: the releases before it, oldest first.
        history: the latest changes, oldest first.
    """

    required: int
    state: PromotionName = "monitoring"
    streak: int = 0
    release: str | None = None
    former: list[str] = field(default_factory=list)
    history: list[Change] = field(default_factory=list)

    @property
    def candidate_ready(self) -> bool:
        """Whether what runs may be promoted."""
        return self.streak >= self.required

    def close_window(self, tick: int, *, passed: bool) -> PromotionState | None:
        """Count a window that ended."""
        self.streak = self.streak + 1 if passed else 0
        if self.state == "monitoring" and self.candidate_ready:
            return self._change(tick, "ready", READY)
        if self.state == "ready" and not self.candidate_ready:
            return self._change(tick, "monitoring", BROKEN)
        return None

    def promote(self, tick: int, release: str) -> PromotionState:
        """Promote a release; the next one needs a new streak.

        Raises:
            NotReadyError: when too few windows have passed in a row.
        """
        if not self.candidate_ready:
            passed = "1 window" if self.streak == 1 else f"{self.streak} windows"
            raise NotReadyError(f"{passed} passed in a row; a promotion needs {self.required}")
        if self.release is not None:
            self.former = [*self.former, self.release][-MOST_KEPT:]
        self.release, self.streak = release, 0
        return self._change(tick, "promoted", PROMOTED)

    def rollback(self, tick: int) -> PromotionState:
        """Go back to the release before, and begin to monitor.

        Raises:
            NotReadyError: when nothing is promoted.
        """
        if self.state != "promoted":
            raise NotReadyError(f"nothing is promoted: the state is {self.state}")
        self.release, self.streak = self.former.pop() if self.former else None, 0
        return self._change(tick, "monitoring", ROLLBACK)

    def advise(self, tick: int, canaries: tuple[str, ...]) -> PromotionState:
        """Record that canaries advise a rollback."""
        return self._change(tick, self.state, f"{ADVISED}: {', '.join(canaries)}")

    def _change(self, tick: int, to: PromotionName, reason: str) -> PromotionState:
        before, self.state = self.state, to
        self.history = [*self.history, Change(tick, before, to, self.release, reason)][-MOST_KEPT:]
        return PromotionState(before, to, self.release, reason)
