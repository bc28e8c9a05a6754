"""The port of an observer, and what an observer may do beyond it."""

from typing import Protocol, runtime_checkable

from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.spec import WorldSpec
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonObject


class Observer(Protocol):
    """Sees every tick's outcome and may add facts to it; called from one thread, between two ticks.

    Its facts are part of the run's digest, so it must be a pure function of what it received since ``begin``,
    and must implement ``SupportsState`` if it keeps anything. An exception ends the run. An observer that
    people give commands to implements ``SupportsCommands``, as a stage does; what a command changes shows in
    the facts of the same tick.
    """

    @property
    def name(self) -> str:
        """Name within the run; its snapshot part is ``observers.<name>``."""
        ...

    def begin(self, spec: WorldSpec) -> None:
        """Prepare for a run of such a world; forget every earlier run.

        Raises:
            ConfigError: when the observer is to watch what such a world does not have.
        """
        ...

    def observe(self, outcome: StepOutcome, tick: int) -> tuple[Event, ...]:
        """Observe one executed tick; the returned facts follow those of the world.

        ``outcome.events`` has the facts of the world, then those of the observers before this one.
        """
        ...

    def kpis(self) -> JsonObject:
        """Return the numbers so far; names are unique among a run's observers, unknown ones are left out."""
        ...


@runtime_checkable
class SupportsStanding(Protocol):
    """The additional protocol of an observer whose present state belongs into frames and health reports.

    The observer ``stability`` fills the part ``stability`` of both, and ``promotion`` the part ``promotion``.
    """

    def standing(self) -> JsonObject:
        """Return the state after the latest tick; cheap, because it is asked for every frame."""
        ...
