"""The extra ability of a part that keeps state between ticks."""

from typing import Protocol, runtime_checkable

from townlet_core.jsonvalue import JsonValue


@runtime_checkable
class SupportsState(Protocol):
    """A policy or observer whose state belongs in a snapshot."""

    def export_state(self) -> JsonValue:
        """Tell the state as a JSON value."""
        ...

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state.

        Raises:
            SnapshotError: when the value was not exported by such a part; nothing was changed then.
        """
        ...
