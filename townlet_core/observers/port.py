"""The port of an observer."""

from typing import Protocol

from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.spec import WorldSpec
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonObject


class Observer(Protocol):
    """Sees every tick's outcome and may add facts to it; called from one thread, between two ticks.

    Its facts are part of the run's digest, so it must be a pure function of what it received since ``begin``,
    and must implement ``SupportsState`` if it keeps anything. An exception ends the run.
    """

    @property
    def name(self) -> str:
        """Name within the run; its snapshot part is ``observers.<name>``."""
        ...

    def begin(self, spec: WorldSpec) -> None:
        """Prepare for a run of such a world; forget every earlier run."""
        ...

    def observe(self, outcome: StepOutcome, tick: int) -> tuple[Event, ...]:
        """Observe one executed tick; the returned facts follow those of the world."""
        ...

    def kpis(self) -> JsonObject:
        """Return the numbers so far; names are unique among a run's observers, unknown ones are left out."""
        ...
