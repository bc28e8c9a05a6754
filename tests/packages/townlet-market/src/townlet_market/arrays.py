"""Arrays as ports want them, from the standard library alone."""

from array import array
from collections.abc import Sequence


def view(code: str, values: Sequence[float], *shape: int) -> memoryview:
    """Give values as a read-only array of a shape."""
    return memoryview(array(code, values)).cast("B").cast(code, shape).toreadonly()
