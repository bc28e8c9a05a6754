"""A batch of towns, stepped by the same kernels, which write into arrays of the caller."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.compiler import bound
from townlet_adapters.kernels.records import Records
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.rows import journal_rows
from townlet_adapters.worlds.town.compiled.state import CURSOR, EVENT, Journal, Scratch, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.seam.arguments import (
    Intervention,
    check_actions,
    check_arrays,
    check_intervention,
    check_model,
    check_targets,
    seeds_of,
    town_count,
)
from townlet_adapters.worlds.town.seam.buffers import (
    allocate_arrays,
    allocate_intents,
    allocate_journal,
    allocate_scratch,
    allocate_state,
)
from townlet_adapters.worlds.town.seam.decode import NO_REMARKS, Remark
from townlet_adapters.worlds.town.seam.hook_calls import HookCalls
from townlet_adapters.worlds.town.systems.interventions import INTERVENTION
from townlet_adapters.worlds.town.systems.observe import TownArrays
from townlet_adapters.worlds.town.systems.tick import Intents, found_town, observe_towns, tick_towns
from townlet_core.errors import ArgumentError, ConfigError, Problem, WorldError
from townlet_core.hook_runner import HookRunner

_NO_ORDERS: Records = np.zeros(0, INTERVENTION)
_NO_ANSWERS: npt.NDArray[np.int64] = np.zeros(0, np.int64)


class TownBatch:
    """B towns of one model, each with its own seed, stepped together.

    One town of a batch behaves exactly as it would alone. No Python code runs per town or resident.

    ``reset`` and ``step`` always return the same arrays, and each call overwrites them. Code that keeps an
    observation beyond the next step keeps ``copy_observation()``.

    Attributes:
        model: the model that all towns share.
        towns: number of towns.
        state: everything that changes; belongs to the batch, written only by its kernels.
        arrays: the observations, overwritten by ``reset`` and ``step``; belongs to the caller.
        intents: the batch's own input buffers. A caller may write into them and call ``advance``, which
            checks nothing.
        journal: the rows of the last tick, overwritten by the next; without rows unless requested.
        answers: int64[...], what became of the interventions of the last tick, in the order of ``intervene``:
            ``codes.EXECUTED``, or why it was not done.
        serials: int64[...], the residents that they were about: for ``codes.SPAWN`` the newcomer.
        events: int64[...], in the same order, the numbers of the events that they scheduled, else 0.
        founded: whether ``reset`` or a restored snapshot has given the towns a state.
    """

    def __init__(
        self,
        model: TownModel,
        towns: int,
        *,
        arrays: TownArrays | None = None,
        journal: bool = False,
        hooks: HookRunner | None = None,
    ) -> None:
        """Allocate everything; ``reset`` starts the towns.

        Args:
            model: the model of the towns.
            towns: the number of towns, B >= 1.
            arrays: arrays for the observations; allocated when left out.
            journal: whether to keep the rows from which events are decoded.
            hooks: the hooks that the model was built with, if its manifest names hooks.

        Raises:
            ArgumentError: when an argument has another type, or an array of the caller another shape or
                dtype, or is read-only or not contiguous.
            ConfigError: when the manifest names hooks and there are several towns.
        """
        check_model(model)
        towns = town_count(towns)
        self.model = model
        self.towns = towns
        self._slots, self._action_count = model.spec.capacity, len(model.spec.action_names)
        self.arrays = allocate_arrays(model, towns)
        if arrays is not None:
            check_arrays(arrays, self.arrays)
            self.arrays = arrays
        self.state = allocate_state(model, towns)
        self.intents = allocate_intents(model, towns)
        self.journal = allocate_journal(model, towns, journal_rows(model.sizes) if journal else 0)
        self._scratch = allocate_scratch(model)
        self._orders: list[Intervention] = []
        self.answers = self.serials = self.events = _NO_ANSWERS
        self._calls: HookCalls | None = None
        if model.hooked:
            asked = _askable(model, towns, hooks)
            self._calls = HookCalls(model, asked, self.state, self._scratch.cursor, self.journal)
        self._mid_tick = self._asking = False
        self._tick_without_orders: Callable[[], bool] | None = None
        self.founded = False

    def __repr__(self) -> str:
        return f"TownBatch({self.towns} x {self.model})"

    @property
    def remarks(self) -> Mapping[int, Remark]:
        """The hooks' additions to the rows of the last tick, by number of the row."""
        return NO_REMARKS if self._calls is None else self._calls.remarks

    def reset(self, seed: int | Sequence[int] = 0) -> TownArrays:
        """Start every town anew.

        Args:
            seed: seed of town 0, town b gets ``(seed + b) mod 2**64``; or one seed for each town.

        Returns:
            ``arrays``, filled with the observation of instant 0. The next call overwrites them.

        Raises:
            ArgumentError: when a seed is not in [0, 2**64), or the number of seeds is not that of the towns.
        """
        seeds = seeds_of(seed, self.towns)
        self.restart()
        if self._calls is not None:
            self._calls.begin()
        for array in self.state:
            array[...] = np.zeros((), array.dtype)
        self._orders.clear()
        self._forget_context()
        for b, value in enumerate(seeds):
            found_town(
                self.model.tables, self.state, self.journal, self._scratch, self.arrays, b, np.uint64(value)
            )
        self._check_journal()
        self.founded = True
        return self.arrays

    def step(
        self, actions: npt.NDArray[np.integer], targets: npt.NDArray[np.integer] | None = None
    ) -> TownArrays:
        """Execute one tick of every town.

        Args:
            actions: integers[B, N], numbers of actions, also for dead slots; a masked one has no effect and
                counts as ``invalid``. They are copied.
            targets: integers[B, N], slot or object numbers, -1 (the default) lets the world choose; an
                unknown number makes the action fail with ``bad_target``. They are copied.

        Returns:
            ``arrays``, filled with the next observation. The next call overwrites them:
            ``copy_observation`` keeps one.

        Raises:
            ArgumentError: when an array is not of integers, has another shape or a number out of range.
            WorldError: before the first ``reset``, and when a hook calls it from within a tick.
        """
        check_actions(actions, self.towns, self._slots, self._action_count)
        if targets is not None:
            check_targets(targets, self.towns, self._slots)
        self.require_rest()
        self.intents.action[...] = actions
        self.intents.target[...] = -1 if targets is None else targets
        return self.advance()

    def advance(self) -> TownArrays:
        """Execute one tick with the numbers in ``intents``, unchecked.

        Raises:
            WorldError: before the first ``reset``, and when a hook calls it from within a tick.
        """
        if self._mid_tick or not self.founded:
            self._refuse()
        orders = self._take_orders() if self._orders else _NO_ORDERS
        unfinished = self._run_tick(orders)
        if self._calls is not None:
            self._ask_and_finish(self._calls, orders, unfinished=unfinished)
        given = orders is not _NO_ORDERS
        self.answers = orders["answer"] if given else _NO_ANSWERS
        self.serials = orders["serial"] if given else _NO_ANSWERS
        self.events = orders["event"] if given else _NO_ANSWERS
        if self.journal.rows.shape[1] or orders.shape[0]:
            self._check_journal()
        return self.arrays

    def intervene(self, *orders: Intervention) -> range:
        """Apply interventions in phase 1 of the next tick, in this order.

        Returns:
            Their places in ``answers`` after that tick.

        Raises:
            ArgumentError: when an intervention names something that does not exist; then none is applied.
        """
        self.require_rest()
        for order in orders:
            check_intervention(order, self.model, self.towns)
        first = len(self._orders)
        self._orders.extend(orders)
        return range(first, len(self._orders))

    def copy_observation(self) -> TownArrays:
        """Return copies of ``arrays`` that the next step does not overwrite; they belong to the caller."""
        return TownArrays._make(array.copy() for array in self.arrays)

    def observe(self) -> TownArrays:
        """Write the observation of the current state, after it was restored.

        Raises:
            WorldError: before the first ``reset``, and when a hook calls it from within a tick.
        """
        if self._mid_tick or not self.founded:
            self._refuse()
        observe_towns(self.model.tables, self.state, self.arrays)
        return self.arrays

    def require_rest(self) -> None:
        """Raise an error unless the batch is between two ticks.

        Raises:
            WorldError: when a tick is being executed, or was interrupted.
        """
        if self._mid_tick:
            raise WorldError(
                "a tick is being executed: the town cannot be stepped, shown, saved or changed within it; "
                "hooks return effects instead",
                tick=int(self.state.towns["tick"][0]),
            )

    def _refuse(self) -> NoReturn:
        """Raise the reason why the towns cannot be stepped or observed now."""
        self.require_rest()
        raise WorldError("the towns were not started: call reset first", tick=0)

    def restart(self) -> None:
        """Prepare for another state: an interrupted tick is discarded.

        Raises:
            WorldError: when a hook calls it from within a tick.
        """
        if self._asking:
            self.require_rest()
        self._mid_tick = False
        self._scratch.cursor[...] = np.zeros((), CURSOR)

    def _ask_and_finish(self, calls: HookCalls, orders: Records, *, unfinished: bool) -> None:
        """Answer the kernels' requests until the tick is finished."""
        calls.remarks.clear()
        self._mid_tick = unfinished
        while self._mid_tick:
            self._asking = True
            try:
                calls.answer()
            finally:
                self._asking = False
            self._mid_tick = self._run_tick(orders)

    def _run_tick(self, orders: Records) -> bool:
        """Execute a tick, or continue one; returns whether it is not finished."""
        if orders is not _NO_ORDERS:
            return tick_towns(*self._arguments(orders))
        run = self._tick_without_orders
        if run is None:
            run = self._tick_without_orders = bound(tick_towns, *self._arguments(orders))
        return run()

    def _arguments(
        self, orders: Records
    ) -> tuple[Tables, TownState, Journal, Scratch, Intents, Records, TownArrays]:
        return self.model.tables, self.state, self.journal, self._scratch, self.intents, orders, self.arrays

    def _take_orders(self) -> Records:
        orders = np.zeros(len(self._orders), INTERVENTION)
        for row, order in zip(orders, self._orders, strict=True):
            for field in fields(order):
                row[field.name] = getattr(order, field.name)
        self._orders.clear()
        self._make_room(len(orders))
        return orders

    def _make_room(self, orders: int) -> None:
        """Enlarge the journal for the rows that interventions may write besides a tick's own rows."""
        towns, rows = self.journal.rows.shape
        needed = journal_rows(self.model.sizes._replace(orders=orders))
        if 0 < rows < needed:
            self.journal = self.journal._replace(rows=np.zeros((towns, needed), EVENT))
            self._tick_without_orders = None

    def _forget_context(self) -> None:
        self.intents.option[...] = -1
        self.intents.goal[...] = -1
        self.intents.commit[...] = 0

    def _check_journal(self) -> None:
        capacity = self.journal.rows.shape[1]
        written = self.journal.written
        # A batch of one is stepped by itself, and a reduction costs as much as a small rule.
        worst = written.item(0) if self.towns == 1 else int(written.max())
        if capacity and worst > capacity:
            tick = int(self.state.towns["tick"][0]) - 1
            raise WorldError(
                f"internal error: a tick wrote {worst} events; the limit is {capacity}",
                tick=tick,
            )


def _askable(model: TownModel, towns: int, hooks: HookRunner | None) -> HookRunner:
    """Check that the hooks that the manifest names can be called."""
    if hooks is None:
        raise ArgumentError("the model's manifest names hooks; pass the hooks that the model was built with")
    if towns > 1:
        found = f"{model.hook_identity}, in a batch of {towns} towns"
        allowed = "hooks work in single towns only: remove them from the manifest, or use batches of one"
        raise ConfigError(Problem("affordances", f"the hooks {found}", allowed))
    return hooks
