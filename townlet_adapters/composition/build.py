"""Builds a simulation from a config, part by part, and closes what it opened."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from townlet_adapters.composition.compiling import compile_for
from townlet_adapters.composition.parts import (
    hook_budget,
    make_context,
    open_observers,
    open_policy,
    open_stages,
    open_watchers,
    open_world,
    recent_facts,
    remarks_of,
    run_identity,
)
from townlet_adapters.composition.record import write_plan, write_record
from townlet_adapters.composition.request import RunRequest
from townlet_adapters.composition.resume import (
    Origin,
    behind_events,
    find_origin,
    resolve_request,
    take_up,
)
from townlet_adapters.composition.sinks import (
    DRAIN_SECONDS,
    LAST_SECONDS,
    build_sinks,
    start_sinks,
)
from townlet_adapters.composition.snapshots import save_snapshot_file, snapshot_schedule
from townlet_adapters.config.resolve import ResolvedConfig
from townlet_adapters.storage.folder import RunFolder, claim_folder, default_path
from townlet_adapters.storage.history import HISTORY, PromotionLog
from townlet_core.command_handlers import CommandHandlers
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.health import SinkStatus
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import NoRunFolderError
from townlet_core.events.plugin import PluginRefused
from townlet_core.events.promotion import PromotionState
from townlet_core.loop import SimulationLoop
from townlet_core.observers.recent import RecentFacts
from townlet_core.pacing import Pacer
from townlet_core.plugged import Plugged
from townlet_core.ports import WARNING, Remark
from townlet_core.timeline import check_timeline, follow
from townlet_core.vitals import no_hooks
from townlet_plugins.factory import BuildContext

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A simulation with everything wired, ready for its next tick.

    Attributes:
        loop: the simulation.
        config: what it was built from.
        folder: where it leaves its files, or None.
        run_id: id of the run.
        routes: where its messages go, every sink started.
        recent: the latest facts of some families, for queries.
        pacer: sets the speed, pauses and resumes.
        origin: what it goes on from, None when it begins at tick 0.
    """

    loop: SimulationLoop
    config: ResolvedConfig
    folder: RunFolder | None
    run_id: str
    routes: tuple[SinkRoute, ...] = field(repr=False)
    recent: RecentFacts = field(repr=False)
    pacer: Pacer = field(repr=False)
    origin: Origin | None = None

    def save_snapshot(self) -> Path:
        """Keep a snapshot in the run folder now.

        Raises:
            OutputError: when there is no folder or it cannot be written.
        """
        if self.folder is None:
            raise NoRunFolderError("a snapshot is kept in the run folder, and this run has none")
        return save_snapshot_file(self.folder, self.config, self.loop.snapshot())

    def drain(self) -> tuple[SinkStatus, ...]:
        """Stop the sinks and return the final account of each."""
        stop = self.loop.dispatcher.stop
        # Each sink goes on delivering while another is stopped, so one deadline holds for all of them.
        until = time.monotonic() + DRAIN_SECONDS
        return tuple(stop(route, max(LAST_SECONDS, until - time.monotonic())) for route in self.routes)


@contextmanager
def open_run(request: RunRequest) -> Iterator[OpenRun]:
    """Build a simulation part by part; on leaving, the parts are closed in reverse order.

    Raises:
        TownletError: when a part cannot be built; nothing is left behind then.
    """
    with ExitStack() as stack:
        origin = find_origin(request, stack)
        config = resolve_request(request, origin)
        if origin is not None:
            origin = behind_events(origin, config, request)
        folder = _claim(request, config, origin, stack)
        with _discarded_unless_built(folder):
            context = make_context(config, folder)
            world = open_world(config, context, stack)
            _log_warnings(remarks_of(config, world))
            policy = open_policy(config, context, stack)
            compile_for(config, context, request)
            observers = open_observers(config, context, world.spec)
            sinks = build_sinks(config, context, request.notify)
            routes = tuple(each.route for each in sinks)
            dispatcher = EventDispatcher(routes)
            recent = recent_facts(config, dispatcher)
            if folder is not None:
                log = PromotionLog(folder.path / HISTORY)
                dispatcher.subscribe(PromotionState.kind, log.hear, name=HISTORY)
            pacer = Pacer(config.run.runner.speed)
            loop = SimulationLoop(
                world,
                policy,
                run_identity(config, policy, context),
                dispatcher=dispatcher,
                stages=open_stages(config, context),
                observers=observers,
                digest=request.digest or folder is not None,
                pacer=pacer,
                snapshots=snapshot_schedule(config, folder, request.notify, world.spec.ticks_per_day),
                plugged=_plugged(config, context),
            )
            # Only a run that can go on takes anything away from the one before it.
            cut = _start(loop, config, origin)
            with config.located(()):
                follow(loop, [each.timed() for each in config.run.commands])
            start_sinks(config, sinks, stack)
            _report_plugins(config, loop)
            write_plan(folder, loop)
            write_record(folder, config, context, origin, cut)
        yield OpenRun(loop, config, folder, context.run_id, routes, recent, pacer, origin)


