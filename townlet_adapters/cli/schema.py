"""``townlet schema``: events."""

import json
from pathlib import Path

import click

from townlet_adapters.cli.allowing import reads_plugins
from townlet_adapters.cli.options import catalogue_of
from townlet_adapters.telemetry.envelope import envelope_schema, event_type
from townlet_adapters.telemetry.streams import state_schemas
from townlet_core.dto.plan import PLAN_KIND, TownPlan
from townlet_core.dto.seen import OBSERVATION_BATCH, AgentsSeen
from townlet_core.events.reference import events_markdown
from townlet_core.events.schema import EventRegistry, data_schema, schema_id
from townlet_core.jsonvalue import JsonObject
from townlet_plugins.access import Allowed
from townlet_plugins.catalogue import load_catalogue


@click.group("schema")
def command() -> None:
    """Print the schema of what a run sends.

    \b
    Example:
      townlet schema events > events.schema.json
    """


@command.command("events")
@reads_plugins
@click.option("--markdown", is_flag=True, help="Print a page about the events as Markdown instead.")
def events(
    config: str | None, *, allow_env: tuple[str, ...], allow_path: tuple[Path, ...], markdown: bool
) -> None:
    """Print the JSON Schema (2020-12) of an event line: envelope, events, state, observations.

    \b
    Examples:
      townlet schema events > events.schema.json
      townlet schema events --config my.yaml --markdown > events.md
    """
    if config is None:
        registry = load_catalogue().events
    else:
        registry = catalogue_of(config, Allowed(allow_env, allow_path)).events
    if markdown:
        click.echo(events_markdown(registry), nl=False)
        return
    click.echo(json.dumps(message_schema(registry), indent=2, ensure_ascii=False))


def message_schema(registry: EventRegistry) -> JsonObject:
    """Return the schema of every message: an envelope with the data of its type."""
    states = state_schemas()
    seen = {
        OBSERVATION_BATCH: data_schema(OBSERVATION_BATCH, AgentsSeen),
        PLAN_KIND: data_schema(PLAN_KIND, TownPlan),
    }
    kinds = {kind: registry.data_schema(kind) for kind in registry.classes} | states | seen
    envelope = envelope_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:townlet:messages:1",
        "title": "One message of a Townlet run",
        "allOf": [{"$ref": envelope["$id"]}, *(_promise(kind) for kind in sorted(kinds))],
        "$defs": {"envelope": envelope, **dict(sorted(kinds.items()))},
    }


def _promise(kind: str) -> JsonObject:
    """Return the rule that the data of a type has its schema."""
    return {
        "if": {"properties": {"type": {"const": event_type(kind)}}},
        "then": {"properties": {"data": {"$ref": schema_id(kind)}}},
    }
