"""How a sink receives the town's state."""

from dataclasses import dataclass, field
from math import gcd
from typing import Literal, TypeAlias

from townlet_core.bounds import Bounds

StreamMode: TypeAlias = Literal["off", "snapshot", "diff", "channels"]


@dataclass(frozen=True, slots=True)
class ChannelCadences:
    """How often each part of the frame is sent."""

    agents: int = field(default=4, metadata=Bounds(ge=1))
    """clock, residents and their rewards"""

    objects: int = field(default=4, metadata=Bounds(ge=1))
    """objects, utilities, perturbations, and the sections that a plugin's world adds"""

    economy: int = field(default=60, metadata=Bounds(ge=1))
    """prices and key figures"""

    employment: int = field(default=60, metadata=Bounds(ge=1))
    """jobs, their holders and their capacity"""

    social: int = field(default=60, metadata=Bounds(ge=1))
    """ties, stability and promotion"""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How the town's state is sent in addition to the facts."""

    mode: StreamMode = "off"
    """`off` sends no state, `snapshot` whole frames, `diff` patches of the frame on every tick, `channels` \
patches of its parts, each at the interval set in `channels`"""

    every: int = field(default=60, metadata=Bounds(ge=1))
    """mode `snapshot`: ticks from one frame to the next; a frame is sent on ticks that this number divides"""

    keyframe_every: int = field(default=500, metadata=Bounds(ge=1))
    """modes `diff` and `channels`: a key frame is sent instead of a patch at multiples of this number"""

    channels: ChannelCadences = ChannelCadences()
    """mode `channels`: ticks from one message of a channel to its next"""

    observations: bool = False
    """whether the observations of the agents are sent as `observation.batch`, on every tick in any mode; \
for programs that feed a policy from outside"""

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
