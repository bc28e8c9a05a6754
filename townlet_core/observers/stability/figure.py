"""A figure of the world as it is, or one divided by another."""

from townlet_core.dto.outcome import StepOutcome
from townlet_core.jsonvalue import JsonValue
from townlet_core.observers.facts import Sight, wrong
from townlet_core.observers.windows import NEVER
from townlet_core.suggestions import nearest


class Figure:
    """The present value of a figure, or the share of one figure in another."""

    def __init__(self, of: str, among: str | None) -> None:
        """Take the names; ``begin`` comes next."""
        self._of, self._among = of, among
        self._now = 0, 1
        self.due = NEVER
        self.drifts = False

    def begin(self, sight: Sight, key: str) -> None:
        """Start at zero.

        Raises:
            ConfigError: when the world has no such figure.
        """
        known = [each.name for each in sight.spec.figures]
        for name, at in (
            (self._of, key if self._among is None else f"{key}.of"),
            (self._among, f"{key}.among"),
        ):
            if name is not None and name not in known:
                raise wrong(at, f"unknown figure '{name}'", nearest(name, known))
        self._now = 0, 1
        self.due = NEVER

    def welcome(self, tick: int) -> None:
        """Do nothing: figures are those of the whole world."""

    def watch(self, outcome: StepOutcome, tick: int) -> bool:
        """Look at the figures of one tick."""
        figures = outcome.summary.figures
        of, among = figures.get(self._of, 0), 1 if self._among is None else figures.get(self._among, 0)
        if (of, among) == self._now:
            return False
        self._now, self.due = (of, among), tick
        return True

    def value(self, tick: int) -> float:
        """Return the figure or the share; 0 when it would be divided by 0."""
        del tick
        self.due = NEVER
        of, among = self._now
        return of / among if among else 0.0

    def export(self) -> JsonValue:
        """Return the figures of the latest tick."""
        return list(self._now)

    def restore(self, state: JsonValue) -> None:
        """Continue from exported figures."""
        match state:
            case [int(of), int(among)]:
                self._now = of, among
            case _:
                raise ValueError("two whole numbers are missing")
