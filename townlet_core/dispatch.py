"""Who hears of what: subscribers by kind, histories, and routes to sinks. No listener can hurt the town."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, TypeVar

from townlet_core.dto.frame import StateFrame
from townlet_core.dto.health import SinkHealth, SinkStatus
from townlet_core.dto.seen import ObservationMessage
from townlet_core.events.base import Diagnostic, Event, Fact
from townlet_core.events.health import SinkState
from townlet_core.events.schema import family_of
from townlet_core.histories import HISTORY_FAMILIES, Histories, HistorySettings
from townlet_core.ports.telemetry import Message, SupportsHealth, TelemetrySinkProtocol
from townlet_core.transforms.base import Transform, Withheld

_LOG = logging.getLogger(__name__)

Subscriber: TypeAlias = Callable[[Fact | Diagnostic], object]
"""Hears of events of one kind, in order, on the town's thread; what it returns is ignored."""

TRANSFORM_FAILED: Final = Withheld("transform_failed")
"""A transform raised: what it should have removed stays here."""

_ArgumentT = TypeVar("_ArgumentT")
_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True, slots=True)
class SinkRoute:
    """The way to one sink; whoever opened the sink starts and stops it.

    Attributes:
        name: the sink's name within the run.
        sink: where the messages go.
        state_every: the sink is shown the town on ticks divisible by this; 0 never.
        transforms: applied in order to every message; one that withholds it ends its way.
        observations: whether the sink is told on every tick what the agents see.
    """

    name: str
    sink: TelemetrySinkProtocol
    state_every: int = 0
    transforms: tuple[Transform, ...] = ()
    observations: bool = False


