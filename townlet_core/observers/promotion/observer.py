"""Judges the windows of a run by its alerts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from townlet_core.dto.outcome import StepOutcome
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import SnapshotError
from townlet_core.events.base import Event
from townlet_core.events.promotion import PromotionName, PromotionState
from townlet_core.events.stability import StabilityAlert, StabilityMetrics
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.observers.facts import wrong
from townlet_core.observers.promotion.canaries import Canaries
from townlet_core.observers.promotion.ladder import MOST_KEPT, Change, Ladder
from townlet_core.observers.promotion.settings import Canary, PromotionSettings
from townlet_core.observers.stability.settings import StabilitySettings
from townlet_core.observers.standing import Promotion
from townlet_core.records import record_from_json, record_to_json
from townlet_core.suggestions import nearest


@dataclass(frozen=True, slots=True)
class _State:
    """What lasts between ticks.

    Attributes:
        coming: the next tick.
        state: as in ``Ladder``, like the next four.
        fired: alerts that fired in this window.
        values: the latest values of the observer ``stability``.
        alerts_standing: the alerts that stand, as of the same time.
        baseline: as in ``Canaries``, like the next two.
        waiting: facts for the next tick.
    """

    coming: int
    state: PromotionName
    streak: int
    release: str | None
    former: list[str]
    history: list[Change]
    fired: list[str]
    values: dict[str, float]
    alerts_standing: list[str]
    baseline: dict[str, float]
    runs: dict[str, int]
    advice: list[str]
    waiting: list[Change]


@dataclass(slots=True)
class _Window:
    """What the current window has brought."""

    fired: dict[str, None] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    standing: tuple[str, ...] = ()


class PromotionObserver:
    """Counts windows without alerts; it comes behind the observer ``stability``, whose facts it reads.

    A window fails when an alert fires in it or still stands at its end, unless that alert is allowed.
    """

    name: Final = "promotion"

    def __init__(self, settings: PromotionSettings, stability: StabilitySettings) -> None:
        """Take the settings, and those of the alerts that they name; call ``begin`` before anything else."""
        self._settings, self._measured = settings, stability.active
        self._canaries: Mapping[str, Canary] = {
            name: each for name, each in settings.canaries.items() if each is not None
        }

    def begin(self, spec: WorldSpec) -> None:
        """Start to monitor.

        Raises:
            ConfigError: when the settings name an alert that is not measured.
        """
        del spec
        settings = self._settings
        named = [(f"allowed_alerts[{at}]", name) for at, name in enumerate(settings.allowed_alerts)]
        named += [(f"canaries.{name}.value", each.value) for name, each in self._canaries.items()]
        for key, name in named:
            if name not in self._measured:
                raise wrong(key, f"unknown alert '{name}'", nearest(name, self._measured))
        self._ladder, self._watch = Ladder(settings.required_passes), Canaries()
        self._window = _Window()
        self._waiting: list[Change] = []
        self._next = 0

    def observe(self, outcome: StepOutcome, tick: int) -> tuple[Event, ...]:
        """Look at the alerts of one tick, and judge the window that ends with it."""
        self._next = tick + 1
        for event in outcome.events:
            if event.kind == StabilityAlert.kind and isinstance(event, StabilityAlert):
                self._window.fired[event.alert] = None
            elif event.kind == StabilityMetrics.kind and isinstance(event, StabilityMetrics):
                self._window.values, self._window.standing = event.values, event.standing
        if not self._waiting and (tick + 1) % self._settings.window:
            return ()
        events = [PromotionState(each.from_, each.to, each.release, each.reason) for each in self._waiting]
        self._waiting = []
        if (tick + 1) % self._settings.window == 0:
            events += self._close_window(tick)
        return tuple(events)

    def kpis(self) -> JsonObject:
        """Return nothing: the state is not a number."""
        return {}

    def standing(self) -> JsonObject:
        """Return the state of the promotion; a release and advice only where there are any."""
        ladder = self._ladder
        shown: dict[str, JsonValue] = {
            "state": ladder.state,
            "streak": ladder.streak,
            "candidate_ready": ladder.candidate_ready,
        }
        if ladder.release is not None:
            shown["release"] = ladder.release
        if self._watch.advice:
            shown["rollback_advised"] = list(self._watch.advice)
        return shown

    @property
    def promotion(self) -> Promotion:
        """The state of the promotion."""
        ladder = self._ladder
        return Promotion(
            ladder.state, ladder.streak, ladder.candidate_ready, ladder.release, self._watch.advice
        )

    @property
    def history(self) -> tuple[Change, ...]:
        """The latest changes of state, at most 50, oldest first."""
        return tuple(self._ladder.history)

    def promote(self, release: str) -> None:
        """Promote a release between two ticks; the fact about it belongs to the next tick.

        Raises:
            NotReadyError: when too few windows have passed in a row.
        """
        self._ladder.promote(self._next, release)
        self._waiting.append(self._ladder.history[-1])
        self._watch.start(self._window.values)

    def rollback(self) -> None:
        """Go back to the release before, between two ticks; the fact about it belongs to the next tick.

        Raises:
            NotReadyError: when nothing is promoted.
        """
        self._ladder.rollback(self._next)
        self._waiting.append(self._ladder.history[-1])
        self._watch.stop()

    def export_state(self) -> JsonValue:
        """Return everything that lasts."""
        ladder, watch, window = self._ladder, self._watch, self._window
        return record_to_json(
            _State(
                self._next,
                ladder.state,
                ladder.streak,
                ladder.release,
                list(ladder.former),
                list(ladder.history),
                list(window.fired),
                dict(window.values),
                list(window.standing),
                dict(watch.baseline),
                dict(watch.runs),
                list(watch.advice),
                list(self._waiting),
            )
        )

    def import_state(self, state: JsonValue) -> None:
        """Continue from an exported state; null of a run that was not observed yet begins to monitor.

        Raises:
            SnapshotError: when it is not such a state.
        """
        if state is None:
            return
        try:
            read = _read(state)
        except ValueError as error:
            raise SnapshotError(
                "snapshot_corrupt", f"the state of '{self.name}' is damaged: {error}"
            ) from error
        self._next = read.coming
        self._ladder = Ladder(
            self._settings.required_passes,
            read.state,
            read.streak,
            read.release,
            list(read.former),
            list(read.history),
        )
        self._watch = Canaries(dict(read.baseline), dict(read.runs), tuple(read.advice))
        self._window = _Window(dict.fromkeys(read.fired), read.values, tuple(read.alerts_standing))
        self._waiting = list(read.waiting)

    def _close_window(self, tick: int) -> list[PromotionState]:
        window, allowed = self._window, self._settings.allowed_alerts
        troubles = {*window.fired, *window.standing}.difference(allowed)
        closed = self._ladder.close_window(tick, passed=not troubles)
        events = [closed] if closed is not None else []
        if self._ladder.state == "promoted" and self._watch.close_window(self._canaries, window.values):
            events.append(self._ladder.advise(tick, self._watch.advice))
        self._window.fired = {}
        return events


def _read(state: JsonValue) -> _State:
    read = record_from_json(_State, state)
    if len(read.history) > MOST_KEPT or len(read.former) > MOST_KEPT:
        raise ValueError("its history is too long")
    return read
