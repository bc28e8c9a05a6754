"""Windows pass or fail by their alerts; a promotion needs a streak, and canaries advise to take it back."""

import json

import pytest

from tests.watched import SPEC, outcome
from townlet_core.errors import ConfigError, SnapshotError
from townlet_core.events.promotion import PromotionState
from townlet_core.events.stability import StabilityAlert, StabilityMetrics
from townlet_core.jsonvalue import canonical_json
from townlet_core.observers.promotion.ladder import MOST_KEPT, NotReadyError
from townlet_core.observers.promotion.observer import PromotionObserver
from townlet_core.observers.promotion.settings import Canary, PromotionSettings
from townlet_core.observers.stability.settings import Alert, StabilitySettings
from townlet_core.testing import check_observer

MEASURED = StabilitySettings(alerts={"late": Alert(figure="letters"), "noise": Alert(figure="sent")})
WINDOW = 60


class Town:
    """Windows of an observer, one after the other."""

    def __init__(self, observer: PromotionObserver | None = None, **settings) -> None:
        self.settings = PromotionSettings(window=WINDOW, **settings)
        self.observer = observer or PromotionObserver(self.settings, MEASURED)
        self.observer.begin(SPEC)
        self.tick = 0

    def window(self, *alerts: str, standing: tuple[str, ...] = (), **values: float) -> list[PromotionState]:
        """Let a window pass in which alerts fire; gives the changes of state."""
        found = []
        for number in range(WINDOW):
            events = [StabilityAlert(name, 1.0, 0.5, 10) for name in alerts] if number == 5 else []
            if number == WINDOW - 1:
                events.append(
                    StabilityMetrics(
                        values, self.tick, standing, 0, candidate_ready=False, state="monitoring"
                    )
                )
            found += self.observer.observe(outcome(self.tick, *events), self.tick)
            self.tick += 1
        return found

    @property
    def state(self) -> tuple[str, int, bool]:
        now = self.observer.promotion
        return now.state, now.streak, now.candidate_ready


def test_two_windows_without_an_alert_make_a_candidate_and_an_alert_breaks_the_streak():
    town = Town()
    assert town.window() == []
    assert town.state == ("monitoring", 1, False)
    assert town.window() == [PromotionState("monitoring", "ready", None, "candidate_ready")]
    assert town.window() == []
    assert town.window("late") == [PromotionState("ready", "monitoring", None, "streak_broken")]
    assert town.state == ("monitoring", 0, False)


def test_an_alert_that_still_stands_at_the_end_breaks_the_streak_too():
    town = Town(required_passes=1)
    town.window(standing=("late",))
    assert town.state == ("monitoring", 0, False)


def test_an_allowed_alert_breaks_nothing():
    town = Town(required_passes=1, allowed_alerts=("late",))
    town.window("late", standing=("late",))
    assert town.state == ("ready", 1, True)
    town.window("late", "noise")
    assert town.state == ("monitoring", 0, False)


@pytest.mark.parametrize("passes", [1, 3, 10])
def test_as_many_windows_must_pass_as_the_settings_say(passes):
    town = Town(required_passes=passes)
    for _ in range(passes - 1):
        town.window()
    assert town.state[0] == "monitoring"
    town.window()
    assert town.state == ("ready", passes, True)


def test_a_promotion_needs_a_candidate_and_the_next_one_a_new_streak():
    town = Town()
    town.window()
    with pytest.raises(NotReadyError, match="1 window passed in a row; a promotion needs 2"):
        town.observer.promote("r1")
    town.window()
    town.observer.promote("r1")
    assert town.window() == [PromotionState("ready", "promoted", "r1", "promoted")]
    with pytest.raises(NotReadyError):
        town.observer.promote("r2")
    town.window()
    town.observer.promote("r2")
    assert town.window() == [PromotionState("promoted", "promoted", "r2", "promoted")]


