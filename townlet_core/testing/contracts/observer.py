"""The contract of ``Observer``."""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from townlet_core.dto.command import Command
from townlet_core.events.schema import EventRegistry, event_data
from townlet_core.jsonvalue import JsonValue, canonical_json
from townlet_core.observers.port import Observer, SupportsStanding
from townlet_core.ports.policy import PolicyPort
from townlet_core.ports.state import SupportsState
from townlet_core.ports.world import WorldPort
from townlet_core.testing.contracts.arrays import require
from townlet_core.testing.contracts.parts import ask, compare
from townlet_core.testing.fakes import FakePolicy, FakeWorld


def check_observer(  # noqa: PLR0913 - what the observer works with, each with a default
    make_observer: Callable[[], Observer],
    make_world: Callable[[], WorldPort] = FakeWorld,
    make_policy: Callable[[], PolicyPort] = FakePolicy,
    *,
    events: EventRegistry | None = None,
    requests: Mapping[int, Sequence[Command]] = MappingProxyType({}),
    ticks: int = 63,
    seed: int = 7,
) -> None:
    """Check that an observer keeps the contract of ``Observer``, and those of the protocols it adds.

    Args:
        make_observer: builds a fresh observer; all of them must be equal.
        make_world: builds a fresh world for it.
        make_policy: builds a fresh policy whose decisions the world gets.
        events: every kind that the observer may emit; None allows all.
        requests: the commands to give to the observer in a tick, by tick.
        ticks: length of the compared runs, at least 2.
        seed: their seed.

    Raises:
        ContractError: when it does not.
    """

    def play(observer: Observer, halfway: Callable[[Observer], Observer] | None = None) -> list[bytes]:
        world, policy = make_world(), make_policy()
        policy.begin(world.spec, seed)
        observer.begin(world.spec)
        observation, seen = world.reset(seed), []
        for tick in range(ticks):
            if halfway is not None and tick == ticks // 2:
                observer = halfway(observer)
                halfway = None
            asked = requests.get(tick, ())
            answers = [ask(observer, "observer", each, observation, world.spec) for each in asked]
            outcome = world.step(policy.decide(observation).actions)
            seen.append(
                canonical_json([*answers, *_facts(observer.observe(outcome, tick), events), _shown(observer)])
            )
            observation = outcome.observation
        return seen

    def take_over(observer: Observer) -> Observer:
        heir = make_observer()
        heir.begin(make_world().spec)
        if isinstance(observer, SupportsState) and isinstance(heir, SupportsState):
            heir.import_state(json.loads(canonical_json(observer.export_state())))
        return heir

    observer = make_observer()
    require(observer.name, "name is empty; the snapshot part of the observer is named after it")
    first = play(observer)
    runs = {
        "a second observer of the same run": play(make_observer()),
        "the same observer after another begin(); it must forget every earlier run": play(observer),
        "an observer that took over halfway; implement SupportsState": play(make_observer(), take_over),
    }
    for other, found in runs.items():
        compare("an observer", first, found, other)


def _facts(found: object, events: EventRegistry | None) -> list[JsonValue]:
    require(type(found) is tuple, f"observe() returned {type(found).__name__}, not a tuple")
    told: list[JsonValue] = []
    for event in found:  # type: ignore[attr-defined]  # checked above
        known = events is None or event.kind in events.classes
        require(known, f"unknown kind '{event.kind}'; add {type(event).__name__} to townlet_events")
        told.append([event.kind, event_data(event)])
    return told


def _shown(observer: Observer) -> JsonValue:
    shown: list[JsonValue] = [dict(observer.kpis())]
    return [*shown, dict(observer.standing())] if isinstance(observer, SupportsStanding) else shown
