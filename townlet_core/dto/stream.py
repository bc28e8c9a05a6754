"""How a sink receives the town's state."""

from dataclasses import dataclass, field
from math import gcd
from typing import Literal, TypeAlias

StreamMode: TypeAlias = Literal["off", "snapshot", "diff", "channels"]


@dataclass(frozen=True, slots=True)
class ChannelCadences:
    """Ticks from one message to the next, by channel.

    Attributes:
        agents: clock, residents and their rewards.
        objects: objects, utilities, perturbations, and the extra values of another kind of world.
        economy: prices and key figures.
        employment: jobs.
        social: ties, stability and promotion.
    """

    agents: int = 4
    objects: int = 4
    economy: int = 60
    employment: int = 60
    social: int = 60


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Which part of the town's state a sink receives, and how often.

    Attributes:
        mode: nothing, whole frames, patches of the whole frame, or patches of its parts.
        every: ticks from one frame to the next, in mode ``snapshot``.
        keyframe_every: in the modes ``diff`` and ``channels`` a whole frame or channel is sent at the latest
            when the tick passes a multiple of this number.
        channels: how often each channel is sent, in mode ``channels``.
        observations: whether the agents' observations are sent on every tick, in any mode.
    """

    mode: StreamMode = "snapshot"
    every: int = 1
    keyframe_every: int = 500
    channels: ChannelCadences = field(default_factory=ChannelCadences)
    observations: bool = False

    @property
    def state_every(self) -> int:
        """The sink receives the town's state on ticks divisible by this number; 0 means never."""
        each = self.channels
        match self.mode:
            case "off":
                return 0
            case "snapshot":
                return self.every
            case "diff":
                return 1
            case "channels":
                return gcd(each.agents, each.objects, each.economy, each.employment, each.social)
