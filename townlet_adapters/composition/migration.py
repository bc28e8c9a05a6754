"""Brings snapshots of an older schema up to date, in memory or as a file."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from townlet_adapters.composition.loading import source_of
from townlet_adapters.composition.parts import (
    make_context,
    open_policy,
    open_watchers,
    open_world,
    run_identity,
)
from townlet_adapters.composition.request import RunRequest
from townlet_adapters.config.resolve import allowlist_of, digest_of, resolve, simulation_of
from townlet_adapters.config.source import default_config, with_overrides
from townlet_adapters.documents import Document
from townlet_adapters.files import read_regular
from townlet_adapters.storage.atomic import write_atomically
from townlet_adapters.storage.snapshots import MAX_FILE_BYTES, SnapshotFile, read_snapshot, write_snapshot
from townlet_core.dto.snapshot import SCHEMA_VERSION, Snapshot
from townlet_core.errors import OutputError, SnapshotError
from townlet_core.jsonvalue import JsonObject
from townlet_core.snapshot_parts import observer_part
from townlet_plugins.access import Access, Allowed
from townlet_plugins.catalogue import Catalogue, load_catalogue
from townlet_plugins.factory import MigratesSnapshots, StoredWorld


def stored_document(stored: SnapshotFile) -> Document:
    """Make a config of a snapshot, which says what happens in the town, not which plugins are allowed.

    Raises:
        SnapshotError: when its sections hold anything else.
    """
    if digest_of(simulation_of(stored.simulation)) != stored.snapshot.identity["sim_digest"]:
        found = "its sections hold more than the world, the policy, the observers and the seed"
        raise SnapshotError("snapshot_corrupt", f"{stored.path}: damaged: {found}")
    named = {"name": name} if (name := stored.snapshot.identity.get("name")) else {}
    return Document({"townlet": 1, **named, **stored.simulation}, str(stored.path))


def up_to_date(stored: SnapshotFile, request: RunRequest) -> SnapshotFile:
    """Return a snapshot in the current schema; one of an older schema is migrated in memory.

    Args:
        stored: the snapshot as it was read.
        request: what asks for it; its config says which plugins may migrate the snapshot's world.

    Raises:
        SnapshotError: when it is damaged.
        ConfigError: when its sections are not valid any more.
    """
    if stored.snapshot.schema_version == SCHEMA_VERSION:
        return stored
    source = source_of(request.config or default_config(), (), request.allowed)
    return _migrated(stored, load_catalogue(allowlist_of(source)), request.allowed)


def migrate_file(path: Path, catalogue: Catalogue, allowed: Allowed) -> tuple[Path, Path | None]:
    """Write a snapshot of an older schema anew, beside the file.

    Args:
        path: the snapshot file, or a folder, which stands for the newest valid snapshot in it.
        catalogue: the worlds, of which one may migrate what the snapshot holds of it.
        allowed: what its sections may read in addition.

    Returns:
        The migrated snapshot, and the file that keeps the old content; None when nothing was overwritten.

    Raises:
        SnapshotError: when it is damaged, or has the current schema already.
        OutputError: when a file cannot be written.
    """
    stored = read_snapshot(path)
    schema = stored.snapshot.schema_version
    if schema == SCHEMA_VERSION:
        raise SnapshotError("snapshot_schema", f"{stored.path}: has schema {schema} already")
    migrated = _migrated(stored, catalogue, allowed)
    target = stored.path.with_name(f"snapshot-{stored.snapshot.tick}.json.gz")
    kept = None
    if os.path.lexists(target):
        kept = target.with_name(f"schema-{schema}-{stored.snapshot.tick}.json.gz")
        _keep(target, kept)
    return write_snapshot(target.parent, migrated.snapshot, migrated.simulation), kept


def _keep(target: Path, kept: Path) -> None:
    """Copy a file that will be replaced; neither a file that a link leads to nor one that is kept already."""
    if os.path.lexists(kept):
        raise OutputError(f"{kept}: keeps an older file already; move it away first")
    try:
        data = read_regular(target, MAX_FILE_BYTES, follow_links=False)
    except OSError as error:
        raise OutputError(f"{target}: cannot be kept: {error.strerror}; move it away first") from error
    write_atomically(kept, data)


def _migrated(stored: SnapshotFile, catalogue: Catalogue, allowed: Allowed) -> SnapshotFile:
    stored_document(stored)
    snapshot, simulation = stored.snapshot, stored.simulation
    for schema in range(snapshot.schema_version, SCHEMA_VERSION):
        snapshot, simulation = _next_schema(stored.path, schema, snapshot, simulation, catalogue)
    # Later versions have options that this one left out: their defaults are filled in as in any config.
    document = Document({"townlet": 1, **simulation}, str(stored.path))
    config = resolve(with_overrides(document, Access(Path.cwd(), allowed), ()), catalogue)
    # The rules of the policy are those of today, as the rules of the world are.
    with ExitStack() as stack:
        context = make_context(config, None)
        now = run_identity(config, open_policy(config, context, stack), context)
        world = open_world(config, context, stack)
        watchers = [observer_part(each.name) for each in open_watchers(config, world.spec)]
    identity = {**snapshot.identity, **now.snapshot}
    # What did not watch before begins now.
    parts: JsonObject = {**dict.fromkeys(watchers), **snapshot.parts}
    return replace(
        stored,
        snapshot=replace(snapshot, identity=identity, parts=parts, schema_version=SCHEMA_VERSION),
        simulation=config.simulation,
        sha256=digest_of(parts),
    )


def _next_schema(
    path: Path, schema: int, snapshot: Snapshot, simulation: JsonObject, catalogue: Catalogue
) -> tuple[Snapshot, JsonObject]:
    """Return snapshot and sections as the world's factory migrates its options and its part."""
    section, part = simulation.get("world"), snapshot.parts.get("world")
    if not isinstance(section, Mapping) or not isinstance(part, Mapping):
        raise SnapshotError("snapshot_corrupt", f"{path}: damaged: it has no world")
    name, options = section.get("use"), section.get("options")
    factory: object = catalogue.worlds.get(name) if isinstance(name, str) else None
    if not isinstance(factory, MigratesSnapshots) or not isinstance(options, Mapping):
        return snapshot, simulation
    world = factory.migrate(schema, StoredWorld(options, part, snapshot.identity))
    parts: JsonObject = {**snapshot.parts, "world": world.part}
    return (
        replace(snapshot, parts=parts, identity=world.identity),
        {**simulation, "world": {"use": name, "options": world.options}},
    )
