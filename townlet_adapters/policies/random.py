"""The random policy: any allowed action, all equally likely."""

import numpy as np

from townlet_adapters.kernels.sampling import sample_valid
from townlet_adapters.policies.identity import identify
from townlet_core.dto.action import ActionBatch, Decision, PolicyIdentity
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import PolicyError

RULES_VERSION = 1
"""Raised by hand whenever the same input would give another answer."""

IDENTITY = identify("random", RULES_VERSION, {})


class RandomPolicy:
    """Chooses at random in any world; a pure function of the seed, the tick, the serials and the mask."""

    def __init__(self) -> None:
        self._run: _Run | None = None

    @property
    def identity(self) -> PolicyIdentity:
        """The identity of the policy."""
        return IDENTITY

    def begin(self, spec: WorldSpec, seed: int) -> None:
        """Prepare for a run; any world is suitable."""
        self._run = _Run(spec.capacity, seed)

    def decide(self, observation: ObservationBatch) -> Decision:
        """Draw one action for each resident.

        Raises:
            PolicyError: when ``begin`` was not called before.
        """
        if self._run is None:
            raise PolicyError("random: decide was called before begin", tick=observation.tick)
        return self._run.decide(observation)

    def end(self) -> None:
        """Release the buffers; may be called again."""
        self._run = None


class _Run:
    """The buffers of one run; their read-only views are created once."""

    def __init__(self, capacity: int, seed: int) -> None:
        self._seed = np.uint64(seed)
        self._actions = np.zeros(capacity, dtype=np.int16)
        self._targets = np.full(capacity, -1, dtype=np.int32)
        self._decision = Decision(
            ActionBatch(self._actions.data.toreadonly(), self._targets.data.toreadonly())
        )

    def decide(self, observation: ObservationBatch) -> Decision:
        sample_valid(
            np.asarray(observation.mask),
            np.asarray(observation.alive),
            np.asarray(observation.serial),
            observation.tick,
            self._seed,
            self._actions,
            self._targets,
        )
        return self._decision