def _plugged(config: ResolvedConfig, context: BuildContext) -> Plugged:
    """Return what the allowed plugins bring to a run."""
    catalogue = config.catalogue
    return Plugged(
        events=catalogue.events,
        handlers=CommandHandlers(catalogue.commands, budget_seconds=hook_budget(config)),
        hooks=no_hooks if context.hooks is None else context.hooks.counters,
        counts=catalogue.counts,
    )


def check_config(config: ResolvedConfig) -> tuple[Remark, ...]:
    """Build world, policy and observers of a config and discard them: only the world knows its map.

    With a timeline, the stages and all observers are built as well, since they may answer commands.

    Returns:
        What the world has to say about itself.

    Raises:
        ConfigError: when they cannot be built.
    """
    with ExitStack() as stack:
        context = make_context(config, None)
        world = open_world(config, context, stack)
        remarks = remarks_of(config, world)
        open_policy(config, context, stack)
        if config.run.commands:
            _check_timeline(config, context, world.spec)
        else:
            open_watchers(config, world.spec)
        return remarks


def _check_timeline(config: ResolvedConfig, context: BuildContext, spec: WorldSpec) -> None:
    """Check the timeline against the commands of the world, of the parts and of the plugins."""
    parts = open_stages(config, context), open_observers(config, context, spec)
    added = _plugged(config, context).with_parts(*parts).handlers.specs
    with config.located(()):
        specs = {**{each.name: each for each in spec.commands}, **added}
        check_timeline([each.timed() for each in config.run.commands], specs)


def _log_warnings(remarks: Iterable[Remark]) -> None:
    for remark in remarks:
        if remark.topic == WARNING:
            _LOG.warning("%s", remark.text)


def _claim(
    request: RunRequest, config: ResolvedConfig, origin: Origin | None, stack: ExitStack
) -> RunFolder | None:
    """Return the folder of the run; ``stack`` releases it."""
    if not request.output.keep:
        return None
    if origin is not None and origin.folder is not None:
        return origin.folder
    named = request.output.path
    folder = claim_folder(named or default_path(config.run.name, config.run.seed), named=named is not None)
    stack.callback(folder.release)
    return folder


@contextmanager
def _discarded_unless_built(folder: RunFolder | None) -> Iterator[None]:
    """Remove the folder of a run that could not be built."""
    try:
        yield
    except BaseException:
        if folder is not None:
            folder.discard()
        raise


def _start(loop: SimulationLoop, config: ResolvedConfig, origin: Origin | None) -> tuple[Path, ...]:
    """Begin or restore the town; returns the files that events of an earlier run were moved into."""
    if origin is None:
        loop.begin()
        return ()
    loop.restore(origin.stored.snapshot)
    return take_up(origin, config)


def _report_plugins(config: ResolvedConfig, loop: SimulationLoop) -> None:
    """Report installed plugins that were refused, and warnings about those that were allowed."""
    for row in config.catalogue.refused:
        _LOG.warning("%s is %s; %s", row, row.state, row.advice)
        reason = row.state.removeprefix("refused: ")
        event = PluginRefused(row.distribution, row.version, row.entry_point, reason, row.allow_line)
        loop.dispatcher.publish_diagnostic(loop.tick, event)
    for warning in config.catalogue.warnings:
        _LOG.warning("%s", warning)
