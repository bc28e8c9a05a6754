"""Event dispatch: subscribers by kind, and routes to sinks; a failing listener is isolated."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, TypeVar

from townlet_core.dto.frame import StateFrame
from townlet_core.dto.health import SinkCounts, SinkStatus
from townlet_core.dto.plan import PlanMessage
from townlet_core.dto.seen import ObservationMessage
from townlet_core.events.base import Diagnostic, Event, Fact
from townlet_core.events.health import SinkAccount, SinkHealth, SinkState
from townlet_core.ports.telemetry import Message, SupportsHealth, TelemetrySinkProtocol
from townlet_core.transforms.base import Transform, Withheld

_LOG = logging.getLogger(__name__)

Subscriber: TypeAlias = Callable[[Fact | Diagnostic], object]
"""Called with every event of one kind, in order, on the town's thread; the return value is ignored."""

TRANSFORM_FAILED: Final = Withheld("transform_failed")
"""The transform raised an exception, so the message is not sent: it may hold what had to be removed."""

_ArgumentT = TypeVar("_ArgumentT")
_ResultT = TypeVar("_ResultT")
_AccountT = TypeVar("_AccountT", bound=SinkAccount)


@dataclass(frozen=True, slots=True)
class SinkRoute:
    """The route to one sink; the code that opened the sink starts and stops it.

    Attributes:
        name: the sink's name within the run.
        sink: the destination of the messages.
        state_every: the sink receives the town's state on ticks divisible by this number; 0 means never.
        transforms: applied in order to every message; a transform that withholds the message ends its route.
        observations: whether the sink receives on every tick what the agents see.
    """

    name: str
    sink: TelemetrySinkProtocol
    state_every: int = 0
    transforms: tuple[Transform, ...] = ()
    observations: bool = False