def test_a_rollback_goes_back_to_the_release_before_and_needs_a_promoted_one():
    town = Town(required_passes=1)
    with pytest.raises(NotReadyError, match="nothing is promoted: the state is monitoring"):
        town.observer.rollback()
    town.window()
    town.observer.promote("r1")
    town.window()
    town.observer.promote("r2")
    town.window()
    town.observer.rollback()
    assert town.window()[0] == PromotionState("promoted", "monitoring", "r1", "rollback")
    assert town.observer.promotion.release == "r1"


CANARIES = {
    "lateness": Canary("late", times_baseline=2),
    "noise": Canary("noise", above=0.1, windows=2),
    "off": None,
}


def promoted(**values: float) -> Town:
    town = Town(required_passes=1, canaries=CANARIES)
    town.window(**values)
    town.observer.promote("r1")
    return town


def test_a_canary_speaks_when_a_value_is_over_its_multiple_of_the_baseline():
    town = promoted(late=0.2)
    assert [each.reason for each in town.window(late=0.4)] == ["promoted"]
    assert [each.reason for each in town.window(late=0.5)] == ["rollback_advised: lateness"]
    assert town.window(late=0.5) == []
    assert town.observer.standing()["rollback_advised"] == ["lateness"]
    town.window(late=0.1)
    assert "rollback_advised" not in town.observer.standing()
    assert [each.reason for each in town.window(late=0.5)] == ["rollback_advised: lateness"]


def test_a_canary_that_needs_two_windows_is_quiet_after_one():
    town = promoted()
    town.window(noise=0.2)
    assert town.window() == []
    town.window(noise=0.2)
    assert [each.reason for each in town.window(noise=0.2)] == ["rollback_advised: noise"]


def test_canaries_are_silent_while_nothing_is_promoted():
    town = Town(required_passes=10, canaries=CANARIES)
    assert town.window(late=9.0) == []
    assert town.observer.standing() == {"state": "monitoring", "streak": 1, "candidate_ready": False}


def test_only_the_latest_changes_are_kept():
    town = Town(required_passes=1)
    for _ in range(40):
        town.window()
        town.window("late")
    assert len(town.observer.history) == MOST_KEPT == 50
    assert town.observer.history[-1].tick == town.tick - 1


def test_a_run_that_goes_on_from_a_snapshot_has_the_same_states():
    first, heir = promoted(late=0.2), Town(required_passes=1, canaries=CANARIES)
    first.window(noise=0.5, late=0.3)
    first.observer.promote("r2")
    heir.observer.import_state(json.loads(canonical_json(first.observer.export_state())))
    heir.tick = first.tick
    for windows in ({"noise": 0.5}, {"noise": 0.5, "late": 0.9}, {}):
        assert heir.window(**windows) == first.window(**windows)
    heir.observer.rollback()
    first.observer.rollback()
    assert heir.observer.history == first.observer.history
    assert canonical_json(heir.observer.export_state()) == canonical_json(first.observer.export_state())


def test_a_damaged_state_is_refused_and_null_begins():
    town = Town()
    state = json.loads(canonical_json(town.observer.export_state()))
    for damaged in ([], state | {"state": "gone"}, state | {"former": ["r"] * 51}):
        with pytest.raises(SnapshotError, match="'promotion' is damaged"):
            town.observer.import_state(damaged)
    town.observer.import_state(None)
    assert town.state == ("monitoring", 0, False)


def test_the_observer_keeps_the_contract():
    check_observer(lambda: PromotionObserver(PromotionSettings(window=60), MEASURED), ticks=190)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"allowed_alerts": ("late", "lat")}, "allowed_alerts[1]"),
        ({"canaries": {"x": Canary("lat")}}, "canaries.x.value"),
    ],
)
def test_an_alert_that_is_not_measured_is_an_error_that_names_those_that_are(settings, key):
    with pytest.raises(ConfigError) as raised:
        Town(**settings)
    (problem,) = raised.value.problems
    assert (problem.key, problem.found) == (key, "unknown alert 'lat'")
    assert "late" in problem.allowed
