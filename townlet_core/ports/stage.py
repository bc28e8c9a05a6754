"""The port of a stage between policy and world, and what a stage may do beyond it."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from townlet_core.dto.action import ActionBatch, Decision
from townlet_core.dto.command import Command, CommandSpec
from townlet_core.dto.command_hook import CommandDone, CommandRefused
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
    keeps anything. An exception ends the run. A stage that people give commands to implements
    ``SupportsCommands``, and one that gives commands to the world ``SupportsOrders``.
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


@runtime_checkable
class SupportsCommands(Protocol):
    """The additional protocol of a stage that answers commands, beside those of the world and of plugins.

    The tick takes the waiting requests before it applies the stages, so a command takes effect in the same
    tick. A request for it is checked against its spec, answered once, and recorded as
    ``console.result``, as every other one is.
    """

    @property
    def commands(self) -> tuple[CommandSpec, ...]:
        """The commands that it answers; always the same ones, also before ``begin``."""
        ...

    def answer(self, request: Command, observation: ObservationBatch) -> CommandDone | CommandRefused:
        """Answer a request; changes nothing.

        The limits of a plugin's command apply to the answer, but no budget: a stage is part of the run. An
        answer that breaks a limit, or an exception, is discarded: the request is refused, and ``obey`` is not
        called.
        """
        ...

    def obey(self, request: Command, observation: ObservationBatch) -> None:
        """Do what the answer granted; called at once, before the next request is answered."""
        ...


@runtime_checkable
class SupportsOrders(Protocol):
    """The additional protocol of a stage that gives commands to the world."""

    def take_orders(self) -> Sequence[Command]:
        """Return the commands that the world executes for the stage in this tick, and forget them.

        Called once in each tick, after ``apply``; the world executes them after those of people. Each is one
        of ``WorldSpec.commands``, with fitting arguments. No request led to them, so their results become no
        facts: a stage that needs one sees it in the next observation.
        """
        ...
