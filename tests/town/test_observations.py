"""What residents see: every column, channel and mask bit of domain.md, section 16."""

import functools
import json
import math
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.town.towns import Town
from tests.town.village import BESIDE, CAFE, HEIGHT, HOMES, OFFICE, STREET, WIDTH, Village
from tests.town.words import BASE, OPTIONS
from townlet_adapters.worlds.town.compiled import observation_layout as layout
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_adapters.worlds.town.systems.observe import USUAL_SIDE
from townlet_core.dto.action import PolicyContext

GOLDEN = Path(__file__).parent / "golden" / f"layout-{layout.LAYOUT_VERSION}.json"
SPEC = Village().model.spec
Features = dict[str, float]

NOT_YET = ("invited",)
"""Columns of rules that do not exist yet."""

TIES = ("rivalry_max", "rivalry_avoid", "last_talk")
"""Columns of ties, besides the social block; ``test_portraits.py`` has their situations."""


def test_names_and_order_change_only_with_the_version_of_the_layout():
    """New columns, another order, another meaning: raise LAYOUT_VERSION and write a new golden file."""
    current = {
        "layout_version": SPEC.layout_version,
        "variant": SPEC.variant,
        "map_window": SPEC.map_window,
        "map_channels": list(SPEC.map_channels),
        "feature_names": list(SPEC.feature_names),
        "action_names": list(SPEC.action_names),
    }
    assert current == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_the_default_observation_has_139_features_15_actions_and_a_map_of_11():
    assert (len(SPEC.feature_names), len(SPEC.action_names), SPEC.map_window) == (139, 15, 11)
    assert SPEC.map_window == USUAL_SIDE
    assert len(BASE) == 64
    assert [SPEC.feature_names.index(name) for name in ("fridge_dx", "personality_extroversion")] == [64, 88]
    assert SPEC.feature_names.index("social_friend_1_code_0") == 91


# Situations: each gives the features of one resident, and below is what they must be.


def fresh() -> Features:
    """Just founded, at home."""
    return Village().features(0)


def poor() -> Features:
    """Hungry, dirty, tired, poor, in debt, with full pockets, long in town; power and water are off."""
    town = Village()
    town.switch("power", on=False)
    town.switch("water", on=False)
    town.step()
    r = town.resident(0)
    r.need[:3] = 0.1, 0.2, 0.3
    r.wallet, r.rent_owed = 1250, 2
    r.inventory[:2] = 3, 2
    r.episode_tick = 720
    r.embedding = 16
    town.state.price["now"] = town.state.price["normal"] * 3 // 2
    town.state.towns[0].effects = len(town.model.price_keys)
    town.look()
    return town.features(0)


def on_time() -> Features:
    """At work on time, a quarter into the shift, at tod 405."""
    town = Village().stand(0, OFFICE[0]).jump(360)
    town.run(45)
    return town.features(0)


def late() -> Features:
    """Came 10 ticks late after five late starts, a bad week and an absence."""
    town = Village().jump(360)
    town.resident(0).stamps[:2] = 10
    town.resident(0).stamps_seen = 2
    town.run(10)
    town.stand(0, OFFICE[0])
    town.step()
    town.resident(0).attendance = 0.25
    town.resident(0).lateness_counter = 3
    town.look()
    return town.features(0)


def absent() -> Features:
    """Away from the shift since its start, at tod 392."""
    town = Village().jump(360)
    town.run(32)
    return town.features(0)


def after_work() -> Features:
    return (town := Village().jump(600), town.step(), town.features(0))[-1]


def before_work() -> Features:
    return (town := Village().jump(350), town.step(), town.features(0))[-1]


def jobless() -> Features:
    """No job, in the middle of the shift it would have."""
    town = Village().jump(400)
    town.resident(0).job = -1
    town.step()
    return town.features(0)


def using() -> Features:
    """A third of a shower is over: 10 of 30 ticks, the use named in each of them."""
    town = Village().stand(0, BESIDE["shower_1"])
    town.run(10, {0: "use:use_shower"})
    return town.features(0)


def holding() -> Features:
    """Handed the shower from the queue, but not begun."""
    town = Village().stand(1, BESIDE["shower_1"]).stand(0, (5, 3))
    town.step({1: "use:use_shower"})
    town.step({0: "use:use_shower"})
    town.step({1: "leave"})
    return town.features(0)


