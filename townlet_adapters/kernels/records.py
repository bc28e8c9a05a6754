"""Arrays of records: a resident is one pointer in a kernel, and its fields lie together in memory."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Record: TypeAlias = Any
"""One row of an array of records, inside kernels only: numpy's stubs cannot type its fields."""
Records: TypeAlias = npt.NDArray[np.void]


def record(*fields: tuple[str, str] | tuple[str, str, tuple[int, ...]]) -> np.dtype[np.void]:
    """Make an aligned record type whose fields can be read as attributes, compiled or not."""
    plain = np.dtype(list(fields), align=True)
    return np.dtype((np.record, plain))
