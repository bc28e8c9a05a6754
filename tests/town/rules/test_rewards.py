"""Rewards: what each part is, when there is one, and that the parts add up (section 15)."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.town.test_domain_page import table, words
from tests.town.towns import Town, agent, build_model
from tests.town.village import CAFE, OFFICE, Village
from tests.town.words import NEEDS, SHIPPED
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.inputs.describe import describe
from townlet_adapters.worlds.town.inputs.rewards import RewardsOptions, cheap_exits, cost_of_a_bad_life
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_core import seeding

WEIGHTS = [need.weight for need in SHIPPED.needs.values()]
STILL = {"decay": dict.fromkeys(NEEDS, 0.0)}
"""Needs that stay as they are."""
ROOM = ["Ehrrrrrrrr", ".rrrrrrrrr"]
EXACT = {"abs": 1e-15}
PAIR = [(3, 0), (4, 0)]


def parts(town: Town, slot: int = 0) -> dict[str, float]:
    """The parts of a resident's reward in the last tick."""
    row = town.engine.arrays.reward_parts[0, slot].tolist()
    return dict(zip(town.model.spec.reward_parts, row, strict=True))


def still(*levels: float, rewards: Mapping[str, object] | None = None, **options: object) -> Town:
    """Two balanced residents side by side whose needs stay as they are."""
    town = Town(ROOM, PAIR, needs=STILL, rewards=dict(rewards or {}), **options)
    for slot in range(2):
        town.set_profile(slot, "balanced")
        town.resident(slot).need[: len(NEEDS)] = levels or [0.7] * len(NEEDS)
    town.look()
    return town


def gives(town: Town, part: str, slot: int = 0) -> float:
    """One part of the next tick, in which everybody waits."""
    town.step()
    return parts(town, slot)[part]


def lucky(town: Town, *, well: bool) -> Town:
    """Wait until the first resident's chat would go well, or badly."""
    while (seeding.unit(town.seed, seeding.SOCIAL, town.tick, 0, 0) < 0.4) != well:
        town.set_time(town.tick + 1)
    return town


def test_unmet_needs_cost_by_weight_and_square():
    levels = (0.9, 0.5, 0.2)
    expected = sum(w * (1 - need) ** 2 for w, need in zip(WEIGHTS, levels, strict=True))
    assert gives(still(*levels), "homeostasis") == pytest.approx(-0.02 * expected, **EXACT)
    assert gives(still(*levels, rewards={"homeostasis": 0.5}), "homeostasis") == pytest.approx(
        -0.5 * expected
    )


def test_shaping_is_the_discounted_potential_less_the_one_before():
    town = Town(ROOM, PAIR[:1], rewards={"gamma": 0.9, "shaping": 0.5})
    before = [0.7] * len(NEEDS)
    for _ in range(3):
        town.step()
        after = town.resident(0).need[: len(NEEDS)].tolist()
        potentials = [
            -0.5 * sum(w * (1 - need) for w, need in zip(WEIGHTS, levels, strict=True))
            for levels in (before, after)
        ]
        assert parts(town)["shaping"] == pytest.approx(0.9 * potentials[1] - potentials[0], **EXACT)
        before = after


def test_there_is_no_shaping_where_the_context_was_reset_but_the_potential_follows():
    town = still()
    town.set_need(0, "hunger", 0.2)
    assert gives(town, "shaping") == 0
    assert gives(town, "shaping", 1) != 0
    unmet = sum(WEIGHTS) * 0.3 + 0.5
    assert gives(town, "shaping") == pytest.approx(-0.05 * unmet * (0.99 - 1), **EXACT)


def test_a_newcomer_starts_from_its_own_needs():
    town = Town(ROOM, PAIR[:1], needs=STILL, population={"capacity": 3, "start_spread": 0.25})
    town.spawn()
    town.step()
    assert parts(town, 1)["shaping"] == 0
    assert parts(town, 1)["survival"] == 0.002
    town.step()
    levels = town.resident(1).need[: len(NEEDS)].tolist()
    unmet = sum(w * (1 - need) for w, need in zip(WEIGHTS, levels, strict=True))
    assert parts(town, 1)["shaping"] == pytest.approx(0.05 * unmet * 0.01, **EXACT)


