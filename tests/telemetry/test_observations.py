"""Observations on their way: beside facts and state, given up before facts, and no trouble for patches."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events import BUILT_IN
from tests.telemetry.delivering import assert_law, assert_told, fact
from tests.telemetry.delivering import sink_over as sink_of
from tests.telemetry.guide import follow
from townlet_adapters.cli.schema import message_schema
from townlet_adapters.composition import Output, RunRequest, open_run
from townlet_adapters.telemetry.delivery.buffer import SUPERSEDED
from townlet_adapters.telemetry.testing import ScriptedTransport
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.seen import AgentReward, AgentsSeen, ObservationMessage, SeenContext
from townlet_core.dto.stream import StreamSettings

DIFF = StreamSettings("diff", keyframe_every=20, observations=True)
KIND = "townlet.observation.batch"


def seen_at(tick, filling=0):
    return ObservationMessage(
        tick,
        AgentsSeen(
            next_tick=tick + 1,
            layout_version=1,
            agent_ids=("a0", "a1"),
            features={"need_hunger": (0.3, -1.0), "x" * filling: (0.0, 1.0)},
            map_channels=("self",),
            map=((((1,),),), (((0,),),)),
            action_names=("wait", "eat"),
            mask=((1, 0), (1, 1)),
            reward=(AgentReward(0.5, {"wage": 0.5}), AgentReward(0.0)),
            context=SeenContext(0, tick, 1440, 2),
        ),
    )


def started(transport, **more):
    sink = sink_of(transport, **more)
    sink.start()
    return sink


def show(sink, tick, filling=0):
    """Tell a sink of a tick what a town tells it: facts, then state, then what is seen."""
    sink.emit(fact(tick))
    sink.emit(StateFrame(tick, TownFrame(tick, clock={"tod": tick})))
    sink.emit(seen_at(tick, filling))


def events(transport):
    return [json.loads(line) for line in transport.lines]


def test_a_line_holds_the_message_as_json_without_the_number_of_a_fact():
    transport = ScriptedTransport()
    sink = started(transport)
    sink.emit(seen_at(4))
    sink.stop(30)
    (event,) = events(transport)
    schema = jsonschema.Draft202012Validator(message_schema(BUILT_IN))
    schema.validate(event)
    assert not schema.is_valid(event | {"data": event["data"] | {"mask": [1, 0]}})
    assert (event["type"], event["tick"], event["sequence"]) == (KIND, 4, f"{0:020d}")
    assert event.keys() & {"seq", "baseseq", "statehash"} == set()
    data = event["data"]
    assert (data["next_tick"], data["agent_ids"], data["mask"]) == (5, ["a0", "a1"], [[1, 0], [1, 1]])
    assert data["features"]["need_hunger"] == [0.3, -1.0]
    assert data["map"] == [[[[1]]], [[[0]]]]
    assert data["reward"] == [
        {"total": 0.5, "breakdown": {"wage": 0.5}},
        {"total": 0.0, "breakdown": {}},
    ]  # fmt: skip
    assert data["context"] == {"day": 0, "tod": 4, "ticks_per_day": 1440, "alive": 2}


def test_a_number_that_is_none_is_refused_at_the_door():
    sink = started(ScriptedTransport())
    message = seen_at(0)
    broken = replace(message.seen, reward=(AgentReward(float("nan")),) * 2)
    assert sink.emit(replace(message, seen=broken)).reason == "not_finite"
    assert_law(sink.stop(30))


def test_patches_beside_it_build_on_patches_whatever_numbers_lie_between():
    transport = ScriptedTransport()
    sink = started(transport, stream=DIFF)
    for tick in range(45):
        show(sink, tick)
    sink.stop(30)
    assert [int(event["sequence"]) for event in events(transport)] == list(range(3 * 45))
    bases = [
        int(event["sequence"]) - int(event["baseseq"]) for event in events(transport) if "baseseq" in event
    ]
    assert bases == [3] * (45 - 3)
    assert [state["tick"] for _, state in follow(transport.lines)] == list(range(45))


def test_it_goes_before_any_fact_does_and_the_state_that_follows_is_whole():
    transport = ScriptedTransport()
    transport.hang()
    sink = started(transport, stream=DIFF, on_full="shed", buffer_events=8)
    sink.emit(fact(100))
    transport.await_write()
    for tick in range(5):
        show(sink, tick)
    assert sink.status().dropped[SUPERSEDED] > 0
    transport.release()
    status = sink.stop(30)
    assert_law(status)
    assert_told(transport, status)
    told = events(transport)
    assert [event["seq"] for event in told if "seq" in event] == [100, 0, 1, 2, 3, 4]
    state = [event for event in told if event["type"].startswith("townlet.state.")]
    assert [("baseseq" in event, event["tick"]) for event in state] == [(False, 4)]
    assert [event["tick"] for event in told if event["type"] == KIND] == [4]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 2)), min_size=1, max_size=40),
    st.sampled_from([(3, 1 << 20), (7, 3000), (12, 1 << 20)]),
    st.sampled_from([0, 400, 2000]),
)
def test_whatever_is_given_up_no_patch_lacks_its_base_and_every_hole_is_declared(ticks, room, filling):
    transport = ScriptedTransport()
    transport.hang()
    sink = started(transport, stream=DIFF, on_full="shed", buffer_events=room[0], buffer_bytes=room[1])
    for tick, (moves, first, crowd) in enumerate(ticks):
        for _ in range(crowd):
            sink.emit(fact(tick))
        if first:
            sink.emit(seen_at(tick, filling))
        show(sink, tick, filling)
        if moves:
            transport.release()
        else:
            transport.hang()
    transport.release()
    status = sink.stop(30)
    assert_law(status)
    assert_told(transport, status)
    state = [line for line in transport.lines if b'"townlet.state.' in line]
    assert len(list(follow(state))) == len(state)


# ---- in a town that lives


def town(path: Path, *sinks: dict) -> RunRequest:
    files = [{"use": "file", "options": {"path": f"{n}.ndjson"}, **sink} for n, sink in enumerate(sinks)]
    config = {"townlet": 1, "seed": 7, "world": {"use": "town"}, "telemetry": {"sinks": files}}
    return RunRequest(config=config, output=Output(keep=True, path=path))


def batches(path: Path) -> list[dict]:
    told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [event["data"] for event in told if event["type"] == KIND]


def test_a_sink_that_asks_is_told_exactly_what_the_policy_decides_on_next(tmp_path):
    wants = {"stream": {"observations": True}}
    shown = []
    with open_run(town(tmp_path / "run", wants, {})) as opened:
        spec = opened.loop.observation
        for outcome in opened.loop.iterate(30):
            seen = outcome.observation
            shown.append([np.array(each) for each in (seen.features, seen.map, seen.mask)])
        opened.drain()
    told = batches(tmp_path / "run" / "0.ndjson")
    assert batches(tmp_path / "run" / "1.ndjson") == []
    assert [each["next_tick"] for each in told] == list(range(1, 31))
    living = [slot for slot, agent_id in enumerate(spec.agent_ids) if agent_id]
    for each, (features, maps, mask) in zip(told, shown, strict=True):
        assert each["agent_ids"] == [spec.agent_ids[slot] for slot in living]
        columns = np.array(list(each["features"].values()), np.float32)
        assert np.array_equal(columns.T, features[living])
        assert np.array_equal(np.array(each["map"]), maps[living])
        assert np.array_equal(np.array(each["mask"]), mask[living])


@pytest.mark.parametrize("checked", [True, False])
def test_a_renamed_sink_tells_nobodys_id_and_a_redacted_one_no_map(tmp_path, monkeypatch, checked):
    monkeypatch.setenv("TOWNLET_TRIAL_KEY", "0123456789abcdef")
    stream = {"observations": True}
    check = [{"use": "validate"}] if checked else []
    rename = {"use": "rename_residents", "key_env": "TOWNLET_TRIAL_KEY"}
    redact = {"use": "redact", "fields": ["map", "wallet"], "kinds": ["observation.batch"]}
    request = town(
        tmp_path / "run",
        {"stream": stream},
        {"stream": stream, "transforms": [rename, *check]},
        {"stream": stream, "transforms": [redact, *check]},
    )
    with open_run(request) as opened:
        opened.loop.run_for(20)
        statuses = opened.drain()
    assert [dict(status.rejected) for status in statuses] == [{}, {}, {}]
    plain, renamed, redacted = (batches(tmp_path / "run" / f"{n}.ndjson") for n in range(3))
    assert len(plain) == len(renamed) == len(redacted) == 20
    for before, after, less in zip(plain, renamed, redacted, strict=True):
        assert not set(before["agent_ids"]) & set(after["agent_ids"])
        rows = [sorted(zip(*each["features"].values(), strict=True)) for each in (before, after)]
        assert [row[:3] for row in rows[0]] == [row[:3] for row in rows[1]]
        assert set(after["features"]["embedding_slot"]) == {-1.0}
        assert less["map"] == []
        assert less["features"].keys() == before["features"].keys() - {"wallet"}
        assert less["mask"] == before["mask"]
