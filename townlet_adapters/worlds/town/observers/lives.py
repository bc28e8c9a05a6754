"""Who came to live in town after its start, and who left, by reason."""

from dataclasses import dataclass, field
from typing import Final

from townlet_adapters.worlds.town.events.lifecycle import LifecycleArrive, LifecycleExit
from townlet_core.events.base import Event
from townlet_core.jsonvalue import JsonObject

_START: Final = "start"


@dataclass(slots=True)
class LifeTally:
    """Counts over arrivals and exits.

    Attributes:
        arrivals: residents that came after the start.
        exits: residents that left, by reason.
    """

    arrivals: int = 0
    exits: dict[str, int] = field(default_factory=dict)

    def see(self, event: Event) -> None:
        """Add one event; events of other kinds are ignored."""
        match event:
            case LifecycleArrive():
                self.arrivals += event.reason != _START
            case LifecycleExit():
                self.exits[event.reason] = self.exits.get(event.reason, 0) + 1

    def kpis(self) -> JsonObject:
        """Return the counts."""
        return {"arrivals": self.arrivals, "exits": dict(sorted(self.exits.items()))}
