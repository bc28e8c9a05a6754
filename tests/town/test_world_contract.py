"""The town keeps the contracts of its port, and our policies theirs when they act in it."""

import functools

import numpy as np
import pytest

from tests.town.village import Village
from townlet_adapters.policies.random import RandomPolicy
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dto.action import ActionBatch
from townlet_core.dto.command import Command
from townlet_core.errors import WorldError
from townlet_core.testing.contracts.policy import check_policy
from townlet_core.testing.contracts.world import check_world


@functools.cache
def model(town: str) -> TownModel:
    return TownModel.build(TownOptions(town=town))


def default_town() -> TownWorld:
    return TownWorld(model("town_48"))


def hamlet() -> TownWorld:
    return TownWorld(model("hamlet_24"))


def nothing(slots: int) -> ActionBatch:
    return ActionBatch(np.zeros(slots, np.int16).data, np.full(slots, -1, np.int32).data)


@pytest.mark.parametrize("make_world", [default_town, hamlet])
def test_the_town_keeps_the_contract_of_a_world(make_world):
    check_world(make_world, ticks=40)


def test_the_town_keeps_the_contract_whatever_the_seed_and_the_shape_of_the_observation():
    options = {"window": 5, "targets": False, "personality": False, "top_friends": 0}
    seen = Village(observations=options).model
    check_world(lambda: TownWorld(seen), ticks=30, seed=2**64 - 1)


def test_the_scripted_policy_keeps_its_contract_in_the_town():
    check_policy(lambda: ScriptedPolicy(ScriptedOptions()), default_town, ticks=600)


def test_the_random_policy_keeps_its_contract_in_the_town():
    check_policy(RandomPolicy, hamlet, ticks=80)


def test_a_town_is_founded_before_it_is_stepped_or_saved():
    world = hamlet()
    with pytest.raises(WorldError, match="call reset or restore first"):
        world.step(nothing(world.spec.capacity))
    with pytest.raises(WorldError, match="nothing to save"):
        world.snapshot()
    with pytest.raises(WorldError, match="there is no frame"):
        world.frame()


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_that_is_no_64_bit_number_is_refused(seed):
    with pytest.raises(ValueError, match="expected a whole number from 0 to"):
        hamlet().reset(seed)


def test_a_command_that_the_town_does_not_know_is_answered_and_changes_nothing():
    plain, asked = hamlet(), hamlet()
    for world in (plain, asked):
        world.reset(3)
    slots = plain.spec.capacity
    expected = plain.step(nothing(slots))
    found = asked.step(nothing(slots), [Command("dance", {"name": "Ada"}, cmd_id="7")])
    (result,) = found.command_results
    assert (result.status, result.cmd_id, result.tick) == ("error", "7", 0)
    assert result.error.code == "unknown_command"
    assert "dance" in result.error.message
    assert expected.events == found.events
    assert asked.snapshot() == plain.snapshot()


def test_an_observation_cannot_be_written_to():
    observation = hamlet().reset(1)
    for view in (
        observation.map,
        observation.features,
        observation.mask,
        observation.alive,
        observation.serial,
    ):
        assert view.readonly
    assert observation.view is not None
    assert observation.view.columns["cooldowns"].readonly
    assert observation.view.columns["xy"].readonly


def test_the_summary_adds_up_what_the_town_holds():
    world = hamlet()
    world.reset(1)
    summary = world.step(nothing(world.spec.capacity)).summary
    assert summary.alive == 3
    assert summary.figures == {
        "queued": 0, "wallets": 6000, "tills": 0, "treasury": -6000, "reviews_pending": 0,
        "perturbations_active": 0, "perturbations_pending": 0,
        "embedding_forced_reuses": 0, "embedding_allocations": 3,
    }  # fmt: skip
    assert summary.actions == {"wait": 3}
    assert summary.failures == {}


def test_odd_actions_are_counted_as_invalid_and_executed_as_wait():
    world = hamlet()
    world.reset(1)
    slots = world.spec.capacity
    odd = np.array([-1, 32_767, 6, 0][:slots], np.int16)
    summary = world.step(ActionBatch(odd.data, np.full(slots, -1, np.int32).data)).summary
    assert summary.actions == {"wait": 3}
    assert summary.failures == {"invalid": 3}


def test_the_town_names_its_needs_items_options_and_figures_in_its_spec():
    spec = default_town().spec
    assert [(need.name, need.option, need.night) for need in spec.needs] == [
        ("hunger", "get_fed", 0.0),
        ("hygiene", "get_clean", 0.0),
        ("energy", "rest", 0.95),
    ]
    assert [(item.name, item.carry) for item in spec.items] == [("meal", 4), ("ingredients", 6)]
    assert {option.name: option.need for option in spec.options if option.need} == {
        need.option: need.name for need in spec.needs
    }
    columns = [f"option_{option.name}" for option in spec.options]
    assert [name for name in spec.feature_names if name.startswith("option_")] == columns
    figures = [figure.name for figure in spec.figures]
    assert figures == [
        "queued", "wallets", "tills", "treasury", "reviews_pending", "perturbations_active",
        "perturbations_pending", "embedding_forced_reuses", "embedding_allocations",
    ]  # fmt: skip
