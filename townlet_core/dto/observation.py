"""The observation of every agent, and the arrays that a policy may plan on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Constants: TypeAlias = Mapping[str, memoryview | tuple[str, ...]]
"""Arrays and tuples of texts by name, as ``WorldSpec.constants`` describes them."""


@dataclass(frozen=True, slots=True)
class View:
    """Arrays of one instant, for a policy that plans. Plain data without access to the world.

    ``WorldSpec.constants`` and ``WorldSpec.view`` describe each array: name, format, axes, unit. Every
    memoryview is read-only and C-contiguous. The world may reuse the buffers of the columns on its next step;
    the same ``View`` object always holds the same buffers, so that a policy wraps them once.

    Attributes:
        constants: what never changes during a run, by name; texts are tuples.
        columns: what is so at this instant, by name. In a column with the axis ``slots``, row i is slot i.
    """

    constants: Constants
    columns: Mapping[str, memoryview]

    def __repr__(self) -> str:
        return f"View(constants={len(self.constants)}, columns={len(self.columns)})"


@dataclass(frozen=True, slots=True)
class ObservationBatch:
    """What every agent sees at the start of ``tick``; one row per slot.

    Every memoryview is read-only and C-contiguous and owned by the world, which may overwrite it on its
    next step: a consumer that keeps data copies it. Dead rows are zero but for ``wait`` in the mask, and but
    for the last observation of an agent that left in the tick before, with its serial.

    Attributes:
        tick: the tick that the next step executes.
        map: uint8[N, C, K, K], rows = y, columns = x, centred on the agent.
        features: float32[N, F], all in [-1, 1]; columns named by ``WorldSpec.feature_names``.
        mask: uint8[N, A], 1 where an action may be chosen.
        alive: uint8[N], 1 where the slot has a living agent.
        serial: int64[N], the agent's number within the run, 0 on other dead rows.
        agent_ids: the agent of each slot, empty text on dead rows.
        view: arrays for a policy that plans; None in a world whose spec describes none.
    """

    tick: int
    map: memoryview
    features: memoryview
    mask: memoryview
    alive: memoryview
    serial: memoryview
    agent_ids: tuple[str, ...]
    view: View | None = None

    def __repr__(self) -> str:
        living = sum(self.alive.tolist())
        return f"ObservationBatch(tick={self.tick}, slots={len(self.alive)}, living={living})"
