"""The port of a telemetry sink."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from townlet_core.dto.frame import StateFrame
from townlet_core.dto.health import SinkCounts, SinkStatus
from townlet_core.dto.plan import PlanMessage
from townlet_core.dto.seen import ObservationMessage
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.health import SinkHealth, SinkState

Message: TypeAlias = Fact | Diagnostic | StateFrame | PlanMessage | ObservationMessage
"""A message for a sink."""


@dataclass(frozen=True, slots=True)
class EmitResult:
    """The answer of a sink to one message.

    Attributes:
        status: ``accepted``, ``dropped`` (no room) or ``rejected`` (cannot be carried).
        reason: why, empty when accepted.
    """

    status: Literal["accepted", "dropped", "rejected"]
    reason: str = ""


class TelemetrySinkProtocol(Protocol):
    """Delivers messages to a destination.

    ``start`` is called first, ``stop`` last; both and ``emit`` are called from one thread. ``emit`` never
    raises and never blocks longer than the sink's configured back-pressure allows. A message is frozen and
    may be kept, but should be encoded early: a ``StateFrame`` is large, an ``ObservationMessage`` larger.
    In a world with a plan, a ``PlanMessage`` comes before the first ``StateFrame``.
    """

    def start(self) -> None:
        """Open the destination.

        Raises:
            OutputError: when it cannot be opened.
            ConfigError: when its options cannot work.
        """
        ...

    def emit(self, message: Message) -> EmitResult:
        """Accept, drop or reject one message; every call is counted in ``status``."""
        ...

    @property
    def state(self) -> SinkState:
        """The current state, without the account; the loop reads it after every tick."""
        ...

    def status(self) -> SinkStatus:
        """Return the account and the state; cheap, from any thread."""
        ...

    def stop(self, deadline_seconds: float) -> SinkStatus:
        """Drain within the deadline, close, and return the final counters; may be called again."""
        ...


@runtime_checkable
class SupportsHealth(Protocol):
    """The additional protocol of a sink that has more to report than its account."""

    def health(self) -> SinkHealth:
        """Return the sink's health; cheap, from any thread."""
        ...

    def counts(self) -> SinkCounts:
        """Return the counters beside the account, for monitors; cheap, from any thread."""
        ...
