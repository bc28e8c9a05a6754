"""The port through which a world asks hooks."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from townlet_core.dto.hook import Cancel, HookContext, HookStage
from townlet_core.events.health import HookCounts
from townlet_core.events.plugin import PluginRejected
from townlet_core.jsonvalue import JsonObject, JsonValue


class AffordanceHooks(Protocol):
    """The hooks that a run may ask, whatever they do; called from the world's thread, within a step.

    Nothing that a hook does comes out of ``before``, ``after`` and ``failed``: what it should not have done
    is told by ``take_rejections``. The world asks with the names that it was told to ask, in the order of
    ``active``; a hook that was disabled meanwhile is passed over.
    """

    @property
    def active(self) -> Mapping[str, frozenset[HookStage]]:
        """Name of each hook -> stages that it answers at; in the order in which they are asked."""
        ...

    @property
    def digests(self) -> Mapping[str, str]:
        """Name of each hook -> digest of its code, empty where nobody took one."""
        ...

    def counters(self) -> Mapping[str, HookCounts]:
        """Tell what each hook did since the run began; from any thread."""
        ...

    def begin(self) -> None:
        """Prepare for a run from its start: nobody is disabled, all counts are 0."""
        ...

    def before(self, names: Sequence[str], context: HookContext) -> Cancel | None:
        """Ask before a use is charged; the first refusal ends the asking."""
        ...

    def after(self, names: Sequence[str], context: HookContext) -> Mapping[str, float]:
        """Ask when a use has had its effects.

        Returns:
            What all hooks add, by effect key (``need:hunger``, ``stock:meal``, ``inventory:meal``,
            ``money``); whole numbers for all but needs.
        """
        ...

    def failed(self, names: Sequence[str], context: HookContext) -> None:
        """Tell that a use failed."""
        ...

    def take_rejections(self) -> tuple[PluginRejected, ...]:
        """Hand over what was dropped since the last time, in order."""
        ...

    def export_state(self) -> JsonObject:
        """Tell who is disabled or on the way to it; empty while everybody behaves."""
        ...

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state.

        Raises:
            SnapshotError: when it was not exported by such hooks; nothing was changed then.
        """
        ...
