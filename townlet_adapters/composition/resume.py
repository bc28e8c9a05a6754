"""What a resumed run takes from its snapshot and its run folder, and what it refuses."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from townlet_adapters.composition.loading import source_of, validated
from townlet_adapters.composition.migration import stored_document, up_to_date
from townlet_adapters.composition.request import Output, RunRequest
from townlet_adapters.config.model import DEFAULT_SINK
from townlet_adapters.config.resolve import ResolvedConfig, with_policy
from townlet_adapters.config.source import Override, default_config, with_overrides
from townlet_adapters.config.timeline import with_commands
from townlet_adapters.eventfiles import list_parts
from townlet_adapters.storage.cut import cut_events, last_fact
from townlet_adapters.storage.folder import RunFolder, read_record, reopen_folder, run_folder_of
from townlet_adapters.storage.history import HISTORY, cut_history
from townlet_adapters.storage.snapshots import (
    SnapshotFile,
    list_snapshots,
    read_snapshot,
    set_aside_newer,
    tick_of,
)
from townlet_core.dto.snapshot import SCHEMA_VERSION
from townlet_core.errors import OutputError, SnapshotError
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_plugins.access import Access


@dataclass(frozen=True, slots=True)
class Origin:
    """What a resumed run goes on from.

    Attributes:
        stored: the snapshot.
        next_seq: number of the first fact behind it.
        record: ``run.json`` of the run that the snapshot belongs to, empty when it is in no run folder.
        folder: the folder of that run when the resumed run goes on in it; None when it has another or none.
    """

    stored: SnapshotFile
    next_seq: int
    record: JsonObject
    folder: RunFolder | None

    @property
    def tick(self) -> int:
        """Ticks that were finished before."""
        return self.stored.snapshot.tick


def find_origin(request: RunRequest, stack: ExitStack) -> Origin | None:
    """Read the snapshot that a request resumes; None when it resumes none.

    The run folder of the snapshot is taken when the run goes on in it; ``stack`` releases it.

    Raises:
        SnapshotError: when the snapshot is missing or damaged.
        OutputError: when another process uses the run folder, or its ``run.json`` is damaged.
    """
    if request.resume is None:
        return None
    home, folder, record = run_folder_of(request.resume), None, dict[str, JsonValue]()
    if home is not None and _goes_on_in(home, request.output):
        folder = reopen_folder(home)
        stack.callback(folder.release)
        record = dict(folder.record or {})
    elif home is not None:
        try:
            record = dict(read_record(home))
        except OutputError as error:
            request.notify(f"{error}; it is not needed, and left alone")
    stored = read_snapshot(request.resume)
    schema = stored.snapshot.schema_version
    if schema < SCHEMA_VERSION:
        advice = "`townlet snapshot migrate` writes it anew"
        request.notify(
            f"{stored.path}: migrated from schema {schema} to {SCHEMA_VERSION} in memory; {advice}"
        )
        stored = up_to_date(stored, request)
    return Origin(stored, _next_seq(stored), record, folder)


def _goes_on_in(home: Path, output: Output) -> bool:
    if output.path is None:
        return output.keep
    return output.path.exists() and output.path.samefile(home)


def _next_seq(stored: SnapshotFile) -> int:
    match stored.snapshot.parts.get("loop"):
        case {"next_seq": int(number)}:
            return number
    raise SnapshotError("snapshot_corrupt", f"{stored.path}: damaged: it has no number of the next fact")


def resolve_request(request: RunRequest, origin: Origin | None) -> ResolvedConfig:
    """Find the config of a run and validate it; a resumed run has the seed of its snapshot.

    Raises:
        ConfigError: when the config is wrong.
        PluginError: when it names a plugin that is not allowed.
        SnapshotError: when the snapshot belongs to another simulation.
    """
    seed = request.seed
    if origin is not None:
        seed = _stored_seed(origin.stored, seed)
    overrides = request.overrides
    if seed is not None:
        overrides = (*overrides, Override(("seed",), seed, f"{request.prefix}seed"))
    if request.config is None and origin is not None:
        source = with_overrides(
            stored_document(origin.stored), Access(Path.cwd(), request.allowed), overrides
        )
    else:
        source = source_of(request.config or default_config(), overrides, request.allowed)
    if request.policy is not None:
        source = with_policy(source, request.policy, f"{request.prefix}policy")
    if request.commands is not None:
        source = with_commands(source, request.commands)
    config = validated(source, request.sinks)
    if origin is not None and origin.stored.snapshot.identity["sim_digest"] != config.sim_digest:
        stored = origin.stored
        raise SnapshotError(
            "snapshot_config",
            f"{stored.path}: belongs to another simulation: "
            f"{_difference(stored.simulation, config.simulation)}; "
            "leave the config out to go on with the one in the snapshot",
        )
    return config


def behind_events(origin: Origin, config: ResolvedConfig, request: RunRequest) -> Origin:
    """Choose a snapshot whose facts are all in the event files of the run folder, so that no fact is missing.

    A process that was killed may have kept a snapshot and not the events of the last moments before it: the
    run then goes on from an older one, and executes the ticks between them again.

    Raises:
        SnapshotError: when there is no such snapshot, or the request names a file that is not one.
        OutputError: when an event file cannot be read.
    """
    if origin.folder is None:
        return origin
    ends = {path: last_fact(path) for path in _event_files(config, origin.folder) if list_parts(path)}
    if not ends:
        return origin
    path = min(ends, key=lambda each: -1 if ends[each] is None else ends[each] or 0)
    end = ends[path]
    reach = 0 if end is None else end + 1
    if origin.next_seq <= reach:
        return origin
    where = "holds no fact" if end is None else f"ends with the fact {end}"
    found = f"{origin.stored.path}: goes on with the fact {origin.next_seq}, but {path} {where}"
    goes_back = request.resume is not None and request.resume.is_dir()
    older = _older(origin, config, reach, request) if goes_back else None
    if older is None:
        advice = "resume an earlier snapshot, or go on in another folder with --out"
        raise SnapshotError("snapshot_config", f"{found}; {advice}")
    request.notify(f"{found}; going on from {older.stored.path}")
    return older


def _older(origin: Origin, config: ResolvedConfig, reach: int, request: RunRequest) -> Origin | None:
    """Find the newest snapshot before ``origin``, of the same simulation, that does not exceed ``reach``."""
    for path in reversed(list_snapshots(origin.stored.path.parent)):
        if tick_of(path) >= origin.tick:
            continue
        try:
            stored = up_to_date(read_snapshot(path, follow_links=False), request)
            older = replace(origin, stored=stored, next_seq=_next_seq(stored))
        except SnapshotError:
            continue
        if stored.snapshot.identity["sim_digest"] == config.sim_digest and older.next_seq <= reach:
            return older
    return None


def take_up(origin: Origin, config: ResolvedConfig) -> tuple[Path, ...]:
    """Make the run folder that of a run that ended at the snapshot: what comes after it is moved away.

    Returns:
        The files that events were moved into.

    Raises:
        OutputError: when a file cannot be changed.
    """
    if origin.folder is None:
        return ()
    set_aside_newer(origin.folder.snapshots, origin.tick)
    cut_history(origin.folder.path / HISTORY, origin.next_seq)
    moved = (cut_events(path, origin.tick, origin.next_seq) for path in _event_files(config, origin.folder))
    return tuple(path for path in moved if path is not None)


def _event_files(config: ResolvedConfig, folder: RunFolder) -> tuple[Path, ...]:
    """Return the event files that a config has in the run folder; others may be of more than one run."""
    paths = (
        Path(str(choice.part.options["path"])) for choice in config.sinks if choice.part.name == DEFAULT_SINK
    )
    return tuple(folder.path / path for path in paths if not (path.is_absolute() or ".." in path.parts))


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


def _difference(stored: JsonValue, asked: JsonValue, key: str = "") -> str:
    """Format the first key at which two simulations differ."""
    if isinstance(stored, Mapping) and isinstance(asked, Mapping):
        for name in sorted(stored.keys() | asked.keys()):
            if stored.get(name) != asked.get(name):
                return _difference(stored.get(name), asked.get(name), f"{key}.{name}" if key else name)
    return f"{key} differs"
