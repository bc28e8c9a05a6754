"""What is told keeps its limits, names residents, and does not say the same twice in a row."""

import json
import random

import pytest

from tests.watched import SPEC, outcome, play
from townlet_core.dto.command import Command
from townlet_core.dto.command_hook import CommandDone, CommandRefused
from townlet_core.errors import ConfigError, SnapshotError
from townlet_core.events.narration import Narration
from townlet_core.events.schema import CORE_EVENTS
from townlet_core.jsonvalue import canonical_json
from townlet_core.observers.facts import Facts, Limits
from townlet_core.observers.narration.observer import NarrationObserver
from townlet_core.observers.narration.settings import (
    Category,
    Digest,
    DigestPart,
    Named,
    NarrationSettings,
    Trigger,
)
from townlet_core.testing import FAKE_EVENTS, check_observer
from townlet_core.testing.events import FakeFinish, FakeHeld, FakeStart

EVENTS = CORE_EVENTS.including(FAKE_EVENTS)
SIP = Trigger("fake.start", ("{agent_id} sips at the {object_id:noun}.",), {"use": "sip"}, ("agent_id",))
URGENT = Trigger("fake.held", ("{agent_id} stops.",), about=("agent_id",), priority=True)


def narrator(**settings) -> NarrationObserver:
    settings = {"categories": {"sips": Category((SIP,)), "stops": Category((URGENT,))}, **settings}
    observer = NarrationObserver(NarrationSettings(**settings), EVENTS)
    observer.begin(SPEC)
    return observer


def told(observer: NarrationObserver, ticks) -> list[tuple[int, str]]:
    found = play(observer, ticks)
    assert all(isinstance(each, Narration) for _, each in found)
    return [(tick, each.message) for tick, each in found]


def sip(agent: str = "a", thing: str = "cup_2") -> FakeStart:
    return FakeStart(agent, thing, "sip")


def stop(agent: str = "a") -> FakeHeld:
    return FakeHeld(agent, 1, "guard")


def test_a_fact_becomes_a_sentence_with_its_category_key_and_values():
    ((tick, narration),) = play(narrator(), [outcome(4, sip("b"), FakeStart("a", "cup_1", "sit"))])
    assert tick == 4
    assert narration == Narration(
        "sips",
        "B sips at the cup.",
        priority=False,
        key="sips:b",
        data={"kind": "fake.start", "agent_id": "b", "object_id": "cup_2"},
    )


def test_between_two_sentences_there_is_a_pause_and_a_longer_one_within_a_category():
    settings = {
        "cooldown": 10,
        "categories": {
            "sips": Category((SIP,), cooldown=30),
            "rest": Category((Trigger("fake.finish", ("{agent_id} rests.",)),), cooldown=0),
        },
    }
    rest = FakeFinish("c", "o", "sit", {})
    ticks = [
        outcome(0, sip("a")),
        outcome(9, rest),
        outcome(10, rest),
        outcome(29, sip("b")),
        outcome(30, sip("b")),
    ]
    assert told(narrator(**settings), ticks) == [
        (0, "A sips at the cup."),
        (10, "C rests."),
        (30, "B sips at the cup."),
    ]


def test_priority_needs_no_pause_but_the_same_is_not_told_twice_in_a_short_time():
    ticks = [outcome(0, stop("a")), outcome(1, stop("b")), outcome(19, stop("a")), outcome(20, stop("a"))]
    assert told(narrator(), ticks) == [(0, "A stops."), (1, "B stops."), (20, "A stops.")]


def test_the_window_has_so_many_sentences_at_most_with_priority_too():
    observer = narrator(most=3, window=50, dedupe=0)
    ticks = [outcome(tick, stop("a")) for tick in range(60)]
    assert [tick for tick, _ in told(observer, ticks)] == [0, 1, 2, 50, 51, 52]
    assert observer.kpis() == {"narrations": 6, "narrations_withheld": {"window": 54}}


