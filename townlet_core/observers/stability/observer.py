"""Measures what the settings name, and emits an alert when a value crosses its threshold."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import SnapshotError
from townlet_core.events.base import Event
from townlet_core.events.schema import EventRegistry
from townlet_core.events.stability import StabilityAlert, StabilityMetrics
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.observers.facts import Heeder, Sight
from townlet_core.observers.stability.count import Count
from townlet_core.observers.stability.fall import Fall
from townlet_core.observers.stability.figure import Figure
from townlet_core.observers.stability.measure import Measure, Watcher
from townlet_core.observers.stability.returns import DayReturns
from townlet_core.observers.stability.settings import METRICS_TICKS, Alert, Returns, StabilitySettings
from townlet_core.observers.stability.share import ShareOf
from townlet_core.observers.stability.spread import Spread
from townlet_core.observers.stability.switches import Switches
from townlet_core.observers.standing import NO_PROMOTION, Promotion
from townlet_core.observers.windows import NEVER, Crowd
from townlet_core.records import record_from_json, record_to_json

_THRESHOLDS: Final = ("above", "at_least")


@dataclass(slots=True)
class _Post:
    """One measure and its threshold.

    Attributes:
        name: its name.
        settings: what it was made from.
        measure: keeps the value.
        stands: whether the alert has fired and the value is not back under the threshold.
        fired: how often the alert has fired.
    """

    name: str
    settings: Alert
    measure: Measure
    stands: bool = False
    fired: int = 0

    @property
    def threshold(self) -> float:
        """The value from which the alert fires."""
        return next(
            (limit for each in _THRESHOLDS if (limit := getattr(self.settings, each)) is not None), 0.0
        )

    @property
    def drifts(self) -> bool:
        """Whether the value may come back under the threshold in any tick."""
        return self.stands and self.measure.drifts

    def judge(self, tick: int) -> StabilityAlert | None:
        """Compare the value with the threshold; returns the alert if it fires now."""
        value = self.measure.value(tick)
        above, at_least = self.settings.above, self.settings.at_least
        crossed = (above is not None and value > above) or (at_least is not None and value >= at_least)
        fires, self.stands = crossed and not self.stands, crossed
        if not fires:
            return None
        self.fired += 1
        return StabilityAlert(self.name, value, self.threshold, self.settings.window)


@dataclass(frozen=True, slots=True)
class _PostState:
    """What lasts of one measure."""

    stands: bool
    fired: int
    measure: JsonValue


@dataclass(frozen=True, slots=True)
class _State:
    """What lasts: the latest tick and its agents, each measure, and the day sums of each number."""

    tick: int
    ids: list[str]
    posts: dict[str, _PostState]
    returns: dict[str, JsonValue]


class StabilityObserver:
    """Watches a run by facts, figures, rewards and the view; knows the names that its settings give it."""

    name: Final = "stability"

    def __init__(
        self,
        settings: StabilitySettings,
        events: EventRegistry,
        promotion: Callable[[], Promotion] = lambda: NO_PROMOTION,
    ) -> None:
        """Take the settings; call ``begin`` before anything else.

        Args:
            settings: what to measure.
            events: every kind of fact that may be named.
            promotion: returns the state of the promotion, for ``stability.metrics``.
        """
        self._settings, self._events, self._promotion = settings, events, promotion

    def begin(self, spec: WorldSpec) -> None:
        """Start at zero.

        Raises:
            ConfigError: when the settings name what such a world does not have.
        """
        self._sight, self._heeder, self._crowd = Sight(spec, self._events), Heeder(), Crowd()
        self._watchers: list[Watcher] = []
        self._returns: dict[str, DayReturns] = {}
        self._tick, self._next = -1, 0
        self._posts = [
            _Post(name, alert, self._measure(alert, f"alerts.{name}"))
            for name, alert in self._settings.active.items()
        ]

    def observe(self, outcome: StepOutcome, tick: int) -> tuple[Event, ...]:
        """Measure one tick; returns alerts, and the numbers every 60 ticks."""
        ids = outcome.observation.agent_ids
        # A world may return the same tuple as long as the agents are the same.
        if ids is not self._crowd.ids and ids != self._crowd.ids:
            self._crowd.see(ids)
            for watcher in self._watchers:
                watcher.welcome(tick)
        stirred = self._heeder.hear(outcome, tick) if outcome.events else False
        for watcher in self._watchers:
            stirred |= watcher.watch(outcome, tick)
        self._tick = tick
        events: list[Event] = []
        if stirred or tick >= self._next:
            events += self._judge(tick)
        if (tick + 1) % METRICS_TICKS == 0 and self._posts:
            events.append(self._metrics(tick))
        return tuple(events)

    def kpis(self) -> JsonObject:
        """Return how often each alert has fired that did."""
        return {"alerts": {post.name: post.fired for post in self._posts if post.fired}}

    def standing(self) -> JsonObject:
        """Return the value of every measure."""
        return dict(self._values(self._tick))

    def export_state(self) -> JsonValue:
        """Return everything measured so far."""
        posts = {
            post.name: _PostState(post.stands, post.fired, post.measure.export()) for post in self._posts
        }
        returns = {name: each.export() for name, each in self._returns.items()}
        return record_to_json(_State(self._tick, list(self._crowd.ids), posts, returns))

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state; null of a run that was not observed yet begins at zero.

        Raises:
            SnapshotError: when it is not such a state, or one of other settings.
        """
        if state is None:
            return
        try:
            read = _read(state, {post.name for post in self._posts}, self._returns.keys())
            for name, returns in self._returns.items():
                returns.restore(read.returns[name])
            for post in self._posts:
                of = read.posts[post.name]
                post.measure.restore(of.measure)
                post.stands, post.fired = of.stands, of.fired
        except ValueError as error:
            raise SnapshotError(
                "snapshot_corrupt", f"the state of '{self.name}' is damaged: {error}"
            ) from error
        self._tick, self._next = read.tick, 0
        self._crowd.see(tuple(read.ids))

    def _judge(self, tick: int) -> list[StabilityAlert]:
        """Compare the values that may have changed, and find out when the next one may change by itself."""
        alerts: list[StabilityAlert] = []
        soonest = NEVER
        for post in self._posts:
            measure = post.measure
            if (measure.due <= tick or post.drifts) and (alert := post.judge(tick)) is not None:
                alerts.append(alert)
            soonest = min(soonest, tick + 1 if post.drifts else measure.due)
        self._next = soonest
        return alerts

    def _metrics(self, tick: int) -> StabilityMetrics:
        promotion = self._promotion()
        standing = tuple(post.name for post in self._posts if post.stands)
        return StabilityMetrics(
            self._values(tick), tick, standing, promotion.streak, promotion.candidate_ready, promotion.state
        )

    def _values(self, tick: int) -> Mapping[str, float]:
        return {post.name: post.measure.value(tick) for post in self._posts} if tick >= 0 else {}

    def _measure(self, alert: Alert, key: str) -> Measure:
        """Build the measure of one form, and what it needs to look at."""
        sight, window = self._sight, alert.window
        if alert.share is not None:
            share = ShareOf(alert.share, window, alert.samples)
            share.begin(sight, self._heeder, f"{key}.share")
            return share
        if alert.switches is not None:
            switches = Switches(alert.switches, window, alert.samples)
            switches.begin(sight, self._crowd, f"{key}.switches")
            self._watchers.append(switches)
            return switches
        if alert.spread is not None:
            spread = Spread(window, alert.spread.samples)
            self._day_returns(alert.spread, f"{key}.spread").hearers.append(spread.hear)
            return spread
        if alert.fall is not None:
            fall = Fall(alert.fall.samples)
            self._day_returns(alert.fall, f"{key}.fall").hearers.append(fall.hear)
            return fall
        if alert.figure is not None or alert.ratio is not None:
            return self._figure(alert, key)
        count = Count(alert.count, alert.low, window)
        self._watchers += count.begin(sight, self._crowd, self._heeder, key)
        return count

    def _figure(self, alert: Alert, key: str) -> Figure:
        if alert.ratio is not None:
            figure = Figure(alert.ratio.of, alert.ratio.among)
            figure.begin(self._sight, f"{key}.ratio")
        else:
            figure = Figure(alert.figure or "", None)
            figure.begin(self._sight, f"{key}.figure")
        self._watchers.append(figure)
        return figure

    def _day_returns(self, returns: Returns, key: str) -> DayReturns:
        """Return what adds up a number over days: one for all measures of the same number."""
        if returns.of not in self._returns:
            self._returns[returns.of] = DayReturns(returns.of, self._sight, self._crowd, f"{key}.of")
            self._watchers.append(self._returns[returns.of])
        return self._returns[returns.of]


def _read(state: JsonValue, names: AbstractSet[str], numbers: AbstractSet[str]) -> _State:
    """Read a state with these measures and day sums; raises ``ValueError``."""
    read = record_from_json(_State, state)
    if read.posts.keys() != names or read.returns.keys() != numbers:
        raise ValueError("it has other alerts")
    return read
