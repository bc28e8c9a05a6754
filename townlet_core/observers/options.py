"""How often residents switch options, read from the option columns of the features."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from townlet_core.jsonvalue import JsonObject

OPTION_PREFIX: Final = "option_"
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
    def for_slots(cls, capacity: int) -> "OptionTally":
        """Start empty, with that many slots."""
        return cls(last=[_NONE] * capacity)

    def welcome(self, slot: int) -> None:
        """Reset a slot for a new occupant."""
        self.last[slot] = _NONE

    def see(self, living: Sequence[int], columns: "Sequence[memoryview[float]]") -> None:
        """Add one instant: a one-hot column for each option, a row for each slot."""
        chosen = [_NONE] * len(self.last)
        for option, column in enumerate(columns):
            for slot, flag in enumerate(column.tolist()):
                if flag:
                    chosen[slot] = option
        for slot in living:
            if chosen[slot] != _NONE:
                self.switches += self.last[slot] not in (_NONE, chosen[slot])
                self.last[slot] = chosen[slot]

    def kpis(self, agent_ticks: int) -> JsonObject:
        """Return the number of switches and their rate."""
        if not agent_ticks:
            return {}
        return {"option_switches": self.switches, "option_switch_rate": self.switches / agent_ticks}