def test_life_itself_is_worth_something():
    assert gives(still(), "survival") == 0.002
    assert gives(still(rewards={"survival": 0}), "survival") == 0


def test_a_paid_tick_is_worth_something_and_an_unpaid_one_nothing():
    town = Village().stand(0, OFFICE[0]).jump(359)
    town.set_profile(0, "balanced")
    given_now = [gives(town, "wage"), gives(town, "wage"), parts(town, 2)["wage"]]
    assert given_now == [0, 0.01, 0]
    town.jump(539)
    assert [gives(town, "wage"), gives(town, "wage")] == [0.01, 0]


@pytest.mark.parametrize(
    ("ahead", "worth"), [(31, None), (30, 0), (29, 1 / 30), (10, 2 / 3), (0, 1), (-10, 2 / 3), (-29, 1 / 30)]
)
def test_who_comes_in_time_is_rewarded_once_a_shift(ahead, worth):
    town = Village().jump(360 - ahead - 1)
    town.set_profile(0, "balanced")
    assert gives(town, "punctuality") == 0
    town.stand(0, OFFICE[0])
    assert gives(town, "punctuality") == pytest.approx(0.05 * (worth or 0))
    assert bool(town.resident(0).greeted) == (worth is not None)
    town.run(1)
    assert parts(town)["punctuality"] == 0
    town.stand(0, (0, 0))
    town.step()
    town.stand(0, OFFICE[0])
    if worth is not None:
        assert gives(town, "punctuality") == 0


def test_thirty_ticks_late_is_worth_nothing_and_the_next_shift_counts_again():
    town = Village().jump(360 + 29)
    town.set_profile(0, "balanced")
    town.step()
    town.stand(0, OFFICE[0])
    assert (gives(town, "punctuality"), bool(town.resident(0).greeted)) == (0, False)
    town.jump(539)
    town.step()
    assert not town.resident(0).greeted
    assert gives(town, "punctuality") == 0
    town.jump(1440 + 360)
    assert gives(town, "punctuality") == 0.05
    shorter = Village(rewards={"punctuality_ticks": 5}).jump(360 - 4).stand(0, OFFICE[0])
    shorter.set_profile(0, "balanced")
    assert gives(shorter, "punctuality") == pytest.approx(0.05 / 5)


def test_a_shift_that_is_skipped_greets_nobody():
    town = Village().stand(0, OFFICE[0]).jump(365)
    town.resident(0).skip_shift = True
    assert (gives(town, "punctuality"), gives(town, "wage")) == (0, 0)


def test_a_shift_that_passes_midnight_is_one_shift():
    town = Village().stand(1, CAFE).jump(1440 - 1)
    town.set_profile(1, "balanced")
    assert gives(town, "punctuality", 1) == 0
    assert gives(town, "punctuality", 1) == 0
    town.jump(1440 + 1379)
    assert gives(town, "punctuality", 1) == pytest.approx(0.05 * (1 - 1 / 30))


def talk(town: Town, *, well: bool = True) -> tuple[float, float]:
    """What a chat gives to speaker and listener."""
    lucky(town, well=well).step({0: "talk"})
    (chat,) = town.heard("social.chat")
    assert chat.success == well
    return parts(town, 0)["social"], parts(town, 1)["social"]


def test_a_chat_that_goes_well_is_worth_its_quality_and_the_own_tie_after_it():
    town = still()
    town.set_tie(0, 1, trust=0.2, familiarity=0.4)
    town.set_tie(1, 0, trust=-0.1)
    found = talk(town)
    quality = town.heard("social.chat")[0].quality
    expected = []
    for owner, other in ((0, 1), (1, 0)):
        trust, familiarity, _ = town.tie(owner, other)
        expected.append(0.01 * (1 + 0.3 * trust + 0.2 * familiarity) * quality)
    assert found == pytest.approx(expected, **EXACT)
    assert expected[0] != expected[1]
    assert gives(town, "social") == 0, "a tick later there is nothing left of it"


