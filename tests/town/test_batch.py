"""Many towns at once: each lives as it would alone, in arrays that the caller owns."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet_adapters.kernels.sampling import sample_valid_batch
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.batch import TownBatch
from townlet_adapters.worlds.town.seam.buffers import allocate_arrays
from townlet_adapters.worlds.town.seam.decode import Decoder
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dto.action import ActionBatch
from townlet_core.errors import ArgumentError, WorldError


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
        assert decoder.events(batch.journal, b) == decoder.events(alone.journal, 0)
    assert image_of(batch, b) == image_of(alone, 0)


def test_the_world_is_a_batch_of_one(hamlet):
    world, batch = TownWorld(hamlet), TownBatch(hamlet, 1, journal=True)
    world.reset(12)
    batch.reset(12)
    founding = Decoder(hamlet).events(batch.journal, 0)
    for tick in range(300):
        actions, targets = choose(batch)
        outcome = world.step(ActionBatch(memoryview(actions[0]), memoryview(targets[0])))
        batch.step(actions, targets)
        told = Decoder(hamlet).events(batch.journal, 0)
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


def test_the_arrays_of_an_observation_are_overwritten_and_a_copy_of_them_is_kept(hamlet):
    batch = TownBatch(hamlet, 2)
    seen = batch.reset(3)
    kept = batch.copy_observation()
    assert [array.tobytes() for array in kept] == [array.tobytes() for array in seen]
    before = kept.features.tobytes()
    assert batch.step(*choose(batch)) is seen
    assert kept.features.tobytes() == before != seen.features.tobytes()
    assert not any(np.shares_memory(mine, theirs) for mine, theirs in zip(kept, seen, strict=True))
    kept.mask.fill(0)
    assert seen.mask.any()


def test_actions_and_targets_of_a_step_are_copied(hamlet):
    batch, twin = TownBatch(hamlet, 1), TownBatch(hamlet, 1)
    batch.reset(3)
    twin.reset(3)
    for _ in range(10):
        actions, targets = choose(batch)
        batch.step(actions, targets)
        twin.step(actions.copy(), targets.copy())
        actions.fill(0)
        targets.fill(0)
    assert image_of(batch, 0) == image_of(twin, 0)


def test_an_array_of_another_shape_type_or_layout_is_refused(hamlet):
    fitting = allocate_arrays(hamlet, 2)
    frozen = fitting.features.copy()
    frozen.flags.writeable = False
    wrong = {
        "mask": (fitting.mask[:1], "arrays.mask is uint8[1, 4, 15]; expected uint8[2, 4, 15]"),
        "reward": (fitting.reward.astype(float), "arrays.reward is float64[2, 4]; expected float32[2, 4]"),
        "map": (np.asfortranarray(fitting.map), "arrays.map is read-only or not C-contiguous"),
        "features": (frozen, "arrays.features is read-only or not C-contiguous"),
        "alive": ([1, 1], "arrays.alive is of type list; expected uint8[2, 4]"),
    }
    for name, (array, message) in wrong.items():
        with pytest.raises(ArgumentError, match=re.escape(message)):
            TownBatch(hamlet, 2, arrays=fitting._replace(**{name: array}))
    with pytest.raises(ArgumentError, match="arrays is of type tuple; expected TownArrays"):
        TownBatch(hamlet, 2, arrays=tuple(fitting))


@pytest.mark.parametrize("towns", [0, -1, 1.0, "2", None])
def test_a_batch_has_a_whole_number_of_towns(hamlet, towns):
    with pytest.raises(ArgumentError, match=f"towns is {towns!r}; expected a whole number of at least 1"):
        TownBatch(hamlet, towns)


def test_a_batch_is_made_of_a_model_and_nothing_else(hamlet):
    for model, name in ((hamlet.options, "TownOptions"), ({"town": "hamlet_24"}, "dict"), (None, "NoneType")):
        with pytest.raises(ArgumentError, match=f"model is of type {name}; expected a TownModel"):
            TownBatch(model, 2)


def test_a_batch_has_a_seed_for_each_town_and_each_fits_64_bits(hamlet):
    batch = TownBatch(hamlet, 2)
    with pytest.raises(ArgumentError, match="1 seeds for 2 towns; expected one, or one for each town"):
        batch.reset([5])
    for seed in (-1, 2**64, 1.5, None, [0, -1], [0, 2**64], [0, 0.0], "78"):
        with pytest.raises(ArgumentError, match="expected a whole number from 0 to 2\\*\\*64 - 1"):
            batch.reset(seed)
    batch.reset(np.arange(2, dtype=np.uint64))
    assert batch.state.towns["seed"].tolist() == [0, 1]
    batch.reset(np.int64(2))
    assert batch.state.towns["seed"].tolist() == [2, 3]


WAITING = np.zeros((2, 4), np.int16)
"""Everybody in two hamlets waits."""


@pytest.mark.parametrize(
    ("actions", "found"),
    [
        (WAITING.astype(np.float32), "actions is float32[2, 4]"),
        (WAITING.astype(bool), "actions is bool[2, 4]"),
        (WAITING.astype(str), "actions is <U6[2, 4]"),
        (WAITING[:1], "actions is int16[1, 4]"),
        (WAITING[:, :3], "actions is int16[2, 3]"),
        (WAITING[0], "actions is int16[4]"),
        (WAITING.reshape(2, 4, 1), "actions is int16[2, 4, 1]"),
        (WAITING.T, "actions is int16[4, 2]"),
        (WAITING.tolist(), "actions is of type list"),
        (0, "actions is of type int"),
        (None, "actions is of type NoneType"),
    ],
)
def test_actions_of_another_type_or_shape_are_refused(hamlet, actions, found):
    batch = TownBatch(hamlet, 2)
    batch.reset(1)
    before = [image_of(batch, b) for b in range(2)]
    with pytest.raises(
        ArgumentError, match=re.escape(f"{found}; expected an array of integers of shape [2, 4]")
    ):
        batch.step(actions)
    assert [image_of(batch, b) for b in range(2)] == before


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64])
def test_actions_may_be_integers_of_any_size(hamlet, dtype):
    batch, twin = TownBatch(hamlet, 2), TownBatch(hamlet, 2)
    batch.reset(1)
    twin.reset(1)
    for _ in range(5):
        actions, _ = choose(batch)
        batch.step(actions.astype(dtype))
        twin.step(np.asfortranarray(actions.astype(dtype)))
    assert image_of(batch, 1) == image_of(twin, 1)
    assert batch.state.towns["tick"].tolist() == [5, 5]


@pytest.mark.parametrize(
    ("number", "dtype"),
    [(-1, np.int8), (15, np.int16), (-1, np.int64), (2**16, np.int32), (2**63, np.uint64)],
)
def test_a_number_of_no_action_is_refused_by_its_place(hamlet, number, dtype):
    actions = WAITING.astype(dtype)
    actions[1, 2] = number
    batch = TownBatch(hamlet, 2)
    batch.reset(1)
    with pytest.raises(ArgumentError, match=re.escape(f"actions[1, 2] is {number}; expected 0 to 14")):
        batch.step(actions)
    assert batch.state.towns["tick"].tolist() == [0, 0]


def test_the_first_and_the_last_action_are_taken_and_a_masked_one_is_data(hamlet):
    batch = TownBatch(hamlet, 2)
    seen = batch.reset(1)
    last = len(hamlet.spec.action_names) - 1
    assert not seen.mask[:, :, last].any()
    batch.step(np.full((2, 4), last))
    assert batch.journal.failures[:, codes.INVALID].tolist() == [3, 3]  # and a slot that is dead
    batch.step(WAITING)
    assert batch.journal.failures[:, codes.INVALID].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (WAITING.astype(float), "targets is float64[2, 4]; expected an array of integers of shape [2, 4]"),
        (WAITING[:1], "targets is int16[1, 4]; expected an array of integers of shape [2, 4]"),
        (np.full((2, 4), -2), "targets[0, 0] is -2; expected -1 to 2147483647"),
        (np.full((2, 4), 2**31), "targets[0, 0] is 2147483648; expected -1 to 2147483647"),
        (np.full((2, 4), 2**63, np.uint64), "targets[0, 0] is 9223372036854775808; expected -1"),
    ],
)
def test_targets_that_no_town_can_read_are_refused(hamlet, targets, message):
    batch = TownBatch(hamlet, 2)
    batch.reset(1)
    with pytest.raises(ArgumentError, match=re.escape(message)):
        batch.step(WAITING, targets)


def test_a_target_that_does_not_exist_is_data(hamlet):
    batch = TownBatch(hamlet, 2)
    batch.reset(1)
    batch.step(WAITING, np.full((2, 4), 2**31 - 1))
    batch.step(WAITING, np.full((2, 4), -1, np.int8))
    batch.step(WAITING, np.zeros((2, 4), np.uint64))
    assert batch.state.towns["tick"].tolist() == [3, 3]


def test_towns_that_have_not_been_founded_cannot_be_stepped(hamlet):
    batch = TownBatch(hamlet, 2)
    for step in (lambda: batch.step(WAITING), batch.advance, batch.observe):
        with pytest.raises(WorldError, match="the towns were not started: call reset first"):
            step()
    batch.reset(1)
    batch.step(WAITING)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (Intervention(2, codes.TELEPORT, 0), "town is 2 in "),
        (Intervention(-1, codes.TELEPORT, 0), "town is -1 in "),
        (Intervention(0, codes.TELEPORT, 4), "who is 4 in "),
        (Intervention(0, codes.SET_NEED, -1), "who is -1 in "),
        (Intervention(0, codes.SET_NEED, 0, 3), "a is 3 in "),
        (Intervention(0, codes.SET_NEED, 0, 0, x=float("nan")), "x is nan in "),
        (Intervention(0, codes.SWITCH_UTILITY, 1), "who is 1 in "),
        (Intervention(0, codes.SWITCH_UTILITY, 0, 2), "a is 2 in "),
        (Intervention(0, codes.SWITCH_UTILITY, 0, 1, 2), "b is 2 in "),
        (Intervention(0, codes.CLOSE_OBJECT, 9), "who is 9 in "),
        (Intervention(0, codes.CLOSE_OBJECT, 0, 2), "a is 2 in "),
        (Intervention(0, 99, 0), "what is 99 in an intervention; known: "),
    ],
)
def test_an_intervention_in_what_does_not_exist_is_refused_with_all_that_came_with_it(hamlet, order, message):
    batch, untouched = TownBatch(hamlet, 2), TownBatch(hamlet, 2)
    batch.reset(1)
    untouched.reset(1)
    with pytest.raises(ArgumentError, match=re.escape(message)):
        batch.intervene(Intervention(0, codes.SET_NEED, 0, 0, x=0.0), order)
    batch.step(WAITING)
    untouched.step(WAITING)
    assert image_of(batch, 0) == image_of(untouched, 0)


def test_what_python_code_prints_of_towns_fits_a_line(hamlet):
    world, batch = TownWorld(hamlet), TownBatch(hamlet, 2)
    world.reset(1)
    waiting = ActionBatch(memoryview(WAITING[0]), memoryview(np.full(4, -1, np.int32)))
    outcome = world.step(waiting)
    assert repr(batch.reset(1)) == "TownArrays(towns=2, slots=4, map=[4, 11, 11], features=139, actions=15)"
    assert repr(batch) == "TownBatch(2 x TownModel(hamlet_24, 24 x 24 tiles, 4 slots, 15 actions))"
    printed = [
        *(hamlet, hamlet.plan, hamlet.tables, hamlet.spec, world, world.snapshot(), outcome),
        *(outcome.observation, outcome.observation.view, batch, batch.arrays, batch.state, batch.intents),
        batch.journal,
    ]
    assert [text for text in map(repr, printed) if len(text) > 110 or "\n" in text or " at 0x" in text] == []


def test_a_journal_that_grew_for_many_interventions_is_written_in_the_ticks_after_them(hamlet):
    batch, calm = TownBatch(hamlet, 1, journal=True), TownBatch(hamlet, 1, journal=True)
    for each in (batch, calm):
        each.reset(1)
        each.step(*choose(each))
    rows = batch.journal.rows.shape[1]
    # Each of these orders could write rows, and none does: the objects are as they should be already.
    batch.intervene(*[Intervention(0, codes.CLOSE_OBJECT, 0, 0)] * rows)
    for _ in range(200):
        for each in (batch, calm):
            each.step(*choose(each))
        written = int(calm.journal.written[0])
        assert batch.journal.rows[0, :written].tolist() == calm.journal.rows[0, :written].tolist()
    assert batch.journal.rows.shape[1] > rows


def test_a_tick_that_wrote_more_than_was_thought_possible_ends_the_run(hamlet):
    """The bound is a promise of the rules; broken, the tick's events would be lost without a word."""
    batch = TownBatch(hamlet, 1, journal=True)
    batch.journal = batch.journal._replace(rows=batch.journal.rows[:, :2])
    with pytest.raises(WorldError, match="the limit is 2"):
        batch.reset(1)
