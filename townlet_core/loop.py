"""The simulation loop: decide, step, observe, publish."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn

from townlet_core.account import Mark, RunAccount, RunIdentity
from townlet_core.commands import CommandBus
from townlet_core.dispatch import EventDispatcher
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.health import LoopFigures
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.outcome import StepOutcome, TickSummary
from townlet_core.dto.plan import PlanMessage, TownPlan
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
from townlet_core.events.loop import LoopFailure
from townlet_core.failures import PartName, as_failure, blaming
from townlet_core.isolation import describe
from townlet_core.iteration import TickIterator
from townlet_core.jsonvalue import JsonObject
from townlet_core.kpis import collect_kpis, rounded, standings_of
from townlet_core.ledger import Ledger
from townlet_core.observers.port import Observer
from townlet_core.pacing import Pacer
from townlet_core.plans import plan_of
from townlet_core.plugged import Plugged
from townlet_core.ports.policy import PolicyPort
from townlet_core.ports.stage import ActionStage
from townlet_core.ports.world import WorldPort
from townlet_core.seen import observation_message
from townlet_core.snapshot_parts import (
    COMMANDS,
    LoopPart,
    check_snapshot,
    compose_snapshot,
    import_parts,
    mark_failed,
    read_loop_part,
)
from townlet_core.summary import RunSummary
from townlet_core.tick import Done, Parts, TickRunner
from townlet_core.vitals import Vitals

__all__ = ["Progress", "RunIdentity", "SimulationLoop", "SnapshotSchedule"]

_LOG = logging.getLogger(__name__)

Progress = Callable[[int, TickSummary], object]
"""Called after every tick with the number of ticks done and the tick's summary."""


