"""Guardrails: when they hold an agent back, when they do not, and which worlds they can work in."""

from array import array
from dataclasses import replace

import pytest

from townlet_adapters.stages.guardrail import GuardrailStage
from townlet_adapters.stages.options import GuardrailOptions
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.action import ActionBatch, Decision, PolicyIdentity
from townlet_core.dto.observation import View
from townlet_core.dto.spec import ColumnSpec
from townlet_core.errors import ConfigError, ContractError
from townlet_core.events.base import Fact
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.testing import CollectingSink, FakePolicy, FakeWorld, check_stage
from townlet_core.testing.fakes import readonly

ACTIONS = ("wait", "talk", "use:rest", "use:wash")
WAIT, TALK, REST, WASH = range(4)
THINGS = ("bed_1", "bed_2", "shower_1", "bed_3")
BED_1, BED_2, SHOWER, BED_3 = range(4)
CONSTANTS = {
    "affordance_names": ("rest", "wash"),
    "affordance_type": readonly(array("i", [0, 1]), 2),
    "object_type": readonly(array("i", [0, 0, 1, 0]), 4),
    # bed_3 is near bed_2, but in the neighbours' house.
    "object_xy": readonly(array("i", [1, 0, 3, 0, 2, 2, 3, 2]), 4, 2),
    "object_place": readonly(array("i", [0, 0, 0, 1]), 4),
    "place_at": readonly(array("i", [0] * 15), 3, 5),
}
COLUMNS = {
    "tie_other": ("i", 2), "tie_avoided": ("B", 2), "needs": ("d", 3), "xy": ("i", 2),
    "claim_object": ("i", None), "object_open": ("B", None), "object_wait": ("i", None),
    "cooldowns": ("q", (1, 2)),
}  # fmt: skip
ADA, BEN, CLEO = 0, 1, 2
KIND = "policy.guardrail"


class Scene:
    """Three agents between two beds and a shower; Ada avoids Ben, Ben avoids nobody. Each test changes it."""

    def __init__(self):
        self.tie_other = [[CLEO, BEN], [ADA, -1], [-1, -1]]
        self.tie_avoided = [[0, 1], [0, 0], [0, 0]]
        self.needs = [[0.5] * 3 for _ in range(3)]
        self.xy = [[2, 1], [2, 1], [2, 1]]
        self.claim_object = [-1, -1, -1]
        self.object_open = [1, 1, 1, 1]
        self.object_wait = [0, 0, 0, 0]
        self.cooldowns = [[[-1, 0]] for _ in range(3)]

    def view(self):
        columns = {}
        for name, (code, shape) in COLUMNS.items():
            values = getattr(self, name)
            inner = () if shape is None else shape if isinstance(shape, tuple) else (shape,)
            columns[name] = readonly(array(code, list(flat(values))), len(values), *inner)
        return View(CONSTANTS, columns)


def flat(values):
    for each in values:
        if isinstance(each, list):
            yield from flat(each)
        else:
            yield each


class Corner(FakeWorld):
    """A fake world whose view shows a scene."""

    def __init__(self, scene=None):
        super().__init__(3)
        self.scene = scene or Scene()
        self._spec = replace(
            self._spec,
            action_names=ACTIONS,
            fields=(*THINGS, "room", "house"),
            constants=tuple(ColumnSpec(name, "i", ()) for name in CONSTANTS),
            view=tuple(ColumnSpec(name, code, ()) for name, (code, _) in COLUMNS.items()),
        )

    def _view(self, _living):
        return self.scene.view()


def judged(scene, action, target=-1, *, critical=0.15):
    """What Ada does instead of an action, with its target, and what is told of it."""
    world, stage = Corner(scene), GuardrailStage(GuardrailOptions(critical=critical))
    stage.begin(world.spec, 7)
    decision = decide(action, target)
    actions, events = stage.apply(world.reset(7), decision)
    assert actions.action.tolist()[1:] == [WAIT, REST]
    assert decision.actions.action.tolist() == [action, WAIT, REST]
    told = [(event.agent_id, event.reason, event.target) for event in events]
    return ACTIONS[actions.action[0]], actions.target[0], told


def decide(action, target):
    return Decision(
        ActionBatch(readonly(array("h", [action, WAIT, REST]), 3), readonly(array("i", [target, -1, -1]), 3))
    )


def rests(scene, target=-1, **options):
    return judged(scene, REST, target, **options)


HELD_BACK = ("wait", -1, [("agent_0", "chat_rival", "agent_1")])


def stopped(thing):
    return "wait", -1, [("agent_0", "queue_rival", THINGS[thing])]


def test_who_is_avoided_is_not_talked_to_but_others_are():
    assert judged(Scene(), TALK, BEN) == HELD_BACK
    assert judged(Scene(), TALK, CLEO) == ("talk", CLEO, [])
    assert judged(Scene(), TALK) == ("talk", -1, [])


def test_a_tie_without_avoidance_is_no_reason():
    scene = Scene()
    scene.tie_avoided = [[1, 0], [0, 0], [0, 0]]
    assert judged(scene, TALK, BEN) == ("talk", BEN, [])
    assert judged(scene, TALK, CLEO)[0] == "wait"


def test_an_object_where_an_avoided_agent_is_is_not_joined_but_others_are():
    scene = Scene()
    scene.claim_object[BEN] = BED_1
    assert rests(scene, BED_1) == stopped(BED_1)
    assert rests(scene, BED_2) == ("use:rest", BED_2, [])
    scene.claim_object[BEN], scene.claim_object[CLEO] = -1, BED_1
    assert rests(scene, BED_1) == ("use:rest", BED_1, [])


