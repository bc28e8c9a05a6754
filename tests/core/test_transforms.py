"""On the way to a sink messages are checked, emptied of fields and rid of identities; nowhere else."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import pytest
from jsonschema import Draft202012Validator

from tests.events import BUILT_IN
from townlet_adapters.worlds.town.events.affordance import AffordanceFinish
from townlet_adapters.worlds.town.events.employment import EmploymentHelped
from townlet_adapters.worlds.town.events.lifecycle import LifecycleArrive, LifecycleMoved
from townlet_adapters.worlds.town.events.queue import (
    QueueConflict,
    QueueHandover,
    QueueJoin,
    RivalryEntry,
    RivalryEvents,
)
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.events.base import Diagnostic, Event, Fact
from townlet_core.events.loop import LoopFailure, LoopTick
from townlet_core.events.narration import Narration
from townlet_core.events.policy import PolicyGuardrail
from townlet_core.events.schema import EventRegistry, event_data
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.transforms.base import Withheld
from townlet_core.transforms.event_fields import layout_of
from townlet_core.transforms.redact import Redact, blank
from townlet_core.transforms.rename import (
    COMBINED_FIELD,
    DISPLAY_NAME,
    NUMBER_FIELDS,
    OPEN_FIELDS,
    RESIDENT_FIELDS,
    TEXT_FIELDS,
    RenameResidents,
    RenameSettings,
)
from townlet_core.transforms.validate import Validate

KEY = b"sixteen bytes and some more"
FRAME = TownFrame(
    3,
    agents={
        "a1": {"name": "Ada", "slot": 1, "wallet": 7, "action": "chat:Ben-2", "target": 0, "pos": (1, 2)},
        "a0": {"name": "Ben-2", "slot": 0, "wallet": 9},
    },
    objects={"bed": {"holder": "a0", "queue": ("a1",), "stock": {"meal": 2}}},
    social={"a0|a1": {"trust": 0.5}, "a1": {"friends": ("a0",), "best": "Ben-2"}},
    rewards={"a0": {"wage": 1.0}},
    extra={"chat": {"speaker": "gone", "error": "Ada left"}},
)
ARRIVAL = LifecycleArrive("a3", 3, 3, "Cleo", 0, (4, 5), "stoic", None, 100, "start")
QUARRELS = RivalryEvents((RivalryEntry("a0", "a1", "jostle", 0.5),))
SAMPLES = (
    ARRIVAL,
    QUARRELS,
    LifecycleMoved("a0", (1, 2), (3, 4), "teleport"),
    EmploymentHelped("a0", "clerk", ("a1", "a2")),
    QueueConflict("a0", "a1", None, "jostle", 2, 0.5),
    QueueHandover("a0", "a1", "bed", 1),
    AffordanceFinish("a0", "bed", "rest", {"money": 1.0}),
    LoopTick(0, 0, 1, 0, 0, {"wait": 1}, {}, 0, 0.0, {}),
)


@dataclass(frozen=True, slots=True)
class EveryForm(Event):
    """One field of every form that an event may have."""

    kind: ClassVar[str] = "trial.forms"
    text: str
    maybe: str | None
    either: int | str
    number: float
    yes: bool
    choice: Literal["a", "b"]
    pair: tuple[int, str]
    many: tuple[str, ...]
    table: Mapping[str, int]
    free: JsonObject
    inner: RivalryEntry
    entries: tuple[RivalryEntry, ...]
    value: JsonValue


ENTRY = RivalryEntry("a0", "a1", "jostle", 0.5)
FORMS = EveryForm(
    text="t",
    maybe=None,
    either=1,
    number=2.0,
    yes=True,
    choice="a",
    pair=(1, "x"),
    many=("y",),
    table={"n": 1},
    free={"f": (1,)},
    inner=ENTRY,
    entries=(ENTRY,),
    value=None,
)
REGISTRY = EventRegistry((*BUILT_IN.classes.values(), EveryForm))


def fact(event: Event, tick: int = 0) -> Fact:
    return Fact(7, tick, event)


def spelled(message) -> str:
    if isinstance(message, StateFrame):
        return json.dumps({name: getattr(message.frame, name) for name in message.frame.__slots__})
    return json.dumps(event_data(message.event))


def rename(**settings) -> RenameResidents:
    return RenameResidents(RenameSettings(**{"key": KEY} | settings), REGISTRY)


def test_validate_lets_pass_what_fits_and_frames():
    validate = Validate(REGISTRY)
    for event in (*SAMPLES, FORMS):
        message = fact(event)
        assert validate(message) is message
    assert validate(StateFrame(3, FRAME)) == StateFrame(3, FRAME)
    failure = Diagnostic(0, LoopFailure(0, None, "a0", "why", None))
    assert validate(failure) is failure


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 1),
        ("text", None),
        ("maybe", 1),
        ("either", 1.5),
        ("number", True),
        ("number", "1"),
        ("yes", 1),
        ("choice", "c"),
        ("pair", (1,)),
        ("pair", ("x", 1)),
        ("many", "y"),
        ("many", (1,)),
        ("table", {"n": "1"}),
        ("inner", RivalryEntry("a0", 1, "jostle", 0.5)),
        ("entries", (ENTRY, RivalryEntry("a0", "a1", "jostle", None))),
    ],
)
def test_validate_withholds_what_does_not_fit_as_a_json_schema_validator_would(field, value):
    wrong = replace(FORMS, **{field: value})
    assert Validate(REGISTRY)(fact(wrong)) == Withheld("schema_mismatch")
    schema = Draft202012Validator(REGISTRY.data_schema(EveryForm.kind))
    assert not schema.is_valid(json.loads(json.dumps(event_data(wrong))))


def test_validate_withholds_what_cannot_even_be_spelled():
    assert Validate(REGISTRY)(fact(replace(FORMS, free=1))) == Withheld("schema_mismatch")


def test_validate_withholds_kinds_that_nobody_registered():
    assert Validate(BUILT_IN)(fact(FORMS)) == Withheld("unknown_kind")


def redact(*fields: str, kinds=None) -> Redact:
    return Redact(fields, kinds)


@pytest.mark.parametrize("field", [field.json_name for field in layout_of(EveryForm)])
def test_a_redacted_event_tells_nothing_there_and_still_fits_its_schema(field):
    changed = redact(field)(fact(FORMS))
    assert Validate(REGISTRY)(changed) is changed
    before, after = event_data(FORMS), event_data(changed.event)
    assert {key: after[key] for key in after if key != field} == {
        key: before[key] for key in before if key != field
    }
    (hint,) = (each.hint for each in layout_of(EveryForm) if each.json_name == field)
    assert getattr(changed.event, field) == blank(hint)


def test_fields_are_redacted_at_any_depth_and_frames_leave_them_out():
    assert redact("intensity")(fact(QUARRELS)).event.events == (RivalryEntry("a0", "a1", "jostle", 0.0),)
    free = fact(replace(FORMS, free={"file": {"last_error": "x", "offered": 1}}))
    assert redact("last_error")(free).event.free == {"file": {"offered": 1}}
    frame = redact("wallet", "stock", "social")(StateFrame(3, FRAME)).frame
    assert frame.agents["a0"] == {"name": "Ben-2", "slot": 0}
    assert frame.objects == {"bed": {"holder": "a0", "queue": ("a1",)}}
    assert (frame.social, frame.rewards, frame.tick) == ({}, FRAME.rewards, 3)
    assert redact("from")(fact(SAMPLES[2])).event.from_ == (0, 0)


def test_redaction_keeps_to_its_kinds_and_hands_on_what_it_does_not_change():
    only = redact("agent_id", "wallet", kinds=frozenset({"queue.join"}))
    join, arrival, frame = fact(QueueJoin("a0", "bed", "rest", 0)), fact(ARRIVAL), StateFrame(3, FRAME)
    assert only(join).event.agent_id == "redacted"
    assert only(arrival) is arrival
    assert only(frame) is frame
    frames = redact("wallet", kinds=frozenset({"state.frame"}))
    assert frames(arrival) is arrival
    assert "wallet" not in frames(frame).frame.agents["a0"]
    assert redact("nothing")(arrival) is arrival


def test_a_renamed_resident_can_be_followed_through_events_and_frames():
    renaming = rename()
    ada = renaming.pseudonym("a1")
    assert renaming(fact(QueueHandover("a0", "a1", "bed", 1))).event.to == ada
    assert renaming(fact(QUARRELS)).event.events[0].rival == ada
    assert renaming(fact(SAMPLES[3])).event.coworkers == (ada, renaming.pseudonym("a2"))
    frame = renaming(StateFrame(3, FRAME)).frame
    assert frame.objects["bed"]["queue"] == (ada,)
    assert frame.agents[ada]["name"] == ada
    assert frame.agents[ada]["action"] == f"chat:{renaming.pseudonym('a0')}"
    assert frame.social[ada] == {"friends": (renaming.pseudonym("a0"),), "best": renaming.pseudonym("a0")}
    assert frame.extra["chat"] == {"speaker": renaming.pseudonym("gone"), "error": "withheld"}


def test_nothing_of_identities_is_left_and_the_rest_is_as_it_was():
    renaming = rename()
    for event in SAMPLES:
        changed = renaming(fact(event))
        text = spelled(changed)
        assert not [word for word in ("a0", "a1", "a2", "a3", "Cleo") if word in text]
        assert Validate(REGISTRY)(changed) is changed
    arrival = renaming(fact(ARRIVAL)).event
    assert arrival.name == arrival.agent_id == renaming.pseudonym("a3")
    assert (arrival.serial, arrival.slot, arrival.position) == (-1, -1, (4, 5))
    assert renaming(fact(SAMPLES[2])).event.to == (3, 4)
    text = spelled(renaming(StateFrame(3, FRAME)))
    assert not [word for word in ("a0", "a1", "Ada", "Ben", "gone", "slot", "target") if word in text]
    failure = renaming(Diagnostic(0, LoopFailure(0, 4, "a0", "Ada (a1) is stuck", None))).event
    assert failure == LoopFailure(0, 4, renaming.pseudonym("a0"), "withheld", None)


@dataclass(frozen=True, slots=True)
class Meeting(Event):
    """People below a field that names residents, and free JSON."""

    kind: ClassVar[str] = "trial.meeting"
    residents: tuple[RivalryEntry, ...]
    notes: JsonObject


def test_residents_are_found_below_fields_that_name_them_and_in_free_json():
    notes = {"speaker": "a0", "agents": {"a1": {"actor": "a2"}}, "serial": 4, "text": "a3 spoke"}
    renaming = RenameResidents(RenameSettings(KEY), EventRegistry((Meeting,)))
    changed = renaming(fact(Meeting((ENTRY,), notes)))
    told = [renaming.pseudonym(f"a{number}") for number in range(3)]
    assert changed.event == Meeting(
        (RivalryEntry(told[0], told[1], "jostle", 0.5),),
        {"speaker": told[0], "agents": {told[1]: {"actor": told[2]}}, "text": "withheld"},
    )


@dataclass(frozen=True, slots=True)
class Nested(Event):
    """A record about two residents below every form that may hold one."""

    kind: ClassVar[str] = "trial.nested"
    maybe: RivalryEntry | None = None
    either: int | RivalryEntry = 0
    pair: tuple[int, RivalryEntry] | None = None
    many: Sequence[RivalryEntry] = ()
    listed: list[RivalryEntry] | None = None
    table: Mapping[str, RivalryEntry] | None = None
    named: dict[str, RivalryEntry] | None = None
    deep: tuple[tuple[int, RivalryEntry | None], ...] = ()


@pytest.mark.parametrize(
    ("field", "around"),
    [
        ("maybe", lambda entry: entry),
        ("either", lambda entry: entry),
        ("pair", lambda entry: (1, entry)),
        ("many", lambda entry: (entry, entry)),
        ("listed", lambda entry: (entry,)),
        ("table", lambda entry: {"first": entry}),
        ("named", lambda entry: {"first": entry}),
        ("deep", lambda entry: ((1, None), (2, entry))),
    ],
)
def test_fields_are_found_below_every_form_that_may_hold_a_record(field, around):
    told = fact(Nested(**{field: around(ENTRY)}))
    renaming = RenameResidents(RenameSettings(KEY), EventRegistry((Nested,)))
    renamed = RivalryEntry(renaming.pseudonym("a0"), renaming.pseudonym("a1"), "jostle", 0.5)
    assert renaming(told).event == Nested(**{field: around(renamed)})
    redacted = redact("intensity")(told)
    assert redacted.event == Nested(**{field: around(replace(ENTRY, intensity=0.0))})


def test_a_narration_keeps_its_category_and_names_no_resident():
    told = Narration("sips", "Ada sips.", priority=False, key="sips:a0,a1", data={"agent_id": "a0"})
    renaming = rename()
    event = renaming(fact(told)).event
    names = f"{renaming.pseudonym('a0')},{renaming.pseudonym('a1')}"
    assert event == Narration("sips", "withheld", priority=False, key=f"sips:{names}", data={})


def test_ids_and_names_of_several_words_are_renamed_in_frames():
    agents = {"west:1": {"name": "Ada of the Mill"}}
    frame = TownFrame(0, agents=agents, objects={"bed": {"for": "Ada of the Mill", "holder": "west:1"}})
    changed, ada = rename()(StateFrame(0, frame)).frame, rename().pseudonym("west:1")
    assert changed.agents == {ada: {"name": ada}}
    assert changed.objects == {"bed": {"for": ada, "holder": ada}}


def test_the_order_of_residents_in_a_frame_is_that_of_their_pseudonyms():
    many = TownFrame(0, agents={f"a{number}": {} for number in range(40)})
    names = list(rename()(StateFrame(0, many)).frame.agents)
    assert names == sorted(names)
    assert len(names) == 40


def test_pseudonyms_depend_on_key_and_id_alone():
    assert rename().pseudonym("a1") == rename().pseudonym("a1") != rename().pseudonym("a2")
    assert rename(key=b"another key of the town").pseudonym("a1") != rename().pseudonym("a1")
    assert len(rename().pseudonym("a1")) == 16
    assert rename().pseudonym("") == ""
    assert KEY.decode() not in repr(RenameSettings(KEY))


def test_two_residents_never_share_a_pseudonym():
    renaming = rename(letters=1)
    results = [renaming(fact(QueueJoin(f"a{number}", "bed", "rest", 0))) for number in range(40)]
    told = [each.event.agent_id for each in results if isinstance(each, Fact)]
    assert 1 < len(told) == len(set(told)) <= 16
    assert {each for each in results if isinstance(each, Withheld)} == {Withheld("pseudonym_collision")}


def test_an_unknown_kind_is_withheld_and_an_event_about_nobody_is_handed_on():
    assert RenameResidents(RenameSettings(KEY), BUILT_IN)(fact(FORMS)) == Withheld("unknown_kind")
    books = fact(SAMPLES[-1])
    assert rename()(books) is books


def test_a_target_that_is_an_id_gets_a_pseudonym():
    renaming = rename()
    changed = renaming(fact(PolicyGuardrail("a0", "chat_rival", "a1"))).event
    assert changed == PolicyGuardrail(renaming.pseudonym("a0"), "chat_rival", renaming.pseudonym("a1"))


HARMLESS = {
    "action",
    "actions",
    "affordance_id",
    "alert",
    "allow_line",
    "alternative",
    "category",
    "cause",
    "code",
    "distribution",
    "dropped",
    "durability",
    "effects",
    "event_id",
    "entry_point",
    "failures",
    "figures",
    "flows",
    "from",
    "hook",
    "hooks",
    "issuer",
    "item",
    "job_id",
    "kind",
    "object_id",
    "place_id",
    "policy_hash",
    "profile",
    "promotion",
    "provider",
    "reason",
    "rejected",
    "release",
    "sinks",
    "snapshot_path",
    "source",
    "stability",
    "stage",
    "standing",
    "state",
    "status",
    "threshold",
    "values",
    "variant",
    "version",
}


def test_every_field_of_every_kind_that_could_name_somebody_is_renamed_or_known_to_be_harmless():
    def open_questions(schema, name):
        match schema:
            case {"anyOf": members} | {"prefixItems": members}:
                return {found for member in members for found in open_questions(member, name)}
            case {"properties": fields}:
                return {found for key, each in fields.items() for found in open_questions(each, key)}
            case {"items": item}:
                return open_questions(item, name)
            case {"additionalProperties": {"properties": _} as each}:
                return {name} | open_questions(each, name)
            case {"type": "integer" | "number" | "boolean" | "null"}:
                return set()
        return {name}

    known = (
        RESIDENT_FIELDS
        | NUMBER_FIELDS
        | TEXT_FIELDS
        | OPEN_FIELDS
        | {DISPLAY_NAME, COMBINED_FIELD}
        | HARMLESS
    )
    asked = {name for kind in BUILT_IN.classes for name in open_questions(BUILT_IN.data_schema(kind), "")}
    assert asked - known == set()
    assert asked >= HARMLESS - {"alternative"}
