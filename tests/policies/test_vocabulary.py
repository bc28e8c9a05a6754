"""The scripted policy lives by any vocabulary: it knows needs, items and options by the spec only."""

import random

import numpy as np
import pytest

from tests.policies.conftest import ENERGY, HUNGER, HYGIENE, NEEDS, OPTIONS, SmallTown, Vocabulary
from tests.policies.test_decisions import stir
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_core.dto.spec import NeedSpec
from townlet_core.errors import ConfigError

NOON, NIGHT = 700, 1400
FUN = NeedSpec("fun", "have_fun")


def begun(town):
    policy = ScriptedPolicy(ScriptedOptions())
    policy.begin(town.spec, 7)
    return policy


def decide(town, tick=NOON):
    """The option and the goal of slot 0."""
    context = begun(town).decide(town.observe(tick)).actions.context
    number = context.option[0]
    return town.spec.options[number].name if number >= 0 else None, context.goal[0]


def test_other_numbers_for_the_same_needs_items_and_options_change_no_decision():
    """When a need's number was its option's as well, boredom sent everybody to work."""
    other = Vocabulary(
        needs=(ENERGY, HUNGER, HYGIENE),
        items=("map", "ingredients", "meal"),
        options=(
            "dream",
            "idle",
            "rest",
            "shop",
            "get_clean",
            "go_to_work",
            "socialise",
            "get_fed",
            "avoid_rival",
        ),
    )
    town, renamed = SmallTown(4), SmallTown(4, other)
    needs = [NEEDS.index(need) for need in other.needs]
    policies = begun(town), begun(renamed)
    rng = random.Random(11)  # noqa: S311 - every Python draws the same
    for _ in range(800):
        stir(town, rng)
        town.needs += 1e-6, 2e-6, 3e-6  # no two are equal: of equals, the first is cared for
        for name, column in town.view.columns.items():
            if getattr(renamed, name).shape == column.shape:
                getattr(renamed, name)[...] = np.asarray(column)
        renamed.alive[:], renamed.serial[:], renamed.talkers = town.alive, town.serial, town.talkers
        renamed.needs[:] = town.needs[:, needs]
        renamed.inventory[:, 1:] = town.inventory[:, ::-1]
        renamed.object_stock[:, 1:] = town.object_stock[:, ::-1]
        renamed.option[:] = [other.options.index(OPTIONS[n]) if n >= 0 else -1 for n in town.option]
        tick = rng.randrange(4320)
        decided = [
            policy.decide(which.observe(tick)).actions
            for policy, which in zip(policies, (town, renamed), strict=True)
        ]
        first, second = decided
        assert first.action.tolist() == second.action.tolist()
        assert first.context.goal.tolist() == second.context.goal.tolist()
        named = [
            [which.spec.options[n].name if n >= 0 else None for n in actions.context.option]
            for which, actions in zip((town, renamed), decided, strict=True)
        ]
        assert named[0] == named[1]


def test_a_new_need_that_some_affordance_serves_is_planned_for():
    words = Vocabulary((*NEEDS, FUN), options=(*OPTIONS, "have_fun"), effects={"relax": {"fun": 0.35}})
    town = SmallTown(words=words)
    assert decide(town) == ("idle", town.home_field[0])
    town.needs[0, 3] = 0.4
    assert decide(town) == ("have_fun", town.object("N"))


def test_a_need_that_nothing_serves_does_not_keep_anybody_from_the_others():
    town = SmallTown(words=Vocabulary((*NEEDS, FUN), options=(*OPTIONS, "have_fun")))
    town.needs[0] = 0.9, 0.44, 0.9, 0.2
    assert decide(town) == ("get_clean", town.object("W"))


def test_a_removed_need_is_not_missed():
    town = SmallTown(words=Vocabulary((HUNGER, ENERGY)))
    town.needs[0] = 0.9, 0.2
    assert decide(town) == ("rest", town.object("B"))


def test_needs_that_share_an_option_are_cared_for_the_lowest_first():
    needs = (HUNGER, NeedSpec("hygiene", "rest"), NeedSpec("energy", "rest", night=0.6))
    town = SmallTown(words=Vocabulary(needs, options=("rest", "get_fed", "idle")))
    town.needs[0] = 0.9, 0.3, 0.4
    assert decide(town) == ("rest", town.object("W"))
    town.needs[0] = 0.9, 0.4, 0.3
    town.option[0], town.commit_remaining[0], town.goal[0] = 0, 9, -1
    assert decide(town) == ("rest", town.object("B"))


