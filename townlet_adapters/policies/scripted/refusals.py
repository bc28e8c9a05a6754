"""What the world would refuse, as far as the view shows it (docs/reference/view.md)."""

from typing import Final

from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.policies.scripted.columns import Chart, Scene

OPERATORS: Final = ("==", "!=", "<", "<=", ">", ">=")
OPERANDS: Final = ("constant", "resident", "object", "price", "occupied", "at_home", "on_shift")
_CONSTANT, _RESIDENT, _OBJECT, _PRICE, _OCCUPIED, _AT_HOME = 0, 1, 2, 3, 4, 5


@kernel
def operand(c: Chart, s: Scene, r: Record, o: int, kind: int, index: int, constant: float, due: int) -> float:
    """Return the value of one side of a condition for a resident at an object; ``due`` is the price."""
    if kind == _CONSTANT:
        return constant
    if kind == _RESIDENT:
        return float(s.resident_value[r.slot, index])
    if kind == _OBJECT:
        return float(s.object_value[o, index])
    if kind == _PRICE:
        return float(due)
    if kind == _OCCUPIED:
        holder = s.things[o].holder
        return 1.0 if holder >= 0 and holder != r.slot else 0.0
    place = r.home_place if kind == _AT_HOME else r.duty_place
    return 1.0 if place == c.object_place[o] else 0.0


@kernel
def compare(left: float, operator: int, right: float) -> bool:
    """Apply one of the ``OPERATORS``."""
    if operator == 0:
        return left == right
    if operator == 1:
        return left != right
    if operator == 2:
        return left < right
    if operator == 3:
        return left <= right
    if operator == 4:
        return left > right
    return left >= right


@kernel
def breaks_condition(c: Chart, s: Scene, r: Record, o: int, a: int, due: int) -> bool:
    """Return whether a precondition about resident and object together does not hold."""
    for k in range(c.conditions.shape[0]):
        row = c.conditions[k]
        if row.affordance != a:
            continue
        left = operand(c, s, r, o, row.left, row.left_index, 0.0, due)
        right = operand(c, s, r, o, row.right, row.right_index, row.right_value, due)
        if not compare(left, row.operator, right):
            return True
    return False


@inlined
def refused(c: Chart, s: Scene, r: Record, o: int, a: int, due: int) -> bool:
    """Return whether a use is disabled or one of its preconditions does not hold."""
    if s.refusal[r.slot, a] != 0 or s.object_refusal[o, a] != 0:
        return True
    return c.conditions.shape[0] > 0 and breaks_condition(c, s, r, o, a, due)


@kernel
def unserved(c: Chart, s: Scene, r: Record) -> int:
    """Return the needs that no use serves which this resident may start anywhere near, one bit each."""
    served = 0
    for a in range(c.uses.shape[0]):
        if c.uses[a].serves & ~served == 0 or s.refusal[r.slot, a] != 0:
            continue
        for k in range(c.nearest.shape[3]):
            o = int(c.nearest[c.uses[a].type, r.y, r.x, k])
            if o < 0:
                break
            if s.object_refusal[o, a] == 0:
                served |= c.uses[a].serves
                break
    return ~served
