"""Towns of many districts: fields that cover a part of the map, and ways that lead beyond it."""

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.town.towns import town_map
from townlet_adapters.kernels.compiler import entry_kernel
from townlet_adapters.kernels.fields import UNREACHABLE, detour
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.navigation import SPAN, find_fields
from townlet_adapters.worlds.town.inputs.plan import HomeTile, Place, TownObject
from townlet_adapters.worlds.town.inputs.townmap import walk_distances
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.errors import ConfigError

STEPS = ("hint_north", "hint_south", "hint_east", "hint_west")


def grid(district: object, rows: int, cols: int, **options: object) -> Mapping[str, object]:
    return {"town": {"grid": {"district": district, "rows": rows, "cols": cols}}, **options}


class Land(NamedTuple):
    """The part of a plan from which fields are computed: a district repeated, with an entry in each."""

    width: int
    height: int
    grid_rows: int
    grid_cols: int
    entries: tuple[tuple[int, int], ...]
    place_at: np.ndarray
    objects: tuple[TownObject, ...] = ()
    places: tuple[Place, ...] = ()
    home_tiles: tuple[HomeTile, ...] = ()

    @property
    def districts(self) -> int:
        return self.grid_rows * self.grid_cols


@st.composite
def lands(draw) -> tuple[Land, np.ndarray]:
    """A random district, its entry on a free tile, laid side by side."""
    side = st.integers(1, 5)
    district = draw(arrays(np.uint8, st.tuples(side, side), elements=st.sampled_from([0, 1, 1])))
    rows, cols = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    height, width = district.shape
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    district[y, x] = 1
    entries = tuple((x + c * width, y + r * height) for r in range(rows) for c in range(cols))
    passable = np.tile(district, (rows, cols))
    nowhere = np.full(passable.shape, -1, np.int32)
    return Land(width * cols, height * rows, rows, cols, entries, nowhere), passable


