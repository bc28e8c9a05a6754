"""The properties of a world that are known before its first tick."""

from dataclasses import dataclass

from townlet_core.dto.command import CommandSpec


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
        offers_view: whether observations bring a ``TownView`` for policies that plan.
        commands: the commands that the world accepts; it never receives any other.
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
    ticks_per_day: int = 1440
    offers_view: bool = False
    commands: tuple[CommandSpec, ...] = ()

    def __repr__(self) -> str:
        return (
            f"WorldSpec(world={self.world!r}, layout_version={self.layout_version}, "
            f"capacity={self.capacity}, actions={len(self.action_names)}, features={len(self.feature_names)})"
        )
