"""What the features, the view and the frame show of ties (sections 12, 16 and 21)."""

import numpy as np
import pytest

from tests.town.towns import Town, agent
from tests.town.village import Village
from townlet_adapters.worlds.town.seam.view import ViewColumns
from townlet_core import seeding

GROUND = ["EHHHHHHHH", "........."]
AT = [(k + 1, 0) for k in range(8)]


def crowd(**options: object) -> Town:
    town = Town(GROUND, AT, seed=5, **options)
    for slot in range(8):
        town.set_profile(slot, "balanced")
    return town


def features(town: Town, slot: int = 0) -> dict[str, float]:
    values = town.engine.arrays.features[0, slot].tolist()
    return dict(zip(town.model.spec.feature_names, values, strict=True))


def code(town: Town, slot: int, length: int) -> list[float]:
    """The identity code of a resident, byte by byte."""
    serial = int(town.resident(slot).serial)
    found = []
    for k in range(length):
        drawn = seeding.draw(town.seed, seeding.NAMES, 0, serial, 1000 + k // 8)
        found.append(float(np.float32(((drawn >> (8 * (k % 8))) & 255) / 255)))
    return found


def shown(town: Town, place: str, length: int = 8) -> tuple[list[float], list[float]]:
    """Code, then (trust, familiarity, rivalry), of a place of the social block."""
    found = features(town)
    tie = [found[f"social_{place}_{part}"] for part in ("trust", "familiarity", "rivalry")]
    return [found[f"social_{place}_code_{k}"] for k in range(length)], [round(each, 6) for each in tie]


EMPTY = [0.0] * 3


def test_friends_and_rivals_stand_in_order_and_nobody_stands_twice():
    town = crowd()
    town.set_tie(0, 1, trust=0.2, rivalry=0.9)
    town.set_tie(0, 2, trust=0.1, familiarity=0.3)
    town.set_tie(0, 3, rivalry=0.3)
    town.set_tie(0, 4, trust=0.5, familiarity=-0.1, rivalry=0.8)
    town.set_tie(0, 5, trust=-0.5)
    assert shown(town, "friend_1") == (code(town, 2, 8), [0.1, 0.3, 0.0])
    assert shown(town, "friend_2") == (code(town, 4, 8), [0.5, -0.1, 0.8])
    assert shown(town, "rival_1") == (code(town, 1, 8), [0.2, 0.0, 0.9])
    assert shown(town, "rival_2") == (code(town, 3, 8), [0.0, 0.0, 0.3])
    found = features(town)
    totals = [found[f"social_{name}"] for name in ("trust_mean", "trust_max", "rivalry_mean", "rivalry_max")]
    assert totals == pytest.approx([0.2, 0.5, 0.5, 0.9])
    assert (found["rivalry_max"], found["rivalry_avoid"]) == pytest.approx((0.9, 2 / 6))


def test_equals_stand_by_serial_and_empty_places_are_zero():
    town = crowd()
    town.set_tie(0, 3, trust=0.4)
    town.set_tie(0, 2, familiarity=0.4)
    assert shown(town, "friend_1") == (code(town, 2, 8), [0.0, 0.4, 0.0])
    assert shown(town, "friend_2") == (code(town, 3, 8), [0.4, 0.0, 0.0])
    for place in ("rival_1", "rival_2"):
        assert shown(town, place) == ([0.0] * 8, EMPTY)
    assert features(town)["rivalry_max"] == 0


def test_a_mean_is_that_of_the_places_filled_and_may_be_negative():
    town = crowd()
    town.set_tie(0, 3, trust=-0.6, rivalry=0.4)
    found = features(town)
    assert found["social_trust_mean"] == found["social_trust_max"] == pytest.approx(-0.6)
    assert found["social_rivalry_mean"] == pytest.approx(0.4)


def test_the_size_of_the_block_is_a_matter_of_the_config():
    town = crowd(observations={"top_friends": 0, "top_rivals": 1, "identity_dim": 12})
    town.set_tie(0, 6, trust=0.9, rivalry=0.1)
    assert shown(town, "rival_1", 12) == (code(town, 6, 12), [0.9, 0.0, 0.1])
    assert town.model.spec.feature_names[-1] == "social_rivalry_max"


def test_avoiding_more_than_six_counts_as_six():
    town = crowd(relationships={"max_ties": 7})
    for other in range(1, 8):
        town.set_tie(0, other, rivalry=0.7)
    assert features(town)["rivalry_avoid"] == 1


def test_features_follow_what_happens_and_what_fades():
    town = crowd()
    town.step({0: "talk"})
    found = features(town)
    told = town.tie(0, 1)
    assert told is not None
    assert found["last_talk"] == 1
    place = "friend_1" if told[0] + told[1] > 0 else "rival_1"
    assert shown(town, place)[1] == [round(float(np.float32(each)), 6) for each in told]
    town.set_time(59)
    town.step()
    assert shown(town, place)[1] == [round(float(np.float32(each)), 6) for each in town.tie(0, 1)]


def test_who_left_is_in_no_portrait():
    town = crowd()
    town.set_tie(0, 1, trust=0.5)
    assert shown(town, "friend_1") != ([0.0] * 8, EMPTY)
    town.remove(1)
    town.step()
    assert shown(town, "friend_1") == ([0.0] * 8, EMPTY)


def test_what_a_caller_writes_into_the_features_does_not_stay():
    town = crowd()
    town.set_tie(0, 1, trust=0.5)
    before = town.engine.arrays.features[0, 0, -48:].copy()
    town.engine.arrays.features[...] = 7
    town.step()
    assert town.engine.arrays.features[0, 0, -48:].tobytes() == before.tobytes()


# The view.


def column(town: Town, name: str) -> np.ndarray:
    shown_columns: ViewColumns = town.world._shown.columns
    return getattr(shown_columns, name)


def test_the_view_lists_ties_in_the_order_in_which_they_began():
    town = crowd()
    town.set_tie(0, 3, trust=0.4, familiarity=0.2, rivalry=0.7)
    town.set_tie(0, 1, trust=0.1, rivalry=0.699)
    town.step()
    assert column(town, "tie_other")[0].tolist() == [3, 1, -1, -1, -1, -1]
    assert column(town, "tie_trust")[0, :3].tolist() == [0.4, 0.1, 0.0]
    assert column(town, "tie_familiarity")[0, :3].tolist() == [0.2, 0.0, 0.0]
    assert column(town, "tie_rivalry")[0, :3].tolist() == [0.7, 0.699, 0.0]
    assert column(town, "tie_avoided")[0].tolist() == [1, 0, 0, 0, 0, 0]
    assert (column(town, "tie_other")[8:] == -1).all()
    town.step({1: "talk"})
    assert column(town, "talk_ready")[1] == town.resident(1).talk_ready == 31


# The frame.


def test_a_frame_has_the_three_strongest_ties():
    town = crowd()
    for other, rivalry in ((5, 0.3), (2, 0.5), (4, 0.3), (1, 0.12345)):
        town.set_tie(0, other, rivalry=rivalry)
    town.set_tie(3, 0, trust=-0.5, familiarity=-0.2625)
    town.step()
    frame = town.world.frame()
    rows = [(row["agent"], row["rivalry"]) for row in frame.agents[agent(0)]["ties_top3"]]
    assert rows == [(agent(2), 0.5), (agent(4), 0.3), (agent(5), 0.3)]
    assert frame.agents[agent(3)]["ties_top3"] == [
        {"agent": agent(0), "trust": -0.5, "familiarity": -0.262, "rivalry": 0.0}
    ], "a half is rounded as a need is, to the even number"
    assert "ties_top3" not in frame.agents[agent(1)]


def test_the_shipped_layout_has_room_for_two_friends_and_two_rivals():
    names = [name for name in Village().model.spec.feature_names if name.startswith("social_")]
    assert len(names) == 48