class EventDispatcher:
    """Hands messages on; counts and isolates whoever fails at hearing them.

    A transform that fails withholds its message from its sink. Whatever transforms withhold counts as
    offered to the sink and rejected, so that a sink's account tells of everything that was meant for it.
    """

    def __init__(self, routes: Iterable[SinkRoute] = (), histories: HistorySettings | None = None) -> None:
        """Connect sinks; ``histories`` are the default sizes unless told."""
        self._routes = tuple(routes)
        self._histories = Histories(histories or HistorySettings())
        self._subscribers: dict[str, tuple[tuple[str, Subscriber], ...]] = {}
        self._failures: Counter[str] = Counter()
        self._failure_count = 0
        self._counting = threading.Lock()
        self._withheld: dict[str, Counter[str]] = {route.name: Counter() for route in self._routes}

    @property
    def histories(self) -> Histories:
        """What is remembered."""
        return self._histories

    @property
    def failures(self) -> Mapping[str, int]:
        """How often each listener failed, by its name."""
        return dict(self._failures)

    @property
    def failure_count(self) -> int:
        """How often any listener failed."""
        return self._failure_count

    def subscribe(self, kind: str, subscriber: Subscriber, *, name: str) -> None:
        """Let a callable hear of every event of a kind; ``name`` stands in logs and counts."""
        self._subscribers[kind] = (*self._subscribers.get(kind, ()), (name, subscriber))

    def publish(self, facts: Sequence[Fact]) -> None:
        """Hand on the facts of one tick, in order."""
        for fact in facts:
            kind = fact.event.kind
            if family_of(kind) in HISTORY_FAMILIES:
                self._histories.remember(fact)
            for name, subscriber in self._subscribers.get(kind, ()):
                self._guarded(name, subscriber, fact)
        if facts:
            self._histories.forget_before(facts[-1].tick)
        for route in self._routes:
            for fact in facts:
                self._send(route, fact)

    def publish_diagnostic(self, tick: int, event: Event) -> None:
        """Hand on an event about the machinery."""
        diagnostic = Diagnostic(tick, event)
        for name, subscriber in self._subscribers.get(event.kind, ()):
            self._guarded(name, subscriber, diagnostic)
        for route in self._routes:
            self._send(route, diagnostic)

    def wants(self, kind: str) -> bool:
        """Tell whether anybody would hear of a diagnostic of this kind."""
        return bool(self._routes) or kind in self._subscribers

    def wants_state(self, tick: int) -> bool:
        """Tell whether some sink is to be shown the town at the end of this tick."""
        return any(_shows(route, tick) for route in self._routes)

    def publish_state(self, state: StateFrame) -> None:
        """Show the town to the sinks whose turn it is."""
        for route in self._routes:
            if _shows(route, state.tick):
                self._send(route, state)

    def wants_observations(self) -> bool:
        """Tell whether some sink is to be told what the agents see."""
        return any(route.observations for route in self._routes)

    def publish_observations(self, message: ObservationMessage) -> None:
        """Tell the sinks that asked for it what the agents see."""
        for route in self._routes:
            if route.observations:
                self._send(route, message)

    def states(self) -> tuple[SinkState, ...]:
        """Ask every sink for its state alone, in the order of the routes."""
        return tuple(self._status(route).state for route in self._routes)

    def statuses(self) -> tuple[SinkStatus, ...]:
        """Ask every sink for its account, in the order of the routes; from any thread."""
        return tuple(self.account(route, self._status(route)) for route in self._routes)

    def healths(self) -> dict[str, SinkHealth | SinkStatus]:
        """Ask every sink for its health, or for its account if it keeps no more, by name; from any thread."""
        return {route.name: self._health(route) for route in self._routes}

    def account(self, route: SinkRoute, status: SinkStatus) -> SinkStatus:
        """Complete a sink's own account: by the name of its route, with what its transforms withheld."""
        # Copied in one go: the town's thread may be counting.
        withheld = dict(self._withheld[route.name])
        # A sink knows what it is called by itself; beside another one of its kind, the route knows better.
        return replace(
            status,
            name=route.name,
            offered=status.offered + sum(withheld.values()),
            rejected=dict(Counter(status.rejected) + Counter(withheld)),
        )

    def stop(self, route: SinkRoute, deadline_seconds: float) -> SinkStatus:
        """Stop a sink, and tell what it came to; one that fails at that is told as failed."""
        status = self._guarded(route.name, lambda sink: sink.stop(deadline_seconds), route.sink)
        if status is None:
            status = SinkStatus(route.name, "failed", last_error="the sink failed when it was stopped")
        return self.account(route, status)

    def _status(self, route: SinkRoute) -> SinkStatus:
        return self._guarded(route.name, _status_of, route.sink) or _speechless(route, "status")

    def _health(self, route: SinkRoute) -> SinkHealth | SinkStatus:
        if not isinstance(route.sink, SupportsHealth):
            return self.account(route, self._status(route))
        health = self._guarded(route.name, _health_of, route.sink)
        if health is None:
            return self.account(route, _speechless(route, "health"))
        return replace(health, totals=self.account(route, health.totals))

    def _send(self, route: SinkRoute, message: Message) -> None:
        for transform in route.transforms:
            changed = self._guarded(f"{route.name}: transform", transform, message) or TRANSFORM_FAILED
            if isinstance(changed, Withheld):
                self._withheld[route.name][changed.reason] += 1
                return
            message = changed
        self._guarded(route.name, route.sink.emit, message)

    def _guarded(
        self, name: str, call: Callable[[_ArgumentT], _ResultT], argument: _ArgumentT
    ) -> _ResultT | None:
        """Call a listener; None when it failed. Its first failure is logged, all are counted."""
        try:
            return call(argument)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - SystemExit too: whatever a listener raises, the town goes on
            with self._counting:
                self._failures[name] += 1
                first = self._failures[name] == 1
                self._failure_count += 1
            if first:
                _LOG.exception("listener '%s' failed; further failures of it are only counted", name)
            return None


def _status_of(sink: TelemetrySinkProtocol) -> SinkStatus:
    return sink.status()


def _health_of(sink: SupportsHealth) -> SinkHealth:
    return sink.health()


def _speechless(route: SinkRoute, of_what: str) -> SinkStatus:
    return SinkStatus(route.name, "failed", last_error=f"the sink cannot tell its {of_what}")


def _shows(route: SinkRoute, tick: int) -> bool:
    return route.state_every > 0 and tick % route.state_every == 0
