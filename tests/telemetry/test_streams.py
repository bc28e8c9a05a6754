"""State in patches: whoever applies what arrived has the frame, and notices when something did not arrive."""

import json
import subprocess
import sys
import threading
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events import BUILT_IN
from tests.telemetry.guide import CONSUMER, follow, merge
from townlet import open_simulation
from townlet_adapters.cli.schema import message_schema
from townlet_adapters.telemetry.delivery.buffer import BASE_LOST, SUPERSEDED
from townlet_adapters.telemetry.delivery.limits import DeliveryLimits
from townlet_adapters.telemetry.delivery.sink import DeliveringSink
from townlet_adapters.telemetry.envelope import state_hash
from townlet_adapters.telemetry.streams import CHANNELS, HASH_EVERY, NullValueError, frame_data, merge_patch
from townlet_adapters.telemetry.testing import ScriptedTransport
from townlet_adapters.worlds.town.events.economy import EconomyRestock
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.stream import ChannelCadences, StreamSettings
from townlet_core.events.base import Fact
from townlet_core.jsonvalue import canonical_json

DIFF = StreamSettings("diff", keyframe_every=20)
OFTEN = StreamSettings("channels", keyframe_every=20, channels=ChannelCadences(1, 2, 3, 4, 5))

SCALARS = st.sampled_from([0, 1, True, False, 0.0, -0.0, 1.0, 1e-7, 1e16, 2**53 - 1, "", "1", "ü\u2028"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)
ENTITIES = st.dictionaries(st.sampled_from(["a0", "a1", "a2"]), OBJECTS, max_size=3)


def histories(longest=45):
    pictures = st.builds(
        TownFrame, st.just(0), clock=OBJECTS, agents=ENTITIES, objects=ENTITIES, social=ENTITIES, kpis=OBJECTS
    )
    few = st.lists(pictures, min_size=1, max_size=4)
    ticks = st.lists(st.integers(0, 3), min_size=1, max_size=longest)
    return st.builds(
        lambda frames, order: [replace(frames[n % len(frames)], tick=t) for t, n in enumerate(order)],
        few,
        ticks,
    )


def spelled(value):
    return canonical_json(json.loads(canonical_json(value)))


def sent(frames, stream, **limits):
    """Send frames in a mode; the lines that arrive."""
    transport = ScriptedTransport()
    sink = sink_over(transport, stream, **limits)
    for frame in frames:
        sink.emit(StateFrame(frame.tick, frame))
    status = sink.stop(30)
    assert status.delivered == status.offered == len(transport.lines)
    return transport.lines


def sink_over(transport, stream, **limits):
    sink = DeliveringSink(
        "test", transport, source="urn:townlet:run:r:p1", limits=DeliveryLimits(**limits), stream=stream
    )
    sink.start()
    return sink


def expected_of(frames):
    """What each series holds at each tick."""
    told = {}
    for frame in frames:
        whole = frame_data(frame)
        told["townlet.state.frame", frame.tick] = spelled(whole)
        for name, sections in CHANNELS.items():
            part = {section: whole[section] for section in ("tick", *sections)}
            told[f"townlet.state.{name}", frame.tick] = spelled(part)
    return told


def assert_followed(lines, frames):
    """Every state that a consumer has is the town's, and it has one wherever it can."""
    expected = expected_of(frames)
    followed = [(series, state["tick"]) for series, state in follow(lines)]
    for series, state in follow(lines):
        assert spelled(state) == expected[series, state["tick"]]
    known, possible = {}, []
    for event in map(json.loads, lines):
        series = event["type"].replace("state.patch", "state.frame")
        if series.startswith("townlet.state.") and series != "townlet.state.plan":
            unbroken = "baseseq" not in event or known.get(series) == event["baseseq"]
            known[series] = event["sequence"] if unbroken else None
            possible += [(series, event["tick"])] * unbroken
    assert followed == possible
    return followed


# ---- patches


@given(OBJECTS, OBJECTS)
def test_applying_a_patch_gives_exactly_what_it_was_made_from(old, new):
    before = spelled(old), spelled(new)
    assert spelled(merge(old, merge_patch(old, new))) == spelled(new)
    assert merge_patch(new, json.loads(spelled(new))) == {}
    assert (spelled(old), spelled(new)) == before


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1, "b": {"c": 1, "d": 2}}, {"a": 1, "b": {"c": 1, "d": 3}}, {"b": {"d": 3}}),
        ({"a": 1, "b": 2}, {"b": 2}, {"a": None}),
        ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}),
        ({"a": 1}, {"a": {}}, {"a": {}}),
        ({"a": {"b": 1}}, {"a": [1]}, {"a": [1]}),
        ({"a": [1, 2]}, {"a": [1, 3]}, {"a": [1, 3]}),
        ({"a": [{"b": 1}]}, {"a": ({"b": 1},)}, {}),
        ({"a": 1}, {"a": 1.0}, {"a": 1.0}),
        ({"a": 1}, {"a": True}, {"a": True}),
        ({"a": 0.0}, {"a": -0.0}, {"a": -0.0}),
        ({"a": [0.0]}, {"a": [-0.0]}, {"a": [-0.0]}),
        ({"a": MappingProxyType({"b": 1})}, {"a": MappingProxyType({"b": 1, "c": 2})}, {"a": {"c": 2}}),
        ({"a": None}, {"a": None, "b": [None]}, {"b": [None]}),
    ],
)
def test_a_patch_tells_what_changed_and_no_more(old, new, patch):
    assert repr(merge_patch(old, new)) == repr(patch)


