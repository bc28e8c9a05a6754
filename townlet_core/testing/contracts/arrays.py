"""The rules for arrays that cross a port."""

from dataclasses import dataclass
from typing import Final

from townlet_core.errors import ContractError

_FORMATS: Final = {
    "uint8": ("B", 1),
    "int8": ("b", 1),
    "int16": ("h", 2),
    "int32": ("il", 4),
    "int64": ("lq", 8),
    "float32": ("f", 4),
    "float64": ("d", 8),
}


@dataclass(frozen=True, slots=True)
class ArrayRule:
    """Shape and type of one array.

    Attributes:
        dtype: numpy's name of the element type.
        shape: expected shape.
    """

    dtype: str
    shape: tuple[int, ...]

    def check(self, name: str, value: object) -> memoryview:
        """Return the array when it obeys the rule.

        Raises:
            ContractError: when it does not; the message names the probable cause.
        """
        if not isinstance(value, memoryview):
            raise ContractError(f"{name} is a {type(value).__name__}; return memoryview(array).toreadonly()")
        formats, size = _FORMATS[self.dtype]
        if value.format not in formats or value.itemsize != size:
            raise ContractError(
                f"{name} has format '{value.format}' ({value.itemsize} bytes); it must be {self.dtype}"
            )
        if value.shape != self.shape:
            raise ContractError(f"{name} has shape {value.shape}; it must be {self.shape}, one row per slot")
        if not value.readonly:
            raise ContractError(f"{name} is writable; add .toreadonly()")
        if not value.c_contiguous:
            raise ContractError(f"{name} is not C-contiguous; copy it into a separate array")
        return value


def require(condition: object, message: str) -> None:
    """Raise a ``ContractError`` with the message unless the condition holds."""
    if not condition:
        raise ContractError(message)