def covered(land: Land, district: int) -> tuple[slice, slice]:
    """The tiles that the field of a goal in a district covers: (rows, columns)."""
    spans = []
    for number, count, length in (
        (district // land.grid_cols, land.grid_rows, land.height),
        (district % land.grid_cols, land.grid_cols, land.width),
    ):
        first = min(max(number - 1, 0), max(0, count - SPAN))
        side = length // count
        spans.append(slice(first * side, min(first + SPAN, count) * side))
    return spans[0], spans[1]


@settings(max_examples=60, deadline=None)
@given(lands())
def test_a_field_has_the_steps_over_the_tiles_that_it_covers(drawn):
    land, passable = drawn
    steps, fields = find_fields(land, passable)
    for district, entry in enumerate(land.entries):
        rows, columns = covered(land, district)
        window = np.zeros_like(passable)
        window[rows, columns] = passable[rows, columns]
        walks = walk_distances(window > 0, entry)[rows, columns]
        field = fields[district]
        assert (field.y, field.x) == (rows.start, columns.start)
        assert (steps[field.window] == np.where(walks < 0, UNREACHABLE, walks)).all()


@entry_kernel
def led(steps, fields, goal, x, y):
    """``detour``, which only kernels can call."""
    return detour(steps, fields, goal, x, y)


@pytest.mark.parametrize("walled", [False, True])
def test_a_detour_leads_to_the_entry_of_the_next_district_on_the_way(walled):
    """Of the own one where the next one cannot be reached: a wall between all rows of districts here."""
    rows, cols, side = 4, 5, 3
    entries = tuple((side * c + 1, side * r + 1) for r in range(rows) for c in range(cols))
    passable = np.ones((rows * side, cols * side), np.uint8)
    passable[side - 1 :: side] = not walled
    nowhere = np.full(passable.shape, -1, np.int32)
    steps, fields = find_fields(Land(cols * side, rows * side, rows, cols, entries, nowhere), passable)
    for goal in range(rows * cols):
        for own in range(rows * cols):
            row, column = own // cols, own % cols
            down, right = np.sign(goal // cols - row), np.sign(goal % cols - column)
            following = own if walled and down else (row + down) * cols + column + right
            assert led(steps, fields, goal, side * column, side * row) == following, (goal, own)


def test_in_a_town_of_up_to_three_by_three_districts_every_field_covers_the_map():
    model = TownModel.build(grid("hamlet_24", 3, 2))
    t = model.tables
    assert t.field_steps.shape[1:] == t.passable.shape
    assert not t.fields["x"].any()
    assert not t.fields["y"].any()


def test_within_a_district_the_steps_of_the_shipped_maps_are_those_of_the_whole_map():
    """No way between two tiles of a district is shorter outside of the nine districts around it."""
    model = TownModel.build(grid("town_48", 5, 5))
    t = model.tables
    first = len(model.plan.objects) + len(model.plan.places)
    for number in (0, 17, 100, len(model.plan.home_tiles) - 1):
        home = model.plan.home_tiles[number]
        walks = walk_distances(t.passable > 0, (home.x, home.y))
        y, x = home.district // 5 * 48, home.district % 5 * 48
        field = t.fields[first + number]
        there = t.field_steps[field.window, y - field.y : y - field.y + 48, x - field.x : x - field.x + 48]
        own = walks[y : y + 48, x : x + 48]
        assert (np.where(own < 0, UNREACHABLE, own) == there).all()


def test_equal_districts_share_their_fields():
    small, large = (TownModel.build(grid("hamlet_24", side, side)).tables for side in (3, 6))
    assert len(large.fields) == 4 * len(small.fields)
    assert large.field_steps.nbytes == small.field_steps.nbytes


def send_away(world: TownWorld, tile: tuple[int, int]) -> None:
    """Move the first resident in the next tick."""
    world.engine.intervene(Intervention(0, codes.TELEPORT, 0, *tile))


@pytest.mark.parametrize("district", ["town_48", "hamlet_24"])
def test_the_hints_lead_from_every_corner_to_every_kind_of_goal(district):
    model = TownModel.build(grid(district, 6, 5, population={"target": 1}, lifecycle={"training_mode": True}))
    plan, names, t = model.plan, model.spec.feature_names, model.tables
    world = TownWorld(model)
    world.reset(1)
    engine, r = world.engine, world.engine.state.residents[0, 0]
    features = engine.arrays.features[0, 0]
    goals = (0, len(plan.objects), len(plan.objects) + len(plan.places), len(t.fields) - 1)
    for goal in goals:
        field = t.fields[goal]
        for corner in (0, 4, 25, 29):
            send_away(world, plan.entries[corner])
            engine.intents.action[0, 0] = codes.WAIT
            engine.advance()
            engine.intents.goal[...] = goal  # the teleport ended what the resident was about
            engine.advance()
            far = abs(corner // 5 - field.district // 5) > 2 or abs(corner % 5 - field.district % 5) > 2
            assert (not far) or features[names.index("goal_distance")] == 1
            for _ in range(sum(model.tables.passable.shape)):
                hints = [features[names.index(name)] for name in STEPS]
                if not any(hints):
                    break
                engine.intents.action[0, 0] = codes.MOVE_NORTH + hints.index(1)
                engine.advance()
            assert t.field_steps[field.window, r.y - field.y, r.x - field.x] == 0, (goal, corner)


def test_a_scripted_resident_finds_home_from_the_other_end_of_the_town():
    model = TownModel.build(grid("hamlet_24", 4, 4))
    world, policy = TownWorld(model), ScriptedPolicy(ScriptedOptions())
    policy.begin(model.spec, 1)
    observation = world.reset(1)
    r = world.engine.state.residents[0, 0]
    x, y = model.plan.entries[-1]
    send_away(world, (x, y))
    observation = world.step(policy.decide(observation).actions).observation
    assert abs(r.x - x) + abs(r.y - y) <= 1
    while (
        observation.tick < codes.TICKS_PER_DAY
        and model.tables.place_at[r.y, r.x] != model.tables.homes[0].place
    ):
        observation = world.step(policy.decide(observation).actions).observation
    assert observation.tick < codes.TICKS_PER_DAY
    policy.end()


def test_thousands_are_founded_with_names_of_their_own_and_profiles_in_proportion():
    model = TownModel.build(grid("town_48", 8, 8, population={"target": 4096}))
    batch = TownBatch(model, 1)
    batch.reset(3)
    residents = batch.state.residents[0]
    living = residents[residents["alive"]]
    assert len(living) == 4096
    called = Counter(zip(living["name"].tolist(), living["name_round"].tolist(), strict=True))
    assert max(called.values()) == 1
    assert set(living["name_round"].tolist()) == set(range(4096 // 64))
    counts = np.bincount(living["profile"])
    # Each newcomer gets one of the profiles that are below their shares.
    assert (abs(counts - 4096 * model.tables.profiles["weight"]) < 1).all()


def test_names_are_given_in_turn_from_the_one_that_was_drawn():
    """As when every name was compared with those of all others: rounds fill up one after the other."""
    batch = TownBatch(TownModel.build(grid("hamlet_24", 4, 4, population={"target": 100})), 1)
    batch.reset(5)
    residents = batch.state.residents[0]
    taken: set[tuple[int, int]] = set()
    for r in residents[residents["alive"]]:
        assert (int(r["name_round"]), int(r["name"])) not in taken
        assert r["name_round"] == len(taken) // 64
        taken.add((int(r["name_round"]), int(r["name"])))


def test_what_is_counted_follows_from_the_residents_after_a_restore():
    world = TownWorld(TownModel.build(grid("hamlet_24", 3, 3, population={"target": 70})))
    world.reset(2)
    heir = TownWorld(TownModel.build(grid("hamlet_24", 3, 3, population={"target": 70})))
    heir.restore(world.snapshot())
    assert heir.engine.state.census[0, :, -1].tolist() == [70, 64, 6]
    assert (heir.engine.state.census == world.engine.state.census).all()


def test_a_grid_with_more_tiles_than_a_town_may_have_is_refused():
    with pytest.raises(ConfigError) as caught:
        TownModel.build(grid(town_map(["E" + "r" * 255, "h" + "r" * 255] + ["r" * 256] * 254), 9, 8))
    (problem,) = caught.value.problems
    assert problem.key == "town.grid"
    assert problem.found == "9 x 8 districts of 256 x 256 tiles are 4718592"


LARGEST = """
import resource
from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.seam.world import TownWorld

model = TownModel.build({"town": {"grid": {"district": "town_48", "rows": 32, "cols": 32}}})
world, policy = TownWorld(model), ScriptedPolicy(ScriptedOptions())
policy.begin(model.spec, 1)
observation = world.reset(1)
for _ in range(3):
    observation = world.step(policy.decide(observation).actions).observation
print(sum(observation.alive), model.plan.districts, len(model.plan.objects), len(model.spec.fields))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_the_largest_grid_of_the_default_town_lives_in_two_gigabytes():
    """In a process of its own, whose memory is that of this town alone."""
    done = subprocess.run([sys.executable, "-c", LARGEST], check=True, capture_output=True, text=True)
    counts, kilobytes = done.stdout.splitlines()
    residents, districts, objects, fields = map(int, counts.split())
    assert (residents, districts, objects) == (8192, 1024, 25_600)
    assert fields == len(TownModel.build().spec.fields) * 1024
    assert int(kilobytes) < 2_000_000
