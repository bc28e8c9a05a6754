"""The registry knows every kind; its schema does not change unnoticed."""

import importlib
import json
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import jsonschema
import pytest

from tests.events import BUILT_IN
from townlet_adapters.worlds.town import events as town_events
from townlet_adapters.worlds.town.events import TOWN_EVENTS
from townlet_adapters.worlds.town.events.lifecycle import LifecycleMoved
from townlet_adapters.worlds.town.events.queue import QueueJoin, RivalryEntry, RivalryEvents
from townlet_core import events
from townlet_core.events.base import Event
from townlet_core.events.reference import events_markdown
from townlet_core.events.schema import (
    CORE_EVENTS,
    RESERVED_KINDS,
    SCHEMA_VERSION,
    EventRegistry,
    event_data,
    is_diagnostic,
    schema_id,
)
from townlet_core.jsonvalue import canonical_json

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden" / f"events-{SCHEMA_VERSION}.json"


@dataclass(frozen=True, slots=True)
class BakeryOpened(Event):
    """A bakery opened its doors."""

    kind: ClassVar[str] = "bakery.opened"
    breads: int


def event_classes(package: ModuleType) -> set[type[Event]]:
    """Every event class that a module of a package defines."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    ]
    values = [value for module in modules for value in vars(module).values()]
    return {value for value in values if isinstance(value, type) and issubclass(value, Event)} - {Event}


def test_every_event_class_is_registered():
    assert set(CORE_EVENTS.classes.values()) == event_classes(events)
    assert set(TOWN_EVENTS) == event_classes(town_events)
    assert set(BUILT_IN.classes.values()) == {*CORE_EVENTS.classes.values(), *TOWN_EVENTS}


def test_no_kind_is_both_registered_and_reserved():
    assert BUILT_IN.classes.keys() & RESERVED_KINDS == set()


def test_diagnostics_are_the_machinery_and_nothing_of_the_town():
    kinds = {*BUILT_IN.classes, *RESERVED_KINDS}
    assert {kind for kind in kinds if is_diagnostic(kind)} == {
        "loop.failure",
        "loop.health",
        "plugin.refused",
        "plugin.rejected",
        "telemetry.loss",
    }


def test_the_schema_changes_only_on_purpose():
    """New kinds and new optional fields: write the golden file anew. All else: raise SCHEMA_VERSION first."""
    current = json.loads(canonical_json(BUILT_IN.json_schema()))
    assert current == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_what_was_told_before_a_field_came_obeys_the_schema_still():
    @dataclass(frozen=True, slots=True)
    class BakeryClosed(BakeryOpened):
        """It told no more than ``breads`` once."""

        kind: ClassVar[str] = "bakery.closed"
        crumbs: int = 0

    schema = EventRegistry([BakeryClosed]).data_schema("bakery.closed")
    assert schema["required"] == ["breads"]
    assert event_data(BakeryClosed(3)) == {"breads": 3, "crumbs": 0}
    assert BUILT_IN.data_schema("loop.health")["required"][-1] == "sinks"


def test_the_reference_page_is_the_one_that_the_registry_writes():
    page = ROOT / "docs" / "reference" / "events.md"
    assert page.read_text(encoding="utf-8") == events_markdown(BUILT_IN)


def test_every_event_tells_what_it_means():
    undocumented = [kind for kind in BUILT_IN.classes if not BUILT_IN.data_schema(kind)["description"]]
    assert undocumented == []


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (
            QueueJoin("a", "o", "u", 1),
            {"agent_id": "a", "object_id": "o", "affordance_id": "u", "position": 1},
        ),
        (
            LifecycleMoved("a", (1, 2), (3, 4), "displaced"),
            {"agent_id": "a", "from": [1, 2], "to": [3, 4], "reason": "displaced"},
        ),
        (
            RivalryEvents((RivalryEntry("a", "b", "jostle", 0.75),)),
            {"events": [{"actor": "a", "rival": "b", "reason": "jostle", "intensity": 0.75}]},
        ),
    ],
)
def test_an_events_data_obeys_its_schema(event, data):
    spelt = json.loads(canonical_json(event_data(event)))
    assert spelt == data
    document = json.loads(canonical_json(BUILT_IN.json_schema()))
    jsonschema.Draft202012Validator.check_schema(document)
    schema = document["$defs"][event.kind]
    assert schema["$id"] == schema_id(event.kind)
    jsonschema.Draft202012Validator(schema).validate(spelt)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**spelt, next(iter(spelt)): {"not": "this"}})


def test_a_plugins_kinds_are_added_under_its_own_name():
    registry = BUILT_IN.extended("bakery", [BakeryOpened])
    assert registry.classes["bakery.opened"] is BakeryOpened
    assert "bakery.opened" not in BUILT_IN.classes
    assert "bakery.opened" in events_markdown(registry)


def test_a_plugin_takes_no_name_but_its_own():
    with pytest.raises(ValueError, match=r"must be called 'brewery\.<name>'"):
        BUILT_IN.extended("brewery", [BakeryOpened])


def test_a_plugin_takes_no_family_of_ours():
    @dataclass(frozen=True, slots=True)
    class Gossip(Event):
        """Reserved for the social rules."""

        kind: ClassVar[str] = "social.gossip"

    with pytest.raises(ValueError, match="family that Townlet reserves"):
        BUILT_IN.extended("social", [Gossip])


def test_one_kind_has_one_class():
    with pytest.raises(ValueError, match=r"'bakery\.opened' is claimed twice"):
        EventRegistry([BakeryOpened, BakeryOpened])


def test_an_event_that_can_be_changed_is_refused():
    class Loose(Event):
        kind: ClassVar[str] = "bakery.loose"

    with pytest.raises(ValueError, match="frozen=True"):
        EventRegistry([Loose])


def test_a_field_that_has_no_schema_is_refused():
    @dataclass(frozen=True, slots=True)
    class Odd(Event):
        """Holds a set."""

        kind: ClassVar[str] = "bakery.odd"
        things: frozenset[str]

    with pytest.raises(ValueError, match="cannot be typed"):
        EventRegistry([Odd]).json_schema()
