"""Evaluates for the view which uses are refused to a resident and at an object, apart from pairs of both."""

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.clock import day_of, time_of_day
from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    LATE,
    NAME_DAY,
    NAME_INVENTORY,
    NAME_NEED,
    NAME_TOD,
    NOBODY,
    ON_TIME,
)
from townlet_adapters.worlds.town.compiled.limits import ALLOWED, PRECONDITION, Limits
from townlet_adapters.worlds.town.compiled.state import TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems.preconditions import compare, read_name, read_resident


@inlined
def read_own(t: Tables, r: Record, now: int, name: int) -> float:
    """Read a name that belongs to the resident or the time; most preconditions are on a need."""
    if NAME_NEED <= name < NAME_INVENTORY:
        return r.need[name - NAME_NEED]
    if name == NAME_TOD:
        return time_of_day(now, t.params[0].start_tod)
    if name == NAME_DAY:
        return day_of(now, t.params[0].start_tod)
    return read_resident(t, r, name)


@kernel
def read_objects(t: Tables, s: TownState, b: int, o: int, name: int) -> float:
    """Read a name that belongs to the object; ``read_name`` looks at no resident for it."""
    return read_name(t, s, b, 0, o, 0, 0, name)


@inlined
def refuse_resident(t: Tables, limits: Limits, r: Record, now: int, refusal: npt.NDArray[np.uint8]) -> None:
    """Write what is refused to a resident; what is disabled keeps its number."""
    for k in range(limits.by_resident.shape[0]):
        limit = limits.by_resident[k]
        result = ALLOWED
        for number in range(limit.first, limit.end):
            condition = limits.conditions[number]
            right = condition.right_value
            if condition.right >= 0:
                right = read_own(t, r, now, condition.right)
            if not compare(read_own(t, r, now, condition.left), condition.op, right):
                result = PRECONDITION
        refusal[limit.affordance] = result


@inlined
def refuse_at_object(
    t: Tables, s: TownState, limits: Limits, b: int, o: int, refusal: npt.NDArray[np.uint8]
) -> None:
    """Write what is refused at an object."""
    for k in range(limits.by_object.shape[0]):
        limit = limits.by_object[k]
        if t.affordances[limit.affordance].type != t.objects[o].type:
            continue
        result = ALLOWED
        for number in range(limit.first, limit.end):
            condition = limits.conditions[number]
            right = condition.right_value
            if condition.right >= 0:
                right = read_objects(t, s, b, o, condition.right)
            if not compare(read_objects(t, s, b, o, condition.left), condition.op, right):
                result = PRECONDITION
        refusal[limit.affordance] = result


@inlined
def place_on_duty(t: Tables, r: Record) -> int:
    """Return the place where a resident would be on shift now; -1 outside of its shift."""
    if r.job < 0 or (r.shift_state != ON_TIME and r.shift_state != LATE):
        return NOBODY
    return int(t.jobs[r.job].place)
