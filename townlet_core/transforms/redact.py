"""Removes named fields from the messages for a sink.

A field of an event or of observations keeps its place and type, so that the message still fits its schema: it
becomes null if the schema allows it, else the text ``redacted``, zero, false, or an empty list or mapping. In
a frame, in free JSON and among features, where unknown values are left out, the field is left out. A section
of a frame becomes empty.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass, replace
from types import NoneType
from typing import Final, Literal, TypeVar, get_args, get_origin

from townlet_core.dto.frame import StateFrame
from townlet_core.dto.plan import PLAN_KIND, PlanMessage
from townlet_core.dto.seen import OBSERVATION_BATCH, ObservationMessage
from townlet_core.ports.telemetry import Message
from townlet_core.records import Hint, union_members
from townlet_core.transforms.event_fields import NUMBERS, layout_of, sections_of, with_values

REDACTED: Final = "redacted"
"""The replacement of a text."""

FRAME_KIND: Final = "state.frame"
"""The name of frames among the kinds of ``Redact``."""

_RecordT = TypeVar("_RecordT")

_BLANKS: Final[Mapping[Hint, object]] = {str: REDACTED, bool: False, int: 0, float: 0.0, object: None}


class Redact:
    """Removes the named fields from every message of the named kinds."""

    def __init__(self, fields: Iterable[str], kinds: Iterable[str] | None) -> None:
        """Take what to remove.

        Args:
            fields: names of fields in JSON; they are found at any depth.
            kinds: kinds of events to remove them from, ``state.frame`` for frames, ``state.plan`` for the
                plan, ``observation.batch`` for observations; None for all.
        """
        self._names = frozenset(fields)
        self._kinds = None if kinds is None else frozenset(kinds)

    def __call__(self, message: Message) -> Message:
        """Return the message without the fields."""
        if self._kinds is not None and _kind_of(message) not in self._kinds:
            return message
        if isinstance(message, StateFrame):
            sections = {
                name: {} if name in self._names else self._value(section)
                for name, section in sections_of(message.frame).items()
            }
            return replace(message, frame=with_values(message.frame, sections))
        if isinstance(message, ObservationMessage):
            return replace(message, seen=self._record(message.seen))
        if isinstance(message, PlanMessage):
            return replace(message, plan=self._record(message.plan))
        event = self._record(message.event)
        return message if event is message.event else replace(message, event=event)

    def _record(self, record: _RecordT) -> _RecordT:
        """Copy a dataclass instance with its named fields blank."""
        changes: dict[str, object] = {}
        record_type: type = type(record)
        for field in layout_of(record_type):
            if field.json_name in self._names:
                changes[field.name] = blank(field.hint)
            elif field.nests:
                changes[field.name] = self._value(getattr(record, field.name))
        return with_values(record, changes)

    def _value(self, value: object) -> object:
        if type(value) in NUMBERS or isinstance(value, str):
            return value
        if isinstance(value, Mapping):
            return {key: self._value(item) for key, item in value.items() if key not in self._names}
        if isinstance(value, (tuple, list)):
            return tuple(map(self._value, value))
        return self._record(value) if is_dataclass(value) else value


def _kind_of(message: Message) -> str:
    match message:
        case StateFrame():
            return FRAME_KIND
        case ObservationMessage():
            return OBSERVATION_BATCH
        case PlanMessage():
            return PLAN_KIND
    return message.event.kind


def blank(hint: Hint) -> object:  # noqa: PLR0911 - one answer for each form of type
    """Return the value of a type with the least information."""
    members = union_members(hint)
    if NoneType in members:
        return None
    only, arguments = members[0], get_args(members[0])
    if only in _BLANKS:
        return _BLANKS[only]
    origin = get_origin(only)
    if origin is Literal:
        return arguments[0]
    if origin is tuple and Ellipsis not in arguments:
        return tuple(map(blank, arguments))
    if origin in {tuple, list, Sequence}:
        return ()
    if isinstance(only, type) and is_dataclass(only):
        return only(**{field.name: blank(field.hint) for field in layout_of(only)})
    return {}
