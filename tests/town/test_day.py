"""The timeline of a resident's day has every minute of it once, and minutes of a kind together."""

from itertools import pairwise

import pytest

from benchmarks.day import Minute, stretches, table, timeline, totals
from townlet_core.errors import ConfigError


def minutes(*pieces):
    """Minutes by (doing, place, count), one after the other."""
    found = []
    for doing, place, count, *near in pieces:
        found += [
            Minute(len(found) + number, doing, place, tuple(near), (0.5, 0.25), 2000)
            for number in range(count)
        ]
    return found


def shape(pieces):
    return [(each.doing, each.place, len(each.minutes)) for each in stretches(minutes(*pieces))]


def test_minutes_of_a_kind_are_one_stretch_and_walking_has_no_place():
    assert shape(
        [("walks", "road", 2), ("walks", "park", 3), ("relax", "park", 20), ("stands", "park", 5)]
    ) == [
        ("walks", "", 5),
        ("relax", "park", 20),
        ("stands", "park", 5),
    ]


def test_a_pause_on_the_way_is_part_of_the_way_and_the_last_minute_of_a_use_part_of_the_use():
    assert shape([("walks", "road", 2), ("stands", "road", 3), ("walks", "road", 2)]) == [("walks", "", 7)]
    assert shape([("walks", "road", 2), ("stands", "road", 4), ("walks", "road", 2)]) == [
        ("walks", "", 2),
        ("stands", "road", 4),
        ("walks", "", 2),
    ]
    assert shape([("relax", "park", 19), ("stands", "park", 1), ("walks", "park", 2)]) == [
        ("relax", "park", 20),
        ("walks", "", 2),
    ]
    assert shape([("relax", "park", 19), ("stands", "park", 1)])[1:] == [("stands", "park", 1)]


def test_the_table_has_needs_and_wallet_after_a_stretch_and_who_was_near():
    found = stretches(
        minutes(("relax", "park", 8, "Ivo"), ("relax", "park", 12), ("relax", "park", 11, "Uma"))
    )
    lines = table("Iris", ["hunger", "energy"], found)
    assert lines[1].split() == ["time", "min", "doing", "where", "hunger", "energy", "coins", "near"]
    assert lines[2].split() == ["00:00-00:31", "31", "relax", "park", "0.50", "0.25", "2.00", "Uma"]
    assert totals(found) == "in all: relax 31"


def test_a_day_in_a_town_is_complete():
    needs, found = timeline("configs/hamlet.yaml", "Karl", day=0, overrides={"seed": 7})
    assert needs == ["hunger", "hygiene", "energy"]
    tods = [minute.tod for each in found for minute in each.minutes]
    assert tods == list(range(tods[0], 1440))
    assert {"works", "walks"} < {each.doing for each in found}
    assert all(
        first.doing != second.doing or first.place != second.place for first, second in pairwise(found)
    )
    assert any(each.company for each in found)


def test_an_unknown_resident_or_config_is_reported():
    with pytest.raises(SystemExit, match=r"unknown resident 'Kral'; did you mean 'Karl'"):
        timeline("configs/hamlet.yaml", "Kral", day=0)
    with pytest.raises(ConfigError):
        timeline("configs/gone.yaml", "Karl", day=0)
