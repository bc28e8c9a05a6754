"""The contract of views: a view is what its world's spec describes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from townlet_core.dto.observation import View
from townlet_core.dto.spec import ColumnSpec, WorldSpec
from townlet_core.testing.contracts.arrays import ArrayRule, require

_DTYPES: Final = {
    "B": "uint8",
    "b": "int8",
    "h": "int16",
    "i": "int32",
    "q": "int64",
    "f": "float32",
    "d": "float64",
}


def check_descriptions(spec: WorldSpec) -> None:
    """Check the descriptions of constants and columns before the first tick.

    Raises:
        ContractError: when they are not complete or not clear.
    """
    described = (*spec.constants, *spec.view)
    names = [each.name for each in described]
    require(len(set(names)) == len(names), f"spec describes an array twice: {', '.join(names)}")
    require(
        not spec.constants or spec.view,
        "spec.constants describes arrays, but spec.view none: a world without columns has no view",
    )
    for each in described:
        texts = each.format == "" and each in spec.constants and len(each.axes) == 1
        require(
            texts or each.format in _DTYPES,
            f"spec describes '{each.name}' with format '{each.format}'; allowed: one of "
            f"{' '.join(_DTYPES)}, or nothing for a constant tuple of texts with one axis",
        )


def check_view(view: View | None, spec: WorldSpec) -> None:
    """Check that a view has exactly the described arrays, each with its format and shape, read-only.

    Raises:
        ContractError: when it does not.
    """
    require(
        (view is not None) == bool(spec.view),
        f"spec.view describes {len(spec.view)} columns, so observation.view must "
        f"{'be set' if spec.view else 'be None'}; policies rely on the spec",
    )
    if view is None:
        return
    lengths = _Lengths(spec)
    for what, described, found in (
        ("constants", spec.constants, view.constants),
        ("columns", spec.view, view.columns),
    ):
        wanted = [each.name for each in described]
        require(
            sorted(found) == sorted(wanted),
            f"view.{what} has {', '.join(sorted(found)) or 'nothing'}; "
            f"the spec describes {', '.join(sorted(wanted)) or 'nothing'}",
        )
        for each in described:
            _check_array(f"view.{what}['{each.name}']", each, found[each.name], lengths)


@dataclass(slots=True)
class _Lengths:
    """The lengths of the axes: those that the spec says, and all others as they are found first."""

    spec: WorldSpec
    known: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spec = self.spec
        told: Mapping[str, int] = {
            "slots": spec.capacity,
            "needs": len(spec.needs),
            "items": len(spec.items),
            "options": len(spec.options),
            "actions": len(spec.action_names),
            "fields": len(spec.fields),
        }
        self.known = {axis: (length, "the spec") for axis, length in told.items()}

    def of(self, axis: str, found: int, name: str) -> int:
        """Return the length that an axis must have; the first array with an axis sets it."""
        return self.known.setdefault(axis, (found, name))[0]

    def source(self, axis: str) -> str:
        """Return what set the length of an axis."""
        return self.known[axis][1]


def _check_array(name: str, described: ColumnSpec, found: object, lengths: _Lengths) -> None:
    if described.format == "":
        texts = isinstance(found, tuple) and all(isinstance(each, str) for each in found)
        require(texts, f"{name} must be a tuple of texts, as the spec describes it")
        shape: tuple[int, ...] = (len(found),) if isinstance(found, tuple) else ()
    else:
        shape = (found.shape or ()) if isinstance(found, memoryview) else ()
        ArrayRule(_DTYPES[described.format], shape).check(name, found)
    require(
        len(shape) == len(described.axes),
        f"{name} has {len(shape)} dimensions; the spec describes {len(described.axes)}: "
        f"{', '.join(described.axes)}",
    )
    for axis, length in zip(described.axes, shape, strict=True):
        wanted = lengths.of(axis, length, name)
        require(
            length == wanted,
            f"{name} has {length} along '{axis}'; {lengths.source(axis)} says {wanted}",
        )
