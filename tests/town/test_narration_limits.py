"""Narration keeps each of its limits in a busy town, and each limit is needed for that."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.town.test_narration import EVENTS, SETTINGS
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dto.command import Command
from townlet_core.dto.command_hook import CommandDone
from townlet_core.dto.observation import ObservationBatch
from townlet_core.events.narration import Narration
from townlet_core.observers.narration.observer import NarrationObserver
from townlet_core.observers.narration.settings import NarrationSettings

TICKS = 10_000
OFTEN = {"cooldown": 0, "duration": [3, 20]}
BUSY = {
    "perturbations": {
        "max_concurrent": 8,
        "global_cooldown_ticks": 0,
        "agent_cooldown_ticks": 0,
        "max_per_window": 100,
        "specs": {
            "price_spike": {**OFTEN, "chance": 8},
            "blackout": {**OFTEN, "chance": 8},
            "outage": {**OFTEN, "chance": 2},
            "closure": {**OFTEN, "chance": 4},
            "festival": {**OFTEN, "chance": 2},
            "arranged_meet": {**OFTEN, "chance": 4},
        },
    },
}
NO_PAUSES = {name: replace(each, cooldown=0) for name, each in SETTINGS.told.items()}
VARIANTS: Mapping[str, NarrationSettings] = {
    "none": SETTINGS,
    "dedupe": replace(SETTINGS, dedupe=0),
    "cooldown": replace(SETTINGS, cooldown=0),
    "category": replace(SETTINGS, categories=NO_PAUSES),
    "window": replace(SETTINGS, most=1000),
}
"""The limits of the town, and the same with one of them off."""

Story = list[tuple[int, Narration]]


def announce(observer: NarrationObserver, seen: ObservationBatch, tick: int) -> None:
    """Announce a message, and the same again ten ticks later; every other one is urgent."""
    number = tick // 100
    request = Command("announce", {"message": f"Notice {number}.", "priority": number % 2 == 0})
    if isinstance(observer.answer(request, seen), CommandDone):
        observer.obey(request, seen)


@pytest.fixture(scope="module")
def stories() -> dict[str, Story]:
    """What each variant narrates of the same 10,000 ticks of a town with everything on."""
    world, policy = TownWorld(TownModel.build(BUSY)), ScriptedPolicy(ScriptedOptions())
    policy.begin(world.spec, 5)
    observers = {name: NarrationObserver(settings, EVENTS) for name, settings in VARIANTS.items()}
    for each in observers.values():
        each.begin(world.spec)
    told: dict[str, Story] = {name: [] for name in observers}
    seen = world.reset(5)
    for tick in range(TICKS):
        if tick % 100 in {50, 60}:
            for each in observers.values():
                announce(each, seen, tick)
        outcome = world.step(policy.decide(seen).actions)
        seen = outcome.observation
        for name, each in observers.items():
            told[name] += [(tick, event) for event in each.observe(outcome, tick)]
    return told


def pause_of(category: str) -> int:
    found = SETTINGS.told.get(category)
    return SETTINGS.cooldown if found is None else found.cooldown


def breaches(story: Story) -> set[str]:
    """The limits of the town that are not kept."""
    found, last = set(), -SETTINGS.window
    keys: dict[str, int] = {}
    latest: dict[str, int] = {}
    for tick, each in story:
        if tick - keys.get(each.key, -TICKS) < SETTINGS.dedupe:
            found.add("dedupe")
        if not each.priority and tick - last < SETTINGS.cooldown:
            found.add("cooldown")
        if not each.priority and tick - latest.get(each.category, -TICKS) < pause_of(each.category):
            found.add("category")
        last = latest[each.category] = keys[each.key] = tick
    ticks = [tick for tick, _ in story]
    if any(b - a < SETTINGS.window for a, b in zip(ticks, ticks[SETTINGS.most :], strict=False)):
        found.add("window")
    return found


def test_a_busy_town_keeps_every_limit_of_its_narration(stories):
    assert breaches(stories["none"]) == set()
    assert len(stories["none"]) > TICKS // SETTINGS.window * SETTINGS.most // 2


@pytest.mark.parametrize("limit", [name for name in VARIANTS if name != "none"])
def test_without_a_limit_the_same_town_breaks_it(stories, limit):
    assert limit in breaches(stories[limit])


def test_a_busy_town_has_sentences_about_all_that_happens_to_it(stories):
    told = {each.category for _, each in stories["none"]}
    assert {
        "utility_outage",
        "price_shock",
        "closure",
        "festival",
        "arranged_meet",
        "operator_story",
    } <= told
