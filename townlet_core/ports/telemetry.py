"""The port of a telemetry sink."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from townlet_core.dto.frame import StateFrame
from townlet_core.dto.health import SinkHealth, SinkStatus
from townlet_core.dto.seen import ObservationMessage
from townlet_core.events.base import Diagnostic, Fact

Message: TypeAlias = Fact | Diagnostic | StateFrame | ObservationMessage
"""What a sink is given."""


@dataclass(frozen=True, slots=True)
class EmitResult:
    """What became of one message at the door of a sink.

    Attributes:
        status: ``accepted``, ``dropped`` (no room) or ``rejected`` (cannot be carried).
        reason: why, empty when accepted.
    """

    status: Literal["accepted", "dropped", "rejected"]
    reason: str = ""


class TelemetrySinkProtocol(Protocol):
    """Somewhere that messages go.

    ``start`` comes first, ``stop`` last; both and ``emit`` are called from one thread. ``emit`` never
    raises and never blocks longer than the sink's configured back-pressure allows; a message handed over
    is frozen and may be kept, but encode early: a ``StateFrame`` is large, an
    ``ObservationMessage`` larger.
    """

    def start(self) -> None:
        """Open the destination.

        Raises:
            OutputError: when it cannot be opened.
            ConfigError: when its options cannot work.
        """
        ...

    def emit(self, message: Message) -> EmitResult:
        """Take one message; every call is counted in ``status``."""
        ...

    def status(self) -> SinkStatus:
        """Tell the counters; cheap, from any thread."""
        ...

    def stop(self, deadline_seconds: float) -> SinkStatus:
        """Drain within the deadline, close, and say what was left; may be called again."""
        ...


@runtime_checkable
class SupportsHealth(Protocol):
    """The extra ability of a sink that can tell more of itself than its account."""

    def health(self) -> SinkHealth:
        """Tell how it is doing; cheap, from any thread."""
        ...
