"""How often residents switch options."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from townlet_core.jsonvalue import JsonObject

_NONE: Final = -1


@dataclass(slots=True)
class OptionTally:
    """Switches between options; an interval without an option is not a switch.

    Attributes:
        last: the last option of each slot's occupant, -1 before the first.
        switches: changes from one option to another so far.
    """

    last: list[int] = field(default_factory=list)
    switches: int = 0

    @classmethod
    def sized(cls, capacity: int) -> "OptionTally":
        """Start empty, with that many slots."""
        return cls(last=[_NONE] * capacity)

    def welcome(self, slot: int) -> None:
        """Reset a slot for a new occupant."""
        self.last[slot] = _NONE

    def see(self, living: Sequence[int], chosen: Sequence[int], options: int) -> None:
        """Add one instant: the number of each slot's option, of so many that the world names."""
        for slot in living:
            option = chosen[slot]
            if 0 <= option < options:
                self.switches += self.last[slot] not in (_NONE, option)
                self.last[slot] = option

    def kpis(self, agent_ticks: int) -> JsonObject:
        """Return the number of switches and their rate."""
        if not agent_ticks:
            return {}
        return {"option_switches": self.switches, "option_switch_rate": self.switches / agent_ticks}
