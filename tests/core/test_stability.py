"""Each form of a measure fires once when its value crosses the threshold, is quiet below it, and is saved."""

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from tests.watched import IDS, SPEC, outcome, play
from townlet_core.errors import ConfigError, SnapshotError
from townlet_core.events.base import Event
from townlet_core.events.schema import CORE_EVENTS
from townlet_core.events.stability import StabilityAlert, StabilityMetrics
from townlet_core.jsonvalue import canonical_json
from townlet_core.observers.facts import Facts, Limits
from townlet_core.observers.stability.observer import StabilityObserver
from townlet_core.observers.stability.settings import Alert, Low, Ratio, Returns, Share, StabilitySettings
from townlet_core.testing import FAKE_EVENTS, check_observer
from townlet_core.testing.events import FakeFinish, FakeHeld, FakeStart

EVENTS = CORE_EVENTS.including(FAKE_EVENTS)


def watcher(**alerts: Alert | None) -> StabilityObserver:
    observer = StabilityObserver(StabilitySettings(alerts=alerts), EVENTS)
    observer.begin(SPEC)
    return observer


def alerts(observer: StabilityObserver, ticks) -> list[tuple[int, float]]:
    return [(tick, each.value) for tick, each in play(observer, ticks) if isinstance(each, StabilityAlert)]


def held(agent: str = "a", action: int = 1) -> FakeHeld:
    return FakeHeld(agent, action, "guard")


def quiet(first: int, last: int, **more):
    return [outcome(tick, **more) for tick in range(first, last)]


COUNT = Alert(window=10, at_least=2, count=(Facts("fake.held", {"action": Limits(above=0)}),))


def test_a_count_fires_once_when_it_is_reached_and_again_after_it_was_under_it():
    ticks = [outcome(0, held()), outcome(1, held()), outcome(2, held()), *quiet(3, 11)]
    ticks += [outcome(11, held()), outcome(12), outcome(13, held())]
    assert alerts(watcher(crowd=COUNT), ticks) == [(1, 2.0), (13, 2.0)]


def test_a_count_that_stays_over_the_threshold_while_entries_leave_and_come_does_not_fire_again():
    ticks = [outcome(tick, held()) for tick in range(40)]
    assert alerts(watcher(crowd=COUNT), ticks) == [(1, 2.0)]


def test_a_count_is_quiet_about_other_facts_and_about_too_few():
    ticks = [outcome(0, held(action=0)), outcome(1, held()), outcome(2, FakeStart("a", "o", "sip"))]
    assert alerts(watcher(crowd=COUNT), [*ticks, *quiet(3, 30)]) == []


@pytest.mark.parametrize(
    ("where", "fires"),
    [
        ({"use": "sip"}, True),
        ({"use": "sit"}, False),
        ({"use": ("sip", "sit")}, True),
        ({"use": Limits(other_than="sip")}, False),
        ({"agent_id.boldness": Limits(at_least=0.5)}, True),
        ({"agent_id.boldness": Limits(below=0.5)}, False),
        ({"effects.drink": Limits(at_most=0.4)}, True),
        ({"effects.warmth": Limits(at_most=0.4)}, False),
        ({"now.tod": Limits(at_least=1)}, False),
    ],
    ids=str,
)
def test_a_fact_is_heeded_by_what_its_fields_hold(where, fires):
    observer = watcher(one=Alert(at_least=1, count=(Facts("fake.finish", where),)))
    fact = FakeFinish("b", "cup_1", "sip", {"drink": 0.4})
    assert bool(alerts(observer, [outcome(0, fact)])) == fires


@dataclass(frozen=True, slots=True)
class FakeStorm(Event):
    """Weather with a kind of its own, and the place that it came from."""

    kind: ClassVar[str] = "fake.storm"
    kind_: str
    from_: str


