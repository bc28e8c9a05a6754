"""Conversion between dataclasses and JSON values: one compiled accessor per class, and a strict reader."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from operator import attrgetter
from types import NoneType, UnionType
from typing import Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from townlet_core.jsonvalue import JsonValue

Hint: TypeAlias = object
"""A type as ``get_type_hints`` returns it."""

_Accessor: TypeAlias = Callable[[object], dict[str, JsonValue]]
_Converter: TypeAlias = Callable[[object], JsonValue]

_RecordT = TypeVar("_RecordT")

_ACCESSORS: dict[type, _Accessor] = {}
"""The accessors compiled so far; each is a pure function of its class, so the order does not matter."""

# The aliases of jsonvalue.py are texts that only their own module can evaluate. Below a JSON value any
# type is allowed, so the recursion ends here.
_LOCAL_NAMES: dict[str, object] = {"JsonValue": object, "Mapping": Mapping, "Sequence": Sequence}


def record_to_json(record: object) -> dict[str, JsonValue]:
    """Convert a dataclass instance to a new JSON object, fields in order.

    Nested dataclasses and mappings become objects; tuples stay tuples, which JSON writes as arrays, and
    lists are copied. A field whose name is a Python keyword has a trailing underscore, which its JSON name
    lacks (``from_``: ``from``).

    Raises:
        RecursionError: when a field of any JSON value has more levels than Python's recursion limit.
    """
    record_type = type(record)
    accessor = _ACCESSORS.get(record_type)
    if accessor is None:
        accessor = _ACCESSORS[record_type] = _accessor(record_type)
    return accessor(record)


def copied_json(value: JsonValue) -> JsonValue:
    """Copy a JSON value of unknown depth into objects and tuples.

    Python's recursion limit bounds the depth here; JSON writers that are not written in Python may lack one.

    Raises:
        RecursionError: when it has more levels than Python's recursion limit.
    """
    if isinstance(value, Mapping):
        return {key: copied_json(item) for key, item in value.items()}
    return tuple(map(copied_json, value)) if isinstance(value, (tuple, list)) else value


def record_from_json(record_type: type[_RecordT], value: JsonValue) -> _RecordT:
    """Build a dataclass instance from the result of ``record_to_json``, also after a round trip through JSON.

    Raises:
        ValueError: when the value does not fit the fields' types exactly; the message says where.
    """
    return cast("_RecordT", _read(record_type, value, record_type.__qualname__))


def field_hints(record_type: type) -> dict[str, Hint]:
    """Return the fields of a dataclass by their JSON names, with their types resolved."""
    hints = get_type_hints(record_type, localns=_LOCAL_NAMES)
    return {_json_name(field.name): hints[field.name] for field in _fields(record_type)}


def attribute_names(record_type: type) -> dict[str, str]:
    """Return the attributes of a dataclass by the JSON names of their fields."""
    return {_json_name(field.name): field.name for field in _fields(record_type)}


def union_members(hint: Hint) -> tuple[Hint, ...]:
    """Return the alternatives of a union; a hint that is not a union is the only one."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fields(record_type: type) -> tuple[Field[object], ...]:
    if not is_dataclass(record_type):
        raise TypeError(f"{record_type.__qualname__} is not a dataclass")
    return fields(record_type)


def _json_name(name: str) -> str:
    return name.removesuffix("_")


def _accessor(record_type: type) -> _Accessor:
    """Compile the conversion from an instance of one class to its JSON object."""
    names = [field.name for field in _fields(record_type)]
    keys = tuple(_json_name(name) for name in names)
    converters = [
        (key, converter)
        for key, hint in field_hints(record_type).items()
        if (converter := _converter(hint)) is not None
    ]
    read = _reader(names)
    # Keys and values come from the same names; checking that with `strict` would add half of the cost.
    if not converters:
        return lambda record: dict(zip(keys, read(record)))  # noqa: B905 - see above

    def convert(record: object) -> dict[str, JsonValue]:
        data = dict(zip(keys, read(record)))  # noqa: B905 - see above
        for key, converter in converters:
            data[key] = converter(data[key])
        return data

    return convert


def _reader(names: Sequence[str]) -> Callable[[object], tuple[JsonValue, ...]]:
    """Return a function that reads the named attributes as one tuple, for any number of names."""
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda _record: ()
    only = attrgetter(names[0])
    return lambda record: (only(record),)


def _converter(hint: Hint) -> _Converter | None:
    """Return the converter of a type to JSON; None when its values are JSON already."""
    members = [member for member in union_members(hint) if member is not NoneType]
    if len(members) > 1:
        return None if all(_converter(member) is None for member in members) else _plain
    only, arguments = members[0], get_args(members[0])
    if only is object:
        return cast("_Converter", copied_json)
    origin = get_origin(only)
    if is_dataclass(only) or origin in (list, dict):
        return _plain
    if origin is Mapping:
        return _as_object if _converter(arguments[1]) is None else _plain
    if origin in (tuple, Sequence):
        return None if all(_converter(item) is None for item in _items(arguments)) else _plain
    return None


def _items(arguments: Iterable[Hint]) -> list[Hint]:
    return [argument for argument in arguments if argument is not Ellipsis]


def _as_object(value: object) -> JsonValue:
    """Return the mapping as a ``dict``, the only mapping that JSON writers accept."""
    if value is None or type(value) is dict:
        return cast("JsonValue", value)
    return dict(cast("Mapping[str, JsonValue]", value))


def _plain(value: object) -> JsonValue:
    """Convert by the type of the value itself."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(map(_plain, value))
    return record_to_json(value) if is_dataclass(value) else cast("JsonValue", value)


def _read(hint: Hint, value: JsonValue, where: str) -> object:
    """Read a value of one type; the opposite of ``_plain``."""
    members = union_members(hint)
    if len(members) > 1:
        return _read_union(members, value, where)
    only = members[0]
    if isinstance(only, type) and is_dataclass(only):
        return _read_record(only, value, where)
    origin, arguments = get_origin(only), get_args(only)
    if origin in (list, tuple, Sequence) and isinstance(value, (list, tuple)):
        hints = _items(arguments)
        hints = hints * len(value) if len(hints) < len(arguments) or origin is not tuple else hints
        if len(hints) == len(value):
            items = [
                _read(item, part, f"{where}[{i}]")
                for i, (item, part) in enumerate(zip(hints, value, strict=True))
            ]
            return tuple(items) if origin is tuple else items
    elif origin in (dict, Mapping) and isinstance(value, Mapping):
        return {key: _read(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    elif type(value) is only or only is object or (origin is Literal and value in arguments):
        return value  # below a JSON value, an ``object`` here, any type is allowed
    raise ValueError(f"{where} is {value!r}, which is not {only}")


def _read_union(members: tuple[Hint, ...], value: JsonValue, where: str) -> object:
    """Read a value as the first type that it fits."""
    if value is None and NoneType in members:
        return None
    kinds = [member for member in members if member is not NoneType]
    for kind in kinds[:-1]:
        try:
            return _read(kind, value, where)
        except ValueError:
            continue
    return _read(kinds[-1], value, where)


def _read_record(record_type: type, value: JsonValue, where: str) -> object:
    hints = field_hints(record_type)
    if not isinstance(value, Mapping) or value.keys() != hints.keys():
        raise ValueError(f"{where} must be an object with exactly the keys {', '.join(hints)}")
    names = (field.name for field in _fields(record_type))
    read = {
        name: _read(hint, value[key], f"{where}.{key}")
        for name, (key, hint) in zip(names, hints.items(), strict=True)
    }
    return record_type(**read)
