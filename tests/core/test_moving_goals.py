"""A world may show lists of each resident, such as who is near: a column with a capacity, like any other."""

from array import array
from dataclasses import replace

import pytest

from townlet_core.dto.action import ActionBatch, Decision, PolicyIdentity
from townlet_core.dto.observation import View
from townlet_core.dto.spec import ColumnSpec
from townlet_core.errors import ContractError
from townlet_core.testing import FakeWorld, check_policy, check_world
from townlet_core.testing.fakes import readonly

ROOM = 3
"""Residents that the list has room for."""
SIGHT = 4
NOBODY = -1
COLUMNS = (
    ColumnSpec("near", "i", ("slots", "near"), "slot"),
    ColumnSpec("near_steps", "i", ("slots", "near"), "steps"),
    ColumnSpec("talk_ready", "q", ("slots",), "tick"),
)


class Meadow(FakeWorld):
    """Residents that move along a line; each sees who is near, the nearest first, ties by serial."""

    room = ROOM

    def __init__(self):
        super().__init__(agents=6, empty_from=40)
        self._spec = replace(self._spec, view=(*self._spec.view, *COLUMNS))

    def _view(self, living: int) -> View:
        view, slots = super()._view(living), self._spec.capacity
        at = [(5 * slot + self._state.tick * (1 + slot % 3)) % 17 for slot in range(slots)]
        near, steps = array("i"), array("i")
        for slot in range(slots):
            found = sorted(
                (abs(at[slot] - at[other]), other)
                for other in range(living)
                if other != slot and slot < living
            )
            listed = [each for each in found if each[0] <= SIGHT][: self.room]
            blank = [NOBODY] * (self.room - len(listed))
            near.extend([other for _, other in listed] + blank)
            steps.extend([distance for distance, _ in listed] + blank)
        ready = [self._state.tick + 2 * slot if slot < living else 0 for slot in range(slots)]
        more = {
            "near": readonly(near, slots, self.room),
            "near_steps": readonly(steps, slots, self.room),
            "talk_ready": readonly(array("q", ready), slots),
        }
        return replace(view, columns={**view.columns, **more})


class Sociable:
    """Acts like the nearest resident that is ready to talk may act; finds its columns by name in the spec."""

    identity = PolicyIdentity("sociable", "0" * 64)

    def __init__(self):
        self.met = set()

    def begin(self, spec, seed):
        del seed
        columns = {column.name: column for column in spec.view}
        assert columns["near"].axes == columns["near_steps"].axes

    def decide(self, observation):
        columns = observation.view.columns
        near, ready = columns["near"].tolist(), columns["talk_ready"].tolist()
        mask, chosen = observation.mask.tolist(), array("h")
        for slot, others in enumerate(near):
            company = [each for each in others if each != NOBODY and ready[each] <= observation.tick + 4]
            self.met |= {(slot, each) for each in company}
            wish = 1 + company[0] % 3 if company else 0
            chosen.append(wish if mask[slot][wish] else 0)
        slots = len(near)
        return Decision(ActionBatch(readonly(chosen, slots), readonly(array("i", [-1] * slots), slots)))

    def end(self):
        """Nothing to release."""


def test_a_list_of_each_resident_passes_through_world_policy_and_contracts():
    check_world(Meadow, ticks=60)
    policies = []

    def make():
        policies.append(Sociable())
        return policies[-1]

    check_policy(make, Meadow, ticks=60)
    assert max(len(policy.met) for policy in policies) > 8


def test_a_list_is_in_its_order_and_blank_where_it_ends_and_where_nobody_lives():
    world = Meadow()
    observation = world.reset(1)
    lengths = set()
    waiting = ActionBatch(readonly(array("h", [0] * 6), 6), readonly(array("i", [-1] * 6), 6))
    for _ in range(50):
        columns = observation.view.columns
        for slot, (others, steps) in enumerate(
            zip(columns["near"].tolist(), columns["near_steps"].tolist(), strict=True)
        ):
            listed = [each for each in others if each != NOBODY]
            lengths.add(len(listed))
            assert others == listed + [NOBODY] * (ROOM - len(listed))
            assert list(zip(steps, listed, strict=False)) == sorted(zip(steps, listed, strict=False))
            assert not listed or observation.alive[slot]
        observation = world.step(waiting).observation
    assert lengths == set(range(ROOM + 1))


@pytest.mark.parametrize("name", ["near", "near_steps"])
def test_two_lists_of_one_capacity_must_have_the_same_length(name):
    class Uneven(Meadow):
        def _view(self, living):
            view = super()._view(living)
            short = readonly(array("i", [NOBODY] * 12), 6, 2)
            return replace(view, columns={**view.columns, name: short})

    with pytest.raises(ContractError, match=r"along 'near'; view.columns\['near'\] says"):
        check_world(Uneven, ticks=4)