@pytest.mark.parametrize("new", [{"a": None}, {"b": {"c": None}}, {"a": {"b": {"c": None}}}])
def test_a_patch_cannot_say_null(new):
    with pytest.raises(NullValueError):
        merge_patch({"a": 1}, new)


# ---- strands


def test_a_frame_comes_first_and_at_multiples_and_a_hash_with_every_16th_patch():
    frames = [TownFrame(tick, clock={"tod": tick}) for tick in range(7, 47)]
    events = [json.loads(line) for line in sent(frames, DIFF)]
    whole = [event["tick"] for event in events if event["type"] == "townlet.state.frame"]
    assert whole == [7, 20, 40]
    patches = [event for event in events if event["type"] == "townlet.state.patch"]
    assert len(patches) + 3 == len(frames)
    assert [n for n, event in enumerate(patches, start=1) if "statehash" in event] == [16, 32]
    for before, event in pairwise(events):
        assert event.get("baseseq", before["sequence"]) == before["sequence"]
        assert ("baseseq" in event) == (event["type"] == "townlet.state.patch")
    assert events[0]["statehash"] == state_hash(frame_data(frames[0]))
    assert patches[0]["data"] == {"tick": 8, "clock": {"tod": 8}}
    assert HASH_EVERY == 16


def test_each_channel_has_a_cadence_whole_messages_and_a_base_of_its_own():
    frames = [TownFrame(tick, {"tod": tick}, prices={"0": {"meal": tick}}) for tick in range(43)]
    events = [json.loads(line) for line in sent(frames, OFTEN)]
    for name, every in zip(CHANNELS, (1, 2, 3, 4, 5), strict=True):
        own = [event for event in events if event["type"] == f"townlet.state.{name}"]
        assert [event["tick"] for event in own] == list(range(0, 43, every))
        first_after = {min(t for t in range(0, 43, every) if t >= least) for least in (0, 20, 40)}
        assert {event["tick"] for event in own if "baseseq" not in event} == first_after
        for before, event in pairwise(own):
            assert event.get("baseseq", before["sequence"]) == before["sequence"]
    assert len(assert_followed(sent(frames, OFTEN), frames)) == len(events)


def test_every_section_of_a_frame_is_in_one_channel():
    carried = [section for sections in CHANNELS.values() for section in sections]
    assert sorted([*carried, "tick"]) == sorted(field.name for field in fields(TownFrame))


@pytest.mark.parametrize("stream", [DIFF, OFTEN, StreamSettings("snapshot")], ids=lambda each: each.mode)
def test_every_state_message_fits_the_published_schema(stream):
    schema = message_schema(BUILT_IN)
    registry = jsonschema.Draft202012Validator(schema)
    lines = sent([TownFrame(tick, {"tod": tick}) for tick in range(45)], stream)
    assert lines
    for line in lines:
        registry.validate(json.loads(line))


