"""JSON as a type, and its one canonical spelling."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
"""Any value that JSON can carry. Tuples are arrays; NaN and infinity are not JSON."""

JsonObject: TypeAlias = "Mapping[str, JsonValue]"
"""A JSON object."""


def _as_dict(value: object) -> dict[str, JsonValue]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


# Made once: ``json.dumps`` makes an encoder for every call that asks for anything but its defaults.
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_as_dict
)


def canonical_json(value: JsonValue) -> bytes:
    """Spell ``value`` as canonical JSON: sorted keys, no spaces, UTF-8, shortest floats.

    This is the only spelling that digests are taken over.

    Raises:
        ValueError: if the value holds NaN or infinity.
        TypeError: if the value is not JSON.
    """
    return _ENCODER.encode(value).encode("utf-8")
