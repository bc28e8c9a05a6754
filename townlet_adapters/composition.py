"""From a config to a running simulation, and back to nothing: every part is opened here and closed here."""

import logging
import platform
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import importlib_metadata

from townlet_adapters.config.model import (
    RedactSection,
    RenameResidentsSection,
    RunConfig,
    ValidateSection,
)
from townlet_adapters.config.resolve import (
    OBSERVERS,
    POLICY,
    WORLD,
    ResolvedConfig,
    SinkChoice,
    SinkRequest,
    allowlist_of,
    digest_of,
    resolve,
    simulation_of,
    with_policy,
)
from townlet_adapters.config.source import (
    Override,
    Source,
    default_config,
    find_config,
    read_source,
    with_overrides,
)
from townlet_adapters.documents import Document
from townlet_adapters.kernels.compiler import INTERPRETED, compiled_before, note_compiled
from townlet_adapters.secrets import read_secret
from townlet_adapters.storage.folder import RunFolder, claim_folder, default_path
from townlet_adapters.storage.snapshots import SnapshotFile, read_snapshot, retain_snapshots, write_snapshot
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.action import PolicyIdentity
from townlet_core.dto.health import SinkStatus
from townlet_core.dto.snapshot import Snapshot
from townlet_core.errors import (
    ConfigError,
    NoRunFolderError,
    OutputError,
    Problem,
    SnapshotError,
    TownletError,
)
from townlet_core.events.plugin import PluginRefused
from townlet_core.handlers import CommandHandlers
from townlet_core.histories import HistorySettings
from townlet_core.hooks import HookRunner
from townlet_core.isolation import type_name
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.loop import RunIdentity, SimulationLoop, SnapshotSchedule
from townlet_core.observers.kpis import KpiObserver, KpiSettings
from townlet_core.observers.needs import NeedLimits
from townlet_core.observers.port import Observer
from townlet_core.observers.uses import UseNames
from townlet_core.pacing import Pacer
from townlet_core.ports import PolicyPort, TelemetrySinkProtocol, WorldPort
from townlet_core.records import record_to_json
from townlet_core.transforms.base import Transform
from townlet_core.transforms.redact import Redact, RedactSettings
from townlet_core.transforms.rename import RenameResidents, RenameSettings
from townlet_core.transforms.validate import Validate
from townlet_core.vitals import no_hooks
from townlet_plugins.catalogue import load_catalogue
from townlet_plugins.factory import BuildContext
from townlet_plugins.offers import BrokenPluginError, broken

_LOG = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 10.0
"""How long the sinks may take to deliver what they still hold when a run ends."""

LAST_SECONDS: Final = 1.0
"""What a sink has of that in any case, for its last attempt."""

_RUN_ID_BYTES: Final = 8
_SPOOL: Final = "spool_dir"  # the option of a sink that keeps an outbox
_VERSIONS_OF: Final = ("numba", "numpy", "orjson", "pydantic")