def test_a_chat_that_goes_badly_costs_the_speaker_twice_what_it_costs_the_listener():
    assert talk(still(), well=False) == pytest.approx((-0.005, -0.0025), **EXACT)
    dear = still(rewards={"chat": 0.1, "chat_speaker": 2.0, "chat_listener": 0.0})
    assert talk(dear, well=False) == pytest.approx((-0.2, 0))


@pytest.mark.parametrize(("trust", "rivalry"), [(0.5, 0.1), (0.6, 0.0), (-0.6, 0.5)])
def test_in_the_third_stage_a_chat_is_worth_more_with_whom_one_regards_highly(trust, rivalry):
    town = still(features={"social_rewards": "C3"})
    for owner in range(2):
        town.set_tie(owner, 1 - owner, trust=trust, rivalry=rivalry)
    found = talk(town)[0]
    quality = town.heard("social.chat")[0].quality
    now, known, feud = town.tie(0, 1)
    worth = (1 + 0.3 * now + 0.2 * known) * quality
    assert found == pytest.approx(0.01 * worth * (1 + 0.25 * (now - feud)), **EXACT)


def test_limits_of_the_third_stage_hold():
    for key, value in (("chat_most", 1.01), ("chat_least", 1.3)):
        town = still(features={"social_rewards": "C3"}, rewards={key: value})
        town.set_tie(0, 1, trust=0.6)
        found = talk(town)[0]
        trust, familiarity, _ = town.tie(0, 1)
        quality = town.heard("social.chat")[0].quality
        assert found == pytest.approx(0.01 * (1 + 0.3 * trust + 0.2 * familiarity) * quality * value)


@pytest.mark.parametrize(("stage", "chats"), [("OFF", False), ("C1", True), ("C2", True), ("C3", True)])
def test_chats_count_in_all_stages_but_off(stage, chats):
    town = still(features={"social_rewards": stage})
    assert (talk(town)[0] > 0) == chats


def test_who_is_in_need_gets_nothing_from_a_chat():
    town = still(1.0, 1.0, 0.14)
    town.resident(1).need[: len(NEEDS)] = [1.0, 1.0, 0.16]
    speaker, listener = talk(town)
    assert (speaker, listener > 0) == (0, True)
    assert talk(still(1.0, 0.14, 1.0), well=False)[0] == 0


@pytest.mark.parametrize(("stage", "worth"), [("OFF", 0), ("C1", 0), ("C2", 0.005), ("C3", 0.005)])
def test_an_avoidance_is_worth_something_from_the_second_stage_on(stage, worth):
    town = still(features={"social_rewards": stage})
    town.place((5, 0), (2, 0))
    town.set_tie(0, 1, rivalry=0.9)
    town.step({0: "move_east"})
    assert len(town.heard("social.avoidance")) == 1
    assert (parts(town)["avoidance"], parts(town, 1)["avoidance"]) == (worth, 0)
    assert gives(town, "avoidance") == 0


@pytest.mark.parametrize(("owed", "counted"), [(0, 0), (1, 1), (3, 3), (7, 3)])
def test_days_of_rent_owed_cost_in_every_tick_up_to_three(owed, counted):
    town = still()
    town.resident(0).rent_owed = owed
    assert gives(town, "debt") == pytest.approx(-0.0005 * counted)
    assert gives(town, "debt") == pytest.approx(-0.0005 * counted)
    more = still(rewards={"debt": 0.01, "debt_days": 5})
    more.resident(0).rent_owed = owed
    assert gives(more, "debt") == pytest.approx(-0.01 * min(owed, 5))


def test_a_tick_gives_and_costs_no_more_than_its_limit():
    town = still(0.0, 0.0, 0.0, rewards={"tick_clip": 0.01})
    town.step()
    found = parts(town)
    assert found["total"] == pytest.approx(-0.01, **EXACT)
    assert found["tick_clip"] == pytest.approx(-0.01 - (found["homeostasis"] + found["shaping"] + 0.002))
    rich = still(1.0, 1.0, 1.0, rewards={"survival": 0.5, "shaping": 0})
    rich.step()
    assert (parts(rich)["tick_clip"], parts(rich)["total"]) == (pytest.approx(-0.3), pytest.approx(0.2))


