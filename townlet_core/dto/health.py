"""How a sink and the loop are doing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SinkState = Literal["healthy", "degraded", "shedding", "failed", "closed"]


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """One sink's counters; they obey the conservation law of telemetry.

    ``offered = emitted + sum(rejected)`` and
    ``emitted = delivered + spooled + buffered + dead_lettered + sum(dropped)``.

    Attributes:
        name: the sink's name within the run.
        state: how it is doing now.
        offered: messages handed to ``emit``.
        emitted: messages accepted for delivery.
        delivered: messages that reached their destination whole.
        spooled: messages waiting in a durable outbox.
        buffered: messages waiting in memory.
        dead_lettered: messages put aside as undeliverable.
        dropped: messages given up, by reason.
        rejected: messages refused at the door, by reason.
        retries: deliveries that were tried again.
        last_error: the latest error, None when there was none.
    """

    name: str
    state: SinkState
    offered: int = 0
    emitted: int = 0
    delivered: int = 0
    spooled: int = 0
    buffered: int = 0
    dead_lettered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    retries: int = 0
    last_error: str | None = None
