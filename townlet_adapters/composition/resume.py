"""What a resumed run takes from its snapshot, and what it refuses."""

from collections.abc import Mapping
from pathlib import Path

from townlet_adapters.composition.loading import source_of, validated
from townlet_adapters.composition.request import RunRequest
from townlet_adapters.config.resolve import ResolvedConfig, digest_of, simulation_of, with_policy
from townlet_adapters.config.source import Override, default_config, with_overrides
from townlet_adapters.documents import Document
from townlet_adapters.storage.snapshots import SnapshotFile, read_snapshot
from townlet_core.errors import SnapshotError
from townlet_core.jsonvalue import JsonValue
from townlet_plugins.access import Access


def read_stored(request: RunRequest) -> SnapshotFile | None:
    """Read the snapshot that a request resumes, if it resumes one."""
    return read_snapshot(request.resume) if request.resume is not None else None


def resolve_request(request: RunRequest, stored: SnapshotFile | None) -> ResolvedConfig:
    """Find the config of a run and validate it; a resumed run has the seed of its snapshot.

    Raises:
        ConfigError: when the config is wrong.
        PluginError: when it names a plugin that is not allowed.
        SnapshotError: when the snapshot belongs to another simulation.
    """
    seed = request.seed
    if stored is not None:
        seed = _stored_seed(stored, seed)
    overrides = request.overrides
    if seed is not None:
        overrides = (*overrides, Override(("seed",), seed, f"{request.prefix}seed"))
    if request.config is None and stored is not None:
        source = with_overrides(_stored_document(stored), Access(Path.cwd(), request.allowed), overrides)
    else:
        source = source_of(request.config or default_config(), overrides, request.allowed)
    if request.policy is not None:
        source = with_policy(source, request.policy, f"{request.prefix}policy")
    config = validated(source, request.sinks)
    if stored is not None and stored.snapshot.identity["sim_digest"] != config.sim_digest:
        raise SnapshotError(
            "snapshot_config",
            f"{stored.path}: belongs to another simulation: "
            f"{_difference(stored.simulation, config.simulation)}; "
            "leave the config out to go on with the one in the snapshot",
        )
    return config


def _stored_seed(stored: SnapshotFile, asked: int | None) -> int:
    seed = stored.simulation.get("seed")
    if not isinstance(seed, int):
        raise SnapshotError("snapshot_corrupt", f"{stored.path}: damaged: it has no seed")
    if asked is not None and asked != seed:
        raise SnapshotError(
            "snapshot_config",
            f"{stored.path}: has seed {seed}, not {asked}; a resumed run keeps its seed: leave --seed out",
        )
    return seed


def _stored_document(stored: SnapshotFile) -> Document:
    """Make a config of a snapshot, which says what happens in the town, not which plugins are allowed."""
    if digest_of(simulation_of(stored.simulation)) != stored.snapshot.identity["sim_digest"]:
        found = "its sections hold more than the world, the policy, the observers and the seed"
        raise SnapshotError("snapshot_corrupt", f"{stored.path}: damaged: {found}")
    named = {"name": name} if (name := stored.snapshot.identity.get("name")) else {}
    return Document({"townlet": 1, **named, **stored.simulation}, str(stored.path))


def _difference(stored: JsonValue, asked: JsonValue, key: str = "") -> str:
    """Format the first key at which two simulations differ."""
    if isinstance(stored, Mapping) and isinstance(asked, Mapping):
        for name in sorted(stored.keys() | asked.keys()):
            if stored.get(name) != asked.get(name):
                return _difference(stored.get(name), asked.get(name), f"{key}.{name}" if key else name)
    return f"{key} differs"
