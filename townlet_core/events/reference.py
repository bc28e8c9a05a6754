"""Writes the reference page of events from the registry."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from townlet_core.events.schema import (
    RESERVED_FAMILIES,
    RESERVED_KINDS,
    SCHEMA_VERSION,
    EventRegistry,
    is_diagnostic,
)
from townlet_core.jsonvalue import JsonObject, JsonValue

_INTRODUCTION = f"""\
# Events

A fact is `{{seq, tick, type, data}}`: `seq` counts from 0 without gaps over the run, `tick` is the tick being
executed. Diagnostics carry a tick but no `seq` and are in no digest. `townlet_core.events.reference`
generates this page from the event classes, and a test compares the two; `townlet schema events` prints the
same as JSON Schema. Classes of `townlet_core` are emitted in every run, the others by the
town. Schema version: {SCHEMA_VERSION}.
"""


def events_markdown(registry: EventRegistry) -> str:
    """Return the page: every kind with its meaning and its data, then the reserved kinds."""
    lines = [_INTRODUCTION]
    for kind, event_class in registry.classes.items():
        lines += [f"## {kind}", ""]
        if is_diagnostic(kind):
            lines += ["*Diagnostic.*", ""]
        schema = registry.data_schema(kind)
        lines += [cast("str", schema["description"]).replace("``", "`"), "", *_table(schema), ""]
        lines += [f"Class: `{event_class.__module__}.{event_class.__qualname__}`", ""]
    lines += ["## Reserved kinds", "", "These have no event class, and no plugin may use them:", ""]
    lines += [f"- `{kind}`" for kind in sorted(RESERVED_KINDS)]
    families = " and ".join(f"`{family}`" for family in sorted(RESERVED_FAMILIES))
    lines += ["", f"No plugin may be called {families}, either."]
    return "\n".join(lines) + "\n"


def _table(schema: JsonObject) -> Iterator[str]:
    yield "| field | type |"
    yield "|---|---|"
    for name, field in cast("Mapping[str, JsonObject]", schema["properties"]).items():
        yield f"| `{name}` | {_type_phrase(field)} |"


def _type_phrase(schema: JsonObject) -> str:  # noqa: PLR0911 - one answer for each form of type
    """Return a field's type as a short phrase."""
    match schema:
        case {"anyOf": members}:
            return " or ".join(_type_phrase(member) for member in _schemas(members))
        case {"enum": values}:
            return " or ".join(f"`{value}`" for value in cast("Sequence[JsonValue]", values))
        case {"type": "array", "prefixItems": items}:
            return f"[{', '.join(_type_phrase(item) for item in _schemas(items))}]"
        case {"type": "array", "items": item}:
            return f"list of {_type_phrase(cast('JsonObject', item))}"
        case {"type": "object", "properties": properties}:
            fields = cast("Mapping[str, JsonObject]", properties)
            return f"{{{', '.join(f'{name}: {_type_phrase(field)}' for name, field in fields.items())}}}"
        case {"type": "object", "additionalProperties": values}:
            return f"{{name: {_type_phrase(cast('JsonObject', values))}}}"
        case {"type": str(name)}:
            return name
    return "any JSON value"


def _schemas(value: JsonValue) -> Sequence[JsonObject]:
    return cast("Sequence[JsonObject]", value)
