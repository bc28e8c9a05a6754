"""Ticks made by hand, for observers: facts, agents, rewards and columns as a test wants them."""

from array import array
from collections.abc import Mapping, Sequence
from typing import cast

from townlet_core.dto.observation import ObservationBatch, View
from townlet_core.dto.outcome import StepOutcome, TickSummary
from townlet_core.dto.spec import ColumnSpec, FigureSpec, NeedSpec, WorldSpec
from townlet_core.events.base import Event
from townlet_core.observers.port import Observer
from townlet_core.testing.fakes import readonly

NEEDS = ("drink", "warmth")
SPEC = WorldSpec(
    "village",
    1,
    3,
    ("wait",),
    (),
    ticks_per_day=60,
    needs=tuple(NeedSpec(need, "sip") for need in NEEDS),
    view=(
        ColumnSpec("needs", "d", ("slots", "needs")),
        ColumnSpec("mood", "b", ("slots",)),
        ColumnSpec("purse", "q", ("slots",)),
        ColumnSpec("boldness", "d", ("slots",)),
        ColumnSpec("trust", "d", ("slots", "ties")),
        ColumnSpec("friend", "i", ("slots", "ties")),
    ),
    figures=(FigureSpec("letters", "letters", "Letters that wait."), FigureSpec("sent", "letters", "All.")),
)
IDS = ("a", "b", "c")
EMPTY = memoryview(b"")


def outcome(
    tick: int,
    *events: Event,
    ids: Sequence[str] = IDS,
    rewards: Sequence[float] = (0.0, 0.0, 0.0),
    columns: Mapping[str, Sequence[float]] | None = None,
    figures: Mapping[str, int] | None = None,
) -> StepOutcome:
    """One tick; a column that is left out is full of ones, or of -1 for ``mood`` and ``friend``."""
    shown = {"needs": [1.0] * 6, "mood": [-1] * 3, "purse": [1] * 3, "boldness": [1.0] * 3}
    shown |= {"trust": [0.0] * 6, "friend": [-1] * 6, **(columns or {})}
    view = View({}, {each.name: _column(each, shown[each.name]) for each in SPEC.view})
    observation = ObservationBatch(tick + 1, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, tuple(ids), view)
    day, tod = SPEC.clock(tick)
    summary = TickSummary(day, tod, alive=sum(map(bool, ids)), figures=figures or {})
    return StepOutcome(observation, readonly(array("f", rewards), 3), EMPTY, EMPTY, events, summary)


def _column(spec: ColumnSpec, values: Sequence[float]) -> memoryview:
    numbers = values if spec.format == "d" else [int(each) for each in values]
    shape = (3,) if len(spec.axes) == 1 else (3, 2)
    return readonly(cast("array[float]", array(spec.format, cast("Sequence[float]", numbers))), *shape)


def play(observer: Observer, ticks: Sequence[StepOutcome]) -> list[tuple[int, Event]]:
    """Show ticks to an observer that has begun; gives its facts with their ticks."""
    found = []
    for each in ticks:
        tick = each.observation.tick - 1
        found += [(tick, event) for event in observer.observe(each, tick)]
    return found
