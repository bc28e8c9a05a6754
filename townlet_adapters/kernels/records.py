"""Arrays of records: in a kernel, a resident is one pointer to adjacent fields (ADR 0007)."""

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

Record: TypeAlias = Any
"""One row of an array of records, inside kernels only, since numpy's stubs cannot type its fields."""
Records: TypeAlias = npt.NDArray[np.record]


def record(*fields: tuple[str, str] | tuple[str, str, tuple[int, ...]]) -> np.dtype[np.record]:
    """Return an aligned record type whose fields can be read as attributes, compiled or not."""
    plain = np.dtype(list(fields), align=True)
    return cast("np.dtype[np.record]", np.dtype((np.record, plain)))


def outline(arrays: Sequence[npt.NDArray[np.generic]]) -> str:
    """Return a named tuple of arrays as one line: its name, and how many arrays and bytes it has."""
    size = sum(array.nbytes for array in arrays)
    return f"{type(arrays).__name__}({len(arrays)} arrays, {size:,} bytes)"
