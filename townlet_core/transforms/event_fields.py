"""The fields of event classes, in the form that transforms need."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Final, NamedTuple, TypeVar, get_args, get_origin

from townlet_core.dto.frame import TownFrame
from townlet_core.records import Hint, field_hints, union_members

_RecordT = TypeVar("_RecordT")

NUMBERS: Final = frozenset({bool, int, float, type(None)})
"""Types of values that identify nothing. Checked first: most values of a frame are numbers."""

_SECTIONS: Final = tuple(field.name for field in fields(TownFrame) if field.name != "tick")


class Field(NamedTuple):
    """One field of a dataclass.

    Attributes:
        name: name of the attribute.
        json_name: name in JSON.
        hint: its type.
        nests: whether its values may hold other named fields.
    """

    name: str
    json_name: str
    hint: Hint
    nests: bool


@cache
def layout_of(record_type: type) -> tuple[Field, ...]:
    """Return the fields of a dataclass, in order."""
    if not is_dataclass(record_type):
        raise TypeError(f"{record_type.__qualname__} is not a dataclass")
    names = (field.name for field in fields(record_type))
    hints = field_hints(record_type).items()
    return tuple(Field(name, key, hint, _nests(hint)) for name, (key, hint) in zip(names, hints, strict=True))


def sections_of(frame: TownFrame) -> dict[str, Mapping[str, object]]:
    """Return the sections of a frame by name."""
    return {name: getattr(frame, name) for name in _SECTIONS}


def with_values(record: _RecordT, values: Mapping[str, object]) -> _RecordT:
    """Copy a dataclass instance with other values; without any, return the instance itself."""
    # ``replace`` is typed for dataclass instances; ``layout_of`` has checked that this is one.
    return replace(record, **values) if values else record  # type: ignore[type-var]  # as above


def _nests(hint: Hint) -> bool:
    """Return whether values of a type may hold named fields."""
    members = union_members(hint)
    if len(members) > 1:
        return any(map(_nests, members))
    if hint is str or hint in NUMBERS:
        return False
    if get_origin(hint) in {tuple, list, Sequence}:
        return any(_nests(item) for item in get_args(hint) if item is not Ellipsis)
    return hint is object or is_dataclass(hint) or get_origin(hint) in {Mapping, dict}
