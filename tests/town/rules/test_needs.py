"""Needs fall, and uses restore them (domain.md, section 5.2)."""

import pytest

from tests.town.towns import Town
from tests.town.village import BESIDE, Village

RATES = {"hunger": 0.0010, "hygiene": 0.0005, "energy": 0.0006}
MULTIPLIERS = {
    "balanced": {},
    "industrious": {"energy": 0.9},
    "socialite": {"hygiene": 1.1},
    "stoic": {"hunger": 0.95},
}


@pytest.mark.parametrize("profile", MULTIPLIERS)
@pytest.mark.parametrize("switch", [True, False])
def test_a_need_falls_by_its_rate_times_the_multiplier_of_the_profile(profile, switch):
    town = Village(features={"need_multipliers": switch})
    town.set_profile(0, profile)
    expected = dict.fromkeys(RATES, 0.7)
    for _ in range(20):
        town.step()
        for need, rate in RATES.items():
            factor = MULTIPLIERS[profile].get(need, 1.0) if switch else 1.0
            expected[need] = max(0.0, expected[need] - rate * factor)
    assert {need: town.need(0, need) for need in RATES} == expected


@pytest.mark.parametrize(
    ("need", "to_threshold", "to_critical"),
    [("hunger", 250, 550), ("hygiene", 500, 1100), ("energy", 417, 917)],
)
def test_needs_take_as_long_to_fall_as_the_rules_expect(need, to_threshold, to_critical):
    town = Village()
    town.set_profile(0, "balanced")
    level = []
    for _ in range(1110):
        town.step()
        level.append(town.need(0, need))
    below = [next(k + 1 for k, value in enumerate(level) if value < bound) for bound in (0.45, 0.15)]
    assert below == [pytest.approx(to_threshold, abs=1), pytest.approx(to_critical, abs=1)]


def test_no_need_falls_below_zero():
    town = Village(needs={"decay": {"hunger": 0.1}})
    town.set_profile(0, "balanced")
    town.run(8)
    assert town.need(0, "hunger") == 0.0
    assert town.need(1, "hygiene") > 0.0


def test_a_use_restores_a_need_before_the_tick_takes_its_share():
    town = Village().stand(0, BESIDE["fridge_1"])
    town.set_profile(0, "balanced")
    town.resident(0).need[0] = 0.5
    town.step({0: "use:eat_meal"})
    town.run(13)
    before = town.need(0, "hunger")
    town.step()
    assert town.heard("affordance.finish")
    assert town.need(0, "hunger") == before + 0.40 - 0.0010


def test_a_need_is_full_at_one():
    town = Village().stand(0, BESIDE["bed_1"])
    town.set_profile(0, "balanced")
    town.resident(0).need[:3] = 0.94
    town.look()
    town.step({0: "use:rest_sleep"})
    town.run(59)
    assert town.need(0, "energy") == 1.0 - 0.0006 * 0.5


def test_a_use_that_tires_does_not_take_a_need_below_zero():
    town = Town(
        ["Ehrr", ".rNr"], at=[(1, 0)],
        manifest=[{"id": "sit", "object_type": "bench", "duration": 1, "effects": {"need:energy": -1.0}}],
    )  # fmt: skip
    town.step({0: "use:sit"})
    assert town.need(0, "energy") == 0.0


def test_a_need_that_is_set_is_clamped_and_makes_the_policy_forget_its_plan():
    town = Village()
    town.step()
    assert not town.resident(0).ctx_reset
    town.set_need(0, "hunger", 1.5)
    town.set_need(1, "energy", -3.0)
    town.step()
    assert town.need(0, "hunger") == pytest.approx(1.0, abs=0.002)
    assert town.need(1, "energy") == 0.0
    assert [bool(town.resident(slot).ctx_reset) for slot in range(3)] == [True, True, False]
