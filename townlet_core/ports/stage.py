"""The port of a stage between policy and world."""

from typing import Protocol

from townlet_core.dto.action import ActionBatch, Decision
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec
from townlet_core.events.base import Event


class ActionStage(Protocol):
    """Sees what the policy decided and may replace actions before the world executes them.

    Stages run in the order of the config, each on the decision that the one before it left. Guardrails and
    the possession of an agent by a person are stages; mixing two policies is a policy. The masks of the
    observation are not changed by a stage.

    A stage is called from one thread, between ``decide`` and ``step``. Its events are facts of the run, so
    it must be a pure function of what it received since ``begin``, and must implement ``SupportsState`` if it
    keeps anything. An exception ends the run.
    """

    @property
    def name(self) -> str:
        """Name within the run; its snapshot part is ``stages.<name>``."""
        ...

    def begin(self, spec: WorldSpec, seed: int) -> None:
        """Prepare for a run of such a world; forget every earlier run.

        Raises:
            ConfigError: when the stage cannot work in such a world.
        """
        ...

    def apply(
        self, observation: ObservationBatch, decision: Decision
    ) -> tuple[ActionBatch, tuple[Event, ...]]:
        """Return the actions to execute, and the events that say what was changed and why.

        The buffers of the decision belong to the policy and are read-only. A stage that changes nothing
        returns ``decision.actions`` itself; another returns a batch of its own, which it may reuse.
        """
        ...