def queued() -> Features:
    """Second in the queue."""
    town = Village().stand(1, BESIDE["shower_1"]).stand(2, (6, 3)).stand(0, (5, 3))
    town.step({1: "use:use_shower"})
    town.step({2: "use:use_shower"})
    town.step({0: "use:use_shower"})
    return town.features(0)


def left() -> Features:
    town = Village().stand(0, BESIDE["shower_1"])
    town.step({0: "use:use_shower"})
    town.step({0: "leave"})
    return town.features(0)


def blocked() -> Features:
    """Moved against somebody twice."""
    town = Village()
    town.run(2, {0: "move_east"})
    return town.features(0)


def led() -> Features:
    """On the street with the office as goal, following an option for ten more ticks."""
    town = Village().stand(0, (7, 0))
    slots = town.model.spec.capacity
    goal = town.model.spec.fields.index("office")
    town.step(context=context(slots, OPTIONS.index("go_to_work"), goal, 10))
    return town.features(0)


def led_home() -> Features:
    """South-east of home, on the way there, for longer than any commitment."""
    town = Village().stand(0, (7, 4))
    goal = town.model.spec.fields.index("home@3,3")
    town.step(context=context(town.model.spec.capacity, OPTIONS.index("idle"), goal, 99))
    return town.features(0)


def abroad() -> Features:
    """On the road, all alone, nothing but the map's edge near."""
    town = Village().stand(0, (15, 7)).stand(1, STREET[1]).stand(2, STREET[2])
    return town.features(0)


def crowd() -> Features:
    """Two others in sight, sharing a tile, three steps east and two south; a shower is held nearby."""
    town = Village().stand(0, (3, 3)).stand(1, (5, 5)).stand(2, (6, 5))
    town.run(3, {1: "move_east"})
    town.step({1: "move_east"})
    assert town.at(1) == town.at(2) == (6, 5)
    town.state.reserved[0, 2 + 5, 5 + 5] = 1
    town.look()
    return town.features(0)


def shared() -> Features:
    """A ghost stands on the own tile."""
    town = Village().stand(0, (3, 3)).stand(1, (4, 3)).stand(2, (6, 6))
    town.run(4, {1: "move_west"})
    assert town.at(1) == town.at(0)
    return town.features(0)


def context(slots: int, option: int, goal: int, commit: int) -> PolicyContext:
    return PolicyContext(
        option=memoryview(array("b", [option] * slots)).toreadonly(),
        goal=memoryview(array("i", [goal] * slots)).toreadonly(),
        commit_remaining=memoryview(array("h", [commit] * slots)).toreadonly(),
    )


def socialite() -> Features:
    town = Village()
    town.set_profile(0, "socialite")
    town.look()
    return town.features(0)


def industrious() -> Features:
    town = Village()
    town.set_profile(0, "industrious")
    town.look()
    return town.features(0)


def unit(x: float, y: float) -> tuple[float, float]:
    return x / math.hypot(x, y), y / math.hypot(x, y)


SCALE = WIDTH + HEIGHT
CELLS = 11 * 11
OFFICE_WAY = unit(14 - 3, 2.5 - 3)

