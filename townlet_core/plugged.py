"""What plugins bring to a run, as the loop needs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from townlet_core.command_handlers import CommandHandlers
from townlet_core.events.health import NO_PLUGINS, HookCounts, PluginCounts
from townlet_core.events.schema import EventRegistry
from townlet_core.observers.port import Observer
from townlet_core.ports.stage import ActionStage, SupportsCommands
from townlet_core.vitals import Hooks, no_hooks


@dataclass(frozen=True, slots=True)
class Plugged:
    """What plugins bring to a run.

    Attributes:
        events: every kind that may be emitted; a part that emits another one has failed. None allows all.
        handlers: the commands that plugins add to those of the world.
        hooks: returns the counts of the plugins' hooks, for ``loop.health``.
        counts: the numbers of plugins by state, for ``loop.health``.
    """

    events: EventRegistry | None = None
    handlers: CommandHandlers = field(default_factory=CommandHandlers)
    hooks: Hooks = no_hooks
    counts: PluginCounts = NO_PLUGINS

    def counters(self) -> Mapping[str, HookCounts]:
        """Return the counts of the plugins' hooks and commands."""
        return {**self.hooks(), **self.handlers.counters()}

    def with_parts(self, stages: Sequence[ActionStage], observers: Sequence[Observer]) -> "Plugged":
        """Return the same with the commands that stages and observers answer.

        Raises:
            ContractError: when two commands have the same name.
        """
        commanded = [part for part in (*stages, *observers) if isinstance(part, SupportsCommands)]
        return replace(self, handlers=self.handlers.with_parts(commanded)) if commanded else self
