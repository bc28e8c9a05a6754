"""How the town's state travels to one sink."""

from dataclasses import dataclass, field
from math import gcd
from typing import Literal, TypeAlias

StreamMode: TypeAlias = Literal["off", "snapshot", "diff", "channels"]


@dataclass(frozen=True, slots=True)
class ChannelCadences:
    """Ticks from one message to the next, by channel.

    Attributes:
        agents: clock, residents and their rewards.
        objects: objects, utilities, perturbations, and what another kind of world wants shown.
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
    """What a sink is shown of the town, and how often.

    Attributes:
        mode: nothing, whole frames, patches of the whole frame, or patches of its parts.
        every: ticks from one frame to the next, in mode ``snapshot``.
        keyframe_every: in the modes ``diff`` and ``channels`` something whole is sent at least whenever the
            tick passes a multiple of this.
        channels: how often each channel is sent, in mode ``channels``.
        observations: whether what the agents see is sent, in any mode, on every tick.
    """

    mode: StreamMode = "snapshot"
    every: int = 1
    keyframe_every: int = 500
    channels: ChannelCadences = field(default_factory=ChannelCadences)
    observations: bool = False

    @property
    def state_every(self) -> int:
        """The sink is to be shown the town on ticks divisible by this; 0 never."""
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