class EventDispatcher:
    """Passes messages on; counts and isolates the failures of listeners (subscribers, transforms, sinks).

    A transform that fails withholds its message from its sink. A withheld message counts as offered to the
    sink and rejected, so that a sink's account covers everything that was meant for it.
    """

    def __init__(self, routes: Iterable[SinkRoute] = ()) -> None:
        """Connect sinks."""
        self._routes = tuple(routes)
        self._subscribers: dict[str, tuple[tuple[str, Subscriber], ...]] = {}
        self._failures: Counter[str] = Counter()
        self._failure_count = 0
        self._counting = threading.Lock()
        self._planned: set[str] = set()
        self._withheld: dict[str, Counter[str]] = {route.name: Counter() for route in self._routes}

    @property
    def failures(self) -> Mapping[str, int]:
        """The number of failures of each listener, by its name."""
        return dict(self._failures)

    @property
    def failure_count(self) -> int:
        """The number of failures of all listeners."""
        return self._failure_count

    def subscribe(self, kind: str, subscriber: Subscriber, *, name: str) -> None:
        """Call ``subscriber`` with every event of a kind; ``name`` identifies it in logs and counts."""
        self._subscribers[kind] = (*self._subscribers.get(kind, ()), (name, subscriber))

    def publish(self, facts: Sequence[Fact]) -> None:
        """Pass on the facts of one tick, in order."""
        if self._subscribers:
            for fact in facts:
                for name, subscriber in self._subscribers.get(fact.event.kind, ()):
                    self._guarded(name, subscriber, fact)
        for route in self._routes:
            for fact in facts:
                self._send(route, fact)

    def publish_diagnostic(self, tick: int, event: Event) -> None:
        """Pass on an event about the machinery."""
        diagnostic = Diagnostic(tick, event)
        for name, subscriber in self._subscribers.get(event.kind, ()):
            self._guarded(name, subscriber, diagnostic)
        for route in self._routes:
            self._send(route, diagnostic)

    def wants(self, kind: str) -> bool:
        """Return whether a diagnostic of this kind has a receiver."""
        return bool(self._routes) or kind in self._subscribers

    def wants_state(self, tick: int) -> bool:
        """Return whether a sink is due to receive the town's state at the end of this tick."""
        return any(_shows(route, tick) for route in self._routes)

    def publish_state(self, state: StateFrame, plan: PlanMessage | None = None) -> None:
        """Send the town's state to the sinks that are due; each gets the plan, if there is one, before it."""
        for route in self._routes:
            if not _shows(route, state.tick):
                continue
            if plan is not None and route.name not in self._planned:
                self._planned.add(route.name)
                self._send(route, replace(plan, tick=state.tick))
            self._send(route, state)

    def wants_observations(self) -> bool:
        """Return whether a sink receives what the agents see."""
        return any(route.observations for route in self._routes)

    def publish_observations(self, message: ObservationMessage) -> None:
        """Send what the agents see to the sinks that are configured for it."""
        for route in self._routes:
            if route.observations:
                self._send(route, message)

    def states(self) -> dict[str, SinkState]:
        """Return the state of every sink by name; callable from any thread."""
        return {
            route.name: self._guarded(route.name, _state_of, route.sink) or "failed" for route in self._routes
        }

    def statuses(self) -> tuple[SinkStatus, ...]:
        """Return the account of every sink, in the order of the routes; callable from any thread."""
        return tuple(self._status(route) for route in self._routes)

    def healths(self) -> dict[str, SinkHealth]:
        """Return the health of every sink by name; callable from any thread."""
        return {route.name: self._health(route) for route in self._routes}

    def counts(self) -> dict[str, SinkCounts]:
        """Return the counters beside the account of the sinks that keep them, by name; from any thread."""
        return {
            route.name: counts
            for route in self._routes
            if isinstance(route.sink, SupportsHealth)
            and (counts := self._guarded(route.name, _counts_of, route.sink)) is not None
        }

    def stop(self, route: SinkRoute, deadline_seconds: float) -> SinkStatus:
        """Stop a sink and return its account; the account of a sink that fails to stop says so."""
        status = self._guarded(route.name, lambda sink: sink.stop(deadline_seconds), route.sink)
        return self._completed(route, status or _failed_status(route, "stop"))

    def _status(self, route: SinkRoute) -> SinkStatus:
        status = self._guarded(route.name, _status_of, route.sink)
        return self._completed(route, status or _failed_status(route, "status"))

    def _health(self, route: SinkRoute) -> SinkHealth:
        if not isinstance(route.sink, SupportsHealth):
            return self._status(route).as_health()
        health = self._guarded(route.name, _health_of, route.sink)
        if health is None:
            return self._completed(route, _failed_status(route, "health")).as_health()
        return replace(health, totals=self._with_withheld(route, health.totals))

    def _completed(self, route: SinkRoute, status: SinkStatus) -> SinkStatus:
        """Complete a sink's own account: with its route's name, and with what its transforms withheld."""
        # A sink has one name for itself; with two sinks of one kind, only the route's name is unique.
        return replace(self._with_withheld(route, status), name=route.name)

    def _with_withheld(self, route: SinkRoute, account: _AccountT) -> _AccountT:
        # Copied in one call: the town's thread may be counting.
        withheld = dict(self._withheld[route.name])
        return replace(
            account,
            offered=account.offered + sum(withheld.values()),
            rejected=dict(Counter(account.rejected) + Counter(withheld)),
        )

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
        except BaseException:  # noqa: BLE001 - SystemExit too: no exception of a listener ends the run
            with self._counting:
                self._failures[name] += 1
                first = self._failures[name] == 1
                self._failure_count += 1
            if first:
                _LOG.exception("listener '%s' failed; its further failures are counted, but not logged", name)
            return None


def _status_of(sink: TelemetrySinkProtocol) -> SinkStatus:
    return sink.status()


def _state_of(sink: TelemetrySinkProtocol) -> SinkState:
    return sink.state


def _health_of(sink: SupportsHealth) -> SinkHealth:
    return sink.health()


def _counts_of(sink: SupportsHealth) -> SinkCounts:
    return sink.counts()


def _failed_status(route: SinkRoute, call: str) -> SinkStatus:
    return SinkStatus(name=route.name, state="failed", last_error=f"the sink raised an exception in {call}()")


def _shows(route: SinkRoute, tick: int) -> bool:
    return route.state_every > 0 and tick % route.state_every == 0
