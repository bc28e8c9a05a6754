"""Writes the record of a run: what ran, with which versions and plugins, and what it goes on from."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import importlib_metadata

from townlet_adapters.composition.resume import Origin
from townlet_adapters.config.resolve import ResolvedConfig
from townlet_adapters.storage.folder import RunFolder
from townlet_core.dto.plan import PLAN_KIND
from townlet_core.events.schema import schema_id
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.loop import SimulationLoop
from townlet_core.records import record_to_json
from townlet_plugins.factory import BuildContext

_VERSIONS_OF: Final = ("numba", "numpy", "orjson", "pydantic")


def write_record(
    folder: RunFolder | None,
    config: ResolvedConfig,
    context: BuildContext,
    origin: Origin | None,
    cut: Sequence[Path],
) -> None:
    """Write ``run.json``.

    A run that goes on in its folder adds a part to those before it; what stands beside the parts is of the
    latest one. A run in a new folder names the snapshot of its parent.

    Args:
        folder: where it goes; nothing is written without one.
        config: what the run was built from.
        context: what has the run's id.
        origin: what it goes on from.
        cut: files that events were moved into.
    """
    if folder is None:
        return
    # Townlet's own rows come first, and no other distribution can have its name.
    plugins = [row for row in config.catalogue.rows if row.loaded]
    started = datetime.now(UTC).isoformat(timespec="seconds")
    earlier = folder.record or {}
    parts = earlier.get("parts", [])
    part: JsonObject = {
        "run_id": context.run_id,
        "started": started,
        "from_tick": 0 if origin is None else origin.tick,
        "snapshot_sha256": None if origin is None else origin.stored.sha256,
        "cut": [path.name for path in cut],
    }
    folder.write_record(
        {
            "run_id": context.run_id,
            "name": config.run.name,
            "seed": config.run.seed,
            "started": started,
            "config_digest": config.config_digest,
            "sim_digest": config.sim_digest,
            "parent": earlier.get("parent") if folder.record is not None else _parent(origin),
            "parts": [*(parts if isinstance(parts, list) else []), part],
            "versions": _versions(plugins[0].version),
            "plugins": [record_to_json(row) for row in plugins],
            "config": config.shown,
        }
    )


def write_plan(folder: RunFolder | None, loop: SimulationLoop) -> None:
    """Write ``plan.json``, with the attributes that the message ``state.plan`` has.

    Args:
        folder: where it goes; nothing is written without one.
        loop: the simulation; nothing is written when its world has no plan.
    """
    if folder is None:
        return
    message = loop.plan_message
    if message is None:
        return
    folder.write_plan(
        {
            "dataschema": schema_id(PLAN_KIND),
            "planhash": message.planhash,
            "data": record_to_json(message.plan),
        }
    )


def _parent(origin: Origin | None) -> JsonValue:
    """Return which snapshot of which run a run in a new folder goes on from."""
    if origin is None:
        return None
    return {
        "run_id": origin.record.get("run_id"),
        "snapshot": str(origin.stored.path),
        "tick": origin.tick,
        "sha256": origin.stored.sha256,
    }


def _versions(townlet: str) -> JsonObject:
    others = {name: importlib_metadata.version(name) for name in _VERSIONS_OF}
    return {"townlet": townlet, "python": platform.python_version(), **others}