EXPECTED: dict[Callable[[], Features], Features] = {
    fresh: {
        "need_hunger": 0.7, "need_hygiene": 0.7, "need_energy": 0.7, "wallet": math.tanh(0.4), "rent_owed": 0,
        "has_job": 1, "on_shift": 0, "shift_pre": 1, "shift_on_time": 0, "shift_late": 0, "shift_absent": 0,
        "shift_post": 0, "time_sin": 0, "time_cos": 1, "shift_start_in": 0.5, "shift_progress": 0,
        "attendance": 1, "late_today": 0, "lateness": 0, "absences": 0, "withheld": 0, "embedding_slot": 0,
        "ctx_reset": 1, "episode_progress": 0, "last_wait": 0, "last_move": 0, "last_leave": 0, "last_use": 0,
        "last_success": 0, "last_duration": 0, "holds": 0, "in_queue": 0, "queue_position": 0, "using": 0,
        "use_progress": 0, "inv_meal": 0, "inv_ingredients": 0, "goal_distance": 1, "near_agents": 2 / 120,
        # Within 5 of (3, 3): fridge, shower, stove and bed; counter and bench are 6 columns away.
        "near_objects": 4 / CELLS, "near_reserved": 0, "nearest_agent": 1 / 5, "at_home": 1, "at_work": 0,
        "commit": 0, "power_on": 1, "water_on": 1, "price_level": 0,
        **{f"option_{option}": 0.0 for option in OPTIONS},
        **{f"hint_{way}": 0.0 for way in ("north", "south", "east", "west")},
        # (3, 3) is in reach of fridge and stove; the shower is reached from (4, 3), the bed too.
        "fridge_dx": 0, "fridge_dy": 0, "fridge_dist": 0, "stove_dx": 0, "stove_dy": 0, "stove_dist": 0,
        "shower_dx": unit(2, -1)[0], "shower_dy": unit(2, -1)[1], "shower_dist": 1 / SCALE,
        "bed_dx": unit(2, 1)[0], "bed_dy": unit(2, 1)[1], "bed_dist": 1 / SCALE,
        # To (13, 5): 10 east, 2 south. To (8, 3) beside the counter: 5 east. The office: around (14, 2.5).
        "checkout_dx": unit(11, 3)[0], "checkout_dy": unit(11, 3)[1], "checkout_dist": 12 / SCALE,
        "counter_dx": unit(6, -1)[0], "counter_dy": unit(6, -1)[1], "counter_dist": 5 / SCALE,
        "work_dx": OFFICE_WAY[0], "work_dy": OFFICE_WAY[1], "work_dist": 10 / SCALE,
        "home_dx": 0, "home_dy": 0, "home_dist": 0,
    },
    poor: {
        "need_hunger": 0.1, "need_hygiene": 0.2, "need_energy": 0.3, "wallet": math.tanh(0.25),
        "rent_owed": 2 / 3, "inv_meal": 3 / 4, "inv_ingredients": 2 / 6, "episode_progress": 0.5,
        "embedding_slot": 16 / 64, "power_on": 0, "water_on": 0, "price_level": math.tanh(0.5),
        "ctx_reset": 0, "last_wait": 1, "last_success": 1, "last_duration": 1 / 60,
    },
    on_time: {
        "on_shift": 1, "shift_pre": 0, "shift_on_time": 1, "at_work": 1, "at_home": 0,
        "shift_progress": 45 / 180,
        "shift_start_in": -45 / 720, "time_sin": math.sin(2 * math.pi * 405 / 1440),
        "time_cos": math.cos(2 * math.pi * 405 / 1440), "work_dx": 0, "work_dy": 0, "work_dist": 0,
        "late_today": 0, "last_duration": 45 / 60,
        "home_dx": unit(-10, 2)[0], "home_dy": unit(-10, 2)[1], "home_dist": 12 / SCALE,
    },
    late: {
        # Ticks 366 to 369 away and late, which count; 370 present and late, which does not.
        "on_shift": 1, "shift_late": 1, "shift_on_time": 0, "shift_pre": 0, "late_today": 4 / 60,
        "lateness": 3 / 5, "absences": 2 / 3, "withheld": 4 * 20 / 5000, "attendance": 0.25,
        "shift_progress": 11 / 180,
    },
    absent: {
        "on_shift": 0, "shift_absent": 1, "shift_late": 0, "absences": 1 / 3, "lateness": 1 / 5,
        "late_today": 25 / 60, "withheld": 20 * 26 / 5000,
    },
    after_work: {
        "shift_post": 1, "shift_pre": 0, "shift_start_in": (360 - 601) / 720, "shift_progress": 0,
    },
    before_work: {"shift_post": 0, "shift_pre": 1, "shift_start_in": 9 / 720},
    jobless: {
        "has_job": 0, "on_shift": 0, "shift_pre": 0, "shift_on_time": 0, "shift_late": 0, "shift_absent": 0,
        "shift_post": 0, "shift_start_in": 0, "shift_progress": 0, "at_work": 0,
        "work_dx": 0, "work_dy": 0, "work_dist": 1,
    },
    using: {
        "using": 1, "holds": 1, "in_queue": 0, "use_progress": 10 / 30, "last_use": 1, "last_wait": 0,
        "last_success": 1, "last_duration": 10 / 60, "near_reserved": 1 / CELLS,
    },
    holding: {"using": 0, "holds": 1, "in_queue": 0, "use_progress": 0, "queue_position": 0},
    queued: {"using": 0, "holds": 0, "in_queue": 1, "queue_position": 2 / 8},
    left: {"last_leave": 1, "last_success": 1, "holds": 0, "using": 0, "near_reserved": 0},
    blocked: {"last_move": 1, "last_success": 0, "last_duration": 2 / 60},
    led: {
        "option_go_to_work": 1, "option_get_fed": 0, "option_idle": 0, "commit": 10 / 15,
        # From (7, 0) to (13, 1): 6 east, 1 south; north is off the map.
        "goal_distance": 7 / SCALE, "hint_north": 0, "hint_south": 1, "hint_east": 1, "hint_west": 0,
    },
    led_home: {
        "option_go_to_work": 0, "option_idle": 1, "commit": 1,
        "goal_distance": 5 / SCALE, "hint_north": 1, "hint_south": 0, "hint_east": 0, "hint_west": 1,
    },
    abroad: {
        "near_agents": 0, "nearest_agent": 1, "near_objects": 1 / CELLS, "at_home": 0,
        # (15, 7) touches the checkout at (14, 6).
        "checkout_dx": 0, "checkout_dy": 0, "checkout_dist": 0,
        "home_dx": unit(-12, -4)[0], "home_dy": unit(-12, -4)[1], "home_dist": 16 / SCALE,
    },
    crowd: {
        "near_agents": 2 / 120, "nearest_agent": math.hypot(3, 2) / 5, "near_reserved": 1 / CELLS,
    },
    shared: {"near_agents": 2 / 120, "nearest_agent": 0},
    socialite: {
        "personality_extroversion": 0.6, "personality_forgiveness": 0.1, "personality_ambition": -0.1,
    },
    industrious: {
        "personality_extroversion": -0.2, "personality_forgiveness": -0.1, "personality_ambition": 0.5,
    },
}  # fmt: skip

