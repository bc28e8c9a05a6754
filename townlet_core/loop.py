"""The simulation loop: decide, step, observe, publish."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, NamedTuple, NoReturn

from townlet_core.commands import CommandBus
from townlet_core.digest import FactDigest
from townlet_core.dispatch import EventDispatcher
from townlet_core.dto.action import ActionBatch, PolicyIdentity
from townlet_core.dto.frame import FRAME_DECIMALS, StateFrame, TownFrame
from townlet_core.dto.health import LoopFigures
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.outcome import StepOutcome, TickSummary
from townlet_core.dto.seen import ObservationMessage
from townlet_core.dto.snapshot import Snapshot
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import (
    ContractError,
    EmptyTownError,
    LoopFailedError,
    PolicyError,
    TownletError,
    WorldError,
)
from townlet_core.events.base import Event, Fact
from townlet_core.events.health import NO_PLUGINS, PluginCounts
from townlet_core.events.loop import LoopFailure, LoopTick
from townlet_core.events.policy import PolicyMetadata
from townlet_core.events.schema import EventRegistry, is_diagnostic
from townlet_core.handlers import CommandHandlers
from townlet_core.isolation import describe, type_name
from townlet_core.iteration import TickIterator
from townlet_core.jsonvalue import JsonObject, JsonValue, canonical_json
from townlet_core.observers.port import Observer
from townlet_core.pacing import Pacer
from townlet_core.parts import (
    COMMANDS,
    LoopPart,
    check_snapshot,
    compose_snapshot,
    import_parts,
    mark_failed,
    read_loop_part,
)
from townlet_core.ports.policy import PolicyPort
from townlet_core.ports.world import WorldPort
from townlet_core.seen import observation_message
from townlet_core.summary import RunSummary
from townlet_core.vitals import Hooks, Vitals, no_hooks

_LOG = logging.getLogger(__name__)

Progress = Callable[[int, TickSummary], object]
"""Called after every tick with the number of ticks done and the tick's summary."""


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """The identity of a run.

    Attributes:
        seed: an integer in [0, 2**64).
        run_id: id of the run, may be empty.
        config_digest: digest of the resolved config.
        snapshot: the values that a snapshot must share to be resumed here (``sim_digest``, ...).
    """

    seed: int
    run_id: str = ""
    config_digest: str = ""
    snapshot: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SnapshotSchedule:
    """When to save snapshots during a run, and how; composition writes the files.

    Attributes:
        every_ticks: number of ticks between two snapshots, at least 1.
        save: saves a snapshot; an exception of it ends the run but leaves the loop usable.
    """

    every_ticks: int
    save: Callable[[Snapshot], object]