@pytest.mark.parametrize(
    ("where", "fires"),
    [
        ({"kind": "hail"}, True),
        ({"kind": "fake.storm"}, False),
        ({"from": "west"}, True),
        ({"from": "east"}, False),
    ],
    ids=str,
)
def test_a_field_is_named_as_in_json(where, fires):
    settings = StabilitySettings(alerts={"storms": Alert(at_least=1, count=(Facts("fake.storm", where),))})
    observer = StabilityObserver(settings, EVENTS.including([FakeStorm]))
    observer.begin(SPEC)
    assert bool(alerts(observer, [outcome(0, FakeStorm("hail", "west"))])) == fires


def test_a_number_that_stays_low_is_one_incident_for_each_agent_and_time():
    low = Alert(window=60, above=0, low=(Low("needs.warmth", 0.15, 3),))
    cold = {"needs": [1, 0.1, 1, 1, 1, 1]}
    warm = {"needs": [0.1, 1, 0.1, 1, 0.1, 1]}
    ticks = [outcome(tick, columns=cold) for tick in range(2)] + [outcome(2, columns=warm)]
    assert alerts(watcher(cold=low), ticks) == []
    ticks = [outcome(tick, columns=cold) for tick in range(9)]
    assert alerts(watcher(cold=low), ticks) == [(2, 1.0)]


def test_a_newcomer_does_not_inherit_what_was_low_and_an_empty_slot_has_nothing():
    low = Alert(window=60, above=0, low=(Low("needs.warmth", 0.15, 4),))
    cold = {"needs": [1, 0.1, 1, 1, 1, 0.0]}
    ticks = [outcome(tick, columns=cold, ids=("a", "b", "")) for tick in range(3)]
    ticks += [outcome(tick, columns=cold, ids=("d", "b", "")) for tick in range(3, 6)]
    assert alerts(watcher(cold=low), ticks) == []
    assert alerts(watcher(cold=low), [*ticks, outcome(6, columns=cold, ids=("d", "b", ""))]) == [(6, 1.0)]


SHARE = Alert(
    window=20,
    above=0.3,
    samples=2,
    share=Share(
        of=(Facts("fake.held"),),
        among=(Facts("fake.finish"),),
        by="agent_id",
        forget=(Facts("fake.start", {"use": "quit"}),),
    ),
)


def done(agent: str) -> FakeFinish:
    return FakeFinish(agent, "o", "sip", {})


def test_a_share_counts_an_agent_that_was_marked_once_when_it_is_done():
    ticks = [
        outcome(0, held("a"), held("a")),
        outcome(1, done("a")),
        outcome(2, done("b")),
        outcome(3, done("a")),
    ]
    assert alerts(watcher(late=SHARE), ticks) == [(2, 0.5)]


def test_a_share_is_quiet_below_the_threshold_for_too_few_samples_and_about_who_is_forgotten():
    ticks = [outcome(0, held("a")), outcome(1, done("a"))]
    assert alerts(watcher(late=SHARE), ticks) == []
    ticks = [outcome(0, held("a")), outcome(1, FakeStart("a", "o", "quit")), outcome(2, done("a"), done("b"))]
    assert alerts(watcher(late=SHARE), ticks) == []


def test_a_share_fires_again_when_good_samples_leave_the_window():
    ticks = [
        outcome(0, done("a"), done("b"), done("c")),
        outcome(5, held("a")),
        outcome(6, done("a"), done("b")),
    ]
    assert alerts(watcher(late=SHARE), [*ticks, *quiet(7, 30)]) == [(20, 0.5)]


def test_a_share_without_agents_divides_two_counts():
    share = Alert(above=0.4, share=Share(of=(Facts("fake.held"),), among=(Facts("fake.finish"),)))
    ticks = [outcome(0, done("a"), done("b")), outcome(1, held("c"))]
    assert alerts(watcher(share=share), ticks) == [(1, 0.5)]


THRASH = Alert(window=20, above=0.25, samples=6, switches="mood")


def moods(tick: int, *numbers: int, ids=IDS):
    return outcome(tick, columns={"mood": numbers}, ids=ids)


