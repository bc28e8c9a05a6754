"""The lazy way to run a simulation."""

import warnings
from collections.abc import Iterator
from typing import Self

from townlet_core.dto.outcome import StepOutcome


class TickIterator(Iterator[StepOutcome]):
    """Executes one tick for each outcome that is requested; warns when it is discarded unused.

    A discarded generator would execute nothing without any sign of it.
    """

    def __init__(self, outcomes: Iterator[StepOutcome]) -> None:
        """Wrap the generator that executes the ticks."""
        self._outcomes = outcomes
        self._used = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StepOutcome:
        self._used = True
        return next(self._outcomes)

    def __del__(self) -> None:
        if not self._used:
            warnings.warn(
                "iterate() was called, but its ticks were never executed: loop over it, or call run_for()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
