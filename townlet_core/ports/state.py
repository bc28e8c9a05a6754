"""The additional protocol of a part that keeps state between ticks."""

from typing import Protocol, runtime_checkable

from townlet_core.jsonvalue import JsonValue


@runtime_checkable
class SupportsState(Protocol):
    """A policy or observer whose state belongs in a snapshot."""

    def export_state(self) -> JsonValue:
        """Return the state as a JSON value."""
        ...

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state.

        Raises:
            SnapshotError: when such a part did not export the value; nothing was changed then.
        """
        ...
