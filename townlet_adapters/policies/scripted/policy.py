"""The scripted policy behind the policy port."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from townlet_adapters.kernels.clock import TICKS_PER_DAY
from townlet_adapters.kernels.compiler import bound
from townlet_adapters.kernels.records import Records
from townlet_adapters.policies.identity import identify
from townlet_adapters.policies.scripted.chart import chart_of
from townlet_adapters.policies.scripted.columns import (
    COLUMNS_READ,
    MAX_ACTIONS,
    MAX_ITEMS,
    MAX_NEEDS,
    NONE,
    RESIDENT,
    THING,
    Chart,
    look,
)
from townlet_adapters.policies.scripted.decide import decide_all
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_core.dto.action import ActionBatch, Decision, PolicyContext, PolicyIdentity
from townlet_core.dto.observation import ObservationBatch, View
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ConfigError, PolicyError, Problem

RULES_VERSION = 3
"""Raised by hand whenever the same input would give another answer."""
VERBS = ("wait", "move_north", "move_south", "move_east", "move_west", "leave")
"""The first actions of every world that this policy can act in."""


class ScriptedPolicy:
    """Residents that follow domain.md, sections 17.1 to 17.3.

    Keeps nothing between ticks: option, goal and commitment are in the context that the world returns.
    """

    def __init__(self, options: ScriptedOptions) -> None:
        self._options = options
        self._identity = identify("scripted", RULES_VERSION, options.model_dump(mode="json"))
        self._run: _Run | None = None

    @property
    def identity(self) -> PolicyIdentity:
        """The identity of the policy."""
        return self._identity

    def begin(self, spec: WorldSpec, seed: int) -> None:
        """Prepare for a run.

        Raises:
            ConfigError: when the world offers no view, or lacks the actions, days and fields of a town.
        """
        problem = _misfit(spec)
        if problem is not None:
            raise ConfigError(
                Problem(
                    key="policy.use",
                    found=f"'scripted' cannot act in the world '{spec.world}': {problem}",
                    allowed="use the world 'town', or a policy that acts in any world, such as 'random'",
                )
            )
        self._run = _Run(self._options, spec, seed)

    def decide(self, observation: ObservationBatch) -> Decision:
        """Choose one intent per slot.

        Raises:
            PolicyError: when ``begin`` was not called before, or the world sent no view to plan on.
        """
        if self._run is None:
            raise PolicyError("scripted: decide was called before begin", tick=observation.tick)
        if observation.view is None:
            raise PolicyError(
                "scripted: WorldSpec.view describes columns, but the observation has no view",
                tick=observation.tick,
            )
        return self._run.decide(observation, observation.view)

    def end(self) -> None:
        """Release the buffers; may be called again."""
        self._run = None


def _misfit(spec: WorldSpec) -> str | None:
    """Return why this policy cannot act in a world, None when it can."""
    if spec.action_names[: len(VERBS)] != VERBS:
        found = ", ".join(spec.action_names[: len(VERBS)])
        return f"its first actions are {found}, not {', '.join(VERBS)}"
    if not spec.view:
        return "its observations have no view to plan on"
    missing = COLUMNS_READ - {column.name for column in spec.view}
    if missing:
        return f"its view has no {', '.join(sorted(missing))}"
    if not spec.fields:
        return "it has no navigation fields"
    if spec.ticks_per_day != TICKS_PER_DAY:
        return f"its days have {spec.ticks_per_day} ticks, not {TICKS_PER_DAY}"
    for what, number, most in (
        ("needs", len(spec.needs), MAX_NEEDS),
        ("items", len(spec.items), MAX_ITEMS),
        ("actions", len(spec.action_names), MAX_ACTIONS),
    ):
        if number > most:
            return f"it has {number} {what}; this policy knows at most {most}"
    options = {option.name for option in spec.options}
    unserved = [need.name for need in spec.needs if need.option not in options]
    if unserved:
        return f"no option of it serves {', '.join(unserved)}"
    return None


class _Run:
    """The buffers of one run; their read-only views are created once."""

    def __init__(self, options: ScriptedOptions, spec: WorldSpec, seed: int) -> None:
        self._options, self._spec = options, spec
        capacity = spec.capacity
        self._seed = seed
        self._now = np.zeros(1, dtype=np.int64)
        self._residents: Records = np.zeros(capacity, dtype=RESIDENT)
        self._action = np.zeros(capacity, dtype=np.int16)
        self._option = np.full(capacity, NONE, dtype=np.int8)
        self._goal = np.full(capacity, NONE, dtype=np.int32)
        self._commit = np.zeros(capacity, dtype=np.int16)
        # The target is free: the world knows which usable object in reach is free first.
        target = np.full(capacity, -1, dtype=np.int32)
        context = PolicyContext(
            self._option.data.toreadonly(), self._goal.data.toreadonly(), self._commit.data.toreadonly()
        )
        self._decision = Decision(
            ActionBatch(self._action.data.toreadonly(), target.data.toreadonly(), context)
        )
        self._memory: _Memory | None = None

    def decide(self, observation: ObservationBatch, view: View) -> Decision:
        memory = self._memory
        if memory is None or not memory.is_of(observation, view):
            memory = self._memory = self._wrap(observation, view)
        self._now[0] = observation.tick
        memory.decide()
        return self._decision

    def _wrap(self, observation: ObservationBatch, view: View) -> "_Memory":
        before = self._memory
        if before is not None and before.view.constants is view.constants:
            chart = before.chart
        else:
            chart = chart_of(view.constants, self._spec, self._options, self._seed)
        things: Records = np.zeros(len(view.columns["object_open"]), dtype=THING)
        things["x"], things["y"] = np.asarray(view.constants["object_xy"]).T
        decide = bound(
            decide_all,
            chart,
            look(observation, view),
            self._now,
            self._residents,
            things,
            self._action,
            self._option,
            self._goal,
            self._commit,
        )
        return _Memory(view, observation, chart, decide)


@dataclass(frozen=True, slots=True)
class _Memory:
    """The decision over an observation's memory, and the objects that identify that memory."""

    view: View
    observation: ObservationBatch
    chart: Chart
    decide: Callable[[], None]

    def is_of(self, observation: ObservationBatch, view: View) -> bool:
        """Return whether another observation uses the same memory, so that nothing is wrapped anew."""
        mine = self.observation
        return (
            view is self.view
            and observation.mask is mine.mask
            and observation.alive is mine.alive
            and observation.serial is mine.serial
        )
