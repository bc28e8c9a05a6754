"""What a config may choose for a field of the core: the field's metadata, beside its default."""

from typing import TypedDict


class Bounds(TypedDict, total=False):
    """Metadata of ``dataclasses.field``; the program that reads configs checks it, a constructor does not.

    The names are those of JSON Schema in short: ``ge`` and ``le`` limit a number, ``min_length`` and
    ``pattern`` a text.
    """

    ge: int
    le: int
    min_length: int
    pattern: str
