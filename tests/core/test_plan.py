"""The plan of a world: what it must hold, and how it reaches those who draw it."""

from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from tests.events import BUILT_IN
from townlet_adapters.telemetry.envelope import Encoder, Record, state_hash
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.frame import StateFrame
from townlet_core.dto.plan import (
    PLAN_KIND,
    PlanMessage,
    PlanPlace,
    PlanUnit,
    TileKind,
    TownPlan,
    decode_row,
    encode_row,
    runs_of,
)
from townlet_core.errors import ContractError, LoopFailedError, WorldError
from townlet_core.events.base import Fact
from townlet_core.events.schema import RESERVED_KINDS, data_schema
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.plans import plan_hash
from townlet_core.ports import SupportsPlan
from townlet_core.records import record_from_json, record_to_json
from townlet_core.testing import CollectingSink, FakePlannedWorld, FakePolicy, FakeWorld, check_world
from townlet_core.transforms.redact import Redact
from townlet_core.transforms.rename import RenameResidents, RenameSettings
from townlet_core.transforms.validate import SCHEMA_MISMATCH, Validate

PLAN = FakePlannedWorld(agents=3).plan()
MESSAGE = PlanMessage(0, PLAN, plan_hash(PLAN))
RUN = RunIdentity(seed=7, run_id="run-1", config_digest="c0ffee", snapshot={"sim_digest": "abc"})


def loop_of(world, *routes):
    return SimulationLoop(world, FakePolicy(), RUN, dispatcher=EventDispatcher(routes))


def test_rows_are_runs_of_kinds():
    kinds = [0, 0, 3, 1, 1, 1]
    assert encode_row(kinds) == (0, 2, 3, 1, 1, 3)
    assert decode_row(encode_row(kinds)) == kinds
    assert list(runs_of([[5, 5, 6], [6, 6, 6]])) == [(5, (0, 0, 2)), (6, (2, 0, 1)), (6, (0, 1, 3))]
    assert PLAN.ground() == [[0, 0, 0, 0, 0, 1]] * 3


def test_a_world_with_a_plan_keeps_the_contract():
    assert isinstance(FakePlannedWorld(), SupportsPlan)
    assert not isinstance(FakeWorld(), SupportsPlan)
    check_world(lambda: FakePlannedWorld(agents=3), ticks=20)


def planning(**changes):
    """Return what makes worlds whose plan differs from that of the fake."""

    class Planned(FakePlannedWorld):
        def plan(self):
            return replace(super().plan(), **changes)

    return Planned


