"""A simulation at rest."""

from collections.abc import Mapping
from dataclasses import dataclass

from townlet_core.jsonvalue import JsonValue

SCHEMA_VERSION = 1
"""Raised whenever the meaning of a snapshot's parts changes."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Named parts, each a JSON value; arrays travel inside as plain base64 text with dtype and shape.

    Attributes:
        tick: number of finished ticks.
        identity: what must agree before a restore (``sim_digest``, ``town_digest``, ``policy_hash``, ...).
        parts: ``world``, ``policy``, ``loop`` and one per observer; ``commands`` once somebody gave one.
        schema_version: version of this layout.
    """

    tick: int
    identity: Mapping[str, str]
    parts: Mapping[str, JsonValue]
    schema_version: int = SCHEMA_VERSION