@dataclass(frozen=True, slots=True)
class Output:
    """Where a run leaves its files.

    Attributes:
        keep: whether it has a run folder.
        path: the folder; None for ``runs/<utc>-<name>-s<seed>``.
    """

    keep: bool
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is to be run.

    Attributes:
        config: a config file, or the config itself; None for the packaged default town, or for what the
            resumed snapshot holds.
        seed: the seed instead of the config's.
        policy: name of the policy instead of the config's.
        overrides: values instead of the config's.
        sinks: sinks instead of the config's.
        output: where the run leaves its files.
        resume: a snapshot file, or a folder for the newest valid one in it.
        digest: whether to keep a digest even without a run folder.
        notify: told what a person should know before the first tick.
    """

    config: Path | RunConfig | Mapping[str, JsonValue] | None = None
    seed: int | None = None
    policy: str | None = None
    overrides: tuple[Override, ...] = ()
    sinks: tuple[SinkRequest, ...] | None = None
    output: Output = Output(keep=False)
    resume: Path | None = None
    digest: bool = False
    notify: Callable[[str], object] = _LOG.warning


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A simulation with everything wired, ready for its next tick.

    Attributes:
        loop: the simulation.
        config: what it was built from.
        folder: where it leaves its files, or None.
        run_id: id of the run.
        routes: where its messages go, every sink started.
    """

    loop: SimulationLoop
    config: ResolvedConfig
    folder: RunFolder | None
    run_id: str
    routes: tuple[SinkRoute, ...] = field(repr=False)

    def save_snapshot(self) -> Path:
        """Keep a snapshot in the run folder now.

        Raises:
            OutputError: when there is no folder or it cannot be written.
        """
        if self.folder is None:
            raise NoRunFolderError("a snapshot lies in the run folder, and this run has none")
        return _save(self.folder, self.config, self.loop.snapshot())

    def drain(self) -> tuple[SinkStatus, ...]:
        """Stop the sinks and tell what each of them came to."""
        stop = self.loop.dispatcher.stop
        # Each goes on delivering while another is stopped, so the time is the same for all of them.
        until = time.monotonic() + DRAIN_SECONDS
        return tuple(stop(route, max(LAST_SECONDS, until - time.monotonic())) for route in self.routes)


@contextmanager
def open_simulation(  # noqa: PLR0913 - what a run can be told, each by its name
    config: Path | str | RunConfig | Mapping[str, JsonValue] | None = None,
    *,
    seed: int | None = None,
    overrides: Mapping[str, JsonValue] | None = None,
    out: Path | str | None = None,
    resume: Path | str | None = None,
    digest: bool = False,
) -> Iterator[SimulationLoop]:
    """Open a simulation for Python code; everything is closed on leaving.

    Args:
        config: a config file (``configs/NAME.yaml`` finds a shipped one), or the config itself; the default
            town, or what the snapshot holds, when None.
        seed: the seed instead of the config's.
        overrides: values instead of the config's, by key path, as in ``{"world.options.town": "hamlet_24"}``.
        out: run folder to keep; None keeps none, and sinks that write into it are left out.
        resume: snapshot to go on from.
        digest: whether to keep a digest even without a run folder.

    Yields:
        The loop, begun or restored.

    Raises:
        TownletError: when it cannot be opened.
    """
    request = RunRequest(
        config=find_config(str(config)) if isinstance(config, str | Path) else config,
        seed=seed,
        overrides=tuple(Override.of(key, value) for key, value in (overrides or {}).items()),
        output=Output(keep=out is not None, path=Path(out) if out is not None else None),
        resume=Path(resume) if resume is not None else None,
        digest=digest,
    )
    with open_run(request) as run:
        yield run.loop


@contextmanager
def open_run(request: RunRequest) -> Iterator[OpenRun]:
    """Build a simulation part by part; whatever was opened is closed in reverse order.

    Raises:
        TownletError: when a part cannot be built; nothing is left behind then.
    """
    with ExitStack() as stack:
        stored = _read_stored(request)
        config = _resolve(request, stored)
        folder = _claim(request, config)
        with _discarded_unless_built(folder):
            context = _context(config, folder)
            world = _open_world(config, context, stack)
            policy = _open_policy(config, context, stack)
            _compile_kernels(config, context, request.notify)
            observers = (_kpis(config), *_extra_observers(config, context))
            routes = _open_sinks(config, context, request.notify, stack)
            loop = SimulationLoop(
                world,
                policy,
                _identity(config, policy, context),
                dispatcher=EventDispatcher(routes, _histories(config)),
                observers=observers,
                digest=request.digest or folder is not None,
                pacer=Pacer(config.run.runner.speed),
                snapshots=_schedule(config, folder, request.notify),
                save_failure=_failure_saver(config, folder),
                hooks=no_hooks if context.hooks is None else context.hooks.counters,
                plugins=config.catalogue.counts,
                events=config.catalogue.events,
                handlers=CommandHandlers(config.catalogue.commands, budget_seconds=_budget(config)),
            )
            _start(loop, stored)
            _tell_refused(config, loop)
            _write_identity(folder, config, context, stored)
        yield OpenRun(loop, config, folder, context.run_id, routes)


