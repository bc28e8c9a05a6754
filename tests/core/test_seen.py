"""What the agents see, told to whoever feeds a policy from outside."""

import json
import math
from array import array
from dataclasses import replace
from itertools import pairwise
from struct import pack, unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.frame import StateFrame
from townlet_core.dto.seen import OBSERVATION_BATCH, AgentReward, AgentsSeen, ObservationMessage
from townlet_core.errors import WorldError
from townlet_core.events.base import Fact
from townlet_core.events.schema import CORE_EVENTS, data_schema
from townlet_core.jsonvalue import canonical_json
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.records import record_to_json
from townlet_core.seen import observation_message
from townlet_core.testing import CollectingSink, FakePolicy, FakeWorld
from townlet_core.testing.fakes import readonly
from townlet_core.transforms.base import Withheld
from townlet_core.transforms.redact import Redact
from townlet_core.transforms.rename import RenameResidents, RenameSettings
from townlet_core.transforms.validate import Validate


class Remembering(FakePolicy):
    """A policy that keeps a copy of what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = {}

    def decide(self, observation):
        self.shown[observation.tick] = [
            getattr(observation, name).tolist() for name in ("features", "map", "mask")
        ]
        return super().decide(observation)


class Needy(FakeWorld):
    """A fake world that keeps the needs at the end of each tick."""

    def step(self, actions, commands=()):
        outcome = super().step(actions, commands)
        self.needs = [*getattr(self, "needs", []), [list(row) for row in self._state.needs]]
        return outcome


def loop_of(world, *routes, policy=None, **options):
    return SimulationLoop(
        world, policy or FakePolicy(), RunIdentity(7), dispatcher=EventDispatcher(routes), **options
    )


def told(world, ticks, policy=None):
    """What a sink is told of that asked for observations alone."""
    sink = CollectingSink()
    loop_of(world, SinkRoute("sink", sink, observations=True), policy=policy).run_for(ticks)
    return [message for message in sink.messages if isinstance(message, ObservationMessage)]


def stepped(world):
    """The spec of a world, and what its first step led to."""
    policy = FakePolicy()
    policy.begin(world.spec, 7)
    return world.spec, world.step(policy.decide(world.reset(7)).actions)


def seen_by(agents=3):
    return observation_message(0, *stepped(FakeWorld(agents)))


def float32(values):
    return [array("f", [value])[0] for value in values]


def test_what_is_told_after_a_tick_is_what_the_policy_is_shown_before_the_next():
    policy, world = Remembering(), Needy(3)
    messages = told(world, 9, policy)
    assert [message.tick for message in messages] == list(range(9))
    for message in messages[:-1]:
        seen = message.seen
        features, maps, masks = policy.shown[seen.next_tick]
        assert seen.next_tick == message.tick + 1
        assert seen.agent_ids == ("agent_0", "agent_1", "agent_2")
        assert tuple(seen.features) == FakeWorld().spec.feature_names
        columns = [float32(column) for column in seen.features.values()]
        assert columns == [list(column) for column in zip(*features, strict=True)]
        assert json.loads(json.dumps((seen.map, seen.mask))) == [maps, masks]
        rewards = [each.total for each in seen.reward]
        assert float32(rewards) == [
            float32([0.5 * hunger + 0.25 * hygiene + 0.125 * energy])[0]
            for hunger, hygiene, energy in world.needs[message.tick]
        ]
        assert len(set(rewards)) == 3


def test_it_says_by_which_names_to_read_it_and_when_it_was():
    spec = FakeWorld().spec
    for message in told(FakeWorld(ticks_per_day=4), 9):
        seen, context = message.seen, message.seen.context
        assert (seen.layout_version, seen.map_channels) == (spec.layout_version, spec.map_channels)
        assert seen.action_names == spec.action_names
        assert (context.day, context.tod, context.alive) == (message.tick // 4, message.tick % 4, 2)
        assert context.ticks_per_day == 4


def test_only_the_living_are_told_of_with_their_own_rows_and_rewards():
    spec, outcome = stepped(FakeWorld(3))
    before = outcome.observation
    observation = replace(
        before, alive=readonly(array("B", [1, 0, 1]), 3), agent_ids=("agent_0", "", "agent_2")
    )
    living = replace(outcome, observation=observation, reward=readonly(array("f", [0.1, 9.0, -2.0]), 3))
    seen = observation_message(0, spec, living).seen
    rows = before.features.tolist()
    assert seen.agent_ids == ("agent_0", "agent_2")
    assert [float32(column) for column in seen.features.values()] == [
        [rows[0][n], rows[2][n]] for n in range(len(spec.feature_names))
    ]
    assert seen.mask == tuple(map(tuple, (before.mask.tolist()[0], before.mask.tolist()[2])))
    assert len(seen.map) == 2
    assert seen.reward == (AgentReward(0.1), AgentReward(-2.0))


def test_a_reward_is_told_with_its_parts_but_for_their_sum():
    spec, outcome = stepped(FakeWorld(2))
    spec = replace(spec, reward_parts=("tea", "fire", "total"))
    parts = array("d", [0.1, -0.25, -0.15, 0.0, 1 / 3, 1 / 3])
    outcome = replace(
        outcome, reward=readonly(array("f", [-0.15, 1 / 3]), 2), reward_parts=readonly(parts, 2, 3)
    )
    assert observation_message(0, spec, outcome).seen.reward == (
        AgentReward(-0.15, {"tea": 0.1, "fire": -0.25}),
        AgentReward(0.33333334, {"tea": 0.0, "fire": 0.33333334}),
    )


def test_of_an_empty_town_every_column_is_told_and_nobody_in_it():
    spec, outcome = stepped(FakeWorld(empty_from=0))
    seen = observation_message(0, spec, outcome).seen
    assert (seen.agent_ids, seen.map, seen.mask, seen.reward) == ((), (), (), ())
    assert seen.features == dict.fromkeys(spec.feature_names, ())


def test_of_a_world_without_a_map_none_is_told():
    spec, outcome = stepped(FakeWorld())
    assert observation_message(0, replace(spec, map_channels=(), map_window=0), outcome).seen.map == ()


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_numbers_are_the_same_float32_in_as_few_digits_as_that_takes(value):
    spec, outcome = stepped(FakeWorld(1))
    rewarded = replace(outcome, reward=readonly(array("f", [value]), 1))
    (reward,) = observation_message(0, spec, rewarded).seen.reward
    assert unpack("f", pack("f", reward.total)) == (value,)
    shorter = [float(f"{value:.{few}g}") for few in range(6, 9)]
    same = [each for each in shorter if unpack("f", pack("f", each))[0] == value]
    assert reward.total == (same[0] if same else float(f"{value:.9g}"))


def test_nothing_is_built_when_nobody_asked_and_once_for_all_who_did():
    class Counted(FakeWorld):
        asked = 0

        def step(self, actions, commands=()):
            outcome = super().step(actions, commands)
            return replace(outcome, observation=replace(outcome.observation, alive=Watched(self, outcome)))

    class Watched:
        def __init__(self, world, outcome):
            self.world, self.alive = world, outcome.observation.alive

        def tolist(self):
            self.world.asked += 1
            return self.alive.tolist()

    without, sinks = Counted(), [CollectingSink(), CollectingSink(), CollectingSink()]
    loop_of(without, SinkRoute("facts", sinks[0], state_every=1)).run_for(5)
    assert without.asked == 0
    assert all(not isinstance(message, ObservationMessage) for message in sinks[0].messages)
    watched = Counted()
    routes = [
        SinkRoute(str(n), sink, observations=wants)
        for n, (sink, wants) in enumerate(zip(sinks, (False, True, True), strict=True))
    ]
    loop_of(watched, *routes).run_for(5)
    assert watched.asked == 5
    one, other = ([m for m in sink.messages if isinstance(m, ObservationMessage)] for sink in sinks[1:])
    assert len(one) == 5
    assert all(a is b for a, b in zip(one, other, strict=True))


def test_it_comes_after_the_facts_and_the_picture_of_its_tick():
    sink = CollectingSink()
    loop_of(FakeWorld(), SinkRoute("sink", sink, state_every=1, observations=True)).run_for(4)
    ranks = [
        (message.tick, [Fact, StateFrame, ObservationMessage].index(type(message)))
        for message in sink.messages
        if isinstance(message, Fact | StateFrame | ObservationMessage)
    ]
    assert ranks == sorted(ranks)
    assert {rank for _, rank in ranks} == {0, 1, 2}


def test_it_changes_neither_the_digest_nor_the_numbers_of_facts():
    plain, sink = CollectingSink(), CollectingSink()
    without = loop_of(FakeWorld(), SinkRoute("sink", plain), digest=True)
    told_too = loop_of(FakeWorld(), SinkRoute("sink", sink, observations=True), digest=True)
    without.run_for(30)
    told_too.run_for(30)
    assert without.digest == told_too.digest
    facts = [[m for m in each.messages if isinstance(m, Fact)] for each in (plain, sink)]
    assert facts[0] == facts[1]


def test_a_world_whose_rows_are_not_what_it_promised_ends_the_run():
    class Short(FakeWorld):
        def step(self, actions, commands=()):
            outcome = super().step(actions, commands)
            return replace(outcome, reward=readonly(array("f", [0.0]), 1))

    loop = loop_of(Short(), SinkRoute("sink", CollectingSink(), observations=True))
    with pytest.raises(WorldError, match="at tick 0: IndexError"):
        loop.run_for(2)


def test_it_fits_its_schema_and_what_does_not_is_withheld():
    message, validate = seen_by(), Validate(CORE_EVENTS)
    schema = Draft202012Validator(data_schema(OBSERVATION_BATCH, AgentsSeen))
    schema.validate(json.loads(canonical_json(record_to_json(message.seen))))
    assert validate(message) is message
    for change in ({"map": ((1,),)}, {"features": {"x": ("y",)}}, {"agent_ids": (1,)}, {"next_tick": 0.5}):
        wrong = replace(message, seen=replace(message.seen, **change))
        assert validate(wrong) == Withheld("schema_mismatch")
        assert not schema.is_valid(json.loads(canonical_json(record_to_json(wrong.seen))))


def test_fields_and_features_are_redacted_and_what_is_left_fits_the_schema():
    message, kinds = seen_by(), frozenset({OBSERVATION_BATCH})
    redact = Redact({"need_hunger", "map", "total", "day"}, kinds)
    redacted = redact(message)
    seen = redacted.seen
    assert tuple(seen.features) == tuple(name for name in message.seen.features if name != "need_hunger")
    assert (seen.map, seen.reward, seen.context.day) == ((), (AgentReward(0.0),) * 3, 0)
    assert (seen.agent_ids, seen.mask) == (message.seen.agent_ids, message.seen.mask)
    assert Validate(CORE_EVENTS)(redacted) is redacted
    others = Redact({"map"}, {"state.frame"})
    assert others(message) is message


def renaming():
    return RenameResidents(RenameSettings(b"sixteen bytes and some more"), CORE_EVENTS)


def test_agents_have_pseudonyms_and_keep_their_rows_though_not_their_order():
    before, rename = seen_by(6).seen, renaming()
    ids = before.agent_ids
    rewarded = replace(before, reward=tuple(AgentReward(float(n)) for n in range(len(ids))))
    seen = rename(ObservationMessage(0, rewarded)).seen
    assert list(seen.agent_ids) == sorted(rename.pseudonym(agent_id) for agent_id in ids)
    assert seen.agent_ids != tuple(map(rename.pseudonym, ids))
    for row, agent_id in enumerate(ids):
        at = seen.agent_ids.index(rename.pseudonym(agent_id))
        assert (seen.map[at], seen.mask[at]) == (before.map[row], before.mask[row])
        assert seen.reward[at].total == row
        assert [column[at] for column in seen.features.values()] == [
            column[row] for column in before.features.values()
        ]
    text = json.dumps(record_to_json(seen))
    assert not [agent_id for agent_id in ids if agent_id in text]


def test_features_that_tell_who_somebody_is_say_nothing_under_a_pseudonym():
    before = seen_by(2).seen
    identifying = {"embedding_slot": (0.0, 0.5), "social_friend_1_code_0": (1.0, 0.0), "slot": (0.0, 1.0)}
    seen = renaming()(ObservationMessage(0, replace(before, features=before.features | identifying))).seen
    assert {name: seen.features[name] for name in identifying} == dict.fromkeys(identifying, (-1.0, -1.0))
    assert tuple(seen.features) == (*before.features, *identifying)


def test_rows_of_nobody_are_not_told_under_pseudonyms():
    message = Redact({"agent_ids"}, None)(seen_by())
    assert len(message.seen.mask) == 3
    seen = renaming()(message).seen
    assert (seen.agent_ids, seen.map, seen.mask, seen.reward) == ((), (), (), ())
    assert set(seen.features.values()) == {()}


def test_a_number_that_is_none_reaches_the_sink_to_be_refused_there():
    class Broken(FakeWorld):
        def step(self, actions, commands=()):
            outcome = super().step(actions, commands)
            return replace(outcome, reward=readonly(array("f", [math.nan, 0.0]), 2))

    sink = CollectingSink()
    loop_of(Broken(), SinkRoute("sink", sink, observations=True)).run_for(3)
    assert sink.status().rejected == {"not_json": 3}
    numbers = [message.seq for message in sink.messages if isinstance(message, Fact)]
    assert all(b == a + 1 for a, b in pairwise(numbers))
