"""The scripted policy behind its port."""

import dataclasses
import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from tests.policies.conftest import SmallTown
from tests.policies.test_rules import SOCIALISE
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.errors import ConfigError, PolicyError


def live(ticks, seed=3):
    """Let the default town live under the scripted policy and list what was decided."""
    world, policy = TownWorld(TownModel.build()), ScriptedPolicy(ScriptedOptions())
    observation = world.reset(seed)
    policy.begin(world.spec, seed)
    decided = []
    for _ in range(ticks):
        actions = policy.decide(observation).actions
        context = actions.context
        decided.append(
            (
                actions.action.tolist(),
                context.option.tolist(),
                context.goal.tolist(),
                context.commit_remaining.tolist(),
            )
        )
        observation = world.step(actions).observation
    return decided


def test_the_same_run_decides_the_same():
    assert live(700) == live(700)


def test_it_remembers_nothing_but_what_the_world_hands_back(town):
    """A policy that begins in the middle, on the same observation, answers like one that was there."""
    seasoned = ScriptedPolicy(ScriptedOptions())
    seasoned.begin(town.spec, 7)
    for tick in range(650, 700):
        town.needs[0] -= 0.008
        town.remember(seasoned.decide(town.observe(tick)))
    fresh = ScriptedPolicy(ScriptedOptions())
    fresh.begin(town.spec, 7)
    observation = town.observe(700)
    answers = []
    for policy in (seasoned, fresh):
        actions = policy.decide(observation).actions
        answers.append(
            (actions.action.tolist(), actions.context.option.tolist(), actions.context.goal.tolist())
        )
    assert answers[0] == answers[1]


SOLITARY = 45
"""The number of a resident that seeks no company at 10 o'clock, unlike resident 3."""


def answer(policy, observation):
    actions = policy.decide(observation).actions
    context = actions.context
    return actions.action.tolist(), context.option.tolist(), context.goal.tolist()


@pytest.mark.parametrize("name", ["mask", "alive", "serial", "view"])
def test_an_observation_of_which_one_part_is_in_other_memory_is_read_anew(crowd, name):
    crowd.extroversion[0] = 1.0
    observation = crowd.observe(600)
    other = SmallTown(residents=4)
    other.mask[:, 0] = 1
    other.alive[0] = 0
    other.serial[:] = range(SOLITARY, SOLITARY + 4)
    other.needs[0] = 0.1
    memory = {name: getattr(other, name) for name in ("mask", "alive", "serial", "view")}
    changed = dataclasses.replace(
        observation, **{name: memory[name] if name == "view" else memory[name].data.toreadonly()}
    )
    seasoned, fresh = ScriptedPolicy(ScriptedOptions()), ScriptedPolicy(ScriptedOptions())
    for policy in (seasoned, fresh):
        policy.begin(crowd.spec, 7)
    before = answer(seasoned, observation)
    assert before[1][0] == SOCIALISE
    after = answer(seasoned, changed)
    assert after == answer(fresh, changed)
    assert after != before
    assert answer(seasoned, observation) == before


def test_interpreted_kernels_decide_the_same():
    """One night and morning: queues, sleep, the first shift."""
    code = (
        "import importlib.util, sys; "
        "spec = importlib.util.spec_from_file_location('here', sys.argv[1]); "
        "here = importlib.util.module_from_spec(spec); spec.loader.exec_module(here); print(here.live(60))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, __file__],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.strip() == str(live(60))


def test_answers_cannot_be_written_through(town):
    policy = ScriptedPolicy(ScriptedOptions())
    policy.begin(town.spec, 7)
    actions = policy.decide(town.observe(0)).actions
    context = actions.context
    columns = [actions.action, actions.target, context.option, context.goal, context.commit_remaining]
    assert all(column.readonly and column.c_contiguous for column in columns)
    assert [column.format for column in columns] == ["h", "i", "b", "i", "h"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fields": ()}, "navigation fields"),
        ({"action_names": ("wait", "jump")}, "wait, jump"),
        ({"ticks_per_day": 24}, "24 ticks"),
        ({"view": ()}, "no view to plan on"),
    ],
)
def test_a_world_it_cannot_act_in_is_a_config_error(town, change, says):
    policy = ScriptedPolicy(ScriptedOptions())
    with pytest.raises(ConfigError, match=says):
        policy.begin(dataclasses.replace(town.spec, **change), 7)


def test_a_world_that_breaks_its_promise_of_a_view_is_told_so(town):
    policy = ScriptedPolicy(ScriptedOptions())
    policy.begin(town.spec, 7)
    with pytest.raises(PolicyError, match="has no view"):
        policy.decide(dataclasses.replace(town.observe(0), view=None))


def test_it_decides_only_between_begin_and_end(town):
    policy = ScriptedPolicy(ScriptedOptions())
    observation = town.observe(0)
    with pytest.raises(PolicyError, match="before begin"):
        policy.decide(observation)
    policy.begin(town.spec, 7)
    policy.end()
    policy.end()
    with pytest.raises(PolicyError, match="before begin"):
        policy.decide(observation)


def test_the_digest_names_the_options():
    default = ScriptedPolicy(ScriptedOptions()).identity
    assert default == ScriptedPolicy(ScriptedOptions(threshold=0.45)).identity
    assert default.version_digest != ScriptedPolicy(ScriptedOptions(threshold=0.5)).identity.version_digest
    assert default.anneal_ratio is None


@pytest.mark.parametrize(
    "options", [{"commit_ticks": 0}, {"critical": 0.6}, {"threshold": 0.1}, {"treshold": 0.5}]
)
def test_options_out_of_range_or_unknown_are_refused(options):
    with pytest.raises(ValidationError):
        ScriptedOptions.model_validate(options)