def load_config(
    config: Path | RunConfig | Mapping[str, JsonValue], overrides: Sequence[Override] = ()
) -> ResolvedConfig:
    """Let in whom a config allows and validate it in both passes; nothing is built.

    Raises:
        ConfigError: with every problem of the pass that found one.
        PluginError: when it names a plugin that is not let in.
    """
    return _validated(_source(config, overrides))


@contextmanager
def open_outboxes(
    file: Path, outboxes: Sequence[Path], overrides: Sequence[Override] = ()
) -> Iterator[Mapping[Path, TelemetrySinkProtocol]]:
    """Start the sinks of a config on outboxes that a run has left, without a town; they deliver at once.

    Args:
        file: the config that the run had; its sinks say where to, and with what secrets.
        outboxes: folders called ``<sink>-<number>``, by the sink's number in the config.
        overrides: values instead of the config's.

    Yields:
        The sink of each outbox, started.

    Raises:
        ConfigError: when the config has no such sink.
        TownletError: when one of them cannot be started.
    """
    config = load_config(file, overrides)
    kept = {
        f"{choice.part.name}-{number}": choice.path
        for number, choice in enumerate(config.sinks, start=1)
        if _SPOOL in choice.part.options
    }
    with ExitStack() as stack:
        sinks: dict[Path, TelemetrySinkProtocol] = {}
        started: list[TelemetrySinkProtocol] = []
        # What is not delivered by now stays where it is.
        stack.callback(_stop, started, LAST_SECONDS)
        for outbox in outboxes:
            if outbox.name not in kept:
                allowed = f"a config with that sink in that place; this one has: {', '.join(kept) or 'none'}"
                problem = Problem("telemetry.sinks", f"none has the outbox {outbox.name}", allowed, str(file))
                raise ConfigError(problem)
            path = kept[outbox.name]
            there = Override((*path, "options", _SPOOL), str(outbox.resolve().parent), "DIR")
            moved = load_config(file, (*overrides, there))
            (choice,) = (each for each in moved.sinks if each.path == path)
            at_sink = replace(_context(moved, None), producer=int(outbox.name.rpartition("-")[2]))
            sink = moved.build(choice.part, choice.path, at_sink)
            with moved.located((*choice.path, "options")):
                sink.start()
            started.append(sink)
            sinks[outbox] = sink
        yield sinks


def check_config(config: ResolvedConfig) -> None:
    """Build world and policy of a config and drop them: only the world knows its map and manifest.

    Raises:
        ConfigError: when they cannot be built.
    """
    with ExitStack() as stack:
        context = _context(config, None)
        _open_world(config, context, stack)
        _open_policy(config, context, stack)


def live_briefly(config: ResolvedConfig, context: BuildContext | None = None) -> None:
    """Live two ticks, save and restore without anybody watching: afterwards every kernel is compiled.

    Raises:
        TownletError: when the config's parts cannot be built or run.
    """
    context = context or _context(config, None)
    with ExitStack() as stack:
        world = _open_world(config, context, stack)
        policy = _open_policy(config, context, stack)
        loop = SimulationLoop(world, policy, _identity(config, policy, context))
        loop.run_for(2)
        loop.restore(loop.snapshot())
    note_compiled()


def _read_stored(request: RunRequest) -> SnapshotFile | None:
    return read_snapshot(request.resume) if request.resume is not None else None


def _validated(source: Source, sinks: Sequence[SinkRequest] | None = None) -> ResolvedConfig:
    return resolve(source, load_catalogue(allowlist_of(source)), sinks)


