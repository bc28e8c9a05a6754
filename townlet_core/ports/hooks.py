"""The port through which a world calls hooks."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from townlet_core.dto.hook import Cancel, HookContext, HookStage
from townlet_core.events.health import HookCounts
from townlet_core.events.plugin import PluginRejected
from townlet_core.jsonvalue import JsonObject, JsonValue


class AffordanceHooks(Protocol):
    """The hooks of a run; called from the world's thread, within a step.

    ``before``, ``after`` and ``failed`` never raise: ``take_rejections`` returns the violations of hooks. The
    world calls with the names that its manifest lists, in the order of ``active``; a hook that was disabled
    in the meantime is skipped.
    """

    @property
    def active(self) -> Mapping[str, frozenset[HookStage]]:
        """Name of each hook -> stages that it handles; in the order in which they are called."""
        ...

    @property
    def digests(self) -> Mapping[str, str]:
        """Name of each hook -> digest of its code, empty when none was taken."""
        ...

    def counters(self) -> Mapping[str, HookCounts]:
        """Return the counts of each hook since the run began; callable from any thread."""
        ...

    def begin(self) -> None:
        """Prepare for a run from its start: no hook is disabled, all counts are 0."""
        ...

    def before(self, names: Sequence[str], context: HookContext) -> Cancel | None:
        """Call the hooks before a use is charged; the first refusal ends the calls."""
        ...

    def after(self, names: Sequence[str], context: HookContext) -> Mapping[str, float]:
        """Call the hooks when a use has had its effects.

        Returns:
            The sum of all hooks' effects, by effect key (``need:hunger``, ``stock:meal``,
            ``inventory:meal``, ``money``); whole numbers for all but needs.
        """
        ...

    def failed(self, names: Sequence[str], context: HookContext) -> None:
        """Call the hooks when a use failed."""
        ...

    def take_rejections(self) -> tuple[PluginRejected, ...]:
        """Return the answers discarded since the last call, in order, and forget them."""
        ...

    def export_state(self) -> JsonObject:
        """Return the hooks that are disabled or had overruns; empty without any."""
        ...

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state.

        Raises:
            SnapshotError: when such hooks did not export the state; nothing was changed then.
        """
        ...