def test_switches_are_changes_from_one_value_to_another_for_each_tick_of_each_agent():
    ticks = [moods(0, 0, 0, 0), moods(1, 1, 1, 0), moods(2, 0, 1, 0), moods(3, 1, 1, 0)]
    assert alerts(watcher(thrash=THRASH), ticks) == [(1, 2 / 6)]


def test_switches_are_quiet_about_pauses_newcomers_and_steady_agents():
    ticks = [moods(0, 0, 1, 2), moods(1, -1, -1, -1), moods(2, 0, 1, 2)]
    ticks += [moods(3, 1, 0, 1, ids=("x", "y", "z"))]
    assert alerts(watcher(thrash=THRASH), ticks) == []


def days(*returns: tuple[float, float, float]):
    """One reward in the first tick of each day, and days of sixty ticks."""
    return [
        outcome(60 * day + tick, rewards=rewards if tick == 0 else (0.0, 0.0, 0.0))
        for day, rewards in enumerate(returns)
        for tick in range(60)
    ]


SPREAD = Alert(window=60, above=0.25, spread=Returns(samples=4))


def test_the_spread_of_day_sums_fires_when_they_differ_and_enough_were_seen():
    assert alerts(watcher(spread=SPREAD), days((4, 4, 4), (0, 4, 8))) == [(119, pytest.approx(32 / 3 / 16))]


def test_the_spread_of_day_sums_is_quiet_when_they_agree_or_were_seen_too_seldom():
    assert alerts(watcher(spread=SPREAD), days((4, 4, 4), (3, 4, 5))) == []
    assert alerts(watcher(spread=SPREAD), days((0, 4, 8))) == []


def test_only_whole_days_of_an_agent_count():
    ticks = days((4, 4, 4), (9, 4, 4))
    ticks[70:] = [outcome(tick, ids=("new", "b", "c")) for tick in range(70, 120)]
    observer = watcher(spread=SPREAD)
    play(observer, ticks)
    assert observer.standing()["spread"] == 0.0


FALL = Alert(above=0.3, fall=Returns(samples=3))


def test_a_fall_compares_the_latest_day_sums_with_those_before():
    assert alerts(watcher(fall=FALL), days((4, 4, 4), (2, 2, 2))) == [(119, 0.5)]


def test_a_fall_is_quiet_about_a_rise_a_small_fall_and_too_few_days():
    for second in ((5, 5, 5), (3, 3, 3)):
        assert alerts(watcher(fall=FALL), days((4, 4, 4), second)) == []
    assert alerts(watcher(fall=FALL), days((4, 4, 4))) == []


def test_a_figure_fires_over_its_threshold_only():
    ticks = [outcome(tick, figures={"letters": number}) for tick, number in enumerate((1, 2, 3, 3, 1, 3))]
    assert alerts(watcher(post=Alert(above=2, figure="letters")), ticks) == [(2, 3.0), (5, 3.0)]
    assert alerts(watcher(post=Alert(above=3, figure="letters")), ticks) == []


def test_a_ratio_divides_two_figures_and_nothing_by_nothing():
    ratio = Alert(above=0.05, ratio=Ratio("letters", "sent"))
    ticks = [outcome(0, figures={"letters": 1, "sent": 0}), outcome(1, figures={"letters": 1, "sent": 20})]
    assert alerts(watcher(post=ratio), ticks) == []
    assert alerts(watcher(post=ratio), [*ticks, outcome(2, figures={"letters": 2, "sent": 20})]) == [(2, 0.1)]


def test_every_sixty_ticks_there_are_the_values_and_what_stands():
    observer = watcher(crowd=COUNT, post=Alert(figure="letters"))
    ticks = [outcome(tick, held(), figures={"letters": 4}) for tick in range(120)]
    found = [each for _, each in play(observer, ticks) if isinstance(each, StabilityMetrics)]
    assert [(each.window_end, each.values, each.standing) for each in found] == [
        (59, {"crowd": 10.0, "post": 4.0}, ("crowd",)),
        (119, {"crowd": 10.0, "post": 4.0}, ("crowd",)),
    ]
    assert observer.kpis() == {"alerts": {"crowd": 1}}
    assert observer.standing() == {"crowd": 10.0, "post": 4.0}


