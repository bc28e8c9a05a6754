"""The port of a world."""

from collections.abc import Sequence
from typing import Protocol

from townlet_core.dto.action import ActionBatch
from townlet_core.dto.command import Command
from townlet_core.dto.frame import TownFrame
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.snapshot import Snapshot
from townlet_core.dto.spec import WorldSpec


class WorldPort(Protocol):
    """A world that can be stepped.

    Called from one thread. ``step`` performs no I/O and may raise ``WorldError``. The same seed and the
    same inputs give identical bytes, regardless of the process, the machine's load and the hash seed.
    """

    @property
    def spec(self) -> WorldSpec:
        """The properties of the world; constant for its life."""
        ...

    def reset(self, seed: int) -> ObservationBatch:
        """Start over from ``seed`` (an integer in [0, 2**64)); returns the observation of instant 0.

        Events of the reset lead the first outcome's events.
        """
        ...

    def step(self, actions: ActionBatch, commands: Sequence[Command] = ()) -> StepOutcome:
        """Execute one tick.

        Raises:
            WorldError: when the tick cannot be finished; the world must not be stepped again.
        """
        ...

    def frame(self) -> TownFrame:
        """Return the frame of the world at the end of the last executed tick; needs a ``step`` before."""
        ...

    def snapshot(self) -> Snapshot:
        """Return the whole state between ticks; only the part ``world`` and its identity are filled."""
        ...

    def restore(self, snapshot: Snapshot) -> ObservationBatch:
        """Continue from a snapshot of this kind of world; returns the observation of that instant.

        Raises:
            SnapshotError: when the snapshot belongs to another world; nothing was changed then.
        """
        ...

    def close(self) -> None:
        """Release all resources; may be called again."""
        ...
