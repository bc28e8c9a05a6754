"""JSON as a type, and its one canonical form."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Final, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
"""Any value that JSON can carry. Tuples are arrays; NaN and infinity are not JSON."""

JsonObject: TypeAlias = "Mapping[str, JsonValue]"
"""A JSON object."""


def _as_dict(value: object) -> dict[str, JsonValue]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


# Created once: ``json.dumps`` creates an encoder for every call with other than default arguments.
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_as_dict
)


def canonical_json(value: JsonValue) -> bytes:
    """Encode ``value`` as canonical JSON: sorted keys, no spaces, UTF-8, shortest floats.

    Digests are computed over this form only.

    Raises:
        ValueError: if the value holds NaN or infinity.
        TypeError: if the value is not JSON.
    """
    return _ENCODER.encode(value).encode("utf-8")


_DEEPEST: Final = 32


def checked_json(value: object, most: int) -> JsonValue:
    """Check a value from a plugin and copy it into plain dicts and lists that only the caller holds.

    Only the built-in types themselves are accepted: a subclass could return one value now and another later.

    Args:
        value: the value to check.
        most: how many values and characters it may have, together.

    Raises:
        ValueError: when it is not JSON, holds numbers beyond 64 bits or text that is not Unicode, or is too
            large or too deep.
    """
    copied, _ = _copied(value, most, _DEEPEST)
    return copied


def _copied(value: object, left: int, depth: int) -> tuple[JsonValue, int]:
    """Copy a value; return the copy and how much more may follow."""
    left -= 1 + (len(value) if type(value) is str else 0)
    if left < 0 or depth < 0:
        raise ValueError("the value is too large or too deep")
    if type(value) is dict:
        copy: dict[str, JsonValue] = {}
        for key, item in value.items():
            name, left = _copied(key, left, depth - 1)
            if type(name) is not str:
                raise ValueError("a key is not text")
            copy[name], left = _copied(item, left, depth - 1)
        return copy, left
    if type(value) is list or type(value) is tuple:
        items: list[JsonValue] = []
        for item in value:
            one, left = _copied(item, left, depth - 1)
            items.append(one)
        return items, left
    if type(value) is str:
        value.encode()
        return value, left
    if value is None or type(value) is bool:
        return value, left
    if (type(value) is int and -(2**63) <= value < 2**63) or (type(value) is float and isfinite(value)):
        return value, left
    raise ValueError("it holds a value that is not JSON, or a number beyond 64 bits")
