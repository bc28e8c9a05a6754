"""Many towns stepped by the same kernels, writing into arrays that the caller owns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.records import Records
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.decode import NO_REMARKS, Remark
from townlet_adapters.worlds.town.hooks import HookCalls
from townlet_adapters.worlds.town.model import TownModel
from townlet_adapters.worlds.town.observe import TownArrays
from townlet_adapters.worlds.town.state import (
    CURSOR,
    DISTRICT,
    EVENT,
    OBJECT,
    OUTCOME,
    RESIDENT,
    TOWN,
    Journal,
    Scratch,
    TownState,
)
from townlet_adapters.worlds.town.systems.interventions import INTERVENTION
from townlet_adapters.worlds.town.tick import Intents, found_town, observe_towns, tick_towns
from townlet_core.errors import ConfigError, Problem, WorldError
from townlet_core.ports.hooks import AffordanceHooks

SEED_RANGE = 2**64


@dataclass(frozen=True, slots=True)
class Intervention:
    """Something done to a town from outside, in phase 1 of the coming tick.

    Attributes:
        town: number of the town in the batch.
        what: ``codes.TELEPORT`` (``who`` a slot, ``a``, ``b`` the tile's x, y), ``codes.SWITCH_UTILITY``
            (``who`` a district, ``a`` 0 power or 1 water, ``b`` 0 off or 1 on), ``codes.SET_NEED``
            (``who`` a slot, ``a`` the need, ``value`` in [0, 1]) or ``codes.CLOSE_OBJECT``
            (``who`` an object, ``a`` 1 closed or 0 open).
        who: see ``what``.
        a: see ``what``.
        b: see ``what``.
        value: see ``what``.
    """

    town: int
    what: int
    who: int
    a: int = 0
    b: int = 0
    value: float = 0.0


_NO_ORDERS: Records = np.zeros(0, INTERVENTION)
_ROWS_OF_ONE = 8
"""More than the rows that one intervention writes, dismissals apart: move, leave or failure, grant."""


def allocate_arrays(model: TownModel, towns: int) -> TownArrays:
    """Make zeroed arrays of the right shapes; a caller may as well hand in its own (shared memory, say)."""
    b, n, spec = towns, model.spec.capacity, model.spec
    channels, window = len(spec.map_channels), spec.map_window
    return TownArrays(
        map=np.zeros((b, n, channels, window, window), np.uint8),
        features=np.zeros((b, n, len(spec.feature_names)), np.float32),
        mask=np.zeros((b, n, len(spec.action_names)), np.uint8),
        reward=np.zeros((b, n), np.float32),
        terminated=np.zeros((b, n), np.uint8),
        truncated=np.zeros((b, n), np.uint8),
        alive=np.zeros((b, n), np.uint8),
        serial=np.zeros((b, n), np.int64),
    )


def allocate_state(model: TownModel, towns: int) -> TownState:
    """Make the state of towns that nobody has founded yet: all zero."""
    t, b, n = model.tables, towns, model.spec.capacity
    o, districts, keys = t.objects.shape[0], *t.start_price.shape
    height, width = t.object_mark.shape
    return TownState(
        towns=np.zeros(b, TOWN),
        districts=np.zeros((b, districts), DISTRICT),
        residents=np.zeros((b, n), RESIDENT),
        objects=np.zeros((b, o), OBJECT),
        roster=np.zeros((b, n), np.int64),
        queue=np.zeros((b, o, n), np.int64),
        cooldown=np.zeros((b, n, o), np.int64),
        outcomes=np.zeros((b, n, model.outcome_history), OUTCOME),
        occupant=np.zeros((b, height, width), np.int16),
        reserved=np.zeros((b, height, width), np.uint8),
        tills=np.zeros((b, t.places.shape[0]), np.int64),
        price=np.zeros((b, districts, keys), np.int64),
        flows=np.zeros((b, len(codes.HOOKED_FLOWS if model.hooked else codes.FLOWS)), np.int64),
        job_holders=np.zeros((b, t.jobs.shape[0]), np.int64),
    )


def _allocate_scratch(model: TownModel) -> Scratch:
    tiles = model.tables.passable.size
    n = model.spec.capacity
    return Scratch(
        order=np.zeros(n, np.int64),
        keys=np.zeros(n, np.uint64),
        visited=np.zeros(tiles + 1, np.int64),
        frontier=np.zeros(tiles, np.int64),
        cursor=np.zeros(1, CURSOR),
    )


def _allocate_intents(towns: int, slots: int) -> Intents:
    return Intents(
        action=np.zeros((towns, slots), np.int16),
        target=np.full((towns, slots), -1, np.int32),
        option=np.full((towns, slots), -1, np.int8),
        goal=np.full((towns, slots), -1, np.int32),
        commit=np.zeros((towns, slots), np.int16),
    )


class TownBatch:
    """B towns of one model, each with its own seed, stepped together.

    One town of a batch lives exactly as it would alone. Nothing is written in Python per town or resident.

    Attributes:
        model: the town that all of them are.
        state: everything that changes; belongs to the batch, written by its kernels only.
        arrays: what every resident sees, written by ``reset`` and ``step``; belongs to the caller.
        intents: the batch's own input buffers; a caller that writes into them directly calls ``advance``.
        journal: what the last tick left behind; without rows unless asked for.
    """

    def __init__(
        self,
        model: TownModel,
        towns: int,
        *,
        arrays: TownArrays | None = None,
        journal: bool = False,
        hooks: AffordanceHooks | None = None,
    ) -> None:
        """Allocate everything; ``reset`` founds the towns.

        Args:
            model: which town.
            towns: how many, B >= 1.
            arrays: where to write observations; allocated when left out.
            journal: whether to keep the rows from which events are decoded.
            hooks: what the model was built with, where its manifest names hooks.

        Raises:
            ValueError: when an array of the caller has another shape or type, or is not contiguous.
            ConfigError: when the manifest names hooks and there are several towns.
        """
        if towns < 1:
            raise ValueError(f"a batch of {towns} towns; at least 1")
        self.model = model
        self.towns = towns
        fitting = allocate_arrays(model, towns)
        self.arrays = fitting if arrays is None else _checked(arrays, fitting)
        self.state = allocate_state(model, towns)
        self.intents = _allocate_intents(towns, model.spec.capacity)
        self.journal = Journal(
            rows=np.zeros((towns, model.journal_rows if journal else 0), EVENT),
            written=np.zeros(towns, np.int32),
            actions=np.zeros((towns, len(model.spec.action_names)), np.int32),
            failures=np.zeros((towns, len(codes.REASONS)), np.int32),
        )
        self._scratch = _allocate_scratch(model)
        self._orders: list[Intervention] = []
        self._calls: HookCalls | None = None
        if model.hooked:
            asked = _askable(model, towns, hooks)
            self._calls = HookCalls(model, asked, self.state, self._scratch.cursor, self.journal)
        self._mid_tick = self._asking = False

    @property
    def remarks(self) -> Mapping[int, Remark]:
        """What hooks added to the rows of the last tick, by number of the row."""
        return NO_REMARKS if self._calls is None else self._calls.remarks

    def reset(self, seed: int | Sequence[int] = 0) -> TownArrays:
        """Found every town anew.

        Args:
            seed: seed of town 0, town b gets ``(seed + b) mod 2**64``; or one seed for each town.

        Returns:
            ``arrays``, filled with the observation of instant 0.
        """
        seeds = [(seed + b) % SEED_RANGE for b in range(self.towns)] if isinstance(seed, int) else list(seed)
        if len(seeds) != self.towns:
            raise ValueError(f"{len(seeds)} seeds for {self.towns} towns")
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
        return self.arrays

    def step(
        self, actions: npt.NDArray[np.integer], targets: npt.NDArray[np.integer] | None = None
    ) -> TownArrays:
        """Execute one tick of every town.

        Args:
            actions: [B, N] action numbers; a masked one is executed as nothing and counted ``invalid``.
            targets: [B, N] slot or object numbers, -1 (the default) lets the world choose.

        Returns:
            ``arrays``, filled with the next observation.
        """
        self.require_rest()
        self.intents.action[...] = actions
        self.intents.target[...] = -1 if targets is None else targets
        return self.advance()

    def advance(self) -> TownArrays:
        """Execute one tick with what stands in ``intents``.

        Raises:
            WorldError: when a hook asks for it from within a tick.
        """
        if self._mid_tick:
            self.require_rest()
        orders = self._take_orders() if self._orders else _NO_ORDERS
        unfinished = tick_towns(
            self.model.tables, self.state, self.journal, self._scratch, self.intents, orders, self.arrays
        )
        if self._calls is not None:
            self._ask_and_finish(self._calls, orders, unfinished=unfinished)
        if self.journal.rows.shape[1] or orders.shape[0]:
            self._check_journal()
        return self.arrays

    def intervene(self, *orders: Intervention) -> None:
        """Do something to towns in phase 1 of the coming tick, in this order."""
        self.require_rest()
        self._orders.extend(orders)

    def observe(self) -> TownArrays:
        """Write the observation of the state as it stands, after it was restored."""
        self.require_rest()
        observe_towns(self.model.tables, self.state, self.arrays)
        return self.arrays

    def require_rest(self) -> None:
        """Refuse what can only be done between two ticks.

        Raises:
            WorldError: when a tick is being executed, or was left by an interrupt.
        """
        if self._mid_tick:
            raise WorldError(
                "the town is within a tick, from which nobody can step, picture, save or change it; "
                "hooks answer with effects",
                tick=int(self.state.towns["tick"][0]),
            )

    def restart(self) -> None:
        """Prepare for another state: a tick that an interrupt left is forgotten.

        Raises:
            WorldError: when a hook asks for it from within a tick.
        """
        if self._asking:
            self.require_rest()
        self._mid_tick = False
        self._scratch.cursor[...] = np.zeros((), CURSOR)

    def _ask_and_finish(self, calls: HookCalls, orders: Records, *, unfinished: bool) -> None:
        """Answer the kernels' questions until the tick is finished."""
        calls.remarks.clear()
        self._mid_tick = unfinished
        while self._mid_tick:
            self._asking = True
            try:
                calls.answer()
            finally:
                self._asking = False
            self._mid_tick = tick_towns(
                self.model.tables, self.state, self.journal, self._scratch, self.intents, orders, self.arrays
            )

    def _take_orders(self) -> Records:
        orders = np.zeros(len(self._orders), INTERVENTION)
        for row, order in zip(orders, self._orders, strict=True):
            for name in INTERVENTION.names or ():
                row[name] = order.__getattribute__(name)
        self._orders.clear()
        self._make_room(len(orders))
        return orders

    def _make_room(self, orders: int) -> None:
        """Let the journal hold what that many interventions may write beside a tick's own rows."""
        towns, rows = self.journal.rows.shape
        needed = self.model.journal_rows + _ROWS_OF_ONE * orders
        if 0 < rows < needed:
            self.journal = self.journal._replace(rows=np.zeros((towns, needed), EVENT))

    def _forget_context(self) -> None:
        self.intents.option[...] = -1
        self.intents.goal[...] = -1
        self.intents.commit[...] = 0

    def _check_journal(self) -> None:
        capacity = self.journal.rows.shape[1]
        worst = int(self.journal.written.max())
        if capacity and worst > capacity:
            tick = int(self.state.towns["tick"][0]) - 1
            raise WorldError(
                f"internal error: a tick wrote {worst} events, at most {capacity} were thought possible",
                tick=tick,
            )


def _askable(model: TownModel, towns: int, hooks: AffordanceHooks | None) -> AffordanceHooks:
    """Check that the hooks that the manifest names can be asked."""
    if hooks is None:
        raise ValueError("the model's manifest names hooks; hand over what the model was built with")
    if towns > 1:
        found = f"{model.hook_identity}, in a batch of {towns} towns"
        allowed = "hooks are asked in a single town only: leave them out of the manifest, or step towns alone"
        raise ConfigError(Problem("affordances.manifest", f"the hooks {found}", allowed))
    return hooks


def _checked(given: TownArrays, fitting: TownArrays) -> TownArrays:
    """Return the caller's arrays when a kernel can write them."""
    pairs: zip[tuple[str, npt.NDArray[np.generic], npt.NDArray[np.generic]]]
    pairs = zip(TownArrays._fields, given, fitting, strict=True)
    for name, array, want in pairs:
        if array.shape != want.shape or array.dtype != want.dtype:
            raise ValueError(
                f"arrays.{name} is {array.dtype}{list(array.shape)}; needed: {want.dtype}{list(want.shape)}"
            )
        if not (array.flags.c_contiguous and array.flags.writeable):
            raise ValueError(f"arrays.{name} must be C-contiguous and writable")
    return given