def test_a_claim_that_an_agent_has_is_not_taken_from_it():
    scene = Scene()
    scene.claim_object[ADA] = scene.claim_object[BEN] = BED_1
    assert rests(scene, BED_1) == ("use:rest", BED_1, [])
    assert rests(scene) == ("use:rest", -1, [])
    assert judged(scene, WAIT) == ("wait", -1, [])


@pytest.mark.parametrize(("need", "stops"), [(0.15, True), (0.149, False)])
def test_a_critical_need_has_priority(need, stops):
    scene = Scene()
    scene.claim_object[BEN] = BED_1
    scene.needs[ADA][2] = need
    assert rests(scene, BED_1) == (stopped(BED_1) if stops else ("use:rest", BED_1, []))
    assert (judged(scene, TALK, BEN) == HELD_BACK) is stops
    assert rests(scene, BED_1, critical=0.0) == stopped(BED_1)


def test_where_the_world_would_choose_the_best_other_object_is_named():
    scene = Scene()
    assert rests(scene) == ("use:rest", -1, [])
    scene.claim_object[BEN] = BED_1
    assert rests(scene) == ("use:rest", BED_2, [])
    scene.claim_object[BEN] = BED_2
    assert rests(scene) == ("use:rest", BED_1, [])
    # What is about another use, or out of reach, is no reason to choose.
    scene.claim_object[BEN] = SHOWER
    assert rests(scene) == ("use:rest", -1, [])
    scene.claim_object[BEN] = BED_3
    assert rests(scene) == ("use:rest", -1, [])
    assert judged(scene, WASH) == ("use:wash", -1, [])


def test_of_several_others_the_one_with_the_shortest_wait_is_named_then_the_first():
    scene = Scene()
    scene.tie_other[ADA], scene.tie_avoided[ADA] = [BEN, -1], [1, 0]
    scene.claim_object[BEN] = BED_2
    wide = CONSTANTS | {
        "object_place": readonly(array("i", [0, 0, 0, 0]), 4),
    }
    for wait, expected in (((0, 9, 9, 0), BED_1), ((4, 0, 0, 3), BED_3), ((4, 0, 0, 4), BED_1)):
        scene.object_wait = list(wait)
        world, stage = Corner(scene), GuardrailStage(GuardrailOptions())
        stage.begin(world.spec, 7)
        seen = world.reset(7)
        seen = replace(seen, view=View(wide, seen.view.columns))
        assert stage.apply(seen, decide(REST, -1))[0].target[0] == expected


def test_without_any_other_object_that_can_be_used_the_agent_waits():
    scene = Scene()
    scene.claim_object[BEN] = BED_1
    scene.object_open[BED_2] = 0
    assert rests(scene) == stopped(BED_1)
    scene.object_open[BED_2], scene.cooldowns[ADA] = 1, [[BED_2, 1]]
    assert rests(scene) == stopped(BED_1)
    scene.cooldowns[ADA] = [[BED_2, 0]]
    assert rests(scene) == ("use:rest", BED_2, [])
    scene.xy[ADA] = [1, 1]
    assert rests(scene) == stopped(BED_1)


def test_actions_that_do_not_exist_are_left_to_the_world():
    for action in (-1, 4, 99):
        world, stage = Corner(), GuardrailStage(GuardrailOptions())
        stage.begin(world.spec, 7)
        actions, events = stage.apply(world.reset(7), decide(action, BEN))
        assert (actions.action.tolist()[0], events) == (action, ())


def test_while_nobody_avoids_anybody_the_batch_of_the_policy_is_passed_on_as_it_is():
    scene = Scene()
    scene.tie_avoided = [[0, 0]] * 3
    world, stage = Corner(scene), GuardrailStage(GuardrailOptions())
    stage.begin(world.spec, 7)
    decision = decide(TALK, BEN)
    assert stage.apply(world.reset(7), decision)[0] is decision.actions


class Rude:
    """A policy that always talks to Ben."""

    identity = PolicyIdentity("rude", "0" * 64)

    def begin(self, spec, seed):
        pass

    def decide(self, _observation):
        return decide(TALK, BEN)

    def end(self):
        pass


def test_each_intent_that_became_a_wait_is_a_fact():
    sink = CollectingSink()
    loop = SimulationLoop(
        Corner(),
        Rude(),
        RunIdentity(seed=7),
        dispatcher=EventDispatcher([SinkRoute("sink", sink)]),
        stages=[GuardrailStage(GuardrailOptions())],
    )
    loop.run_for(3)
    told = [(m.tick, m.event.reason) for m in sink.messages if isinstance(m, Fact) and m.event.kind == KIND]
    assert told == [(0, "chat_rival"), (1, "chat_rival"), (2, "chat_rival")]


def test_the_stage_keeps_the_contract():
    check_stage(lambda: GuardrailStage(GuardrailOptions()), Corner, Rude)
    check_stage(lambda: GuardrailStage(GuardrailOptions()), Corner, FakePolicy)


def test_a_world_whose_view_lacks_columns_is_refused_with_their_names():
    complaint = (
        r"stages: 'guardrail' cannot work in the world 'fake': its view has no tie_other, tie_avoided, xy, "
        r"claim_object, object_open, object_wait, cooldowns, affordance_names, affordance_type, object_type, "
        r"object_xy, object_place, place_at; use the world 'town', or leave the stage out"
    )
    with pytest.raises(ConfigError, match=complaint):
        GuardrailStage(GuardrailOptions()).begin(FakeWorld(3).spec, 7)


def test_an_observation_without_the_view_that_the_spec_describes_ends_the_run():
    world, stage = Corner(), GuardrailStage(GuardrailOptions())
    stage.begin(world.spec, 7)
    with pytest.raises(ContractError, match="the observation has no view"):
        stage.apply(replace(world.reset(7), view=None), decide(TALK, BEN))
