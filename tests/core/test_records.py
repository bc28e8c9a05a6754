"""Dataclasses become JSON objects and come back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest

from townlet_core.jsonvalue import JsonValue, canonical_json
from townlet_core.records import record_from_json, record_to_json


@dataclass(frozen=True, slots=True)
class Inner:
    x: int


@dataclass(frozen=True, slots=True)
class Outer:
    from_: tuple[int, int]
    inner: Inner
    many: tuple[Inner, ...]
    named: Mapping[str, Inner]
    maybe: Inner | None
    plain: Mapping[str, int]
    text: str | None


@dataclass(slots=True)
class Memory:
    rows: list[int] = field(default_factory=list)
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Single:
    anything: JsonValue


@dataclass(frozen=True, slots=True)
class Empty:
    pass


OUTER = Outer((1, 2), Inner(3), (Inner(4), Inner(5)), {"a": Inner(6)}, None, MappingProxyType({"k": 7}), "t")


def test_nested_records_become_objects_and_a_trailing_underscore_is_dropped():
    data = record_to_json(OUTER)
    assert list(data) == ["from", "inner", "many", "named", "maybe", "plain", "text"]
    assert json.loads(canonical_json(data)) == {
        "from": [1, 2],
        "inner": {"x": 3},
        "many": [{"x": 4}, {"x": 5}],
        "named": {"a": {"x": 6}},
        "maybe": None,
        "plain": {"k": 7},
        "text": "t",
    }


def test_records_come_back_from_json_text():
    assert record_from_json(Outer, json.loads(canonical_json(record_to_json(OUTER)))) == OUTER


def test_lists_are_copied_so_that_the_json_does_not_change_later():
    memory = Memory([1])
    data = record_to_json(memory)
    memory.rows.append(2)
    assert data["rows"] == (1,)
    assert record_from_json(Memory, data) == Memory([1])


def test_records_of_one_field_and_of_none_work_too():
    assert canonical_json(record_to_json(Single({"a": [1, None]}))) == b'{"anything":{"a":[1,null]}}'
    assert record_to_json(Empty()) == {}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"inner": {"x": "3"}}, "Outer.inner.x"),
        ({"inner": {"x": True}}, "Outer.inner.x"),
        ({"inner": {}}, "Outer.inner"),
        ({"from": [1]}, "Outer.from"),
        ({"many": [{"x": 1}, {"x": None}]}, "Outer.many[1].x"),
        ({"named": {"a": 1}}, "Outer.named.a"),
        ({"more": 1}, "Outer"),
        ({"text": 1}, "Outer.text"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(change, where):
    with pytest.raises(ValueError, match=where.replace("[", r"\[").replace(".", r"\.")):
        record_from_json(Outer, {**record_to_json(OUTER), **change})


def test_only_dataclasses_are_records():
    with pytest.raises(TypeError, match="int is not a dataclass"):
        record_to_json(1)