OVERLAPPING = (PlanPlace("a", "shore", "a", ((1, 0, 2),)), PlanPlace("b", "shore", "b", ((2, 0, 1),)))
BROKEN = {
    "ticks": ({"ticks_per_day": 7}, "plan\\(\\).ticks_per_day is 7"),
    "empty": ({"width": 0}, "the plan has 0 x 2 tiles"),
    "height": ({"height": 3}, "plan\\(\\).rows has 2 rows"),
    "pairs": ({"rows": ((0, 5, 1), (0, 6))}, "row 0 of the plan must hold pairs"),
    "width": ({"rows": ((0, 6), (0, 5))}, "row 1 of the plan add up to 5 tiles"),
    "empty run": ({"rows": ((0, 6), (0, 6, 1, 0))}, "no run is empty"),
    "kind": ({"rows": ((0, 6), (2, 6))}, "row 1 of the plan has a kind beyond"),
    "twice": ({"tile_kinds": (TileKind("sand", walkable=True),) * 2}, "tile_kinds has a name twice"),
    "overlap": ({"places": OVERLAPPING}, "a tile in row 0 belongs to 'b' and to another place"),
    "place": ({"places": (PlanPlace("a", "b", "a", ((4, 0, 3),)),)}, r"the place 'a' has the tile \(6, 0\)"),
    "home": ({"homes": ((0, 2),)}, r"a home has the tile \(0, 2\)"),
    "unit": ({"units": {"steps": PlanUnit("dozens", 0)}}, "the unit of 'steps' in the plan has the size 0"),
    "number": ({"units": {"x": PlanUnit("x", float("nan"))}}, "size nan|cannot be written as JSON"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plan_is_found(case):
    changes, message = BROKEN[case]
    with pytest.raises(ContractError, match=message):
        check_world(planning(**changes), ticks=4)


def test_a_plan_that_changes_is_found():
    class Growing(FakePlannedWorld):
        def reset(self, seed):
            self.name = f"after {seed}"
            return super().reset(seed)

        name = "before"

        def plan(self):
            return replace(super().plan(), name=self.name)

    with pytest.raises(ContractError, match=r"the plan after reset\(\) is another one"):
        check_world(Growing, ticks=4)


@pytest.mark.parametrize("pos", [None, [9, 0], [0, -1], [0], [0.5, 1]])
def test_an_agent_outside_of_the_plan_is_found(pos):
    class Lost(FakePlannedWorld):
        def frame(self):
            frame = super().frame()
            return replace(frame, agents={**frame.agents, "agent_1": {"slot": 1, "pos": pos or "here"}})

    with pytest.raises(ContractError, match="pos of agent_1 is"):
        check_world(Lost, ticks=4)


def test_an_object_that_is_elsewhere_in_the_frame_is_found():
    class Moved(FakePlannedWorld):
        def frame(self):
            return replace(super().frame(), objects={"spring_1": {"pos": [1, 1]}, "boat_1": {"pos": [1, 1]}})

    with pytest.raises(ContractError, match=r"pos of spring_1 is \[1, 1\]; the plan has it at \[0, 0\]"):
        check_world(Moved, ticks=4)


def test_each_sink_gets_the_plan_once_before_its_first_state():
    rare, often, never = CollectingSink("rare"), CollectingSink("often"), CollectingSink("never")
    loop = loop_of(
        FakePlannedWorld(),
        SinkRoute("rare", rare, 3),
        SinkRoute("often", often, 1),
        SinkRoute("never", never),
    )
    loop.step()
    loop.step()
    for sink in (rare, often):
        states = [message for message in sink.messages if not isinstance(message, Fact)]
        assert [type(message) for message in states[:2]] == [PlanMessage, StateFrame]
        assert states[0].plan == loop.plan() == FakePlannedWorld().plan()
        assert {message.planhash for message in states} == {plan_hash(loop.plan())}
        assert sum(isinstance(message, PlanMessage) for message in states) == 1
    assert all(isinstance(message, Fact) for message in never.messages)


def test_a_world_without_a_plan_sends_frames_alone():
    sink = CollectingSink()
    loop = loop_of(FakeWorld(), SinkRoute("sink", sink, 1))
    loop.step()
    states = [message for message in sink.messages if not isinstance(message, Fact)]
    assert [(type(message), message.planhash) for message in states] == [(StateFrame, "")]
    assert loop.plan() is None


def test_the_plan_of_a_later_first_state_has_its_tick():
    sink = CollectingSink()
    loop = loop_of(FakePlannedWorld(), SinkRoute("sink", sink, 3))
    loop.step()
    snapshot = loop.snapshot()
    loop = loop_of(FakePlannedWorld(), SinkRoute("sink", sink, 3))
    loop.restore(snapshot)
    for _ in range(3):
        loop.step()
    assert [message.tick for message in sink.messages if isinstance(message, PlanMessage)] == [0, 3]


def test_a_plan_that_cannot_be_given_names_the_world():
    class Blind(FakePlannedWorld):
        def plan(self):
            raise KeyError("map")

    with pytest.raises(ContractError, match="the world cannot give its plan: KeyError"):
        loop_of(Blind()).plan()


def test_a_program_reads_frame_and_residents():
    loop = loop_of(FakePlannedWorld(agents=2))
    with pytest.raises(WorldError, match=r"call step\(\) first"):
        loop.frame()
    loop.step()
    loop.step()
    frame = loop.frame()
    assert (frame.tick, frame.clock["speed"]) == (1, "max")
    rows = loop.residents()
    assert [row["agent_id"] for row in rows] == ["agent_0", "agent_1"]
    assert rows[1]["name"] == "Agent 1"
    assert {**frame.agents["agent_1"], "agent_id": "agent_1"} == rows[1]


def test_a_look_before_the_first_tick_does_no_harm():
    loop = loop_of(FakePlannedWorld())
    with pytest.raises(WorldError):
        loop.residents()
    assert loop.step().summary.alive == 2


def test_a_failed_simulation_shows_no_frame():
    loop = loop_of(FakePlannedWorld(fail_at=1))
    loop.step()
    with pytest.raises(WorldError):
        loop.step()
    with pytest.raises(LoopFailedError):
        loop.frame()


def test_the_envelope_of_a_plan_and_of_whole_frames_has_its_hash():
    encoder = Encoder("urn:townlet:run:x:p0")
    planhash = plan_hash(PLAN)
    assert planhash == state_hash(record_to_json(PLAN))
    body, _ = encoder.body(MESSAGE, 0.0)
    assert b'"type":"townlet.state.plan"' in body
    assert f'"planhash":"{planhash}"'.encode() in body
    whole = encoder.state_body(Record("state.frame", 1, {"tick": 1}, planhash=planhash), 0.0)
    assert f',"planhash":"{planhash}"'.encode() in whole
    assert b"planhash" not in encoder.state_body(Record("state.frame", 1, {"tick": 1}), 0.0)


def test_a_plan_survives_json_and_fits_its_schema():
    data = record_to_json(PLAN)
    assert record_from_json(TownPlan, data) == PLAN
    assert PLAN_KIND in RESERVED_KINDS
    Draft202012Validator(data_schema(PLAN_KIND, TownPlan)).validate(listed(data))


def listed(value):
    """Return a value as JSON reads it: the schema checker knows lists, but no tuples."""
    if isinstance(value, dict):
        return {key: listed(item) for key, item in value.items()}
    return [listed(item) for item in value] if isinstance(value, tuple) else value


def test_transforms_pass_a_plan_on():
    assert Validate(BUILT_IN)(MESSAGE) == MESSAGE
    assert Validate(BUILT_IN)(replace(MESSAGE, plan=replace(PLAN, width="wide"))) == SCHEMA_MISMATCH
    assert RenameResidents(RenameSettings(b"sixteen bytes and some more"), BUILT_IN)(MESSAGE) == MESSAGE
    bare = Redact(["homes"], [PLAN_KIND])(MESSAGE)
    assert bare.plan == replace(PLAN, homes=())
    assert Redact(["homes"], ["state.frame"])(MESSAGE) == MESSAGE