def test_a_day_gives_no_more_than_its_limit_and_a_new_day_begins_at_zero():
    town = still(1.0, 1.0, 1.0, rewards={"survival": 0.1, "day_clip": 0.25, "shaping": 0})
    town.set_time(1437)
    totals = [gives(town, "total") for _ in range(6)]
    assert totals == pytest.approx([0.1, 0.1, 0.05, 0.1, 0.1, 0.05])
    assert parts(town)["day_clip"] == pytest.approx(-0.05)
    assert town.resident(0).day_reward == pytest.approx(0.25)


def test_the_limit_of_a_day_holds_for_costs_too():
    town = still(0.0, 0.0, 0.0, rewards={"homeostasis": 0.05, "day_clip": 0.2, "survival": 0, "shaping": 0})
    assert [gives(town, "total") for _ in range(3)] == pytest.approx([-0.12, -0.08, 0])


def test_profiles_lean_only_where_the_config_says_so():
    for bias, survival in ((False, 0.002), (True, 0.002 * 1.1)):
        town = still(features={"reward_bias": bias})
        town.set_profile(0, "stoic")
        assert gives(town, "survival") == pytest.approx(survival, **EXACT)
        assert parts(town, 1)["survival"] == 0.002


def test_who_is_ambitious_gains_more_from_work():
    town = Village(features={"reward_bias": True}).stand(0, OFFICE[0]).jump(360)
    town.set_profile(0, "industrious")
    assert gives(town, "wage") == pytest.approx(0.01 * 1.25)
    assert parts(town)["punctuality"] == pytest.approx(0.05 * 1.25)


def test_who_likes_company_gains_more_from_it_and_minds_a_bad_chat_less():
    for well, factor in ((True, 1.2), (False, 1 / 1.2)):
        plain, liked = still(), still(features={"reward_bias": True})
        for town in (plain, liked):
            town.set_profile(0, "socialite")
        expected = talk(plain, well=well)[0] * factor
        assert talk(liked, well=well)[0] == pytest.approx(expected)
    town = still(features={"reward_bias": True})
    town.set_profile(0, "socialite")
    town.place((5, 0), (2, 0))
    town.set_tie(0, 1, rivalry=0.9)
    town.step({0: "move_east"})
    assert parts(town)["avoidance"] == pytest.approx(0.005 * 1.2)


@pytest.mark.parametrize("row", table("needs", "homeostasis", "shaping", "survival", "total"))
def test_doing_nothing_is_worth_what_the_page_says(row):
    town = still(*[float(row["needs"])] * len(NEEDS))
    town.step()
    town.step()
    for part in ("homeostasis", "shaping", "survival", "total"):
        assert parts(town)[part] == pytest.approx(float(row[part]), abs=1e-9), part


def test_a_resident_who_lives_well_is_never_clipped():
    town = still()
    town.run(10)
    assert (parts(town)["tick_clip"], parts(town)["day_clip"], parts(town)["guard_adjustment"]) == (0, 0, 0)


def test_the_reward_and_its_parts_are_told_in_the_frame_the_outcome_and_the_tick():
    town = still(0.9, 0.5, 0.2)
    town.resident(1).rent_owed = 2
    town.step()
    frame = town.world.frame()
    for slot in range(2):
        told = {name: round(part, 6) for name, part in parts(town, slot).items()}
        assert frame.rewards[agent(slot)] == {name: part for name, part in told.items() if part}
        assert float(town.engine.arrays.reward[0, slot]) == np.float32(parts(town, slot)["total"])
    assert "debt" in frame.rewards[agent(1)]
    assert "debt" not in frame.rewards[agent(0)]
    assert town.summary.reward_mean == (parts(town)["total"] + parts(town, 1)["total"]) / 2


