"""What is narrated of events over the town, and what is not."""

import pytest

from tests.watched import outcome, play
from townlet_adapters.composition import load_config
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.events.perturbation import (
    PerturbationCancelled,
    PerturbationEnded,
    PerturbationScheduled,
    PerturbationStarted,
)
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_core.events.base import Event
from townlet_core.observers.narration.observer import NarrationObserver
from townlet_plugins.catalogue import load_catalogue

SETTINGS = load_config({"townlet": 1, "seed": 7}).watching.narration
SPEC = TownModel.build(TownOptions()).spec
EVENTS = load_catalogue().events


def narrator() -> NarrationObserver:
    observer = NarrationObserver(SETTINGS, EVENTS)
    observer.begin(SPEC)
    return observer


def told(*facts: tuple[int, Event]) -> list[tuple[int, str, bool, str]]:
    """What is narrated of these facts at these ticks: tick, category, priority and sentence."""
    found = play(narrator(), [outcome(tick, fact) for tick, fact in facts])
    return [(tick, each.category, each.priority, each.message) for tick, each in found]


def start(kind: str, *targets: str, magnitude: int | None = None) -> PerturbationStarted:
    return PerturbationStarted("evt_1", kind, 0, targets, magnitude, 90, "scheduler")


def end(kind: str) -> PerturbationEnded:
    return PerturbationEnded("evt_1", kind)


STARTS = [
    ("utility_outage", True, start("blackout", "power"), ""),
    ("utility_outage", True, start("outage", "water"), ""),
    ("utility_outage", True, start("outage", "gas"), "gas"),
    ("price_shock", True, start("price_spike", "grocer", "cafe", magnitude=1250), "grocer"),
    ("price_shock", True, start("price_spike", "global", magnitude=1250), "1.25"),
    ("price_shock", True, start("price_spike", "meal", magnitude=1250), ""),
    ("closure", False, start("closure", "shower_2"), "shower"),
    ("festival", False, start("festival", "park_1"), "park"),
    ("arranged_meet", False, start("arranged_meet", "Ivo", "Uma", "cafe_1"), "Uma"),
]


@pytest.mark.parametrize(("category", "priority", "fact", "word"), STARTS)
def test_an_event_over_the_town_is_narrated_with_what_it_is_about(category, priority, fact, word):
    ((tick, told_as, urgent, message),) = told((3, fact))
    assert (tick, told_as, urgent) == (3, category, priority)
    assert word in message
    assert not set("_{}") & set(message)


@pytest.mark.parametrize(("category", "priority", "fact"), [each[:3] for each in STARTS])
def test_an_event_over_the_town_keeps_the_pauses_unless_it_has_priority(category, priority, fact):
    other = "festival" if category == "closure" else "closure"
    before = start(other, "park_1" if other == "festival" else "counter_1")
    later = [each[1] for each in told((0, before), (5, fact), (6, fact), (24, fact), (25, fact), (60, fact))]
    assert later == [other, category, category, category] if priority else [other, category]


@pytest.mark.parametrize(
    ("category", "fact"),
    [
        ("utility_outage", end("blackout")),
        ("utility_outage", end("outage")),
        ("festival", end("festival")),
    ],
)
def test_the_end_of_an_outage_and_of_a_festival_is_narrated_without_priority(category, fact):
    assert [each[:3] for each in told((0, fact), (29, fact), (30, fact))] == [
        (0, category, False),
        (30, category, False),
    ]


@pytest.mark.parametrize(
    "fact",
    [
        end("price_spike"),
        end("closure"),
        end("arranged_meet"),
        PerturbationScheduled("evt_1", "blackout", 9),
        PerturbationCancelled("evt_1", "blackout", pending=True),
        start("of_a_config", "power"),
    ],
    ids=lambda fact: f"{fact.kind}-{fact.kind_}",
)
def test_other_facts_about_events_are_not_narrated(fact):
    assert told((3, fact)) == []
