"""Why a use may be refused, for the view: each precondition is about the resident, the object or both.

A condition on the resident or the time alone is evaluated once per resident, one on the object alone once
per object. What compares the two, or reads the price, is a row of the table ``condition_*`` of the view's
constants: a policy evaluates it for the pairs that it considers, with the few values that the view shows.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.bundles import bundle
from townlet_adapters.kernels.records import Records, record
from townlet_adapters.worlds.town.codes import (
    NAME_AT_HOME,
    NAME_CLOSED,
    NAME_OCCUPIED,
    NAME_ON_SHIFT,
    NAME_PLACE_KIND,
    NAME_POWER_ON,
    NAME_PRICE,
    NAME_QUEUE_LENGTH,
    NAME_STOCK,
    NAME_WATER_ON,
    OPERATORS,
)
from townlet_adapters.worlds.town.compiled.tables import CONDITION
from townlet_adapters.worlds.town.inputs.manifest import Affordance, Condition, Constant, Name

ALLOWED, DISABLED, PRECONDITION = 0, 1, 2
"""The values of ``refusal`` and ``object_refusal``."""

CONSTANT, RESIDENT, OBJECT = "constant", "resident", "object"
_PAIRS: Final[Mapping[int, str]] = {
    NAME_PRICE: "price",
    NAME_OCCUPIED: "occupied",
    NAME_AT_HOME: "at_home",
    NAME_ON_SHIFT: "on_shift",
}
"""Names that depend on the resident and the object; at an object, one is where the object is."""
_OF_OBJECTS: Final = frozenset(
    {NAME_QUEUE_LENGTH, NAME_POWER_ON, NAME_WATER_ON, NAME_CLOSED, NAME_PLACE_KIND}
)

LIMIT = record(("affordance", "i8"), ("first", "i8"), ("end", "i8"))
"""An affordance and the range of those of its conditions that are about the same side."""


@bundle
class Limits(NamedTuple):
    """The preconditions of a manifest, sorted by what they are about.

    Attributes:
        conditions: CONDITION[...].
        by_resident: LIMIT[...], enabled affordances with conditions on the resident or the time alone.
        by_object: LIMIT[...], enabled affordances with conditions on the object alone.
        resident_values: int64[...], names of the resident's values that other conditions read.
        object_values: int64[...], names of the object's values that other conditions read.
        disabled: int64[...], affordances that the config disables.
    """

    conditions: Records
    by_resident: Records
    by_object: Records
    resident_values: npt.NDArray[np.int64]
    object_values: npt.NDArray[np.int64]
    disabled: npt.NDArray[np.int64]


def side_of(operand: Name | Constant) -> str:
    """Return what an operand is about: the resident, the object, both of them, or neither."""
    if isinstance(operand, Constant):
        return CONSTANT
    if operand.code in _PAIRS:
        return _PAIRS[operand.code]
    return OBJECT if operand.code in _OF_OBJECTS or operand.code >= NAME_STOCK else RESIDENT


def _sides(condition: Condition) -> set[str]:
    return {side_of(condition.lhs), side_of(condition.rhs)} - {CONSTANT}


def _mixed(affordances: Iterable[Affordance]) -> list[tuple[int, Condition]]:
    """List the conditions on both sides, with the numbers of their affordances."""
    return [
        (a, condition)
        for a, affordance in enumerate(affordances)
        for condition in affordance.preconditions
        if _sides(condition) not in ({RESIDENT}, {OBJECT})
    ]


def _values(affordances: tuple[Affordance, ...], side: str) -> list[Name]:
    """List the names of one side that conditions on both sides read."""
    operands = [each for _, condition in _mixed(affordances) for each in (condition.lhs, condition.rhs)]
    named = {each.code: each for each in operands if isinstance(each, Name) and side_of(each) == side}
    return [named[code] for code in sorted(named)]


def compile_limits(
    affordances: tuple[Affordance, ...],
    compile_condition: Callable[[Condition], tuple[float, float, int, int, int]],
) -> Limits:
    """Sort the preconditions of a manifest.

    Args:
        affordances: the affordances of the manifest.
        compile_condition: returns a condition as a CONDITION.
    """
    conditions: list[tuple[float, float, int, int, int]] = []
    limits: dict[str, list[tuple[int, int, int]]] = {RESIDENT: [], OBJECT: []}
    for a, affordance in enumerate(affordances):
        for side, rows in limits.items():
            first = len(conditions)
            conditions += [
                compile_condition(each) for each in affordance.preconditions if _sides(each) == {side}
            ]
            if affordance.enabled and len(conditions) > first:
                rows.append((a, first, len(conditions)))
    return Limits(
        conditions=np.array(conditions, CONDITION),
        by_resident=np.array(limits[RESIDENT], LIMIT),
        by_object=np.array(limits[OBJECT], LIMIT),
        resident_values=np.array([name.code for name in _values(affordances, RESIDENT)], np.int64),
        object_values=np.array([name.code for name in _values(affordances, OBJECT)], np.int64),
        disabled=np.array([a for a, each in enumerate(affordances) if not each.enabled], np.int64),
    )


def mixed_constants(
    affordances: tuple[Affordance, ...],
) -> dict[str, npt.NDArray[np.generic] | tuple[str, ...]]:
    """Return the table of the conditions on both sides, as the view's constants describe it."""
    rows = _mixed(affordances)
    shown = {side: _values(affordances, side) for side in (RESIDENT, OBJECT)}

    def index(operand: Name | Constant) -> int:
        names = shown.get(side_of(operand), [])
        return names.index(operand) if isinstance(operand, Name) and operand in names else -1

    return {
        "resident_values": tuple(name.name for name in shown[RESIDENT]),
        "object_values": tuple(name.name for name in shown[OBJECT]),
        "operators": OPERATORS,
        "condition_affordance": np.array([a for a, _ in rows], np.int64),
        "condition_operator": np.array([OPERATORS.index(each.op) for _, each in rows], np.int64),
        "condition_left": tuple(side_of(each.lhs) for _, each in rows),
        "condition_left_index": np.array([index(each.lhs) for _, each in rows], np.int64),
        "condition_right": tuple(side_of(each.rhs) for _, each in rows),
        "condition_right_index": np.array([index(each.rhs) for _, each in rows], np.int64),
        "condition_right_value": np.array(
            [each.rhs.code if isinstance(each.rhs, Constant) else 0.0 for _, each in rows], np.float64
        ),
    }
