"""Each alert of the town fires at its threshold, and is quiet just below it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from townlet_adapters.composition import load_config
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.events.affordance import AffordanceFail
from townlet_adapters.worlds.town.events.employment import (
    EmploymentAbsent,
    EmploymentLateStart,
    EmploymentReview,
    EmploymentShiftEnd,
)
from townlet_adapters.worlds.town.events.lifecycle import LifecycleExit
from townlet_adapters.worlds.town.events.queue import QueueConflict, QueueHandover
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_core.dto.observation import ObservationBatch, View
from townlet_core.dto.outcome import StepOutcome, TickSummary
from townlet_core.events.base import Event
from townlet_core.events.stability import StabilityAlert
from townlet_core.observers.stability.observer import StabilityObserver
from townlet_core.observers.stability.settings import StabilitySettings
from townlet_plugins.catalogue import load_catalogue

ALERTS = load_config({"townlet": 1, "seed": 7}).watching.stability.active
SPEC = TownModel.build(TownOptions()).spec
EVENTS = load_catalogue().events
IDS = tuple("abcdefghijklmnopqrstuvwxyz"[: SPEC.capacity])
EMPTY = memoryview(b"")
DAY = SPEC.ticks_per_day


def at(
    tick: int,
    *events: Event,
    needs: float = 1.0,
    option: int = 0,
    rewards: Sequence[float] = (),
    figures: Mapping[str, int] | None = None,
) -> StepOutcome:
    """One tick in which all residents have these needs and this option."""
    columns = {
        "needs": np.full((len(IDS), len(SPEC.needs)), needs).data,
        "option": np.full(len(IDS), option, np.int8).data,
    }
    day, tod = SPEC.clock(tick)
    seen = ObservationBatch(tick + 1, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, IDS, View({}, columns))
    earned = np.array(rewards or [0.0] * len(IDS), np.float32).data
    summary = TickSummary(day, tod, alive=len(IDS), figures=figures or {})
    return StepOutcome(seen, earned, EMPTY, EMPTY, events, summary)


def fired(alert: str, ticks: Sequence[StepOutcome]) -> bool:
    """Whether an alert of the town fires in these ticks; all others are left out."""
    observer = StabilityObserver(StabilitySettings(alerts={alert: ALERTS[alert]}), EVENTS)
    observer.begin(SPEC)
    told = [event for each in ticks for event in observer.observe(each, each.observation.tick - 1)]
    return any(isinstance(each, StabilityAlert) for each in told)


def every(event: Event, count: int, pause: int = 1) -> list[StepOutcome]:
    """The same fact so many times, with a pause between two."""
    return [at(number * pause, event) for number in range(count)]


def conflict(reason: str = "waiting", intensity: float = 0.5) -> QueueConflict:
    return QueueConflict("a", "b", "shower_1", reason, 2, intensity)


def fail(reason: str) -> AffordanceFail:
    return AffordanceFail("a", "shower_1", "use_shower", reason, None, 1, 0)


def shift_end(agent: str) -> EmploymentShiftEnd:
    return EmploymentShiftEnd(agent, "clerk", 10, 10, 1.0, 0)


def shifts(bad: str, good: str) -> list[StepOutcome]:
    """A day of shifts: of late ones, missed ones by turns, and good ones."""
    marks = [EmploymentLateStart(each, "clerk", 0) for each in bad[::2]]
    marks += [EmploymentAbsent(each, "clerk", 200, 1) for each in bad[1::2]]
    return [at(0, *marks), at(1, *map(shift_end, bad + good))]


def days(*sums: float) -> list[StepOutcome]:
    """Days at whose noon residents get these rewards, and the first ticks of the day after."""
    rewards = [*sums, *[0.0] * (len(IDS) - len(sums))]
    first = (DAY - SPEC.clock(0)[1]) % DAY
    ticks = range(first + 4 * DAY + 2)
    return [at(tick, rewards=rewards if (tick - first) % DAY == DAY // 2 else ()) for tick in ticks]


def reuses(forced: int, given: int) -> list[StepOutcome]:
    return [at(0, figures={"embedding_forced_reuses": forced, "embedding_allocations": given})]


def waiting(count: int) -> list[StepOutcome]:
    return [at(0, figures={"reviews_pending": count})]


CAP = TownOptions().employment.daily_loss_cap
LEFT = LifecycleExit("a", 0, "collapse", 9, 0, -1.0)
MOVED = LifecycleExit("a", 0, "moved", 9, 0, 0.0)
FIRING = {
    "starvation_spike": [at(tick, needs=0.15) for tick in range(30)],
    "reward_variance_spike": days(*[4.0, -4.0] * (len(IDS) // 2)),
    "option_thrash": [at(tick, option=tick // 3 % 2) for tick in range(60)],
    "queue_fairness_pressure": [
        *every(conflict("ghost_step"), 3),
        at(4, *[QueueHandover("a", "b", "o", 1)] * 2),
    ],
    "rivalry_spike": every(conflict(intensity=1.0), 5, 149),
    "embedding_reuse_warning": reuses(6, 100),
    "affordance_failures_exceeded": every(fail("timeout"), 6, 19),
    "lateness_spike": shifts("abcd", "efghi"),
    "employment_exit_queue_overflow": [at(0, EmploymentReview("a", "clerk", "refused", 3))],
    "employment_exit_backlog": waiting(CAP + 1),
}
QUIET = {
    "starvation_spike": [*(at(tick, needs=0.15) for tick in range(29)), at(29, MOVED, needs=0.16)],
    "reward_variance_spike": days(*[4.0] * len(IDS)),
    "option_thrash": [at(tick, option=tick // 5 % 2) for tick in range(60)],
    "queue_fairness_pressure": [
        *every(conflict("ghost_step"), 4),
        at(4, *[QueueHandover("a", "b", "o", 0)] * 2),
    ],
    "rivalry_spike": [*every(conflict(intensity=1.0), 4, 9), at(99, *[conflict(intensity=0.9)] * 9)],
    "embedding_reuse_warning": reuses(5, 100),
    "affordance_failures_exceeded": [*every(fail("timeout"), 5, 19), at(99, *[fail("left")] * 9)],
    "lateness_spike": shifts("abc", "defghij"),
    "employment_exit_queue_overflow": [at(0, EmploymentReview("a", "clerk", "pending", 3))],
    "employment_exit_backlog": waiting(CAP),
}


@pytest.mark.parametrize("alert", FIRING)
def test_an_alert_fires_at_its_threshold(alert):
    assert fired(alert, FIRING[alert])


@pytest.mark.parametrize("alert", QUIET)
def test_an_alert_is_quiet_just_below_its_threshold(alert):
    assert not fired(alert, QUIET[alert])


def test_someone_who_collapsed_counts_as_starved():
    assert fired("starvation_spike", [at(0, LEFT)])


def test_every_alert_with_a_threshold_has_both_tests():
    armed = {name for name, each in ALERTS.items() if each.above is not None or each.at_least is not None}
    assert armed == set(FIRING) == set(QUIET)
