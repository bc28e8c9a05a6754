"""The port of a policy."""

from typing import Protocol

from townlet_core.dto.action import Decision, PolicyIdentity
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec


class PolicyPort(Protocol):
    """Decides for every agent at once.

    A pure function of what it received since ``begin``; respects the action mask; called from one thread.
    """

    @property
    def identity(self) -> PolicyIdentity:
        """The identity of the policy."""
        ...

    def begin(self, spec: WorldSpec, seed: int) -> None:
        """Prepare for a run of a world with this spec; forget every earlier run.

        Raises:
            ConfigError: when the policy cannot act in such a world.
        """
        ...

    def decide(self, observation: ObservationBatch) -> Decision:
        """Choose one intent per slot; the buffers of the decision may be reused by the next call.

        Raises:
            PolicyError: when it cannot decide.
        """
        ...

    def end(self) -> None:
        """Release all resources; may be called again."""
        ...
