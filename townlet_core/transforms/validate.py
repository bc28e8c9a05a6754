"""Withholds messages that do not fit the schema of their kind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, cast

from townlet_core.dto.frame import StateFrame
from townlet_core.dto.plan import PLAN_KIND, PlanMessage, TownPlan
from townlet_core.dto.seen import OBSERVATION_BATCH, AgentsSeen, ObservationMessage
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.schema import EventRegistry, data_schema
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.ports.telemetry import Message
from townlet_core.records import record_to_json
from townlet_core.transforms.base import Withheld

UNKNOWN_KIND: Final = Withheld("unknown_kind")
"""No registered class describes the event."""

SCHEMA_MISMATCH: Final = Withheld("schema_mismatch")
"""The event's data does not fit the schema of its kind."""

_Check: TypeAlias = Callable[[JsonValue], bool]


class Validate:
    """Withholds messages whose data does not fit the schema of their kind; frames always pass."""

    def __init__(self, registry: EventRegistry) -> None:
        """Take the registered kinds; the check of a kind is compiled at its first message."""
        self._registry = registry
        self._checks: dict[str, _Check] = {
            OBSERVATION_BATCH: _compile(data_schema(OBSERVATION_BATCH, AgentsSeen)),
            PLAN_KIND: _compile(data_schema(PLAN_KIND, TownPlan)),
        }

    def __call__(self, message: Message) -> Message | Withheld:
        """Check one message."""
        if isinstance(message, StateFrame):
            return message
        kind, record = _named(message)
        check = self._checks.get(kind)
        if check is None:
            if kind not in self._registry.classes:
                return UNKNOWN_KIND
            check = self._checks[kind] = _compile(self._registry.data_schema(kind))
        try:
            fits = check(record_to_json(record))
        except (TypeError, ValueError):
            # A value whose type is so wrong that it cannot be converted to JSON.
            fits = False
        return message if fits else SCHEMA_MISMATCH


def _named(message: Fact | Diagnostic | PlanMessage | ObservationMessage) -> tuple[str, object]:
    """Return the kind of a message, and the record that its data is converted from."""
    if isinstance(message, ObservationMessage):
        return OBSERVATION_BATCH, message.seen
    if isinstance(message, PlanMessage):
        return PLAN_KIND, message.plan
    return message.event.kind, message.event


def _compile(schema: JsonObject) -> _Check:  # noqa: PLR0911 - one answer for each form of type
    """Compile a schema to a check; it supports the keywords that ``EventRegistry.data_schema`` uses."""
    match schema:
        case {"anyOf": members}:
            checks = _compile_all(members)
            return lambda value: any(check(value) for check in checks)
        case {"enum": values}:
            allowed = [(type(value), value) for value in cast("Sequence[JsonValue]", values)]
            return lambda value: (type(value), value) in allowed
        case {"type": "object"}:
            return _compile_object(schema)
        case {"type": "array", "prefixItems": items}:
            checks = _compile_all(items)
            return lambda value: (
                isinstance(value, (tuple, list))
                and len(value) == len(checks)
                and all(check(item) for check, item in zip(checks, value, strict=True))
            )
        case {"type": "array", "items": item}:
            each = _compile(cast("JsonObject", item))
            return lambda value: isinstance(value, (tuple, list)) and all(map(each, value))
        case {"type": str(name)}:
            return _SCALARS[name]
    return lambda _value: True


def _compile_all(schemas: JsonValue) -> tuple[_Check, ...]:
    return tuple(map(_compile, cast("Sequence[JsonObject]", schemas)))


def _compile_object(schema: JsonObject) -> _Check:
    properties = cast("Mapping[str, JsonObject]", schema.get("properties", {}))
    fields = {name: _compile(each) for name, each in properties.items()}
    further = schema.get("additionalProperties")
    values = _compile(further) if isinstance(further, Mapping) else None

    def check(value: JsonValue) -> bool:
        return (
            isinstance(value, Mapping)
            and all(name in value and fits(value[name]) for name, fits in fields.items())
            and (values is None or all(map(values, value.values())))
        )

    return check


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_integer(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_SCALARS: Final[Mapping[str, _Check]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": _is_number,
    "null": lambda value: value is None,
}