@dataclass(frozen=True, slots=True)
class SnapshotSchedule:
    """When to save snapshots during a run, and how; composition writes the files.

    Attributes:
        every_ticks: number of ticks between two snapshots; 0 for none.
        save: saves a snapshot; an exception of it ends the run but leaves the loop usable.
        save_failed: saves the snapshot of a failed simulation, which can be inspected but not resumed, and
            returns its path; None when none is saved.
    """

    every_ticks: int = 0
    save: Callable[[Snapshot], object] = str
    save_failed: Callable[[Snapshot], str] | None = None

    def due(self, finished: int) -> bool:
        """Return whether a snapshot is due after so many finished ticks."""
        return self.every_ticks > 0 and finished % self.every_ticks == 0


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
        stages: Sequence[ActionStage] = (),
        observers: Sequence[Observer] = (),
        digest: bool = False,
        pacer: Pacer | None = None,
        snapshots: SnapshotSchedule | None = None,
        plugged: Plugged | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Put the parts together; nothing runs before ``begin``, ``restore`` or the first step.

        Args:
            world: the world to step.
            policy: the policy that decides.
            run: the identity of the run.
            dispatcher: passes events to listeners; by default there are none.
            stages: pass the policy's actions on to the world, in this order; by default there are none.
            observers: called in this order, which is also the order of their facts.
            digest: whether to keep the chain of hashes over all facts.
            pacer: sets the speed; by default as fast as possible.
            snapshots: when to save snapshots, and how; by default none are saved.
            plugged: what plugins bring to the run; by default nothing.
            clock: seconds, for durations only.

        Raises:
            ContractError: when two observers, two stages or two commands have the same name.
        """
        _require_unique("observer", [observer.name for observer in observers])
        _require_unique("stage", [stage.name for stage in stages])
        plugged = (plugged or Plugged()).with_parts(stages, observers)
        self._run, self._clock = run, clock
        self._dispatcher = dispatcher or EventDispatcher()
        self._pacer, self._snapshots = pacer or Pacer("max"), snapshots or SnapshotSchedule()
        self._commands = CommandBus(plugged.handlers, self._coming_tick)
        self._parts = Parts(world, policy, tuple(stages), tuple(observers), self._commands, run.seed)
        self._ledger = Ledger(digest=digest, events=plugged.events)
        self._ticks = TickRunner(self._parts, self._ledger, clock)
        self._account = RunAccount(run, self._ledger)
        self._standings = standings_of(observers)
        self._vitals = Vitals(self._dispatcher, plugged.counters, plugged.counts, self._standings)
        self._observation: ObservationBatch | None = None
        self._stop_requested = self._stepping = False
        self._failure: str | None = None

    def __repr__(self) -> str:
        tick = self._observation.tick if self._observation is not None else 0
        return f"SimulationLoop(world={self._parts.world.spec.world!r}, seed={self._run.seed}, tick={tick})"

    @property
    def tick(self) -> int:
        """Number of finished ticks = the tick that the next step executes."""
        return self.begin().tick

    @property
    def spec(self) -> WorldSpec:
        """What is known of the world before its first tick."""
        return self._parts.world.spec

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
        return self._vitals.figures(self._account.population)

    @property
    def digest(self) -> str | None:
        """Last link of the chain over all facts in hex, None when no digest is kept."""
        return self._ledger.digest

    @cached_property
    def plan_message(self) -> PlanMessage | None:
        """The plan of the world with its hash; None when it has none."""
        return plan_of(self._parts.world)

    def plan(self) -> TownPlan | None:
        """Return the plan of the world, with which it can be drawn; None when it has none.

        Raises:
            ContractError: when the world cannot give it.
        """
        message = self.plan_message
        return message.plan if message is not None else None

    def frame(self) -> TownFrame:
        """Return the frame of the world at the end of the last executed tick.

        Raises:
            WorldError: when no tick has been executed yet, or the world cannot give it.
            LoopFailedError: when the loop failed earlier.
        """
        tick = self.begin().tick
        if not tick:
            raise WorldError("no tick has been executed yet, so there is no frame; call step() first", tick=0)
        return self._frame(tick - 1)

    def residents(self) -> tuple[JsonObject, ...]:
        """Return a row for each resident: its id as ``agent_id``, and its entry in ``frame()``.

        Raises:
            WorldError: when no tick has been executed yet, or the world cannot give its frame.
            LoopFailedError: when the loop failed earlier.
        """
        return tuple({"agent_id": agent_id, **entry} for agent_id, entry in self.frame().agents.items())

    def begin(self) -> ObservationBatch:
        """Start the town from its seed, unless it is started; the first step calls this if needed.

        Returns:
            What every agent sees now.

        Raises:
            ConfigError: when the policy cannot act in such a world.
            WorldError: when the world cannot begin.
            PolicyError: when the policy cannot begin.
            ContractError: when a stage or an observer cannot begin.
            LoopFailedError: when the loop failed earlier.
        """
        self._refuse_if_failed()
        if self._observation is not None:
            return self._observation
        part: PartName = "world"
        try:
            spec = self._parts.world.spec
            self._commands.begin(spec)
            part = "policy"
            self._parts.policy.begin(spec, self._run.seed)
            part = "stage"
            for stage in self._parts.stages:
                stage.begin(spec, self._run.seed)
            part = "observer"
            for observer in self._parts.observers:
                observer.begin(spec)
            part = "world"
            observation = self._parts.world.reset(self._run.seed)
            self._account.population = _living(observation)
        except (TownletError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise as_failure(part, 0, error) from error
        self._observation = observation
        return observation

    def step(self) -> StepOutcome:
        """Execute one tick.

        Raises:
            WorldError: when the world could not finish it.
            PolicyError: when the policy could not decide.
            ContractError: when a stage or an observer failed, or when a part calls it within a step.
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
        tick = observation.tick
        try:
            done = self._ticks.run(observation)
        except BaseException as error:  # noqa: BLE001 - after any exception, the tick is half done
            self._fail(self._ticks.part, tick, error)
        outcome = done.outcome
        self._observation = outcome.observation
        # A sink that asks for figures while it receives the tick's facts gets those of this tick.
        self._account.population = outcome.summary.alive
        published, ended = self._publish(tick, done)
        started = done.marks[0]
        self._account.count(outcome.summary.alive, ended - started)
        self._vitals.note(tick, outcome.summary, (*done.marks, published, ended))
        if self._snapshots.due(tick + 1):
            self._snapshots.save(self.snapshot())
        return outcome

    def _publish(self, tick: int, done: Done) -> tuple[float, float]:
        """Pass on what a tick brought; returns the times at which the facts and everything were passed on."""
        dispatcher = self._dispatcher
        dispatcher.publish(done.facts)
        for event in done.diagnostics:
            dispatcher.publish_diagnostic(tick, event)
        published = self._clock()
        if dispatcher.wants_state(tick):
            plan = self.plan_message
            planhash = plan.planhash if plan is not None else ""
            dispatcher.publish_state(StateFrame(tick, self._frame(tick), planhash), plan)
        if dispatcher.wants_observations():
            dispatcher.publish_observations(self._seen(tick, done.outcome))
        return published, self._clock()

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
        summary = self._sum_up(mark, self._clock() - started)
        self._stop_requested = False
        if not summary.population:
            raise EmptyTownError(f"the town is empty after tick {self.tick - 1}", summary)
        return summary

    def summary(self) -> RunSummary:
        """Return the account of all ticks since the simulation was begun or restored.

        ``wall_seconds`` is the time that the ticks took, without the time between them.
        """
        return self._sum_up(self._account.opened, self._account.seconds)

    def _mark(self, tick: int) -> Mark:
        return self._account.mark(tick, self._kpis(kept=True) if tick else {})

    def _sum_up(self, mark: Mark, wall: float) -> RunSummary:
        """Sum up what happened since a mark."""
        return self._account.since(
            mark,
            tick=self.tick,
            wall=wall,
            kpis=self._kpis(kept=True),
            sinks=self._dispatcher.statuses(),
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
        parts, ledger = self._parts, self._ledger
        check_snapshot(snapshot, self._run.snapshot, parts.keepers)
        own = read_loop_part(snapshot, seed=self._run.seed, digest_wanted=ledger.digest is not None)
        digest = ledger.continuation(own)
        with blaming("the world cannot continue from a snapshot"):
            observation = parts.world.restore(snapshot)
        try:
            with blaming("a part cannot continue from a snapshot"):
                self._commands.begin(parts.world.spec)
                parts.policy.begin(parts.world.spec, self._run.seed)
                for stage in parts.stages:
                    stage.begin(parts.world.spec, self._run.seed)
                for observer in parts.observers:
                    observer.begin(parts.world.spec)
                import_parts(snapshot, parts.keepers)
                self._commands.import_state(snapshot.parts.get(COMMANDS, {}))
        except BaseException as error:
            self._failure = f"its restore failed halfway: {describe(error)}"
            raise
        ledger.restore(own, digest)
        self._observation, self._account.population = observation, _living(observation)
        self._account.opened = self._mark(observation.tick)

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

    def _frame(self, tick: int) -> TownFrame:
        """Build the frame of the town, with the loop's own values."""
        kpis = rounded(self._kpis(kept=False))
        try:
            frame = self._parts.world.frame()
            clock = {**frame.clock, "speed": self._pacer.speed}
            stands = {name: rounded(stand()) for name, stand in self._standings.items()}
            return replace(
                frame,
                clock=clock,
                kpis={**frame.kpis, **kpis},
                stability=stands.get("stability", frame.stability),
                promotion=stands.get("promotion", frame.promotion),
            )
        except BaseException as error:  # noqa: BLE001 - as in step
            self._fail("world", tick, error)

    def _seen(self, tick: int, outcome: StepOutcome) -> ObservationMessage:
        """Build the message with the observations; a world with wrong arrays has failed."""
        try:
            return observation_message(tick, self._parts.world.spec, outcome)
        except BaseException as error:  # noqa: BLE001 - as in step
            self._fail("world", tick, error)

    def _kpis(self, *, kept: bool) -> JsonObject:
        return collect_kpis(self._parts.observers, self._coming_tick(), kept=kept)

    def _compose(self) -> Snapshot:
        parts, ledger = self._parts, self._ledger
        part = LoopPart(self._run.seed, ledger.next_seq, ledger.digest, ledger.announced)
        with blaming("a part cannot export its state"):
            world = parts.world.snapshot()
            commands = self._commands.export_state()
            return compose_snapshot(world, self._run.snapshot, part, parts.keepers, commands)

    def _fail(self, part: PartName, tick: int, error: BaseException) -> NoReturn:
        """End the run: keep the reason, publish it, save a snapshot if asked, raise with tick and agent."""
        self._failure = f"tick {tick} failed: {describe(error)}"
        if isinstance(error, KeyboardInterrupt):
            raise error
        failure = as_failure(part, tick, error)
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
        if self._snapshots.save_failed is None:
            return None
        try:
            return self._snapshots.save_failed(mark_failed(self._compose(), str(failure)))
        except Exception:  # noqa: BLE001 - the original failure is more important
            _LOG.exception("the snapshot of the failed simulation could not be saved")
            return None


def _require_unique(what: str, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise ContractError(f"{what} names must be unique; found: {', '.join(names)}")


def _living(observation: ObservationBatch) -> int:
    return sum(observation.alive.tolist())