def test_of_equally_low_needs_that_share_an_option_the_first_is_cared_for_also_under_way():
    needs = (HUNGER, NeedSpec("hygiene", "rest"), NeedSpec("energy", "rest", night=0.6))
    town = SmallTown(words=Vocabulary(needs, options=("rest", "get_fed", "idle")))
    town.needs[0] = 0.9, 0.3, 0.3
    assert decide(town) == ("rest", town.object("W"))
    town.option[0], town.commit_remaining[0], town.goal[0] = 0, 9, -1
    assert decide(town) == ("rest", town.object("W"))


def test_any_need_with_a_level_for_the_night_is_cared_for_below_it():
    town = SmallTown(words=Vocabulary((HUNGER, NeedSpec("hygiene", "get_clean", night=0.7), ENERGY)))
    town.needs[0] = 0.9, 0.65, 0.9
    assert decide(town, NOON)[0] == "idle"
    assert decide(town, NIGHT) == ("get_clean", town.object("W"))
    town.needs[0] = 0.9, 0.65, 0.5
    assert decide(town, NIGHT) == ("rest", town.object("B"))


def test_a_behaviour_that_the_world_has_no_option_for_is_left_out():
    town = SmallTown(words=Vocabulary(options=("get_fed", "get_clean", "rest")))
    town.wallet[0] = 4999
    town.job[0] = 0
    assert decide(town) == (None, town.home_field[0])
    assert decide(town, 480) == (None, town.home_field[0])


def recipe(**yields):
    """A town in which a meal is cooked from ingredients and a map, and who may shop for it."""
    town = SmallTown(words=Vocabulary(items=("meal", "ingredients", "map")))
    names = town.constants["affordance_names"]
    town.constants["charge_inventory"].obj[names.index("cook_meal"), 0] = 0, 1, 1
    town.constants["charge_count"].obj[names.index("cook_meal")] = 1
    for name, units in yields.items():
        town.constants["affordance_yield"].obj[names.index(name)] = units
    town.wallet[0] = 4999
    return town


def test_of_several_parts_the_missing_one_is_fetched_and_then_all_are_used():
    town = recipe(relax=(0, 0, 1))
    town.inventory[0] = 0, 1, 0
    assert decide(town, 1440 + NOON) == ("shop", town.object("N"))
    town.inventory[0] = 0, 0, 1
    assert decide(town, 1440 + NOON) == ("shop", town.object("X"))
    town.inventory[0] = 0, 1, 1
    assert decide(town, 1440 + NOON) == ("shop", town.object("S"))
    town.inventory[0] = 1, 1, 1
    assert decide(town, 1440 + NOON)[0] == "idle"


def test_what_needs_no_parts_that_could_be_fetched_is_made_at_once():
    town = recipe(buy_groceries=(0, 0, 0))
    assert decide(town, 1440 + NOON)[0] == "idle"
    town.constants["charge_inventory"].obj[town.constants["affordance_names"].index("cook_meal"), 0] = 0
    assert decide(town, 1440 + NOON) == ("shop", town.object("S"))


def test_an_affordance_that_serves_one_need_may_fetch_for_another():
    """Groceries are fun here; for the hungry, they are still a part of a meal."""
    words = Vocabulary((*NEEDS, FUN), options=(*OPTIONS, "have_fun"), effects={"buy_groceries": {"fun": 0.3}})
    town = SmallTown(words=words)
    town.wallet[0] = 4999
    assert decide(town, 1440 + NOON) == ("shop", town.object("X"))
    town.needs[0, 3] = 0.4
    assert decide(town, 1440 + NOON) == ("have_fun", town.object("X"))


def test_a_use_that_gives_back_what_it_takes_still_serves():
    town = SmallTown()
    names = town.constants["affordance_names"]
    town.constants["affordance_yield"].obj[names.index("eat_meal")] = 1, 0
    town.needs[0, 0], town.inventory[0, 0] = 0.4, 1
    assert decide(town) == ("get_fed", town.object("F"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (Vocabulary((*NEEDS, FUN)), "no option of it serves fun"),
        (
            Vocabulary(tuple(NeedSpec(f"need_{n}", "rest") for n in range(9))),
            "it has 9 needs; this policy knows at most 8",
        ),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_a_config_error(words, says):
    with pytest.raises(ConfigError, match=says):
        begun(SmallTown(words=words))