def test_an_empty_town_has_a_mean_of_zero_and_rows_of_nobody_are_blank():
    town = Town(ROOM, PAIR[:1])
    town.step()
    assert parts(town)["total"] != 0
    town.remove(0)
    town.step()
    assert town.summary.reward_mean == 0
    assert town.engine.arrays.reward_parts[0, 0].any()
    town.step()
    assert not town.engine.arrays.reward_parts.any()
    assert not town.engine.arrays.reward.any()


def test_leaving_is_compared_with_the_worst_life_under_a_discount():
    rewards, vocabulary = RewardsOptions(), build_model(ROOM).vocabulary
    assert cost_of_a_bad_life(rewards, vocabulary, 0.99) == pytest.approx(4.8)
    assert cost_of_a_bad_life(rewards, vocabulary, 0.999) == pytest.approx(48)
    assert cost_of_a_bad_life(rewards, vocabulary, 1.0) == float("inf")
    assert not cheap_exits(rewards, vocabulary, 0.99)
    dear = dict.fromkeys(("collapse", "neglect", "eviction", "unemployment"), -5.0)
    assert cheap_exits(rewards, vocabulary, 0.999) == dear
    assert cost_of_a_bad_life(RewardsOptions(homeostasis=0), vocabulary, 1.0) == 0


def test_a_config_under_which_leaving_pays_is_valid_and_says_so():
    model = build_model(ROOM, rewards={"gamma": 0.999})
    said = {remark.topic: remark.text for remark in describe(model.plan, model.options.rewards)}
    assert said["rewards"] == (
        "an endless bad life costs 48 with gamma 0.999, and leaving is cheaper: "
        "collapse -5, neglect -5, eviction -5, unemployment -5"
    )
    fine = build_model(ROOM)
    assert "rewards" not in {remark.topic for remark in describe(fine.plan, fine.options.rewards)}


def test_the_parts_are_those_of_the_page():
    assert [words(row["part"])[0] for row in table("part", "in each tick")] == list(codes.REWARD_PARTS)


WEIGHT = st.floats(0, 1)
RULES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            (
                "gamma",
                "homeostasis",
                "shaping",
                "survival",
                "wage",
                "punctuality",
                "chat",
                "avoidance",
                "debt",
            ),
            WEIGHT,
        ),
        "tick_clip": st.floats(0, 0.5),
        "day_clip": st.floats(0, 5),
        "punctuality_ticks": st.integers(1, 240),
        "chat_speaker": st.floats(0, 10),
    },
)


@settings(max_examples=15, deadline=None)
@given(
    rules=RULES,
    stage=st.sampled_from(["OFF", "C1", "C2", "C3"]),
    bias=st.booleans(),
    seed=st.integers(0, 2**32),
    tod=st.sampled_from([330, 400, 1400]),
)
def test_the_parts_of_a_reward_add_up_to_it_within_its_limits(rules, stage, bias, seed, tod):
    model = build_model(
        ["Ehhhrrrr", ".rFrWrBr", ".rrrrrrr", "oooooooo"],
        6,
        jobs={"clerk": {"place": "office", "start": 360, "end": 540, "wage": 20, "capacity": 6}},
        rewards=rules,
        features={"social_rewards": stage, "reward_bias": bias},
        time={"start_tod": tod},
        population={"start_spread": 0.7, "start_need": 0.3},
    )
    batch = TownBatch(model, 2)
    batch.reset(seed % 2**32)
    dice = np.random.default_rng(seed)
    limit = model.options.rewards.tick_clip
    for _ in range(60):
        scores = dice.random(batch.arrays.mask.shape) * batch.arrays.mask
        out = batch.step(scores.argmax(-1))
        assert np.isfinite(out.reward_parts).all()
        total = out.reward_parts[..., codes.PART_TOTAL]
        summed = out.reward_parts[..., : codes.PART_TOTAL].sum(-1)
        assert np.abs(summed - total).max() <= 1e-12
        assert (out.reward == total.astype(np.float32)).all()
        assert np.abs(total - out.reward_parts[..., codes.PART_TERMINAL]).max() <= limit + 1e-12
        assert np.abs(batch.state.residents["day_reward"]).max() <= model.options.rewards.day_clip + 1e-12
