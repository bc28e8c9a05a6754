"""Many towns at once: each lives as it would alone, in arrays that the caller owns."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet_adapters.kernels.sampling import sample_valid_batch
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.batch import Intervention, TownBatch, allocate_arrays
from townlet_adapters.worlds.town.decode import Decoder
from townlet_adapters.worlds.town.model import TownModel
from townlet_adapters.worlds.town.options import TownOptions
from townlet_adapters.worlds.town.world import TownWorld
from townlet_core.dto.action import ActionBatch
from townlet_core.errors import WorldError


@pytest.fixture(scope="module")
def hamlet() -> TownModel:
    return TownModel.build(TownOptions(town="hamlet_24"))


def choose(batch: TownBatch):
    """Give every resident of every town an action by chance, each town by its own seed and tick."""
    mask = batch.arrays.mask
    actions, targets = np.zeros(mask.shape[:2], np.int16), np.zeros(mask.shape[:2], np.int32)
    towns = batch.state.towns
    seeds, ticks = towns["seed"].copy(), towns["tick"].copy()
    sample_valid_batch(mask, batch.arrays.alive, batch.arrays.serial, ticks, seeds, actions, targets)
    return actions, targets


def image_of(batch: TownBatch, b: int) -> bytes:
    """Everything about one town: its state, what its residents see, and what was counted."""
    parts = [array[b] for array in (*batch.state, *batch.arrays)]
    parts += [
        batch.journal.rows[b, : batch.journal.written[b]],
        batch.journal.actions[b],
        batch.journal.failures[b],
    ]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    towns=st.integers(2, 5),
    data=st.data(),
    ticks=st.integers(1, 200),
)
def test_a_town_of_a_batch_lives_as_it_would_alone(hamlet, seed, towns, data, ticks):
    """State, arrays and events, byte for byte, whatever its place, its neighbours and what befalls them."""
    b = data.draw(st.integers(0, towns - 1))
    batch, alone = TownBatch(hamlet, towns, journal=True), TownBatch(hamlet, 1, journal=True)
    batch.reset(seed)
    alone.reset((seed + b) % 2**64)
    decoder = Decoder(hamlet)
    assert image_of(batch, b) == image_of(alone, 0)
    for tick in range(ticks):
        if tick % 11 == 3:
            batch.intervene(
                Intervention(b, codes.TELEPORT, 1, 2 + tick % 7, 10),
                Intervention((b + 1) % towns, codes.SWITCH_UTILITY, 0, 1, 0),
                Intervention(b, codes.CLOSE_OBJECT, tick % 8, tick % 2),
            )
            alone.intervene(
                Intervention(0, codes.TELEPORT, 1, 2 + tick % 7, 10),
                Intervention(0, codes.CLOSE_OBJECT, tick % 8, tick % 2),
            )
        batch.step(*choose(batch))
        alone.step(*choose(alone))
        assert decoder.events(batch.state, batch.journal, b) == decoder.events(alone.state, alone.journal, 0)
    assert image_of(batch, b) == image_of(alone, 0)


def test_the_world_is_a_batch_of_one(hamlet):
    world, batch = TownWorld(hamlet), TownBatch(hamlet, 1, journal=True)
    world.reset(12)
    batch.reset(12)
    founding = Decoder(hamlet).events(batch.state, batch.journal, 0)
    for tick in range(300):
        actions, targets = choose(batch)
        outcome = world.step(ActionBatch(memoryview(actions[0]), memoryview(targets[0])))
        batch.step(actions, targets)
        told = Decoder(hamlet).events(batch.state, batch.journal, 0)
        assert outcome.events == (founding + told if tick == 0 else told)
    assert image_of(world.engine, 0) == image_of(batch, 0)


def test_a_seed_founds_neighbours_with_the_seeds_that_follow_it(hamlet):
    counted, listed = TownBatch(hamlet, 3), TownBatch(hamlet, 3)
    counted.reset(2**64 - 2)
    listed.reset([2**64 - 2, 2**64 - 1, 0])
    assert counted.state.towns["seed"].tolist() == [2**64 - 2, 2**64 - 1, 0]
    for _ in range(50):
        counted.step(*choose(counted))
        listed.step(*choose(listed))
    assert [image_of(counted, b) for b in range(3)] == [image_of(listed, b) for b in range(3)]
    assert len({image_of(counted, b) for b in range(3)}) == 3


def test_a_batch_that_is_reset_remembers_nothing(hamlet):
    used, fresh = TownBatch(hamlet, 2, journal=True), TownBatch(hamlet, 2, journal=True)
    used.reset(1)
    for _ in range(100):
        used.intents.option[...] = 3
        used.step(*choose(used))
    used.intervene(Intervention(0, codes.SWITCH_UTILITY, 0, 0, 0))
    used.reset(77)
    fresh.reset(77)
    for _ in range(20):
        used.step(*choose(used))
        fresh.step(*choose(fresh))
    assert [image_of(used, b) for b in range(2)] == [image_of(fresh, b) for b in range(2)]


def test_a_batch_without_a_journal_lives_the_same(hamlet):
    told, untold = TownBatch(hamlet, 2, journal=True), TownBatch(hamlet, 2)
    told.reset(4)
    untold.reset(4)
    for _ in range(300):
        told.step(*choose(told))
        untold.step(*choose(untold))
    assert untold.journal.rows.shape[1] == 0
    for mine, theirs in zip((*told.state, *told.arrays), (*untold.state, *untold.arrays), strict=True):
        assert mine.tobytes() == theirs.tobytes()


def test_observations_are_written_into_the_arrays_of_the_caller(hamlet):
    mine = allocate_arrays(hamlet, 2)
    for array in mine:
        array.fill(1)
    batch = TownBatch(hamlet, 2, arrays=mine)
    assert batch.reset(3) is mine
    own = TownBatch(hamlet, 2)
    own.reset(3)
    for _ in range(5):
        assert batch.step(*choose(batch)) is mine
        own.step(*choose(own))
    for name, array, expected in zip(mine._fields, mine, own.arrays, strict=True):
        assert array.tobytes() == expected.tobytes(), name


def test_an_array_of_another_shape_type_or_layout_is_refused(hamlet):
    fitting = allocate_arrays(hamlet, 2)
    frozen = fitting.features.copy()
    frozen.flags.writeable = False
    wrong = {
        "mask": (fitting.mask[:1], "arrays.mask is uint8[1, 4, 15]; needed: uint8[2, 4, 15]"),
        "reward": (fitting.reward.astype(float), "arrays.reward is float64[2, 4]; needed: float32[2, 4]"),
        "map": (np.asfortranarray(fitting.map), "arrays.map must be C-contiguous and writable"),
        "features": (frozen, "arrays.features must be C-contiguous and writable"),
    }
    for name, (array, message) in wrong.items():
        with pytest.raises(ValueError, match=re.escape(message)):
            TownBatch(hamlet, 2, arrays=fitting._replace(**{name: array}))


def test_a_batch_has_towns_and_a_seed_for_each(hamlet):
    with pytest.raises(ValueError, match="a batch of 0 towns; at least 1"):
        TownBatch(hamlet, 0)
    with pytest.raises(ValueError, match="1 seeds for 2 towns"):
        TownBatch(hamlet, 2).reset([5])


def test_actions_of_another_shape_are_refused(hamlet):
    batch = TownBatch(hamlet, 2)
    batch.reset(1)
    with pytest.raises(ValueError, match="broadcast"):
        batch.step(np.zeros((2, 5), int))


def test_a_tick_that_wrote_more_than_was_thought_possible_ends_the_run(hamlet):
    """The bound is a promise of the rules; broken, the tick's events would be lost without a word."""
    batch = TownBatch(hamlet, 1, journal=True)
    batch.journal = batch.journal._replace(rows=batch.journal.rows[:, :2])
    with pytest.raises(WorldError, match="at most 2 were thought possible"):
        batch.reset(1)
