"""A village of three, in which a test says who stands where, what time it is and who does what.

Residents 0, 1, 2 live at (3, 3), (4, 3), (2, 6). Residents 0 and 2 are clerks at the office, 360 to 540;
resident 1 watches the cafe, 1380 to 120.
"""

from collections.abc import Mapping
from typing import Self, TypeVar

import numpy as np

from tests.town.towns import Town
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dto.action import ActionBatch
from townlet_core.events.base import Event

ROWS = (
    "E...............",
    ".rrrrrr.cccc.ooo",
    ".rFrrWr.cCcc.ooo",
    ".rrhhrr.cccc.ooo",
    ".rSrrBr......ooo",
    ".rrrrrr.pppp.ggg",
    ".rhhhrr.pNpp.gXg",
    "........pppp.ggg",
)
WIDTH, HEIGHT = 16, 8
HOMES = ((3, 3), (4, 3), (2, 6))
JOBS = {
    "clerk": {"place": "office", "start": 360, "end": 540, "wage": 20, "late_fine": 100, "capacity": 2},
    "watch": {"place": "cafe", "start": 1380, "end": 120, "wage": 22, "late_fine": 50, "capacity": 1},
}
OFFICE = ((13, 1), (14, 1), (15, 1))
CAFE = (8, 1)
STREET = ((0, 1), (0, 2), (0, 3))
BESIDE = {
    "fridge_1": (3, 2), "shower_1": (4, 2), "stove_1": (3, 4), "bed_1": (4, 4), "counter_1": (10, 2),
    "bench_1": (10, 6), "checkout_1": (15, 6),
}  # fmt: skip
"""A tile from which to use each object; nobody else can use theirs from there, nor block it."""

EventT = TypeVar("EventT", bound=Event)


class Village(Town):
    """The village, with its residents at home."""

    def __init__(
        self, *, seed: int = 1, jobs: Mapping[str, dict[str, object]] | None = None, **options: object
    ) -> None:
        """Found it; ``options`` are sections of ``world.options``."""
        super().__init__(ROWS, at=HOMES, seed=seed, jobs=JOBS if jobs is None else jobs, **options)

    def jump(self, tick: int) -> Self:
        """Let the next step execute this tick."""
        self.set_time(tick)
        return self

    def stand(self, slot: int, spot: tuple[int, int]) -> Self:
        """Stand one resident somewhere else."""
        self.place(*(spot if k == slot else self.at(k) for k in range(len(HOMES))))
        return self

    def wait(self, ticks: int) -> list[Event]:
        """Let everybody wait and collect what happens."""
        return [event for _ in range(ticks) for event in self.step()]

    def features(self, slot: int) -> dict[str, float]:
        """Give a resident's features by name, as they stand."""
        values = self.engine.arrays.features[0, slot].tolist()
        return dict(zip(self.model.spec.feature_names, values, strict=True))


def of(kind: type[EventT], events: tuple[Event, ...] | list[Event]) -> list[EventT]:
    """Pick the events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def found(
    options: Mapping[str, object] | None = None, *, seed: int = 1
) -> tuple[TownWorld, tuple[Event, ...]]:
    """Found any town and let its first tick pass; gives the world and what was told."""
    world = TownWorld(TownModel.build(TownOptions.model_validate(options or {})))
    world.reset(seed)
    slots = world.spec.capacity
    nothing = ActionBatch(np.zeros(slots, np.int16).data, np.full(slots, -1, np.int32).data)
    return world, world.step(nothing).events