def test_priority_can_depend_on_the_fact():
    bold = Trigger(
        "fake.start",
        ("Bold.",),
        priority_where={"agent_id.boldness": Limits(at_least=0.9)},
        about=("agent_id",),
    )
    observer = narrator(categories={"sips": Category((bold,))})
    columns = {"boldness": [0.5, 0.95, 0.5]}
    ticks = [outcome(tick, sip(agent), columns=columns) for tick, agent in enumerate("abc")]
    found = play(observer, ticks)
    assert [(each.key, each.priority) for _, each in found] == [("sips:a", False), ("sips:b", True)]


def test_the_first_trigger_that_fits_tells_a_fact():
    category = Category((SIP, Trigger("fake.start", ("Anything else.",))))
    observer = narrator(categories={"starts": category}, cooldown=0)
    ticks = [outcome(0, FakeStart("a", "o", "sit")), outcome(40, sip())]
    assert told(observer, ticks) == [(0, "Anything else."), (40, "A sips at the cup.")]


NAMES = {"names": Named("fake.finish", "agent_id", "use"), "gone": Named("fake.held", "agent_id")}


def test_residents_have_names_until_they_are_gone():
    met = FakeFinish("a", "o", "Iris", {})
    ticks = [outcome(0, met, sip("a")), outcome(40, stop("a")), outcome(80, sip("a"))]
    assert [message for _, message in told(narrator(**NAMES), ticks)] == [
        "Iris sips at the cup.",
        "Iris stops.",
        "A sips at the cup.",
    ]


def test_half_of_the_sentences_rest_so_that_none_is_told_again_soon():
    lines = tuple(f"{number}." for number in range(6))
    trigger = Trigger("fake.start", lines)
    observer = narrator(categories={"x": Category((trigger,), cooldown=0)}, cooldown=0, dedupe=0, most=1000)
    found = [message for _, message in told(observer, [outcome(tick, sip()) for tick in range(200)])]
    assert set(found) == set(lines)
    assert all(len(set(found[at : at + 4])) == 4 for at in range(197))


def test_ten_thousand_ticks_of_anything_keep_every_limit():
    """Random facts with a fixed seed: whatever comes, no more is told than the settings say."""
    observer = narrator(dedupe=20, cooldown=30, window=600, most=10)
    draw = random.Random(11)  # noqa: S311 - a test
    found: list[tuple[int, Narration]] = []
    for tick in range(10_000):
        facts = [make(draw.choice("abc")) for make in (sip, stop) if draw.random() < 0.2]
        if draw.random() < 0.01:
            request = Command(
                "announce", {"message": f"m{draw.randrange(3)}", "priority": draw.random() < 0.5}
            )
            seen = outcome(tick - 1).observation
            if isinstance(observer.answer(request, seen), CommandDone):
                observer.obey(request, seen)
        found += [(tick, each) for each in observer.observe(outcome(tick, *facts), tick)]
    assert len(found) > 100
    ticks = [tick for tick, _ in found]
    assert all(later - first >= 600 for first, later in zip(ticks, ticks[10:], strict=False))
    last_any, latest, keys = -99, {}, {}
    for tick, each in found:
        assert tick - keys.get(each.key, -99) >= 20
        if not each.priority:
            assert tick - last_any >= 30
            assert tick - latest.get(each.category, -99) >= 30
        last_any, latest[each.category], keys[each.key] = tick, tick, tick
    assert len(canonical_json(observer.export_state())) < 2000


DIGEST = Digest(
    60,
    (
        DigestPart(("Week {number}.",)),
        DigestPart(("{count} stops.",), count=Facts("fake.held"), none=("No stop.",)),
        DigestPart(("{agent} likes {other} ({value}).",), highest="trust", other="friend", above=0.3),
        DigestPart(("{agent} has {value:thousandths}.",), highest="purse"),
    ),
)


def test_a_digest_sums_up_what_there_was_and_leaves_out_what_there_was_not():
    observer = narrator(categories={}, digests={"weekly": DIGEST}, **NAMES)
    met = FakeFinish("b", "o", "Bea", {})
    purse = {"purse": [5, 1500, 3]}
    friends = {**purse, "trust": [0.2, 0.9, 0, 0, 0.95, 0], "friend": [1, 1, -1, -1, -1, -1]}
    ticks = [
        outcome(0, met),
        outcome(3, stop("a"), stop("c")),
        outcome(59, columns=purse),
        outcome(119, columns=friends),
    ]
    assert told(observer, ticks) == [
        (59, "Week 1. 2 stops. Bea has 1.50."),
        (119, "Week 2. No stop. A likes Bea (0.9). Bea has 1.50."),
    ]