def _resolve(request: RunRequest, stored: SnapshotFile | None) -> ResolvedConfig:
    """Find the config and validate it; a resumed run has the seed of its snapshot."""
    seed = request.seed
    if stored is not None:
        seed = _stored_seed(stored, seed)
    overrides = request.overrides
    if seed is not None:
        overrides = (*overrides, Override(("seed",), seed, "--seed"))
    if request.config is None and stored is not None:
        source = with_overrides(_stored_document(stored), Path.cwd(), overrides)
    else:
        source = _source(request.config or default_config(), overrides)
    if request.policy is not None:
        source = with_policy(source, request.policy)
    config = _validated(source, request.sinks)
    if stored is not None and stored.snapshot.identity["sim_digest"] != config.sim_digest:
        raise SnapshotError(
            "snapshot_config",
            f"{stored.path}: belongs to another simulation: "
            f"{_difference(stored.simulation, config.simulation)}; "
            "leave the config out to go on with the one in the snapshot",
        )
    return config


def _source(config: Path | RunConfig | Mapping[str, JsonValue], overrides: Sequence[Override]) -> Source:
    if isinstance(config, Path):
        return read_source(config, overrides)
    value = config.model_dump(mode="json") if isinstance(config, RunConfig) else dict(config)
    return with_overrides(Document(value, "config"), Path.cwd(), overrides)


def _stored_seed(stored: SnapshotFile, asked: int | None) -> int:
    seed = stored.simulation.get("seed")
    if not isinstance(seed, int):
        raise SnapshotError("snapshot_corrupt", f"{stored.path}: damaged: it names no seed")
    if asked is not None and asked != seed:
        raise SnapshotError(
            "snapshot_config",
            f"{stored.path}: has seed {seed}, not {asked}; a resumed run keeps its seed: leave --seed out",
        )
    return seed


def _stored_document(stored: SnapshotFile) -> Document:
    """Make a config of what a snapshot may say: what happens in town, never who may come in."""
    if digest_of(simulation_of(stored.simulation)) != stored.snapshot.identity["sim_digest"]:
        found = "its sections hold more than what happens in town"
        raise SnapshotError("snapshot_corrupt", f"{stored.path}: damaged: {found}")
    return Document({"townlet": 1, "name": "resumed", **stored.simulation}, str(stored.path))


def _difference(stored: JsonValue, asked: JsonValue, key: str = "") -> str:
    """Name the first key at which two simulations differ."""
    if isinstance(stored, Mapping) and isinstance(asked, Mapping):
        for name in sorted(stored.keys() | asked.keys()):
            if stored.get(name) != asked.get(name):
                return _difference(stored.get(name), asked.get(name), f"{key}.{name}" if key else name)
    return f"{key} differs"


def _claim(request: RunRequest, config: ResolvedConfig) -> RunFolder | None:
    if not request.output.keep:
        return None
    named = request.output.path
    return claim_folder(named or default_path(config.run.name, config.run.seed), named=named is not None)


@contextmanager
def _discarded_unless_built(folder: RunFolder | None) -> Iterator[None]:
    """Take the folder of a run that never came to be away again."""
    try:
        yield
    except BaseException:
        if folder is not None:
            folder.discard()
        raise


def _context(config: ResolvedConfig, folder: RunFolder | None) -> BuildContext:
    return BuildContext(
        seed=config.run.seed,
        config_dir=config.folder,
        run_dir=folder.path if folder is not None else None,
        # From the system's entropy: the town's own randomness stays untouched.
        run_id=secrets.token_hex(_RUN_ID_BYTES),
        hooks=_hooks(config),
    )


def _hooks(config: ResolvedConfig) -> HookRunner | None:
    if not config.hooks:
        return None
    return HookRunner(config.hooks, budget_seconds=_budget(config))


def _budget(config: ResolvedConfig) -> float:
    return config.run.plugins.hook_budget_ms / 1000


def _compile_kernels(config: ResolvedConfig, context: BuildContext, notify: Callable[[str], object]) -> None:
    """Compile before the first tick rather than in it, so that the run's own figures are true.

    World and policy have been built: only then is it known which kernels they bring.
    """
    if INTERPRETED or compiled_before():
        return
    notify("compiling the town's kernels: once for this machine and version, about a minute ...")
    live_briefly(config, context)


