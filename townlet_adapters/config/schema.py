"""Describes a run config as JSON Schema, with the options of everything in the catalogue."""

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from townlet_adapters.config.model import RunConfig
from townlet_adapters.config.watching import SECTIONS, Watching
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_plugins.catalogue import Catalogue
from townlet_plugins.factory import PartFactory
from townlet_plugins.offers import broken

_CHANGED = frozenset({"Canary", "Digest"})
"""Entries of the observers with keys that a config need not repeat."""
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def config_schema(catalogue: Catalogue) -> dict[str, JsonValue]:
    """Build the JSON Schema of a config; ``use`` decides the schema of ``options``."""
    schema: dict[str, JsonValue] = dict(RunConfig.model_json_schema())
    definitions = _objects(schema, "$defs")
    sink = definitions.pop("SinkPart")
    definitions.pop("Part")
    worlds = _choices("world", catalogue.worlds.values(), definitions)
    policies = _choices("policy", catalogue.policies.values(), definitions)
    keys = _objects(sink, "properties")
    beside = {key: keys[key] for key in ("stream", "transforms")}
    definitions["SinkPart"] = _choices("sink", catalogue.sinks.values(), definitions, beside)
    definitions["ObserversSection"] = _with_observers(definitions["ObserversSection"], catalogue, definitions)
    own = _objects(schema, "properties")
    stage = _choices("stage", catalogue.stages.values(), definitions)
    stages = {**own["stages"], "items": {"anyOf": [{"enum": list(catalogue.stages)}, stage]}}
    properties = {**own, "world": worlds, "policy": policies, "stages": stages}
    return {"$schema": _DIALECT, **schema, "properties": properties, "$defs": definitions}


def _with_observers(
    section: JsonObject, catalogue: Catalogue, definitions: dict[str, JsonObject]
) -> dict[str, JsonValue]:
    """Add the observers that a config can add, and the options of those with the worlds' key figures."""
    keys = _objects(section, "properties")
    branches: list[JsonValue] = [{"type": "object", "maxProperties": 0}]
    for name in sorted({world.kpis for world in catalogue.worlds.values() if world.kpis}):
        options = catalogue.observers[name].options.model_json_schema()
        branches.append(_embed(options, f"observer.{name}", definitions))
    kpis = {"description": keys["kpis"]["description"], "default": {}, "anyOf": branches}
    own = _embed(_changing(Watching.model_json_schema()), "observers", definitions)
    watching = {
        name: _objects(definitions[str(own["$ref"]).rpartition("/")[2]], "properties")[name]
        for name in SECTIONS
    }
    extra = {**keys["extra"], "items": _choices("observer", catalogue.observers.values(), definitions)}
    return {**section, "properties": {**keys, "kpis": kpis, **watching, "extra": extra}}


def _changing(schema: JsonObject) -> dict[str, JsonValue]:
    """Return a schema in which no entry needs a key, because a config may change single keys of it."""
    definitions = {
        name: {key: value for key, value in each.items() if key != "required" or name not in _CHANGED}
        for name, each in _objects(schema, "$defs").items()
    }
    return {**schema, "$defs": definitions}


def _objects(schema: JsonObject, key: str) -> dict[str, JsonObject]:
    """Return the named schemas under a keyword of a schema."""
    found = schema.get(key, {})
    named = found if isinstance(found, Mapping) else {}
    return {name: value for name, value in named.items() if isinstance(value, Mapping)}


def _choices(
    kind: str,
    factories: Iterable[PartFactory[object]],
    definitions: dict[str, JsonObject],
    extra: JsonObject = MappingProxyType({}),
) -> JsonObject:
    """Build the schema of a part: one branch for each factory; without any, nothing fits."""
    branches: list[JsonValue] = []
    for factory in factories:
        name = f"{kind}.{factory.name}"
        what = f"the {kind} '{factory.name}' ({factory.origin}) is broken: its options have no JSON Schema"
        with broken(what):
            options = _embed(factory.options.model_json_schema(), name, definitions)
        branches.append(
            {
                "type": "object",
                "description": factory.summary,
                "properties": {"use": {"const": factory.name}, "options": options, **extra},
                "required": ["use"],
                "additionalProperties": False,
            }
        )
    return {"oneOf": branches} if branches else {"not": {}}


def _embed(schema: JsonObject, name: str, definitions: dict[str, JsonObject]) -> JsonObject:
    """Move a schema and its definitions into ``definitions``, under names that cannot collide."""
    moved: JsonObject = json.loads(json.dumps(schema).replace('"#/$defs/', f'"#/$defs/{name}.'))
    definitions |= {f"{name}.{key}": value for key, value in _objects(moved, "$defs").items()}
    definitions[name] = {key: value for key, value in moved.items() if key != "$defs"}
    return {"$ref": f"#/$defs/{name}"}
