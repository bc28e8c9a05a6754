"""The registry of event kinds: their classes, the schemas of their data, and which are diagnostics."""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import MappingProxyType, NoneType
from typing import Final, Literal, get_args, get_origin

from townlet_core.events.base import Event
from townlet_core.events.console import ConsoleResult
from townlet_core.events.loop import LoopFailure, LoopHealth, LoopTick
from townlet_core.events.narration import Narration
from townlet_core.events.plugin import PluginRefused, PluginRejected
from townlet_core.events.policy import PolicyGuardrail, PolicyMetadata, PolicyPossession
from townlet_core.events.promotion import PromotionState
from townlet_core.events.stability import StabilityAlert, StabilityMetrics
from townlet_core.events.telemetry import TelemetryLoss
from townlet_core.jsonvalue import JsonObject, JsonValue, canonical_json
from townlet_core.records import Hint, field_hints, record_to_json, union_members

SCHEMA_VERSION: Final = 2
"""Major version of every event's data. New kinds and new optional fields keep it; other changes raise it.

2: ``loop.tick`` and ``loop.health`` have ``figures`` instead of a field for each number of the town, and
``loop.health`` has ``stability`` and ``promotion``.
"""

RESERVED_KINDS: Final = frozenset(
    {
        "observation.batch",
        "policy.anneal.update",
        "state.agents",
        "state.economy",
        "state.employment",
        "state.frame",
        "state.objects",
        "state.patch",
        "state.plan",
        "state.social",
    }
)
"""Kinds that are used without an event class here; no plugin may use them."""

RESERVED_FAMILIES: Final = frozenset({"perturbation", "social"})
"""Families of kinds that come later; no plugin may have such a name."""

_DIAGNOSTIC_KINDS: Final = frozenset({LoopHealth.kind, LoopFailure.kind})
_DIAGNOSTIC_FAMILIES: Final = frozenset({"plugin", "telemetry"})
_KIND: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


@cache
def is_diagnostic(kind: str) -> bool:
    """Return whether events of this kind are about the machinery: without ``seq`` and in no digest."""
    return kind in _DIAGNOSTIC_KINDS or family_of(kind) in _DIAGNOSTIC_FAMILIES


def family_of(kind: str) -> str:
    """Return the part of a kind before its first dot."""
    return kind.partition(".")[0]


def schema_id(kind: str) -> str:
    """Return the id of the schema of a kind's data, with its major version."""
    return f"urn:townlet:event:{kind}:{SCHEMA_VERSION}"


def data_schema(kind: str, record_type: type) -> JsonObject:
    """Return the JSON Schema 2020-12 of a kind whose data is a dataclass.

    A field with a default is always written, but not required: it was added later, and older events lack it.
    """
    named = zip(field_hints(record_type), fields(record_type), strict=True)
    required = [name for name, each in named if each.default is MISSING]
    return {"$id": schema_id(kind), "title": kind, **_object_schema(record_type), "required": required}


def event_data(event: Event) -> dict[str, JsonValue]:
    """Convert an event's data to a new JSON object; see ``record_to_json`` for the rules."""
    return record_to_json(event)


def event_json(event: Event) -> bytes:
    """Return the canonical JSON of an event's data; it is encoded once, for the digest and every sink.

    Raises:
        ValueError: when the event holds NaN or infinity.
        TypeError: when the event holds a value that is not JSON.
    """
    try:
        return event._json  # noqa: SLF001 - kept here alone, so that events stay plain data
    except AttributeError:
        encoded = canonical_json(record_to_json(event))
        # Events are frozen: a transform that changes one makes another, which has no JSON yet.
        object.__setattr__(event, "_json", encoded)
        return encoded