EVERYTHING = {
    "count": COUNT,
    "low": Alert(window=30, above=0, low=(Low("needs.drink", 0.6, 3),)),
    "share": Alert(
        window=30,
        above=0.2,
        share=Share(of=(Facts("fake.start"),), among=(Facts("fake.finish"),), by="agent_id"),
    ),
    "switches": Alert(window=20, above=0.1, switches="busy"),
    "spread": Alert(window=40, above=0.0001, spread=Returns(samples=2)),
    "fall": Alert(above=0.01, fall=Returns("needs.calm", samples=2)),
    "figure": Alert(above=3, figure="sips"),
    "ratio": Alert(ratio=Ratio("sips", "sips")),
}


def test_the_observer_keeps_the_contract_with_every_form():
    check_observer(
        lambda: StabilityObserver(StabilitySettings(alerts=EVERYTHING), EVENTS), events=EVENTS, ticks=150
    )


def test_a_state_does_not_grow():
    observer = StabilityObserver(StabilitySettings(alerts={"count": COUNT, "thrash": THRASH}), EVENTS)
    observer.begin(SPEC)
    sizes = []
    for tick in range(400):
        observer.observe(outcome(tick, held(), columns={"mood": [tick % 2] * 3}), tick)
        if tick in {100, 399}:
            sizes.append(len(canonical_json(observer.export_state())))
    assert sizes[1] < sizes[0] * 1.2


def test_a_state_of_other_alerts_or_none_at_all_is_refused_and_null_begins():
    state = json.loads(canonical_json(watcher(crowd=COUNT).export_state()))
    for damaged in (state | {"tick": "x"}, [], state | {"posts": {}}):
        with pytest.raises(SnapshotError, match="'stability' is damaged"):
            watcher(crowd=COUNT).import_state(damaged)
    watcher(crowd=COUNT).import_state(None)


@pytest.mark.parametrize(
    ("alert", "key", "found", "near"),
    [
        (
            Alert(count=(Facts("fake.helt"),)),
            "alerts.x.count[0].kind",
            "unknown kind 'fake.helt'",
            "fake.held",
        ),
        (Alert(count=(Facts("fake.held", {"agnt": "a"}),)), "alerts.x.count[0].where", "'agnt'", "agent_id"),
        (Alert(low=(Low("needs.joy", 0.1, 3),)), "alerts.x.low[0].of", "unknown value 'needs.joy'", "needs."),
        (Alert(switches="moood"), "alerts.x.switches", "unknown column 'moood'", "mood"),
        (Alert(spread=Returns("gold")), "alerts.x.spread.of", "unknown value 'gold'", "boldness"),
        (Alert(figure="lettres"), "alerts.x.figure", "unknown figure 'lettres'", "letters"),
        (Alert(ratio=Ratio("sent", "lost")), "alerts.x.ratio.among", "unknown figure 'lost'", "letters"),
        (
            Alert(share=Share((Facts("fake.day"),), (Facts("fake.held"),), by="agent_id")),
            "alerts.x.share.of[0].kind",
            "fake.day has no field 'agent_id'",
            "day",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_world_does_not_have_is_an_error_that_names_what_there_is(alert, key, found, near):
    with pytest.raises(ConfigError) as raised:
        watcher(x=alert)
    (problem,) = raised.value.problems
    assert (problem.key, found in problem.found, near in problem.allowed) == (key, True, True), problem


@pytest.mark.parametrize(
    "arguments",
    [{}, {"figure": "a", "switches": "b"}, {"figure": "a", "above": 1, "at_least": 1}],
    ids=["no form", "two forms", "two thresholds"],
)
def test_an_alert_has_one_form_and_one_threshold(arguments):
    with pytest.raises(ValueError, match="give "):
        Alert(**arguments)
