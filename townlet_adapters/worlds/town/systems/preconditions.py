"""Evaluates a manifest's preconditions (domain.md, section 8.1)."""

from townlet_adapters.kernels.clock import day_of, time_of_day
from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    LATE,
    NAME_AT_HOME,
    NAME_ATTENDANCE_RATIO,
    NAME_CLOSED,
    NAME_DAY,
    NAME_HAS_JOB,
    NAME_INVENTORY,
    NAME_LATENESS_COUNTER,
    NAME_NEED,
    NAME_OCCUPIED,
    NAME_ON_SHIFT,
    NAME_PLACE_KIND,
    NAME_POWER_ON,
    NAME_PRICE,
    NAME_QUEUE_LENGTH,
    NAME_RENT_OWED,
    NAME_SHIFT_STATE,
    NAME_STOCK,
    NAME_TOD,
    NAME_WALLET,
    NAME_WATER_ON,
    ON_TIME,
    OP_EQ,
    OP_GE,
    OP_GT,
    OP_LE,
    OP_LT,
    POWER,
    WATER,
)
from townlet_adapters.worlds.town.compiled.state import TownState
from townlet_adapters.worlds.town.compiled.tables import Tables


@inlined
def is_on_shift(t: Tables, r: Record) -> bool:
    """Present at the workplace within the shift."""
    if r.job < 0 or (r.shift_state != ON_TIME and r.shift_state != LATE):
        return False
    return t.place_at[r.y, r.x] == t.jobs[r.job].place


@kernel
def read_resident(t: Tables, r: Record, name: int) -> float:
    """Read a name that belongs to the resident."""
    if name >= NAME_INVENTORY:
        return r.inventory[name - NAME_INVENTORY]
    if name >= NAME_NEED:
        return r.need[name - NAME_NEED]
    if name == NAME_WALLET:
        return r.wallet
    if name == NAME_LATENESS_COUNTER:
        return r.lateness_counter
    if name == NAME_ATTENDANCE_RATIO:
        return r.attendance
    if name == NAME_RENT_OWED:
        return r.rent_owed
    if name == NAME_ON_SHIFT:
        return 1.0 if is_on_shift(t, r) else 0.0
    if name == NAME_HAS_JOB:
        return 1.0 if r.job >= 0 else 0.0
    if name == NAME_AT_HOME:
        return 1.0 if t.place_at[r.y, r.x] == t.homes[r.home].place else 0.0
    if name == NAME_SHIFT_STATE:
        return r.shift_state
    return r.profile  # the last name, NAME_PROFILE


@kernel
def read_name(t: Tables, s: TownState, b: int, i: int, o: int, due: int, now: int, name: int) -> float:
    """Read a name's value for a resident at an object; texts are read as their numbers."""
    used = s.objects[b, o]
    district = s.districts[b, t.objects[o].district]
    if name == NAME_PRICE:
        return due
    if name == NAME_TOD:
        return time_of_day(now, t.params[0].start_tod)
    if name == NAME_DAY:
        return day_of(now, t.params[0].start_tod)
    if name == NAME_QUEUE_LENGTH:
        return used.queue_length
    if name >= NAME_STOCK:
        return used.stock[name - NAME_STOCK]
    if name == NAME_POWER_ON:
        return district.utility[POWER]
    if name == NAME_WATER_ON:
        return district.utility[WATER]
    if name == NAME_CLOSED:
        return 1.0 if used.closed else 0.0
    if name == NAME_OCCUPIED:
        return 1.0 if used.holder >= 0 and used.holder != i else 0.0
    if name == NAME_PLACE_KIND:
        return t.objects[o].kind
    return read_resident(t, s.residents[b, i], name)


@inlined
def compare(left: float, op: int, right: float) -> bool:
    """Apply one operator."""
    if op == OP_EQ:
        return left == right
    if op == OP_LT:
        return left < right
    if op == OP_LE:
        return left <= right
    if op == OP_GT:
        return left > right
    if op == OP_GE:
        return left >= right
    return left != right


@inlined
def hold_true(
    t: Tables, s: TownState, b: int, i: int, o: int, due: int, now: int, first: int, count: int
) -> bool:
    """Return whether some conditions of an affordance hold; ``due`` is its price in mills."""
    for k in range(first, first + count):
        condition = t.conditions[k]
        left = condition.left_value
        if condition.left >= 0:
            left = read_name(t, s, b, i, o, due, now, condition.left)
        right = condition.right_value
        if condition.right >= 0:
            right = read_name(t, s, b, i, o, due, now, condition.right)
        if not compare(left, condition.op, right):
            return False
    return True
