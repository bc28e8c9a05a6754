"""Writes the record of a run: what ran, with which versions and plugins."""

import platform
from datetime import UTC, datetime
from typing import Final

import importlib_metadata

from townlet_adapters.config.resolve import ResolvedConfig
from townlet_adapters.storage.folder import RunFolder
from townlet_adapters.storage.snapshots import SnapshotFile
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.records import record_to_json
from townlet_plugins.factory import BuildContext

_VERSIONS_OF: Final = ("numba", "numpy", "orjson", "pydantic")


def write_record(
    folder: RunFolder | None,
    config: ResolvedConfig,
    context: BuildContext,
    stored: SnapshotFile | None,
) -> None:
    """Write ``run.json``."""
    if folder is None:
        return
    # Townlet's own rows come first, and no other distribution can have its name.
    plugins = [row for row in config.catalogue.rows if row.loaded]
    folder.write_identity(
        {
            "run_id": context.run_id,
            "name": config.run.name,
            "seed": config.run.seed,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "config_digest": config.config_digest,
            "sim_digest": config.sim_digest,
            "resumed": _resumed(stored),
            "versions": _versions(plugins[0].version),
            "plugins": [record_to_json(row) for row in plugins],
            "config": config.shown,
        }
    )


def _resumed(stored: SnapshotFile | None) -> JsonValue:
    """Return which snapshot a run was resumed from."""
    if stored is None:
        return None
    return {"tick": stored.snapshot.tick, "sha256": stored.sha256}


def _versions(townlet: str) -> JsonObject:
    others = {name: importlib_metadata.version(name) for name in _VERSIONS_OF}
    return {"townlet": townlet, "python": platform.python_version(), **others}