def announce(**args) -> Command:
    return Command("announce", {"message": "A parade!", **args}, "1", "mayor")


def test_an_announcement_is_told_in_its_own_tick_before_everything_else():
    observer, seen = narrator(), outcome(4).observation
    answer = observer.answer(announce(), seen)
    assert isinstance(answer, CommandDone)
    observer.obey(announce(), seen)
    ((_, told_first), (_, urgent)) = play(observer, [outcome(5, stop("a"), sip("b"))])
    assert (told_first.category, told_first.message) == ("operator_story", "A parade!")
    assert (told_first.key, told_first.data) == (answer.result["key"], {"issuer": "mayor"})
    assert urgent.message == "A stops."
    assert observer.observe(outcome(6), 6) == ()


def test_an_announcement_that_a_limit_stands_against_is_refused_with_the_reason():
    observer = narrator()
    told(observer, [outcome(0, sip())])
    seen = outcome(1).observation
    refused = observer.answer(announce(), seen)
    assert isinstance(refused, CommandRefused)
    assert (refused.code, "priority" in refused.reason) == ("rate_limited", True)
    assert isinstance(observer.answer(announce(priority=True), seen), CommandDone)
    observer.obey(announce(priority=True), seen)
    again = observer.answer(announce(priority=True), seen)
    assert isinstance(again, CommandRefused)
    assert "the same was narrated" in again.reason


@pytest.mark.parametrize(
    ("args", "word"),
    [({"message": " "}, "empty"), ({"category": "sip"}, "sips")],
    ids=["message", "category"],
)
def test_an_announcement_needs_words_and_a_category_that_exists(args, word):
    refused = narrator().answer(announce(**args), outcome(0).observation)
    assert isinstance(refused, CommandRefused)
    assert (refused.code, word in refused.reason) == ("invalid_args", True)


def test_the_observer_keeps_the_contract():
    settings = NarrationSettings(
        cooldown=3,
        dedupe=4,
        categories={
            "sips": Category(
                (Trigger("fake.start", ("A.", "B.", "C.", "{agent_id} {use}."), about=("agent_id",)),), 2
            )
        },
        digests={"weekly": Digest(60, (DigestPart(("{count}.", "{count}!"), count=Facts("fake.start")),))},
        names=Named("fake.finish", "agent_id", "use"),
    )
    requests = {20: [announce(priority=True)], 50: [announce()]}
    check_observer(lambda: NarrationObserver(settings, EVENTS), events=EVENTS, requests=requests, ticks=130)


def test_a_damaged_state_is_refused_and_null_begins():
    observer = narrator(digests={"weekly": DIGEST})
    state = json.loads(canonical_json(observer.export_state()))
    for damaged in ([], state | {"digests": {}}, state | {"used": []}, state | {"used": [[9], []]}):
        with pytest.raises(SnapshotError, match="'narration' is damaged"):
            observer.import_state(damaged)
    observer.import_state(None)


@pytest.mark.parametrize(
    ("trigger", "key", "found"),
    [
        (Trigger("fake.strat", ("x",)), "kind", "unknown kind 'fake.strat'"),
        (Trigger("fake.start", ("{agent} x",)), "lines", "unknown field 'agent' of fake.start"),
        (Trigger("fake.start", ("{use:norn}",)), "lines[0]", "unknown form 'norn'"),
        (Trigger("fake.start", ("{use",)), "lines[0]", "a brace that belongs to no gap"),
        (Trigger("fake.start", ("x",), {"agent_id.boldnes": 1}), "where", "unknown column 'boldnes'"),
        (Trigger("fake.start", ("x",), about=("who",)), "about", "unknown field 'who'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_exist_is_an_error_with_its_place(trigger, key, found):
    with pytest.raises(ConfigError) as raised:
        narrator(categories={"x": Category((trigger,))})
    (problem,) = raised.value.problems
    assert problem.key == f"categories.x.triggers[0].{key}"
    assert found in problem.found
