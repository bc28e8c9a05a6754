"""What every measure can do."""

from typing import Protocol

from townlet_core.dto.outcome import StepOutcome
from townlet_core.jsonvalue import JsonValue


class Measure(Protocol):
    """Keeps one number over the ticks.

    Attributes:
        due: the first tick at whose end the number may be greater than at the latest call of ``value``, or
            smaller for good; it sets this to the present tick when something happens.
        drifts: whether the number can also fall in any tick in which nothing happens.
    """

    due: int
    drifts: bool

    def value(self, tick: int) -> float:
        """Return the number at the end of a tick; ticks come in order."""
        ...

    def export(self) -> JsonValue:
        """Return everything that is kept."""
        ...

    def restore(self, state: JsonValue) -> None:
        """Continue from an exported state.

        Raises:
            ValueError: when such a measure did not export it.
        """
        ...


class Watcher(Protocol):
    """Looks at every tick, whether or not it has a fact.

    It shares the ``Crowd`` of the observer, which has seen the agents of the tick before it looks.
    """

    def watch(self, outcome: StepOutcome, tick: int) -> bool:
        """Look at one executed tick; returns whether a measure may be due now."""
        ...

    def welcome(self, tick: int) -> None:
        """Take note that the crowd has changed; called before ``watch`` in the same tick."""
        ...
