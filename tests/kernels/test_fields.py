"""Distance fields are breadth-first distances, as far as a byte can tell them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from townlet_adapters.kernels.fields import DX, DY, UNREACHABLE
from townlet_adapters.worlds.town.compiled.navigation import flood_all
from townlet_adapters.worlds.town.inputs.townmap import walk_distances

GRIDS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 1))
)


def field_to(passable: np.ndarray, *goals: int) -> np.ndarray:
    fields = np.full((1, *passable.shape), UNREACHABLE, np.uint8)
    frontier = np.zeros(passable.size, np.int32)
    flood_all(passable, np.array([0, len(goals)]), np.array(goals, np.int32), frontier, fields)
    return fields[0]


@settings(max_examples=60, deadline=None)
@given(GRIDS, st.data())
def test_a_field_holds_the_steps_to_its_nearest_goal(passable, data):
    goals = data.draw(st.sets(st.integers(0, passable.size - 1), min_size=1, max_size=3))
    passable.ravel()[list(goals)] = 1
    field = field_to(passable, *sorted(goals))
    width = passable.shape[1]
    walks = [walk_distances(passable > 0, (goal % width, goal // width)) for goal in goals]
    steps = np.min([np.where(walk < 0, UNREACHABLE, walk) for walk in walks], axis=0)
    assert (field == steps).all()


def test_what_is_farther_than_254_steps_counts_as_unreachable():
    field = field_to(np.ones((1, 300), np.uint8), 0)
    assert field[0, :255].tolist() == list(range(255))
    assert set(field[0, 255:].tolist()) == {UNREACHABLE}


def test_without_goals_nothing_is_reachable():
    assert (field_to(np.ones((3, 3), np.uint8)) == UNREACHABLE).all()


def test_each_field_has_goals_of_its_own():
    passable = np.ones((1, 5), np.uint8)
    fields = np.full((2, 1, 5), UNREACHABLE, np.uint8)
    flood_all(passable, np.array([0, 1, 3]), np.array([0, 4, 2], np.int32), np.zeros(5, np.int32), fields)
    assert fields[:, 0].tolist() == [[0, 1, 2, 3, 4], [2, 1, 0, 1, 0]]


def test_directions_are_north_south_east_west():
    assert list(zip(DX.tolist(), DY.tolist(), strict=True)) == [(0, -1), (0, 1), (1, 0), (-1, 0)]
