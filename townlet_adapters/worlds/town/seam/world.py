"""The town as a world: a batch of one behind the world port."""

from collections.abc import Callable, Sequence
from itertools import compress

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.compiler import bound
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import FIGURES, TownModel
from townlet_adapters.worlds.town.compiled.rows import agent_id
from townlet_adapters.worlds.town.inputs.describe import describe
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_adapters.worlds.town.seam.commands import Order, order_of, results_of
from townlet_adapters.worlds.town.seam.decode import Decoder
from townlet_adapters.worlds.town.seam.drawn import drawn_plan
from townlet_adapters.worlds.town.seam.snapshot import load_town, save_town
from townlet_adapters.worlds.town.seam.view import allocate_view, blank_rows, fill_view, view_of
from townlet_adapters.worlds.town.systems.rewards import mean_reward
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.command import Command
from townlet_core.dto.frame import TownFrame
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.outcome import StepOutcome, TickSummary
from townlet_core.dto.plan import TownPlan
from townlet_core.dto.snapshot import Snapshot
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import WorldError
from townlet_core.events.base import Event
from townlet_core.hook_runner import HookRunner
from townlet_core.ports import Remark

_FIGURE_NAMES = tuple(figure.name for figure in FIGURES)


class TownWorld:
    """One town (``WorldPort``). The next step overwrites the buffers of its observations.

    Attributes:
        engine: the batch of one; tests access the town through it.
    """

    def __init__(self, model: TownModel, hooks: HookRunner | None = None) -> None:
        """Allocate a town; ``reset`` or ``restore`` starts it.

        Args:
            model: the model of the town.
            hooks: the hooks that the model was built with, if its manifest names hooks.
        """
        self.engine = TownBatch(model, 1, journal=True, hooks=hooks)
        self._model = model
        self._hooks = hooks if model.hooked else None
        self._decoder = Decoder(model)
        self._shown = allocate_view(
            model.spec, model.tables, model.limits, model.options.relationships.max_ties
        )
        self._view = view_of(model.constants, self._shown.columns, self.engine.state)
        # The population, the figures, and the serial of the next resident.
        self._totals = np.zeros(1 + len(FIGURES), np.int64)
        self._fill_view: Callable[[], None] | None = None
        self._mean_reward: Callable[[], float] | None = None
        out = self.engine.arrays
        self._map, self._features, self._mask, self._alive, self._serial = (
            memoryview(array[0]).toreadonly()
            for array in (out.map, out.features, out.mask, out.alive, out.serial)
        )
        self._reward, self._terminated, self._truncated = (
            memoryview(array[0]).toreadonly() for array in (out.reward, out.terminated, out.truncated)
        )
        self._reward_parts = memoryview(out.reward_parts[0]).toreadonly()
        self._wants = tuple(array[0] for array in self.engine.intents)
        # A policy may give the same batch in every tick: its memory is wrapped once.
        self._given: ActionBatch | None = None
        self._wanted: tuple[npt.NDArray[np.integer] | int, ...] = ()
        self._agent_ids: tuple[str, ...] = ()
        self._lives: tuple[int, int] = (0, 0)
        self._tick = 0
        self._pending: tuple[Event, ...] | None = None

    def __repr__(self) -> str:
        return f"TownWorld({self._model}, tick {self._tick})"

    @property
    def spec(self) -> WorldSpec:
        """The properties of this town."""
        return self._model.spec

    def describe(self) -> tuple[Remark, ...]:
        """Return what the options made of the town, for people."""
        return tuple(describe(self._model.plan, self._model.options.rewards))

    def plan(self) -> TownPlan:
        """Return the plan of this town."""
        return drawn_plan(self._model.plan)

    def reset(self, seed: int) -> ObservationBatch:
        """Start the town anew from a seed in [0, 2**64)."""
        self.engine.reset(seed)
        return self._awake(pending=True)

    def step(self, actions: ActionBatch, commands: Sequence[Command] = ()) -> StepOutcome:
        """Execute one tick."""
        if not self.engine.founded:
            raise WorldError("the town was not started: call reset or restore first", tick=self._tick)
        engine = self.engine
        engine.require_rest()
        if actions is not self._given:
            self._given, self._wanted = actions, _wrapped(actions)
        for row, wanted in zip(self._wants, self._wanted, strict=True):
            row[...] = wanted
        executed = self._tick
        orders, places = self._take(commands) if commands else ((), range(0))
        engine.advance()
        self._tick = executed + 1
        before = self._lives
        totals = self._look()
        events = self._decoder.events(engine.journal, 0, engine.remarks)
        if self._hooks is not None:
            events += self._hooks.take_rejections()
        if self._pending is not None:
            events = self._pending + events
            self._pending = None
        return StepOutcome(
            observation=self._observation(),
            reward=self._reward,
            terminated=self._terminated,
            truncated=self._truncated,
            events=events,
            summary=self._summary(executed, totals, before),
            command_results=results_of(orders, self._answers(places), executed) if orders else (),
            reward_parts=self._reward_parts,
        )

    def frame(self) -> TownFrame:
        """Return the frame of the town at the end of the last executed tick.

        Rewards are not part of a snapshot: after a restore, they are 0 until the next step.
        """
        self.engine.require_rest()
        if self._tick == 0:
            raise WorldError("no tick has been executed yet, so there is no frame", tick=0)
        return self._decoder.frame(self.engine.state, 0, self.engine.arrays.reward_parts[0])

    def snapshot(self) -> Snapshot:
        """Save the town between two ticks."""
        self.engine.require_rest()
        if not self.engine.founded:
            raise WorldError("the town was not started, so there is nothing to save", tick=self._tick)
        return save_town(
            self._model,
            self.engine.state,
            self.engine.journal,
            pending=self._pending is not None,
            hooks=self._hooks,
        )

    def restore(self, snapshot: Snapshot) -> ObservationBatch:
        """Continue from a snapshot of the same town."""
        self.engine.restart()
        pending = load_town(self._model, snapshot, self.engine.state, self.engine.journal, self._hooks)
        self.engine.founded = True
        self.engine.observe()
        return self._awake(pending=pending)

    def close(self) -> None:
        """Do nothing: no resource is held."""

    def _take(self, commands: Sequence[Command]) -> tuple[tuple[Order, ...], range]:
        """Translate commands to interventions for the next tick; returns the places of their answers."""
        orders = tuple(order_of(command, self._agent_ids, self._model, self._tick) for command in commands)
        places = self.engine.intervene(*(each for order in orders for each in order.interventions))
        return orders, places

    def _answers(self, places: range) -> list[tuple[int, int, int]]:
        """Return answers, serials and events of the interventions for commands; others may stand before."""
        engine, own = self.engine, slice(places.start, places.stop)
        rows = (engine.answers[own].tolist(), engine.serials[own].tolist(), engine.events[own].tolist())
        return list(zip(*rows, strict=True))

    def _awake(self, *, pending: bool) -> ObservationBatch:
        self._tick = int(self.engine.state.towns["tick"][0])
        self._pending = self._decoder.events(self.engine.journal, 0) if pending else None
        self._lives = (0, 0)
        self._look()
        return self._observation()

    def _look(self) -> list[int]:
        """Fill the view, and return the totals; after an arrival or exit, ids and blank rows follow."""
        state, fill = self.engine.state, self._fill_view
        if fill is None:
            tables = self._model.tables
            fill = self._fill_view = bound(fill_view, tables, state, self._shown, self._totals, 0)
        fill()
        totals: list[int] = self._totals.tolist()
        # Without an arrival, the next serial stays as it is; then an exit is all that changes the population.
        lives = (totals[0], totals[-1])
        if lives != self._lives:
            self._lives = lives
            serials, alive = state.residents["serial"][0], state.residents["alive"][0]
            self._agent_ids = tuple(
                agent_id(serial) if lives else ""
                for serial, lives in zip(serials.tolist(), alive.tolist(), strict=True)
            )
            blank_rows(self._shown, ~alive)
            fill()
        return totals

    def _observation(self) -> ObservationBatch:
        return ObservationBatch(
            tick=self._tick,
            map=self._map,
            features=self._features,
            mask=self._mask,
            alive=self._alive,
            serial=self._serial,
            agent_ids=self._agent_ids,
            view=self._view,
        )

    def _summary(self, tick: int, totals: list[int], before: tuple[int, int]) -> TickSummary:
        """Sum up a tick; ``before`` is the population and the next serial when it began."""
        day, tod = self.spec.clock(tick)
        alive, *figures = totals
        population, serial = before
        arrivals = totals[-1] - serial
        actions = self.engine.journal.actions[0].tolist()
        failures = self.engine.journal.failures[0].tolist()
        mean = self._mean_reward
        if mean is None:
            mean = self._mean_reward = bound(mean_reward, self.engine.state, self.engine.arrays, 0)
        return TickSummary(
            day=day,
            tod=tod,
            alive=alive,
            arrivals=arrivals,
            exits=population + arrivals - alive,
            actions=_counted(self._model.spec.action_names, actions),
            failures=_counted(codes.REASONS, failures),
            reward_mean=mean(),
            figures=dict(zip(_FIGURE_NAMES, figures, strict=True)),
        )


def _wrapped(actions: ActionBatch) -> tuple[npt.NDArray[np.integer] | int, ...]:
    """Return what a batch holds in the order of ``Intents``, without a copy."""
    context = actions.context
    if context is None:
        return np.asarray(actions.action), np.asarray(actions.target), -1, -1, 0
    return (
        np.asarray(actions.action),
        np.asarray(actions.target),
        np.asarray(context.option),
        np.asarray(context.goal),
        np.asarray(context.commit_remaining),
    )


def _counted(names: Sequence[str], counts: list[int]) -> dict[str, int]:
    """Return the counts by name without those that are 0."""
    return dict(zip(compress(names, counts), filter(None, counts), strict=True))