def test_a_null_of_another_world_travels_in_a_whole_frame():
    frames = [TownFrame(tick, extra={"x": None if tick == 2 else tick}) for tick in range(5)]
    lines = sent(frames, DIFF)
    assert ["baseseq" in json.loads(line) for line in lines] == [False, True, False, True, True]
    assert len(assert_followed(lines, frames)) == 5


def test_a_frame_that_cannot_be_carried_is_counted_and_the_next_one_is_whole():
    transport = ScriptedTransport()
    sink = sink_over(transport, DIFF)
    frames = [TownFrame(tick, kpis={"x": float("nan") if tick == 2 else 0.5}) for tick in range(5)]
    results = [sink.emit(StateFrame(frame.tick, frame)) for frame in frames]
    assert [result.reason for result in results] == ["", "", "not_finite", "", ""]
    status = sink.stop(30)
    assert (status.offered, dict(status.rejected), status.delivered) == (5, {"not_finite": 1}, 4)
    assert ["baseseq" in json.loads(line) for line in transport.lines] == [False, True, False, True]
    assert [tick for _, tick in assert_followed(transport.lines, frames[:2] + frames[3:])] == [
        0, 1, 3, 4,
    ]  # fmt: skip


# ---- losses on the way


@settings(max_examples=120, deadline=None)
@given(histories(), st.sets(st.integers(0, 60)), st.sampled_from([DIFF, OFTEN]))
def test_whatever_is_lost_on_the_way_a_consumer_has_the_frame_or_knows_that_it_has_not(frames, lost, stream):
    lines = sent(frames, stream)
    arrived = [line for n, line in enumerate(lines) if n not in lost]
    followed = assert_followed(arrived, frames)
    whole = [json.loads(line) for line in arrived]
    recovered = {(event["type"], event["tick"]) for event in whole if "baseseq" not in event}
    assert recovered <= set(followed)
    if not lost:
        assert len(followed) == len(lines)


def test_a_state_that_is_not_the_senders_is_noticed_by_its_hash():
    first, *rest = sent([TownFrame(n, {"x": n % 2}) for n in range(20)], StreamSettings("diff"))
    event = json.loads(first)
    event["data"]["clock"]["y"] = 1
    del event["statehash"]
    told = [state["tick"] for _, state in follow([json.dumps(event), *rest])]
    assert told == list(range(16))


@settings(max_examples=120, deadline=None)
@given(
    histories(),
    st.lists(st.integers(0, 3), min_size=45, max_size=45),
    st.sets(st.integers(0, 44)),
    st.sampled_from([(2, 3000), (3, 1 << 20), (7, 3000), (12, 1 << 20)]),
    st.sampled_from([DIFF, OFTEN]),
)
def test_what_the_sink_gives_up_is_never_missed_by_what_it_sends(frames, facts, moves, room, stream):
    transport = ScriptedTransport()
    transport.hang()
    sink = sink_over(transport, stream, on_full="shed", buffer_events=room[0], buffer_bytes=room[1])
    for frame, crowd in zip(frames, facts, strict=False):
        for n in range(crowd):
            sink.emit(Fact(n, frame.tick, EconomyRestock("fridge_1", "meal", n)))
        sink.emit(StateFrame(frame.tick, frame))
        if frame.tick in moves:
            transport.release()
        else:
            transport.hang()
    transport.release()
    status = sink.stop(30)
    assert status.emitted == status.delivered + sum(status.dropped.values())
    lines = [line for line in transport.lines if b'"townlet.state.' in line]
    # Nothing is lost behind the sink's back, so nothing that it sends may lack its base.
    assert len(assert_followed(lines, frames)) == len(lines)


def stalled(stream, **limits):
    """A sink whose worker hangs with one fact in its hands."""
    transport = ScriptedTransport()
    transport.hang()
    sink = sink_over(transport, stream, on_full="shed", **limits)
    sink.emit(Fact(0, 0, EconomyRestock("fridge_1", "meal", 0)))
    transport.await_write()
    return sink, transport


def show(sink, ticks):
    for tick in ticks:
        sink.emit(StateFrame(tick, TownFrame(tick, clock={"tod": tick})))


