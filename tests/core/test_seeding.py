"""Draws are pure functions of five numbers; the vectors are those of the rules (docs/domain.md)."""

import pytest

from townlet_core import seeding

VECTORS = [
    (42, "world", 0, 0, 0, 0x7F2E8A6DE18CDBAD, 0.49680390532153085, 4),
    (42, "world", 0, 0, 1, 0xCE22CDCACCA6E3EF, 0.8052185649982238, 8),
    (42, "events", 1439, 3, 2, 0xB864E60C092447DE, 0.7202895907768303, 7),
    (7, "policy", 10000, 5, 0, 0xB4565E10C028150D, 0.7044428625960395, 7),
    (1, "lifecycle", 0, 7, 0, 0xD8DE3CC9AA44B426, 0.847141074404379, 8),
    (2**63, "social", 77, 4294967301, 1, 0x8637AD8DF08B73D1, 0.5242870780498785, 5),
]


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_draws_equal_the_vectors_of_the_rules(vector):
    seed, stream, tick, entity, index, h, u, r = vector
    use = (seed, seeding.STREAMS[stream], tick, entity, index)
    assert seeding.draw(*use) == h
    assert seeding.unit(*use) == u
    assert seeding.integer(0, 9, *use) == r


@pytest.mark.parametrize("name", seeding.STREAMS)
def test_a_streams_key_is_the_hash_of_its_name(name):
    assert seeding.stream_key(name) == seeding.STREAMS[name]


def test_integers_reach_both_ends_of_their_range():
    drawn = {seeding.integer(-1, 1, 3, seeding.WORLD, tick, 0, 0) for tick in range(100)}
    assert drawn == {-1, 0, 1}


def test_the_largest_arguments_stay_within_64_bits():
    largest = seeding.SEED_LIMIT - 1
    assert 0 <= seeding.draw(largest, seeding.NAMES, largest, largest, largest) <= largest
