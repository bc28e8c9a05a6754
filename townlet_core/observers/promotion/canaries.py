"""What speaks against a promoted release."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from townlet_core.observers.promotion.settings import Canary


@dataclass(slots=True)
class Canaries:
    """Compares values at the ends of windows with those at the promotion.

    Attributes:
        baseline: the values at the promotion, empty while nothing is promoted.
        runs: windows in a row at whose end each canary spoke.
        advice: the canaries that have spoken for long enough.
    """

    baseline: dict[str, float] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    advice: tuple[str, ...] = ()

    def start(self, values: Mapping[str, float]) -> None:
        """Take the values at a promotion."""
        self.baseline, self.runs, self.advice = dict(values), {}, ()

    def stop(self) -> None:
        """Forget the promotion."""
        self.start({})

    def close_window(self, canaries: Mapping[str, Canary], values: Mapping[str, float]) -> bool:
        """Look at the values at the end of a window; returns whether another canary speaks."""
        for name, canary in canaries.items():
            value = values.get(canary.value, 0.0)
            least = canary.times_baseline * self.baseline.get(canary.value, 0.0)
            speaks = value > canary.above and value > least
            self.runs[name] = self.runs.get(name, 0) + 1 if speaks else 0
        before, self.advice = (
            self.advice,
            tuple(name for name, canary in canaries.items() if self.runs[name] >= canary.windows),
        )
        return bool(set(self.advice) - set(before))