class SimulationLoop:
    """Runs one world and one policy with their observers and listeners; called from one thread.

    The parts belong to the caller: the loop begins and restores them, but never closes them.
    """

    def __init__(  # noqa: PLR0913 - the parts of a simulation, each named where it is given
        self,
        world: WorldPort,
        policy: PolicyPort,
        run: RunIdentity,
        *,
        dispatcher: EventDispatcher | None = None,
        observers: Sequence[Observer] = (),
        digest: bool = False,
        pacer: Pacer | None = None,
        snapshots: SnapshotSchedule | None = None,
        save_failure: Callable[[Snapshot], str] | None = None,
        hooks: Hooks = no_hooks,
        plugins: PluginCounts = NO_PLUGINS,
        events: EventRegistry | None = None,
        handlers: CommandHandlers | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Put the parts together; nothing runs before ``begin``, ``restore`` or the first step.

        Args:
            world: the world to step.
            policy: the policy that decides.
            run: the identity of the run.
            dispatcher: passes events to listeners; by default there are none.
            observers: called in this order, which is also the order of their facts.
            digest: whether to keep the chain of hashes over all facts.
            pacer: sets the speed; by default as fast as possible.
            snapshots: when to save snapshots, and how; by default none are saved.
            save_failure: saves the snapshot of a failed simulation, which can be inspected but not
                resumed, and returns its path; by default none is saved.
            hooks: returns the counts of the plugins' hooks for ``loop.health``; by default there are none.
            plugins: the numbers of plugins by state, for ``loop.health``; by default there are none.
            events: every kind that may be emitted; a part that emits another one has failed. None allows all.
            handlers: the commands that plugins add to those of the world; by default none.
            clock: seconds, for durations only.

        Raises:
            ContractError: when two observers have the same name.
        """
        self._world, self._policy, self._run = world, policy, run
        self._dispatcher = dispatcher or EventDispatcher()
        self._observers = tuple(observers)
        self._digest = FactDigest() if digest else None
        self._pacer, self._clock = pacer or Pacer(), clock
        self._snapshots, self._save_failure = snapshots, save_failure
        self._events, self._met = events, set[str]()
        handlers = handlers or CommandHandlers()
        self._commands = CommandBus(handlers, self._coming_tick)
        self._vitals = Vitals(self._dispatcher, lambda: {**hooks(), **handlers.counters()}, plugins)
        self._observation: ObservationBatch | None = None
        self._announced: PolicyIdentity | None = None
        self._next_seq = self._population = self._agent_steps = 0
        self._seconds, self._facts_by_kind = 0.0, Counter[str]()
        self._opened = _Mark()
        self._stop_requested = self._stepping = False
        self._failure: str | None = None
        names = [observer.name for observer in self._observers]
        if len(set(names)) < len(names):
            raise ContractError(f"observer names must be unique; found: {', '.join(names)}")

    def __repr__(self) -> str:
        tick = self._observation.tick if self._observation is not None else 0
        return f"SimulationLoop(world={self._world.spec.world!r}, seed={self._run.seed}, tick={tick})"

    @property
    def tick(self) -> int:
        """Number of finished ticks = the tick that the next step executes."""
        return self.begin().tick

    @property
    def spec(self) -> WorldSpec:
        """What is known of the world before its first tick."""
        return self._world.spec

    @property
    def observation(self) -> ObservationBatch:
        """What every agent sees now."""
        return self.begin()

    @property
    def commands(self) -> CommandBus:
        """The command bus, for any thread; each command is executed in the next tick."""
        self.begin()
        return self._commands

    @property
    def dispatcher(self) -> EventDispatcher:
        """The dispatcher that passes the run's events to listeners."""
        return self._dispatcher

    @property
    def figures(self) -> LoopFigures:
        """Counters for monitors; cheap, from any thread."""
        return self._vitals.figures(self._population)

    @property
    def digest(self) -> str | None:
        """Last link of the chain over all facts in hex, None when no digest is kept."""
        return self._digest.hexdigest() if self._digest else None

    def begin(self) -> ObservationBatch:
        """Start the town from its seed, unless it is started; the first step calls this if needed.

        Returns:
            What every agent sees now.

        Raises:
            ConfigError: when the policy cannot act in such a world.
            WorldError: when the world cannot begin.
            PolicyError: when the policy cannot begin.
            ContractError: when an observer cannot begin.
            LoopFailedError: when the loop failed earlier.
        """
        self._refuse_if_failed()
        if self._observation is not None:
            return self._observation
        part: _Part = "world"
        try:
            spec = self._world.spec
            self._commands.begin(spec)
            part = "policy"
            self._policy.begin(spec, self._run.seed)
            part = "observer"
            for observer in self._observers:
                observer.begin(spec)
            part = "world"
            observation = self._world.reset(self._run.seed)
            self._population = _living(observation)
        except (TownletError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise _as_failure(part, 0, error) from error
        self._observation = observation
        return observation

    def step(self) -> StepOutcome:
        """Execute one tick.

        Raises:
            WorldError: when the world could not finish it.
            PolicyError: when the policy could not decide.
            ContractError: when an observer failed, or when a part calls it within a step.
            LoopFailedError: when one of these was raised earlier.
        """
        observation = self.begin()
        if self._stepping:
            raise ContractError(f"tick {observation.tick} is being executed: a part called step() within it")
        self._stepping = True
        try:
            return self._step(observation)
        finally:
            self._stepping = False

    def _step(self, observation: ObservationBatch) -> StepOutcome:
        tick, clock = observation.tick, self._clock
        started = clock()
        part: _Part = "policy"
        try:
            decision = self._policy.decide(observation)
            announced = self._announcements(self._policy.identity)
            part, decided = "world", clock()
            outcome, answers = self._obey(observation, decision.actions)
            self._meet(outcome.events)
            part, stepped = "observer", clock()
            watched = [event for observer in self._observers for event in observer.observe(outcome, tick)]
            self._meet(watched)
            part, observed = "world", clock()
            facts, diagnostics = self._number(tick, (*announced, *answers), outcome, watched)
            if self._digest:
                self._digest.update(facts)
        except BaseException as error:  # noqa: BLE001 - after any exception, the tick is half done
            self._fail(part, tick, error)
        numbered = clock()
        self._observation, self._population = outcome.observation, outcome.summary.alive
        self._agent_steps += outcome.summary.alive
        self._dispatcher.publish(facts)
        for event in diagnostics:
            self._dispatcher.publish_diagnostic(tick, event)
        published = clock()
        if self._dispatcher.wants_state(tick):
            self._dispatcher.publish_state(StateFrame(tick, self._frame(tick)))
        if self._dispatcher.wants_observations():
            self._dispatcher.publish_observations(self._seen(tick, outcome))
        ended = clock()
        self._seconds += ended - started
        marks = (started, decided, stepped, observed, numbered, published, ended)
        self._vitals.note(tick, outcome.summary, marks)
        if self._snapshots is not None and (tick + 1) % self._snapshots.every_ticks == 0:
            self._snapshots.save(self.snapshot())
        return outcome

    def run_for(self, ticks: int, progress: Progress | None = None) -> RunSummary:
        """Execute ``ticks`` ticks, fewer when ``request_stop`` is called, and return the summary.

        Raises:
            EmptyTownError: when the town is empty at the end; it carries the summary.
            TownletError: any error that ``step`` raises.
        """
        mark, started = self._mark(self.begin().tick), self._clock()
        for done, outcome in enumerate(self._paced(ticks), start=1):
            if progress is not None:
                progress(done, outcome.summary)
        summary = self._account(mark, self._clock() - started)
        self._stop_requested = False
        if not summary.population:
            raise EmptyTownError(f"the town is empty after tick {self.tick - 1}", summary)
        return summary

    def summary(self) -> RunSummary:
        """Return the account of all ticks since the simulation was begun or restored.

        ``wall_seconds`` is the time that the ticks took, without the time between them.
        """
        return self._account(self._opened, self._seconds)

    def _mark(self, tick: int) -> "_Mark":
        kpis = self._kpis(kept=True) if tick else {}
        return _Mark(tick, self._next_seq, self._agent_steps, self._facts_by_kind.copy(), kpis)

    def _account(self, mark: "_Mark", wall: float) -> RunSummary:
        """Sum up what happened since a mark."""
        done, agent_steps = self.tick - mark.tick, self._agent_steps - mark.agent_steps
        by_kind = self._facts_by_kind - Counter(mark.facts_by_kind)
        return RunSummary(
            run_id=self._run.run_id,
            config_digest=self._run.config_digest,
            seed=self._run.seed,
            first_tick=mark.tick,
            ticks=done,
            wall_seconds=wall,
            ticks_per_second=done / wall if wall else 0.0,
            agent_steps_per_second=agent_steps / wall if wall else 0.0,
            population=self._population,
            events_before=mark.next_seq,
            events_total=by_kind.total(),
            events_by_kind=dict(sorted(by_kind.items())),
            kpis=self._kpis(kept=True),
            kpis_before=mark.kpis,
            sinks=self._dispatcher.statuses(),
            digest=self.digest,
            interrupted=self._stop_requested,
        )

    def iterate(self, ticks: int) -> TickIterator:
        """Execute ``ticks`` ticks lazily, one whenever the next outcome is requested."""
        return TickIterator(self._paced(ticks))

    def request_stop(self) -> None:
        """End the current ``run_for`` or ``iterate`` after the tick being executed.

        Safe in a signal handler and from another thread: it sets one flag. Before a run, it ends the next.
        """
        self._stop_requested = True

    def snapshot(self) -> Snapshot:
        """Return the whole simulation between two ticks."""
        self.begin()
        return self._compose()

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot instead of beginning.

        Raises:
            SnapshotError: when the snapshot does not belong to this simulation.
            ContractError: when a part raises another error while it restores its state.
            LoopFailedError: when the loop failed earlier.
        """
        self._refuse_if_failed()
        check_snapshot(snapshot, self._run.snapshot, self._policy, self._observers)
        part = read_loop_part(snapshot, seed=self._run.seed, digest_wanted=self._digest is not None)
        digest = FactDigest(part.digest) if self._digest is not None and part.digest is not None else None
        with _blaming("the world cannot continue from a snapshot"):
            observation = self._world.restore(snapshot)
        try:
            with _blaming("a part cannot continue from a snapshot"):
                self._commands.begin(self._world.spec)
                self._policy.begin(self._world.spec, self._run.seed)
                for observer in self._observers:
                    observer.begin(self._world.spec)
                import_parts(snapshot, self._policy, self._observers)
                self._commands.import_state(snapshot.parts.get(COMMANDS, {}))
        except BaseException as error:
            self._failure = f"its restore failed halfway: {describe(error)}"
            raise
        self._digest, self._next_seq, self._announced = digest, part.next_seq, part.announced
        self._observation, self._population = observation, _living(observation)
        self._opened = self._mark(observation.tick)

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise LoopFailedError(f"this simulation cannot continue: {self._failure}; build a new one")

    def _paced(self, ticks: int) -> Iterator[StepOutcome]:
        for number in range(ticks):
            if number:
                self._pacer.wait(self._is_stopping)
            if self._stop_requested:
                return
            yield self.step()

    def _is_stopping(self) -> bool:
        return self._stop_requested

    def _coming_tick(self) -> int:
        return self._observation.tick if self._observation is not None else 0

    def _obey(
        self, observation: ObservationBatch, actions: ActionBatch
    ) -> tuple[StepOutcome, tuple[Event, ...]]:
        """Execute a tick of the world with the waiting commands; returns the outcome and the results."""
        if not self._commands.waiting:
            return self._world.step(actions), ()
        asked = self._commands.open_round(observation, self._run.seed)
        outcome = self._world.step(actions, asked.commands)
        return outcome, asked.close(observation.tick, outcome.command_results)

    def _announcements(self, identity: PolicyIdentity) -> tuple[Event, ...]:
        """Return an event about the policy when its identity changed."""
        if identity == self._announced:
            return ()
        self._announced = identity
        variant, blend = self._world.spec.variant, identity.anneal_ratio or 0.0
        return (PolicyMetadata(identity.name, identity.version_digest, variant, blend),)

    def _meet(self, events: Sequence[Event]) -> None:
        """Refuse kinds that are not registered: sinks would receive them without a schema."""
        met = self._met
        for event in events:
            if event.kind not in met:
                if self._events is not None and event.kind not in self._events.classes:
                    kind = event.kind
                    raise ContractError(f"unknown kind '{kind}'; add {type_name(event)} to townlet_events")
                met.add(event.kind)

    def _number(
        self, tick: int, announced: Sequence[Event], outcome: StepOutcome, watched: Sequence[Event]
    ) -> tuple[list[Fact], list[Event]]:
        """Put the tick's facts in order and number them; diagnostics among them get no number."""
        facts: list[Fact] = []
        diagnostics: list[Event] = []
        seq, counts = self._next_seq, self._facts_by_kind
        for events in (announced, outcome.events, watched):
            for event in events:
                if is_diagnostic(event.kind):
                    diagnostics.append(event)
                    continue
                facts.append(Fact(seq, tick, event))
                counts[event.kind] += 1
                seq += 1
        facts.append(Fact(seq, tick, _tick_event(outcome.summary, len(facts))))
        counts[LoopTick.kind] += 1
        self._next_seq = seq + 1
        return facts, diagnostics

    def _frame(self, tick: int) -> TownFrame:
        """Build the frame of the town, with the loop's own values."""
        kpis = _rounded(self._kpis(kept=False))
        try:
            frame = self._world.frame()
            clock = {**frame.clock, "speed": self._pacer.speed}
            return replace(frame, clock=clock, kpis={**frame.kpis, **kpis})
        except BaseException as error:  # noqa: BLE001 - as in step
            self._fail("world", tick, error)

    def _seen(self, tick: int, outcome: StepOutcome) -> ObservationMessage:
        """Build the message with the observations; a world with wrong arrays has failed."""
        try:
            return observation_message(tick, self._world.spec, outcome)
        except BaseException as error:  # noqa: BLE001 - as in step
            self._fail("world", tick, error)

    def _kpis(self, *, kept: bool) -> JsonObject:
        """Collect every observer's KPIs; ``kept`` ones are checked, which is too slow for every frame."""
        kpis: dict[str, JsonValue] = {}
        for observer in self._observers:
            try:
                found = dict(observer.kpis())
                if kept:
                    canonical_json({str.__str__(name): value for name, value in found.items()})
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise _as_failure("observer", self.tick, error) from error
            if twice := kpis.keys() & found.keys():
                raise ContractError(f"two observers return the KPI '{min(twice)}'; one is '{observer.name}'")
            kpis.update(found)
        return kpis

    def _compose(self) -> Snapshot:
        part = LoopPart(self._run.seed, self._next_seq, self.digest, self._announced)
        with _blaming("a part cannot export its state"):
            world = self._world.snapshot()
            commands = self._commands.export_state()
            return compose_snapshot(world, self._run.snapshot, part, self._policy, self._observers, commands)

    def _fail(self, part: "_Part", tick: int, error: BaseException) -> NoReturn:
        """End the run: keep the reason, publish it, save a snapshot if asked, raise with tick and agent."""
        self._failure = f"tick {tick} failed: {describe(error)}"
        if isinstance(error, KeyboardInterrupt):
            raise error
        failure = _as_failure(part, tick, error)
        phase = failure.phase if isinstance(failure, WorldError) else None
        agent_id = failure.agent_id if isinstance(failure, WorldError | PolicyError) else None
        path = self._keep_failure(failure)
        self._dispatcher.publish_diagnostic(tick, LoopFailure(tick, phase, agent_id, str(failure), path))
        self._vitals.fail(tick)
        if failure is error:
            raise failure
        raise failure from error

    def _keep_failure(self, failure: TownletError) -> str | None:
        """Save a snapshot of the failed simulation; an error here must not hide why the run ended."""
        if self._save_failure is None:
            return None
        try:
            return self._save_failure(mark_failed(self._compose(), str(failure)))
        except Exception:  # noqa: BLE001 - the original failure is more important
            _LOG.exception("the snapshot of the failed simulation could not be saved")
            return None


_Part = Literal["policy", "world", "observer"]


class _Mark(NamedTuple):
    """A point from which an account is made.

    Attributes:
        tick: the tick that comes next.
        next_seq: number of the fact that comes next.
        agent_steps: living agents of every tick before it, summed.
        facts_by_kind: facts before it by kind.
        kpis: KPIs before it; empty at tick 0.
    """

    tick: int = 0
    next_seq: int = 0
    agent_steps: int = 0
    facts_by_kind: Mapping[str, int] = MappingProxyType({})
    kpis: JsonObject = MappingProxyType({})


@contextmanager
def _blaming(what: str) -> Iterator[None]:
    """Turn any exception of a part, even SystemExit, into a ContractError with ``what`` in front."""
    try:
        yield
    except (TownletError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise ContractError(f"{what}: {describe(error)}") from error


def _as_failure(part: _Part, tick: int, error: BaseException) -> TownletError:
    """Return the error of the port of the part that failed, with the tick."""
    if isinstance(error, WorldError | PolicyError):
        return error
    message = f"the {part} failed at tick {tick}: {describe(error)}"
    if part == "policy":
        return PolicyError(message, tick=tick)
    return WorldError(message, tick=tick) if part == "world" else ContractError(message)


def _living(observation: ObservationBatch) -> int:
    return sum(observation.alive.tolist())


def _tick_event(summary: TickSummary, events: int) -> LoopTick:
    return LoopTick(
        day=summary.day,
        tod=summary.tod,
        alive=summary.alive,
        arrivals=summary.arrivals,
        exits=summary.exits,
        actions=summary.actions,
        failures=summary.failures,
        events=events,
        reward_mean=summary.reward_mean,
        figures=summary.figures,
    )


def _rounded(kpis: JsonObject) -> dict[str, JsonValue]:
    """Round key figures for a frame; the summary keeps every digit."""
    return {
        name: round(value, FRAME_DECIMALS)
        if isinstance(value, float)
        else (_rounded(value) if isinstance(value, Mapping) else value)
        for name, value in kpis.items()
    }
