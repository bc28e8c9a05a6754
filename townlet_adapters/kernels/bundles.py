"""Named tuples of arrays that kernels take as one argument (ADR 0023).

numba passes a named tuple from kernel to kernel as one argument for each number in it: seven or more for each
of the sixty arrays of a town. Most of the time to compile went into taking them apart and putting them
together again. A bundle is one pointer.
"""

import hashlib
from typing import Any, TypeAlias, TypeVar

from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import NativeValue, register_model, typeof_impl, unbox

B = TypeVar("B", bound=type[tuple[object, ...]])

_Numba: TypeAlias = Any
"""An object of numba or llvmlite, which carry no types."""


class BundleType(types.Type):  # type: ignore[misc]  # numba carries no types
    """The type of a bundle in kernels: its class, and the types of its fields."""

    def __init__(self, kind: type, members: tuple[types.Type, ...]) -> None:
        self.types = dict(zip(kind._fields, members, strict=True))  # type: ignore[attr-defined]  # a named tuple
        content = hashlib.sha256(", ".join(map(str, members)).encode()).hexdigest()[:16]
        # Short, because it is a part of the name of every kernel that takes one.
        super().__init__(f"{kind.__name__}_{content}")

    def place_of(self, name: str) -> int:
        """Return the number of a field."""
        return list(self.types).index(name)


def bundle(kind: B) -> B:
    """Decorate a named tuple of arrays that Python makes, and whose fields kernels read.

    Kernels do not make one, and an entry kernel cannot return one. Fields are arrays, numbers and other
    bundles.
    """

    @typeof_impl.register(kind)  # type: ignore[untyped-decorator]  # numba carries no types
    def type_of(value: _Numba, context: _Numba) -> BundleType:
        return BundleType(kind, tuple(typeof_impl(field, context) for field in value))

    return kind


@register_model(BundleType)
class _Model(models.PrimitiveModel):  # type: ignore[misc]  # numba carries no types
    """A pointer to the fields, which do not change during a call from Python."""

    def __init__(self, manager: _Numba, own: BundleType) -> None:
        fields = manager.lookup(types.Tuple(tuple(own.types.values())))
        super().__init__(manager, own, fields.get_value_type().as_pointer())


@infer_getattr
class _Fields(AttributeTemplate):  # type: ignore[misc]  # numba carries no types
    key = BundleType

    def generic_resolve(self, own: BundleType, name: str) -> types.Type | None:
        """Return the type of a field, None when there is none of the name."""
        return own.types.get(name)


@lower_getattr_generic(BundleType)  # type: ignore[untyped-decorator]  # numba carries no types
def _read(_context: _Numba, builder: _Numba, own: BundleType, pointer: _Numba, name: str) -> _Numba:
    """Read a field; LLVM may take it for constant and read it once."""
    field = builder.load(cgutils.gep_inbounds(builder, pointer, 0, own.place_of(name)))
    field.set_metadata("invariant.load", builder.module.add_metadata([]))
    return field


@unbox(BundleType)  # type: ignore[untyped-decorator]  # numba carries no types
def _write(own: BundleType, given: _Numba, c: _Numba) -> NativeValue:
    """Write the fields to the stack of the wrapper that Python calls."""
    pointer = cgutils.alloca_once(c.builder, c.context.get_value_type(own).pointee)
    failed = cgutils.alloca_once_value(c.builder, cgutils.false_bit)
    for place, kind in enumerate(own.types.values()):
        field = c.unbox(kind, c.pyapi.tuple_getitem(given, place))
        c.builder.store(field.value, cgutils.gep_inbounds(c.builder, pointer, 0, place))
        with c.builder.if_then(field.is_error, likely=False):
            c.builder.store(cgutils.true_bit, failed)
    return NativeValue(pointer, is_error=c.builder.load(failed))
