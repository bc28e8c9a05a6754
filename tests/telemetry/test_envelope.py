"""Envelopes are CloudEvents, carry exactly what the digest covers, and refuse what JSON cannot say."""

import json
import weakref
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType

import jsonschema
import pytest
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from townlet_adapters.telemetry.envelope import (
    LINE_START,
    MAX_EVENT_BYTES,
    Encoder,
    EnvelopeError,
    Record,
    envelope_schema,
    seal,
    source_urn,
)
from townlet_adapters.telemetry.streams import state_schemas
from townlet_adapters.worlds.town.events.affordance import AffordanceFail, AffordanceFinish
from townlet_adapters.worlds.town.events.lifecycle import LifecycleArrive, LifecycleMoved
from townlet_adapters.worlds.town.events.queue import QueueConflict, RivalryEntry, RivalryEvents
from townlet_core.digest import FactDigest
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopFailure
from townlet_core.jsonvalue import canonical_json

SOURCE = source_urn("20260102T030405-ab12", 3)
WALL = 1_767_323_045.25

FACTS = (
    Fact(0, 0, LifecycleArrive("a0", 0, 0, "Zoë\nO'Neil \u2028", 0, (3, 4), "worker", None, 50_000, "start")),
    Fact(1, 7, AffordanceFail("a0", "shower_1", "shower", "queue_timeout", None, 0, 0)),
    Fact(2, 7, AffordanceFinish("a0", "shower_1", "shower", MappingProxyType({"hygiene": 0.1, "x": -0.0}))),
    Fact(3, 8, QueueConflict("a0", "a1", None, "ghost_step", 0, 1e-17)),
    Fact(4, 8, RivalryEvents((RivalryEntry("a0", "a1", "jostle", 1e16),))),
    Fact(5, 9, LifecycleMoved("a0", (1, 2), (3, 4), "teleport")),
)


def line_of(message, sequence=0):
    return seal(Encoder(SOURCE).body(message, WALL)[0], sequence)


def record(data):
    return Record("state.frame", 1, data)


def prepare(record):
    return Encoder(SOURCE).state_body(record, WALL)


def refusal(data):
    with pytest.raises(EnvelopeError) as caught:
        prepare(record(data))
    return caught.value.reason


@pytest.mark.parametrize(
    "message", [*FACTS, Diagnostic(3, LoopFailure(0, None, None, "x", None)), StateFrame(4, TownFrame(4))]
)
def test_every_line_is_a_cloud_event_of_one_line(message):
    line = line_of(message, 17)
    assert line.startswith(LINE_START)
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    attributes = json.loads(line)
    jsonschema.Draft202012Validator(envelope_schema()).validate(attributes)
    attributes["time"] = datetime.fromisoformat(attributes["time"])
    data = attributes.pop("data")
    event = CloudEvent(attributes, data)
    assert event.get_id() == event.get_extension("sequence") == f"{17:020d}"
    assert event.get_source() == "urn:townlet:run:20260102T030405-ab12:p3"
    assert event.get_time().timestamp() == WALL
    assert event.get_extension("tick") == message.tick


def test_only_facts_carry_their_number_in_the_run():
    assert json.loads(line_of(FACTS[3]))["seq"] == 3
    assert json.loads(line_of(FACTS[3]))["type"] == "townlet.queue.conflict"
    assert "seq" not in json.loads(line_of(Diagnostic(3, LoopFailure(0, None, None, "x", None))))
    assert "seq" not in json.loads(line_of(StateFrame(4, TownFrame(4))))


def test_the_digest_of_a_run_can_be_computed_from_its_lines():
    told = FactDigest()
    told.update(FACTS)

    link = bytes(32)
    for fact in FACTS:
        event = json.loads(line_of(fact))
        kind = event["type"].removeprefix("townlet.")
        link = sha256(link + canonical_json([event["seq"], event["tick"], kind, event["data"]])).digest()
    assert link.hex() == told.hexdigest()


def test_null_fields_stay():
    assert json.loads(line_of(FACTS[1]))["data"]["detail"] is None


def test_a_frame_is_whole_and_fits_its_schema():
    frame = TownFrame(60, clock={"day": 0, "tod": 60}, agents={"a0": {"pos": (1, 2), "wallet": 3}})
    data = json.loads(line_of(StateFrame(60, frame)))["data"]
    assert data["agents"] == {"a0": {"pos": [1, 2], "wallet": 3}}
    assert data["clock"] == {"day": 0, "tod": 60}
    jsonschema.Draft202012Validator(state_schemas()["state.frame"]).validate(data)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_cannot_say_is_refused_wherever_it_hides(number):
    assert refusal({"x": number}) == "not_finite"
    assert refusal({"x": [None, {"y": (1.0, number)}]}) == "not_finite"