def test_a_fact_that_pushes_state_out_takes_its_patches_along_and_a_whole_frame_follows():
    sink, transport = stalled(DIFF, buffer_events=6)
    show(sink, range(1, 6))
    sink.emit(Fact(1, 5, EconomyRestock("fridge_1", "meal", 1)))
    show(sink, [6, 7])
    assert dict(sink.status().dropped) == {SUPERSEDED: 1, BASE_LOST: 4}
    transport.release()
    sink.stop(30)
    told = [(event["type"][14:], event["tick"]) for event in map(json.loads, transport.lines[1:])]
    assert told[1:3] == [("frame", 6), ("patch", 7)]


def test_a_frame_for_which_older_state_goes_is_whole():
    sink, transport = stalled(DIFF, buffer_events=4)
    show(sink, range(1, 8))
    transport.release()
    sink.stop(30)
    told = [(event["type"][14:], event["tick"]) for event in map(json.loads, transport.lines[1:])]
    assert told[0] == ("frame", 7)
    assert dict(sink.status().dropped) == {SUPERSEDED: 2, BASE_LOST: 4}


@pytest.mark.parametrize("on_full", ["wait", "shed"])
def test_frames_from_many_threads_at_once_still_build_on_one_another(on_full):
    transport = ScriptedTransport()
    sink = sink_over(transport, DIFF, on_full=on_full, buffer_events=20)
    pictures = [TownFrame(tick, clock={"tod": tick}) for tick in range(200)]
    threads = [
        threading.Thread(target=lambda part: [sink.emit(StateFrame(f.tick, f)) for f in part], args=[part])
        for part in (pictures[0::4], pictures[1::4], pictures[2::4], pictures[3::4])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = sink.stop(30)
    records = sum(b'"townlet.telemetry.loss"' in line for line in transport.lines)
    assert status.offered == status.emitted == 200 + records
    assert status.emitted == status.delivered + sum(status.dropped.values())
    assert len(assert_followed(transport.lines, pictures)) == len(transport.lines) - records > 0


# ---- the guide


def test_the_consumer_of_the_guide_is_short_and_runs(tmp_path):
    assert len([line for line in CONSUMER.partition("def merge")[2].splitlines() if line]) <= 30
    script = tmp_path / "consumer.py"
    script.write_text(CONSUMER, encoding="utf-8")
    town = subprocess.run(
        [Path(sys.executable).with_name("townlet"), "run", "configs/hamlet.yaml", "--ticks", "70", "--no-out",
         "--quiet", "--sink", "stdout", "--set", "telemetry.stream.mode=diff",
         "--set", "telemetry.stream.keyframe_every=30"],
        capture_output=True, check=True,
    )  # fmt: skip
    told = subprocess.run(
        [sys.executable, str(script)], input=town.stdout, capture_output=True, text=False, check=True
    )
    rows = [line.split()[:2] for line in told.stdout.decode().splitlines()]
    assert rows == [[str(tick), "townlet.state.frame"] for tick in range(70)]


def test_over_a_day_of_the_default_town_patches_say_as_much_as_frames_in_a_quarter_of_the_bytes(tmp_path):
    streams = {"snapshot": {"mode": "snapshot", "every": 1}, "diff": {"mode": "diff"}}
    streams["channels"] = {"mode": "channels"}
    sinks = [
        {"use": "file", "options": {"path": str(tmp_path / name)}, "stream": stream}
        for name, stream in streams.items()
    ]
    with open_simulation("configs/town.yaml", overrides={"telemetry.sinks": sinks}) as loop:
        loop.run_for(1440)
    lines = {name: (tmp_path / name).read_bytes().splitlines() for name in streams}
    state = {
        name: [
            line
            for line in told
            if b'"townlet.state.' in line[:300] and b'"townlet.state.plan"' not in line[:300]
        ]
        for name, told in lines.items()
    }
    size = {name: sum(map(len, told)) for name, told in state.items()}
    assert size["diff"] <= 0.25 * size["snapshot"]
    assert size["channels"] < size["diff"]
    frames, followed = ([state for _, state in follow(lines[name])] for name in ("snapshot", "diff"))
    assert len(frames) == 1440
    assert frames == followed
    assert len(list(follow(lines["channels"]))) == len(state["channels"])
