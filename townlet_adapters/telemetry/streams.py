"""How the town's state travels beside the facts: as whole frames."""

from dataclasses import fields
from operator import attrgetter
from typing import Final

from townlet_core.dto.frame import TownFrame
from townlet_core.events.schema import schema_id
from townlet_core.jsonvalue import JsonObject, JsonValue

STATE_FRAME: Final = "state.frame"
_SECTIONS: Final = tuple((field.name, attrgetter(field.name)) for field in fields(TownFrame))


def frame_data(frame: TownFrame) -> JsonObject:
    """Spell a frame as the payload of ``state.frame``; its sections are JSON already."""
    return {name: read(frame) for name, read in _SECTIONS}


def state_schemas() -> dict[str, JsonObject]:
    """JSON Schema (2020-12) of the payload of every state message, by kind."""
    sections: dict[str, JsonValue] = {name: {"type": "object"} for name, _ in _SECTIONS if name != "tick"}
    frame: JsonObject = {
        "$id": schema_id(STATE_FRAME),
        "title": STATE_FRAME,
        "description": "The town at the end of one tick, by entity.",
        "type": "object",
        "properties": {"tick": {"type": "integer"}, **sections},
        "required": ["tick", *sections],
    }
    return {STATE_FRAME: frame}
