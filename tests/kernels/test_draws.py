"""The compiled draws are those of the core, number by number."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet_adapters.kernels import draws
from townlet_core import seeding

WORDS = st.integers(0, 2**64 - 1)
COUNTS = st.tuples(*[st.integers(0, 2**63 - 1)] * 3)
STREAMS = st.sampled_from(sorted(seeding.STREAMS))


# Kernels have no way in from Python: these two are one, compiled anew for this test.
@numba.njit
def all_draws(seed, stream, tick, entity, index):
    return draws.draw(seed, stream, tick, entity, index), draws.unit(seed, stream, tick, entity, index)


@numba.njit
def integer(low, high, seed, stream, tick, entity, index):  # noqa: PLR0913, PLR0917 - as the draw itself
    return draws.integer(low, high, seed, stream, tick, entity, index)


def use(seed: int, stream: str, *counts: int) -> tuple[np.uint64 | int, ...]:
    return np.uint64(seed), np.uint64(seeding.STREAMS[stream]), *counts


@pytest.mark.parametrize("name", sorted(seeding.STREAMS))
def test_the_streams_have_the_keys_of_the_core(name):
    assert int(vars(draws)[name.upper()]) == seeding.STREAMS[name]


@settings(deadline=None)  # the first call compiles
@given(WORDS, STREAMS, COUNTS)
def test_bits_and_doubles_are_those_of_the_core(seed, stream, counts):
    with np.errstate(over="ignore"):
        bits, double = all_draws(*use(seed, stream, *counts))
    assert int(bits) == seeding.draw(seed, seeding.STREAMS[stream], *counts)
    assert float(double) == seeding.unit(seed, seeding.STREAMS[stream], *counts)
    assert 0.0 <= double < 1.0


@settings(deadline=None)
@given(WORDS, STREAMS, COUNTS, st.integers(-(2**31), 2**31), st.integers(0, 2**31 - 2))
def test_integers_are_those_of_the_core_and_within_their_range(seed, stream, counts, low, span):
    with np.errstate(over="ignore"):
        drawn = int(integer(low, low + span, *use(seed, stream, *counts)))
    assert drawn == seeding.integer(low, low + span, seed, seeding.STREAMS[stream], *counts)
    assert low <= drawn <= low + span


def test_the_first_vector_of_the_rules_holds():
    with np.errstate(over="ignore"):
        bits, double = all_draws(*use(42, "world", 0, 0, 0))
        assert int(integer(0, 9, *use(42, "world", 0, 0, 0))) == 4
    assert (int(bits), float(double)) == (0x7F2E8A6DE18CDBAD, 0.49680390532153085)
