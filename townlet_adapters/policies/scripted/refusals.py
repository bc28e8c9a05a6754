"""What the world would refuse, as far as the view shows it (docs/reference/view.md)."""

from typing import Final

from townlet_adapters.kernels.compiler import kernel
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
        return float(s.columns.resident_value[r.slot, index])
    if kind == _OBJECT:
        return float(s.columns.object_value[o, index])
    if kind == _PRICE:
        return float(due)
    if kind == _OCCUPIED:
        holder = s.columns.object_holder[o]
        return 1.0 if holder >= 0 and holder != r.slot else 0.0
    place = s.columns.home_place[r.slot] if kind == _AT_HOME else s.columns.duty_place[r.slot]
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
def refused(c: Chart, s: Scene, r: Record, o: int, a: int, due: int) -> bool:
    """Return whether a use is disabled or one of its preconditions does not hold."""
    if s.columns.refusal[r.slot, a] != 0 or s.columns.object_refusal[o, a] != 0:
        return True
    for k in range(c.conditions.shape[0]):
        row = c.conditions[k]
        if row.affordance != a:
            continue
        left = operand(c, s, r, o, row.left, row.left_index, 0.0, due)
        right = operand(c, s, r, o, row.right, row.right_index, row.right_value, due)
        if not compare(left, row.operator, right):
            return True
    return False


@kernel
def unserved(c: Chart, s: Scene, r: Record) -> int:
    """Return the needs that no use serves which this resident may start anywhere near, one bit each."""
    served = 0
    for a in range(c.uses.shape[0]):
        if c.uses[a].serves & ~served == 0 or s.columns.refusal[r.slot, a] != 0:
            continue
        for k in range(c.nearest.shape[3]):
            o = int(c.nearest[c.uses[a].type, r.y, r.x, k])
            if o < 0:
                break
            if s.columns.object_refusal[o, a] == 0:
                served |= c.uses[a].serves
                break
    return ~served