def test_integers_end_where_doubles_stop_being_exact():
    assert prepare(record({"x": 2**53 - 1, "y": -(2**53) + 1}))
    assert refusal({"x": 2**53}) == "integer_range"
    assert refusal({"x": -(2**53)}) == "integer_range"
    assert refusal({"x": 2**70}) == "integer_range"


def test_text_that_utf8_cannot_say_is_refused():
    assert refusal({"x": "a\ud800"}) == "not_unicode"
    assert refusal({"a\ud800": 1}) == "not_unicode"


def nested(levels):
    value = {}
    for _ in range(levels - 1):
        value = {"x": value}
    return value


def test_an_event_has_at_most_32_levels_its_envelope_included():
    assert prepare(record(nested(31)))
    assert refusal(nested(32)) == "too_deep"
    assert refusal(nested(2000)) == "too_deep"
    assert prepare(record({"x": [[] for _ in range(100)]}))


@pytest.mark.parametrize("leaf", [1, "x", [], {}, (), MappingProxyType({"y": 1})], ids=str)
@pytest.mark.parametrize(
    "wrap",
    [lambda x: [x], lambda x: (x,), lambda x: {"x": x}, lambda x: MappingProxyType({"x": x})],
    ids=["array", "tuple", "object", "mapping"],
)
def test_levels_are_counted_alike_whatever_they_are_made_of(wrap, leaf):
    value, levels = {"x": leaf}, 1 if isinstance(leaf, int | str) else 2
    while levels < 31:
        value["x"] = wrap(value["x"])
        levels += 1
        assert prepare(record(value))
    assert refusal({"x": wrap(value["x"])}) == "too_deep"


def test_what_came_before_decides_nothing():
    speller = Encoder(SOURCE)
    for levels, fits in ((31, True), (32, False), (32, False), (31, True), (2, True), (32, False)):
        state = record({"x": nested(levels - 1), "y": [[] for _ in range(100)]})
        if fits:
            assert speller.state_body(state, WALL)
        else:
            with pytest.raises(EnvelopeError):
                speller.state_body(state, WALL)


def test_what_has_been_spelled_is_not_kept():
    class Value(dict):
        pass

    value = Value(x=1)
    gone = weakref.ref(value)
    assert prepare(record({"x": value}))
    del value
    assert gone() is None


@pytest.mark.parametrize("text", ["[{" * 40, "]}" * 40, '"[{' * 40, "\\", '\\"{', '\\\\"]'])
def test_brackets_within_text_are_no_levels(text):
    flat = {"x": text, "y": [[] for _ in range(100)], text: 1}
    assert prepare(record(flat))
    assert refusal({**flat, "z": [text, nested(30)]}) == "too_deep"
    assert prepare(record({**flat, "z": [text, nested(29)]}))


def test_a_value_that_contains_itself_is_refused():
    cycle = {}
    cycle["x"] = cycle
    assert refusal(cycle) == "too_deep"


def test_a_line_has_at_most_a_mebibyte():
    overhead = len(seal(prepare(record({"x": ""})), 0))
    room = MAX_EVENT_BYTES - overhead
    assert len(seal(prepare(record({"x": "a" * room})), 0)) == MAX_EVENT_BYTES
    assert refusal({"x": "a" * (room + 1)}) == "too_large"
    assert refusal({"x": "a" * 50_000_000}) == "too_large"


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"x", {1: 2}, datetime(2026, 1, 1, tzinfo=UTC), FACTS[1]]
)
def test_what_is_not_json_is_refused(value):
    assert refusal({"x": value}) == "not_json"


def test_what_changes_after_the_line_was_made_does_not_change_it():
    effects = {"hygiene": 0.5}
    line = line_of(Fact(1, 1, AffordanceFinish("a", "b", "c", effects)))
    effects["hygiene"] = 0.25
    assert json.loads(line)["data"]["effects"] == {"hygiene": 0.5}


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON_VALUES, max_size=5))
def test_a_line_says_the_same_value_as_canonical_json(data):
    line = seal(prepare(record(data)), 5)
    assert canonical_json(json.loads(line)["data"]) == canonical_json(data)
