"""The saved state of a simulation between two ticks."""

from collections.abc import Mapping
from dataclasses import dataclass

from townlet_core.jsonvalue import JsonValue

SCHEMA_VERSION = 8
"""Raised whenever the meaning of a snapshot's parts changes."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Named parts, each a JSON value; an array is base64 text with its dtype and shape.

    Attributes:
        tick: number of finished ticks.
        identity: values that must agree before a restore (``sim_digest``, ``town_digest``,
            ``policy_hash``, ...).
        parts: ``world``, ``policy``, ``loop`` and one per observer; ``commands`` once a command was given.
        schema_version: version of this layout.
    """

    tick: int
    identity: Mapping[str, str]
    parts: Mapping[str, JsonValue]
    schema_version: int = SCHEMA_VERSION

    def __repr__(self) -> str:
        return f"Snapshot(tick={self.tick}, parts={sorted(self.parts)})"