def _open_world(config: ResolvedConfig, context: BuildContext, stack: ExitStack) -> WorldPort:
    world = config.build(config.world, WORLD, context)
    stack.callback(_close, world.close)
    return world


def _open_policy(config: ResolvedConfig, context: BuildContext, stack: ExitStack) -> PolicyPort:
    policy = config.build(config.policy, POLICY, context)
    stack.callback(_close, policy.end)
    return policy


def _close(close: Callable[[], object]) -> None:
    """Close a part; what went wrong with the run must not be hidden by it, and no exit come from it."""
    try:
        close()
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - whatever a third party's part raises
        _LOG.exception("a part failed when it was closed")


def _kpis(config: ResolvedConfig) -> KpiObserver:
    section = config.run.observers.kpis
    names, limits = section.names, section.limits
    return KpiObserver(
        KpiSettings(
            UseNames(names.meals, names.cafe_meals, names.cooking, names.showers, names.sleeps),
            NeedLimits(limits.well, limits.starving, limits.starving_ticks),
        )
    )


def _extra_observers(config: ResolvedConfig, context: BuildContext) -> tuple[Observer, ...]:
    return tuple(
        config.build(part, (*OBSERVERS, number), context) for number, part in enumerate(config.observers)
    )


def _histories(config: ResolvedConfig) -> HistorySettings:
    section = config.run.observers.histories
    return HistorySettings(section.queue_ticks, section.rivalry_events, section.policy_facts)


def _open_sinks(
    config: ResolvedConfig, context: BuildContext, notify: Callable[[str], object], stack: ExitStack
) -> tuple[SinkRoute, ...]:
    """Start every sink; one that needs a run folder where there is none is left out, and that is told."""
    routes: list[SinkRoute] = []
    opened: Counter[str] = Counter()
    started: list[TelemetrySinkProtocol] = []
    stack.callback(_stop, started, DRAIN_SECONDS)
    for number, choice in enumerate(config.sinks, start=1):
        stream = choice.stream.settings()
        try:
            at_sink = replace(context, producer=number, stream=stream)
            sink = config.build(choice.part, choice.path, at_sink)
        except NoRunFolderError as error:
            notify(str(error))
            continue
        transforms = tuple(_transforms(config, choice))
        with (
            config.located((*choice.path, "options")),
            broken(f"the sink '{choice.part.name}' cannot start", TownletError),
        ):
            sink.start()
        started.append(sink)
        # Two sinks of a kind are told apart by number: file, file-2.
        kind = choice.part.name
        opened[kind] += 1
        name = kind if opened[kind] == 1 else f"{kind}-{opened[kind]}"
        routes.append(SinkRoute(name, sink, stream.state_every, transforms, stream.observations))
    return tuple(routes)


def _stop(sinks: Sequence[TelemetrySinkProtocol], seconds: float) -> None:
    """Stop sinks, perhaps for the second time; what went wrong with the run must not be hidden by it."""
    until = time.monotonic() + seconds
    for sink in sinks:
        try:
            sink.stop(max(LAST_SECONDS, until - time.monotonic()))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - whatever a third party's sink raises
            _LOG.exception("a sink failed when it was stopped")


def _transforms(config: ResolvedConfig, choice: SinkChoice) -> Iterator[Transform]:
    """Make what stands between the town and one sink."""
    for number, section in enumerate(choice.transforms):
        match section:
            case ValidateSection():
                yield Validate(config.catalogue.events)
            case RedactSection():
                kinds = None if section.kinds is None else frozenset(section.kinds)
                yield Redact(RedactSettings(frozenset(section.fields), kinds))
            case RenameResidentsSection():
                with config.located((*choice.path, "transforms", number)):
                    key = read_secret("key", section.key_env, section.key_file, config.folder)
                yield RenameResidents(RenameSettings(key), config.catalogue.events)