seen = functools.cache(lambda situation: situation())


@pytest.mark.parametrize("situation", EXPECTED, ids=lambda situation: situation.__name__)
def test_features_are_what_the_situation_makes_them(situation):
    found = seen(situation)
    expected = EXPECTED[situation]
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_every_feature_is_checked_somewhere_and_takes_a_value_that_is_not_trivial():
    """Each column is expected in a situation and differs between two: none is a constant by mistake."""
    social = {name for name in SPEC.feature_names if name.startswith("social_")}
    checked = {name for expected in EXPECTED.values() for name in expected}
    options = {f"option_{option}" for option in OPTIONS}
    assert set(SPEC.feature_names) - checked == social | set(NOT_YET) | set(TIES)
    values = {
        name: {round(seen(situation)[name], 6) for situation in EXPECTED} for name in SPEC.feature_names
    }
    constant = {name for name, found in values.items() if len(found) == 1}
    assert constant - social - set(TIES) == set(NOT_YET) | (options - {"option_go_to_work", "option_idle"})


@pytest.mark.parametrize("off", ["power", "water"])
def test_power_and_water_are_told_apart(off):
    town = Village()
    town.switch(off, on=False)
    town.step()
    f = town.features(0)
    assert {name: f[f"{name}_on"] for name in ("power", "water")} == {"power": 1, "water": 1} | {off: 0}


def test_a_shift_has_no_progress_at_the_instant_when_it_is_over():
    town = Village().stand(0, OFFICE[0]).jump(538)
    town.step()
    assert town.features(0)["shift_progress"] == pytest.approx(179 / 180)
    town.step()
    assert town.features(0)["shift_progress"] == 0


def test_columns_of_rules_to_come_are_zero():
    for situation in EXPECTED:
        found = seen(situation)
        assert not any(found[name] for name in NOT_YET)


@pytest.mark.parametrize("option", range(8))
def test_the_option_is_one_hot(option):
    town = Village()
    town.step(context=context(town.model.spec.capacity, option, -1, 0))
    assert [town.features(0)[f"option_{name}"] for name in OPTIONS] == [float(k == option) for k in range(8)]


