"""What may be demanded of an array that crosses a port."""

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
        dtype: name of the element type, as numpy spells it.
        shape: expected shape.
    """

    dtype: str
    shape: tuple[int, ...]

    def check(self, name: str, value: object) -> memoryview:
        """Give the array when it obeys.

        Raises:
            ContractError: when it does not; the message says what its author probably forgot.
        """
        if not isinstance(value, memoryview):
            raise ContractError(
                f"{name} is a {type(value).__name__}; hand out memoryview(array).toreadonly()"
            )
        formats, size = _FORMATS[self.dtype]
        if value.format not in formats or value.itemsize != size:
            raise ContractError(
                f"{name} has format '{value.format}' ({value.itemsize} bytes), not {self.dtype}"
            )
        if value.shape != self.shape:
            raise ContractError(
                f"{name} has shape {value.shape}, not {self.shape}; one row stands for one slot"
            )
        if not value.readonly:
            raise ContractError(f"{name} can be written to; add .toreadonly()")
        if not value.c_contiguous:
            raise ContractError(f"{name} is not C-contiguous; copy it into an array of its own")
        return value


def require(condition: object, message: str) -> None:
    """Raise a ``ContractError`` with the message unless the condition holds."""
    if not condition:
        raise ContractError(message)
