"""The properties of a world that are known before its first tick."""

from dataclasses import dataclass
from typing import Final

from townlet_core.dto.command import CommandSpec

TICKS_PER_DAY: Final = 1440
"""The ticks of a day, unless a world has other days."""


@dataclass(frozen=True, slots=True)
class NeedSpec:
    """A need of the agents: a number in [0, 1] for each, 1 is satisfied.

    Attributes:
        name: its name.
        option: name of the option that serves it.
        night: level below which agents care for it from 22:00 to 06:00; 0 means no difference.
    """

    name: str
    option: str
    night: float = 0.0


@dataclass(frozen=True, slots=True)
class ItemSpec:
    """A kind of thing that agents carry and objects hold.

    Attributes:
        name: its name.
        carry: most that one agent carries.
    """

    name: str
    carry: int


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """A behaviour that lasts longer than a tick.

    Attributes:
        name: its name.
        need: the need that it serves, None when it serves none.
    """

    name: str
    need: str | None = None


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """An array that a world shows to policies that plan.

    Axes of the same name have the same length everywhere. ``slots``, ``needs``, ``items``, ``options``,
    ``actions`` and ``fields`` are as long as the world's spec says; all other axes are the world's own.

    Attributes:
        name: its name.
        format: format of its numbers, a code of the module ``struct`` in its standard size; empty for a tuple
            of texts.
        axes: names of its dimensions, outermost first.
        unit: unit of its numbers, empty without any.
    """

    name: str
    format: str
    axes: tuple[str, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """A number of every tick that the world reports.

    Attributes:
        name: its key in ``TickSummary.figures``.
        unit: its unit, for people.
        summary: one sentence that says what it counts.
    """

    name: str
    unit: str
    summary: str


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """Everything a policy, an environment or a sink may know before tick 0.

    Attributes:
        world: name of the world's provider.
        layout_version: version of the meaning and order of features, channels and actions.
        capacity: number of slots N; every per-agent array has N rows.
        action_names: name of each action number.
        feature_names: name of each column of ``ObservationBatch.features``.
        variant: name of the observation variant.
        map_channels: name of each channel of ``ObservationBatch.map``.
        map_window: side K of the square window, in tiles.
        fields: name of each navigation field number; goals of a ``PolicyContext`` are indices into it.
        ticks_per_day: number of ticks in a day.
        start_tod: the tick of day 0 at which the world starts.
        commands: the commands that the world accepts; it never receives any other.
        needs: the agents' needs, in the order of every array that holds them.
        items: kinds of things, in the order of every array that counts them.
        options: the options of a ``PolicyContext``, in the order of option numbers.
        constants: the arrays that the view shows and that never change.
        view: the arrays that the view shows at every instant; a world without any has no view.
        figures: the numbers of every tick.
        reward_parts: name of each column of ``StepOutcome.reward_parts``: the parts of a reward in the order
            in which they are added up, then their sum; empty in a world without parts.
    """

    world: str
    layout_version: int
    capacity: int
    action_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    variant: str = ""
    map_channels: tuple[str, ...] = ()
    map_window: int = 0
    fields: tuple[str, ...] = ()
    ticks_per_day: int = TICKS_PER_DAY
    start_tod: int = 0
    commands: tuple[CommandSpec, ...] = ()
    needs: tuple[NeedSpec, ...] = ()
    items: tuple[ItemSpec, ...] = ()
    options: tuple[OptionSpec, ...] = ()
    constants: tuple[ColumnSpec, ...] = ()
    view: tuple[ColumnSpec, ...] = ()
    figures: tuple[FigureSpec, ...] = ()
    reward_parts: tuple[str, ...] = ()

    def clock(self, tick: int) -> tuple[int, int]:
        """Return the day of a tick, and its number within that day."""
        return divmod(tick + self.start_tod, self.ticks_per_day)

    def __repr__(self) -> str:
        return (
            f"WorldSpec(world={self.world!r}, layout_version={self.layout_version}, "
            f"capacity={self.capacity}, actions={len(self.action_names)}, features={len(self.feature_names)})"
        )