def _identity(config: ResolvedConfig, policy: PolicyPort, context: BuildContext) -> RunIdentity:
    what = f"the policy '{config.policy.name}' is broken: it does not tell who it is"
    with broken(what, TownletError):
        # Nothing has checked the types of a stranger's policy.
        told: object = policy.identity
        if not isinstance(told, PolicyIdentity):
            raise BrokenPluginError(f"{what}: its identity is of the type {type_name(told)}")
        version = told.version_digest
    return RunIdentity(
        seed=config.run.seed,
        run_id=context.run_id,
        config_digest=config.config_digest,
        snapshot={"sim_digest": config.sim_digest, "policy_hash": version},
    )


def _schedule(
    config: ResolvedConfig, folder: RunFolder | None, notify: Callable[[str], object]
) -> SnapshotSchedule | None:
    every = config.run.runner.snapshot_every
    if every is None:
        return None
    if folder is None:
        notify("no snapshots are kept: they lie in the run folder, and this run has none")
        return None
    return SnapshotSchedule(every, partial(_save_or_tell, folder, config, notify))


def _failure_saver(config: ResolvedConfig, folder: RunFolder | None) -> Callable[[Snapshot], str] | None:
    if folder is None or not config.run.runner.on_failure_snapshot:
        return None
    return partial(_save_failure, folder, config)


def _save(folder: RunFolder, config: ResolvedConfig, snapshot: Snapshot) -> Path:
    path = write_snapshot(folder.snapshots, _named(snapshot), config.simulation)
    retain_snapshots(folder.snapshots, config.run.runner.snapshot_retain)
    return path


def _save_or_tell(
    folder: RunFolder, config: ResolvedConfig, notify: Callable[[str], object], snapshot: Snapshot
) -> None:
    """Keep a snapshot that is due; the town does not die of a disk that is full for a while."""
    try:
        _save(folder, config, snapshot)
    except OutputError as error:
        notify(f"{error}; the run goes on, and the next snapshot is tried when it is due")


def _save_failure(folder: RunFolder, config: ResolvedConfig, snapshot: Snapshot) -> str:
    return str(write_snapshot(folder.snapshots, _named(snapshot), config.simulation, prefix="failure"))


def _named(snapshot: Snapshot) -> Snapshot:
    """Add the event digest to a snapshot's identity, where a reader of the file looks for it."""
    match snapshot.parts.get("loop"):
        case {"digest": str(digest)}:
            return replace(snapshot, identity={**snapshot.identity, "event_digest": digest})
    return replace(snapshot, identity={**snapshot.identity, "event_digest": ""})


def _start(loop: SimulationLoop, stored: SnapshotFile | None) -> None:
    if stored is None:
        loop.begin()
    else:
        loop.restore(stored.snapshot)


def _tell_refused(config: ResolvedConfig, loop: SimulationLoop) -> None:
    """Tell of installed plugins that were not let in, and of what those did that were."""
    for row in config.catalogue.refused:
        _LOG.warning("%s is %s; %s", row, row.state, row.advice)
        reason = row.state.removeprefix("refused: ")
        event = PluginRefused(row.distribution, row.version, row.entry_point, reason, row.allow_line)
        loop.dispatcher.publish_diagnostic(loop.tick, event)
    for warning in config.catalogue.warnings:
        _LOG.warning("%s", warning)


def _write_identity(
    folder: RunFolder | None,
    config: ResolvedConfig,
    context: BuildContext,
    stored: SnapshotFile | None,
) -> None:
    """Write ``run.json``."""
    if folder is None:
        return
    # Our own come first; nobody else can be called like us.
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
    """Tell what a run goes on from."""
    if stored is None:
        return None
    return {"tick": stored.snapshot.tick, "sha256": stored.sha256}


def _versions(townlet: str) -> JsonObject:
    others = {name: importlib_metadata.version(name) for name in _VERSIONS_OF}
    return {"townlet": townlet, "python": platform.python_version(), **others}