class EventRegistry:
    """Every kind of event that a run may emit; immutable, ``extended`` returns a larger registry.

    It raises ``ValueError`` for a mistake in a class; the caller names the plugin that has the class.
    """

    def __init__(self, classes: Iterable[type[Event]]) -> None:
        """Register classes.

        Raises:
            ValueError: when two classes claim one kind, or a class is not a frozen dataclass.
        """
        by_kind: dict[str, type[Event]] = {}
        for event_class in classes:
            _require_event_class(event_class)
            if event_class.kind in by_kind:
                first = by_kind[event_class.kind].__qualname__
                raise ValueError(
                    f"the event kind '{event_class.kind}' is claimed twice, by {first} and "
                    f"{event_class.__qualname__}; rename one of them"
                )
            by_kind[event_class.kind] = event_class
        self._by_kind = MappingProxyType(dict(sorted(by_kind.items())))

    @property
    def classes(self) -> Mapping[str, type[Event]]:
        """The class of each kind, sorted by kind."""
        return self._by_kind

    def extended(self, entry_point: str, classes: Sequence[type[Event]]) -> "EventRegistry":
        """Add the kinds of one plugin; each is called ``<entry point>.<name>``.

        Raises:
            ValueError: when a kind has another prefix, or the entry point has the name of a family of
                Townlet's own kinds (``queue``, ``social``, ...).
        """
        ours = {family_of(kind) for kind in (*self._by_kind, *RESERVED_KINDS)} | RESERVED_FAMILIES
        for event_class in classes:
            _require_event_class(event_class)
            kind = event_class.kind
            if family_of(kind) != entry_point or not _KIND.fullmatch(kind):
                raise ValueError(
                    f"the event kind '{kind}' of {event_class.__qualname__} must be called "
                    f"'{entry_point}.<name>', in lower-case letters, digits and underscores"
                )
            if entry_point in ours:
                raise ValueError(
                    f"the event kind '{kind}' is in a family that Townlet reserves: {', '.join(sorted(ours))}"
                )
        return self.including(classes)

    def including(self, classes: Sequence[type[Event]]) -> "EventRegistry":
        """Add kinds under any name, as built-in plugins may; raises ``ValueError`` like the constructor."""
        return EventRegistry((*self._by_kind.values(), *classes))

    def data_schema(self, kind: str) -> JsonObject:
        """Return the JSON Schema 2020-12 of the data of one kind.

        Further fields are allowed, because a later version of the same major may add optional ones.

        Raises:
            KeyError: when the kind is not registered.
        """
        return data_schema(kind, self._by_kind[kind])

    def json_schema(self) -> JsonObject:
        """Return one JSON Schema 2020-12 document with the data of every kind, by kind below ``$defs``."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:townlet:events:{SCHEMA_VERSION}",
            "title": "Data of Townlet's events",
            "$defs": {kind: self.data_schema(kind) for kind in self._by_kind},
        }


_SCALARS: Final[Mapping[Hint, JsonObject]] = MappingProxyType(
    {
        str: {"type": "string"},
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        float: {"type": "number"},
        NoneType: {"type": "null"},
        object: {},
    }
)


def _require_event_class(event_class: type[Event]) -> None:
    parameters = event_class.__dict__.get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        raise ValueError(
            f"the event class {event_class.__qualname__} must be decorated with "
            "@dataclass(frozen=True, slots=True): listeners keep events"
        )
    if "kind" not in event_class.__dict__:
        raise ValueError(
            f"the event class {event_class.__qualname__} has no kind; add 'kind: ClassVar[str] = \"...\"'"
        )


def _object_schema(record_type: type) -> JsonObject:
    properties = {name: _type_schema(hint) for name, hint in field_hints(record_type).items()}
    return {
        "description": inspect.cleandoc(record_type.__doc__ or ""),
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


def _type_schema(hint: Hint) -> JsonObject:
    """Return the schema of a field's type."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and is_dataclass(hint):
        return _object_schema(hint)
    members = union_members(hint)
    if len(members) > 1:
        return {"anyOf": list(map(_type_schema, members))}
    return _generic_schema(hint)


def _generic_schema(hint: Hint) -> JsonObject:
    """Return the schema of a type that has parameters."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _type_schema(arguments[1])}
    if origin is Sequence or (origin is tuple and arguments[-1] is Ellipsis):
        return {"type": "array", "items": _type_schema(arguments[0])}
    if origin is tuple:
        size = len(arguments)
        items = list(map(_type_schema, arguments))
        return {"type": "array", "prefixItems": items, "minItems": size, "maxItems": size}
    raise ValueError(
        f"an event field cannot be typed {hint!r}; allowed are str, bool, int, float, None, Literal, tuple, "
        "Sequence, Mapping[str, ...], other frozen dataclasses, unions of these, and JsonValue"
    )


CORE_EVENTS: Final = EventRegistry(
    (
        ConsoleResult,
        LoopFailure,
        LoopHealth,
        LoopTick,
        Narration,
        PluginRefused,
        PluginRejected,
        PolicyGuardrail,
        PolicyMetadata,
        PolicyPossession,
        PromotionState,
        StabilityAlert,
        StabilityMetrics,
        TelemetryLoss,
    )
)
"""The kinds of the loop and its parts; a world brings its own."""