def test_the_hints_lead_down_the_field_on_every_tile():
    """From every free tile of the map, to the north-western corner and to the park."""
    town = Village()
    t = town.model.tables
    for name in ("home@3,3", "park"):
        goal = town.model.spec.fields.index(name)
        for y, x in np.argwhere(t.passable).tolist():
            if (x, y) in (town.at(1), town.at(2)):
                continue
            town.stand(0, (x, y))
            town.resident(0).goal = goal
            town.look()
            f, field = town.features(0), t.field_steps[t.fields[goal].window].astype(int)
            for way, dx, dy in (("north", 0, -1), ("south", 0, 1), ("east", 1, 0), ("west", -1, 0)):
                inside = 0 <= x + dx < WIDTH and 0 <= y + dy < HEIGHT
                leads = inside and t.passable[y + dy, x + dx] and field[y + dy, x + dx] < field[y, x]
                assert f[f"hint_{way}"] == float(bool(leads)), (name, x, y, way)
            assert f["goal_distance"] == pytest.approx(field[y, x] / SCALE, abs=1e-6)


def test_a_goal_that_is_no_field_is_no_goal():
    town = Village()
    fields = len(town.model.spec.fields)
    for goal in (-1, -7, fields, 30_000):
        town.step(context=context(town.model.spec.capacity, 1, goal, 5))
        assert town.features(0)["goal_distance"] == 1
        assert not any(town.features(0)[f"hint_{way}"] for way in ("north", "south", "east", "west"))


def test_only_the_nearest_object_by_path_counts_not_as_the_crow_flies():
    """A fridge behind a wall is nearer by air; the way to the other is shorter."""
    town = Town(["EhrrrF", ".###rr", ".Frrrr", ".rrrrr"], at=[(1, 0)])
    column = town.model.spec.feature_names.index("fridge_dx")
    dx, dy, distance = town.engine.arrays.features[0, 0, column : column + 3].tolist()
    assert (dx, dy, distance) == pytest.approx((1.0, 0.0, 3 / (6 + 4)), abs=1e-6)


def test_an_object_that_is_nowhere_is_far_and_without_direction():
    town = Town(["Ehr", "rrr"], at=[(1, 0)])
    column = town.model.spec.feature_names.index("fridge_dx")
    block = town.engine.arrays.features[0, 0, column : column + 18].reshape(6, 3)
    assert block.tolist() == [[0, 0, 1]] * 6


def window(town: Town, slot: int, channel: str) -> np.ndarray:
    return town.engine.arrays.map[0, slot, town.model.spec.map_channels.index(channel)]


def test_the_map_shows_oneself_others_objects_and_reservations():
    town = Village().stand(0, (3, 3)).stand(1, BESIDE["shower_1"]).stand(2, CAFE)
    town.step({1: "use:use_shower"})

    def at(*tiles: tuple[int, int]) -> np.ndarray:
        expected = np.zeros((11, 11), np.uint8)
        for x, y in tiles:
            expected[y - 3 + 5, x - 3 + 5] = 1
        return expected

    assert (window(town, 0, "self") == at((3, 3))).all()
    assert (window(town, 0, "agents") == at((4, 2), (8, 1))).all()
    assert (window(town, 0, "objects") == at((2, 2), (5, 2), (2, 4), (5, 4))).all()
    assert (window(town, 0, "reservations") == at((5, 2))).all()


def test_the_own_tile_shows_somebody_only_when_it_is_shared():
    town = Village()
    assert window(town, 0, "agents")[5, 5] == 0
    town.run(4, {1: "move_west"})
    assert town.at(0) == town.at(1)
    assert [int(window(town, slot, "agents")[5, 5]) for slot in (0, 1, 2)] == [1, 1, 0]
    assert window(town, 0, "agents").sum() == 2


