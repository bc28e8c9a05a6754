"""Numbers of the agents, one for each slot, as a config names them."""

from array import array
from collections.abc import Sequence
from typing import Final

from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.spec import WorldSpec
from townlet_core.observers.facts import wrong
from townlet_core.suggestions import nearest

REWARD: Final = "reward"
"""Name of the reward that an agent got in the tick; every other name is a column of the view."""


class Numbers:
    """One number of each slot, read from the bytes that hold it, which cost next to nothing to copy."""

    def __init__(self, column: str, code: str, width: int = 1, at: int = 0) -> None:
        """Take the name of a column of the view, or ``reward``, and where in its rows the number is."""
        self._column, self._code, self._width, self._at = column, code, width, at

    def raw(self, outcome: StepOutcome) -> bytes:
        """Return the bytes that hold the numbers at the end of a tick; empty in a world without a view."""
        if self._column == REWARD:
            return outcome.reward.tobytes()
        view = outcome.observation.view
        return b"" if view is None else view.columns[self._column].tobytes()

    def read(self, raw: bytes) -> Sequence[float]:
        """Return the numbers in some bytes, slot by slot; in those of several ticks, tick by tick."""
        return array(self._code, raw)[self._at :: self._width]


def numbers_of(name: str, spec: WorldSpec, key: str) -> Numbers:
    """Return what reads a named number of each slot: ``reward``, ``COLUMN`` or ``COLUMN.NAME``.

    Args:
        name: its name. ``COLUMN.NAME`` is one of the numbers in a column that has one for each need, item,
            option or action.
        spec: the world.
        key: the key of the name, for errors.

    Raises:
        ConfigError: when such a world has no such number.
    """
    if name == REWARD:
        return Numbers(REWARD, "f")
    known = _names(spec)
    if name not in known:
        raise wrong(key, f"unknown value '{name}'", nearest(name, (REWARD, *known)))
    column, width, at = known[name]
    return Numbers(column, next(each.format for each in spec.view if each.name == column), width, at)


def column_of(name: str, spec: WorldSpec, key: str) -> str:
    """Return the name of a column with one number for each slot, after checking that there is one.

    Raises:
        ConfigError: when there is none.
    """
    known = [each.name for each in spec.view if each.axes == ("slots",)]
    if name not in known:
        raise wrong(key, f"unknown column '{name}' with a number for each agent", nearest(name, known))
    return name


def _names(spec: WorldSpec) -> dict[str, tuple[str, int, int]]:
    """Return the column, its width and the place in its row, by the name of each number."""
    axes = {
        "needs": [each.name for each in spec.needs],
        "items": [each.name for each in spec.items],
        "options": [each.name for each in spec.options],
        "actions": list(spec.action_names),
    }
    names: dict[str, tuple[str, int, int]] = {}
    for each in spec.view:
        if each.axes == ("slots",):
            names[each.name] = each.name, 1, 0
        elif len(each.axes) == len(("slots", "axis")) and each.axes[0] == "slots" and each.axes[1] in axes:
            inner = axes[each.axes[1]]
            names |= {f"{each.name}.{name}": (each.name, len(inner), at) for at, name in enumerate(inner)}
    return names
