"""Whatever is handed to a sink, it is carried or refused with a reason, and the account holds."""

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from tests.telemetry.delivering import assert_law, fact
from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.envelope import Encoder
from townlet_adapters.telemetry.testing import ScriptedOutbox, ScriptedTransport
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.events.base import Diagnostic, Event, Fact


@dataclass(frozen=True, slots=True)
class Anything(Event):
    kind: ClassVar[str] = "trial.anything"
    value: object


@dataclass(frozen=True)
class Kinded:
    kind: str


def nested(levels):
    value = {}
    for _ in range(levels):
        value = {"x": value}
    return value


def tuples(levels):
    value = 1
    for _ in range(levels):
        value = (value,)
    return value


def cycle():
    value = {}
    value["x"] = value
    return value


HOSTILE = {
    "50 MB": ("x" * 50_000_000, "too_large"),
    "2,000 levels": (nested(2000), "too_deep"),
    "20,000 tuples": (tuples(20_000), "too_deep"),  # with which later versions of orjson overwrite memory
    "a cycle": (cycle(), "too_deep"),
    "a lone surrogate": ("\ud800", "not_unicode"),
    "a NaN behind nulls": ([None, {"y": float("nan")}], "not_finite"),
    "an infinity": (float("-inf"), "not_finite"),
    "a large integer": (2**53, "integer_range"),
    "a large negative integer": (-(2**53), "integer_range"),
    "a large integer in a list": ([2**53], "integer_range"),
    "a large second integer": ([1, 2**53], "integer_range"),
    "an integer beyond 64 bits": (2**64, "integer_range"),
    "an object": (object(), "not_json"),
    "100,000 ids": ({f"agent_{n}": n for n in range(100_000)}, "too_large"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("outbox", [None, ScriptedOutbox], ids=["memory", "outbox"])
def test_what_cannot_be_carried_is_refused_with_a_reason_and_harms_nobody(started, name, outbox):
    value, reason = HOSTILE[name]
    transport = ScriptedTransport()
    sink = started(transport, outbox=outbox and outbox())
    assert sink.emit(fact(0)).status == "accepted"
    assert sink.emit(Fact(1, 1, Anything(value))).reason == reason
    assert sink.emit(Diagnostic(1, Anything(value))).reason == reason
    assert sink.emit(StateFrame(1, TownFrame(1, extra={"x": value}))).reason == reason
    assert sink.emit(fact(2)).status == "accepted"
    status = sink.stop(30)
    assert_law(status)
    assert (status.delivered, dict(status.rejected)) == (2, {reason: 3})


@pytest.mark.parametrize("text", ["a\nb\r\n", "\u2028", 'q"\\', "\x00", "}}]]", "null", '"null"', "[{" * 50])
def test_text_of_any_sort_is_one_line_and_comes_back_as_it_was(started, text):
    transport = ScriptedTransport()
    sink = started(transport)
    assert sink.emit(Fact(1, 1, Anything({text: [text, None]}))).status == "accepted"
    sink.stop(30)
    (line,) = transport.lines
    assert line.count(b"\n") == 1
    assert json.loads(line)["data"]["value"] == {text: [text, None]}


def test_a_wall_clock_that_jumps_changes_times_for_people_and_nothing_else(started):
    class Jumping(SystemClock):
        """Goes back an hour, then forward ten years, with every look."""

        looks = 0

        def wall(self):
            self.looks += 1
            return 1_767_323_045.25 + (-3600.0, 10 * 365.25 * 86400.0)[self.looks % 2]

    transport = ScriptedTransport()
    sink = started(transport, Jumping())
    for n in range(100):
        assert sink.emit(fact(n)).status == "accepted"
    status = sink.stop(30)
    assert (status.delivered, dict(status.dropped)) == (100, {})
    assert {json.loads(line)["time"][:4] for line in transport.lines} == {"2026", "2036"}


def test_kinds_without_end_cost_no_memory_without_end():
    speller = Encoder("urn:townlet:run:r:p1")
    for n in range(6000):
        speller.body(Diagnostic(0, Kinded(f"trial.k{n}")), 0.0)
    assert len(speller._heads) <= 4096