@pytest.mark.parametrize("corner", [(0, 0), (15, 0), (0, 7), (15, 7)])
def test_beyond_the_edge_of_the_map_there_is_nothing(corner):
    """In every corner the window matches the map, and is empty where the map ends."""
    town = Village().stand(0, corner)
    t = town.model.tables
    objects = {(int(each.x), int(each.y)) for each in t.objects}
    for wy in range(11):
        for wx in range(11):
            x, y = corner[0] + wx - 5, corner[1] + wy - 5
            cell = (int(window(town, 0, "objects")[wy, wx]), int(window(town, 0, "agents")[wy, wx]))
            assert cell == (int((x, y) in objects), int((x, y) in HOMES[1:])), (x, y)


@pytest.mark.parametrize("side", [3, 7, 15])
def test_a_window_of_another_size_shows_the_same_town(side):
    town = Village(observations={"window": side}).stand(1, (4, 3))
    half = side // 2
    assert window(town, 0, "self").shape == (side, side)
    assert np.argwhere(window(town, 0, "self")).tolist() == [[half, half]]
    assert window(town, 0, "agents")[half, half + 1] == 1
    f = town.features(0)
    others = sum(max(abs(x - 3), abs(y - 3)) <= half for x, y in HOMES[1:])
    assert f["near_agents"] == pytest.approx(others / (side * side - 1), abs=1e-6)
    assert f["nearest_agent"] == pytest.approx(min(1, 2 / (side - 1)), abs=1e-6)
    assert f["near_objects"] == pytest.approx(window(town, 0, "objects").sum() / side**2, abs=1e-6)


@pytest.mark.parametrize(
    ("switched", "features"),
    [
        ({"targets": False}, 139 - 24),
        ({"personality": False}, 139 - 3),
        ({"targets": False, "personality": False}, 139 - 27),
        ({"top_friends": 0, "top_rivals": 0}, 91 + 4),
        ({"top_friends": 4, "top_rivals": 1, "identity_dim": 2}, 91 + 5 * 5 + 4),
    ],
)
def test_blocks_can_be_switched_off_and_the_others_keep_their_meaning(switched, features):
    town = Village(observations=switched)
    town.set_profile(0, "socialite")
    town.look()
    found, whole = town.features(0), socialite()
    assert len(found) == features
    common = found.keys() & whole.keys()
    assert {name: found[name] for name in common} == {name: whole[name] for name in common}


def test_dead_rows_are_zero_but_for_wait():
    town = Village()
    town.step()
    arrays = town.engine.arrays
    dead = 3
    assert arrays.alive[0].tolist() == [1, 1, 1, 0]
    assert arrays.mask[0, dead].tolist() == [1] + [0] * 14
    for name in ("map", "features", "reward", "terminated", "truncated", "alive", "serial"):
        assert not getattr(arrays, name)[0, dead].any(), name


def test_the_mask_shows_walls_edges_objects_and_claims():
    town = Village().stand(0, (0, 0))
    assert town.mask(0) == {"wait", "move_south", "move_east"}
    town.stand(0, (3, 2))
    assert town.mask(0) == {"wait", "move_north", "move_south", "move_east", "talk", "use:eat_meal"}
    town.step({0: "use:eat_meal"})
    assert town.mask(0) == {"wait", "leave", "use:eat_meal"}


def test_features_stay_in_range_and_the_map_binary_whatever_residents_do():
    batch = TownBatch(TownModel.build({"lifecycle": {"training_mode": True}}), 2)
    batch.reset(3)
    rng = np.random.default_rng(1)
    for _ in range(600):
        batch.step(rng.integers(0, 15, (2, batch.model.spec.capacity)))
        assert np.isfinite(batch.arrays.features).all()
        assert np.abs(batch.arrays.features).max() <= 1.0
        assert batch.arrays.map.max() <= 1
        assert (batch.arrays.map[:, :8, 0].sum(axis=(2, 3)) == 1).all()


def test_an_observation_is_a_pure_function_of_the_state():
    town = Village().stand(0, BESIDE["shower_1"])
    town.run(5, {0: "use:use_shower", 1: "move_east"})
    before = [array.copy() for array in town.engine.arrays]
    for array_ in town.engine.arrays[:3]:
        array_[...] = 1
    town.engine.observe()
    for name, old, new in zip(town.engine.arrays._fields, before, town.engine.arrays, strict=True):
        # Rewards are of the tick, not of the state after it.
        assert name.startswith("reward") or (old == new).all(), name
