"""From the text of a map to a district."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.town.words import SHIPPED
from townlet_adapters.documents import parse_document
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.inputs.plan import TownPlan, load_town
from townlet_adapters.worlds.town.inputs.texts import MapText, TownOptions
from townlet_adapters.worlds.town.inputs.tiles import FIRST_IMPASSABLE_TILE
from townlet_adapters.worlds.town.inputs.townmap import District, read_district, walk_distances
from townlet_core.errors import ConfigError

SMALL = """\
id: small
agents: 1
legend:
  ".": {tile: floor}
  "#": {tile: wall}
  E: {tile: road, mark: entry}
  h: {tile: floor, place: "@", mark: home}
  a: {tile: floor, place: cabin}
  b: {tile: floor, place: kiosk}
  B: {tile: floor, place: "@", object: bed}
kinds:
  cabin: home
  kiosk: grocer
jobs:
  grocer: {place: kiosk, start: 360, end: 540, wage: 20, capacity: 1}
rows:
  - "E....."
  - ".aaB.b"
  - ".aha.b"
"""


JOBS = "jobs:\n  grocer: {place: kiosk, start: 360, end: 540, wage: 20, capacity: 1}\n"


def read(text: str) -> District:
    document = parse_document(text, "small.yaml")
    return read_district(validate(document, MapText), document, SHIPPED)


def passable(plan: TownPlan) -> np.ndarray:
    free = plan.tiles < FIRST_IMPASSABLE_TILE
    for item in plan.objects:
        free[item.y, item.x] = False
    return free


@pytest.fixture(scope="module")
def town() -> TownPlan:
    return load_town(TownOptions(), Path())


@pytest.fixture(scope="module")
def hamlet() -> TownPlan:
    return load_town(TownOptions(town="hamlet_24"), Path())


def test_town_48_is_the_town_of_the_rules(town: TownPlan):
    assert (town.id, town.width, town.height, town.districts) == ("town_48", 48, 48, 1)
    assert passable(town).sum() == 2054
    assert Counter(item.type for item in town.objects) == {
        "bed": 8, "shower": 2, "fridge": 2, "stove": 2, "sink": 1, "checkout": 1, "counter": 3,
        "rack": 2, "bench": 4,
    }  # fmt: skip
    homes = Counter(town.places[home.place].id for home in town.home_tiles)
    assert homes == {"home_1": 2, "home_2": 2, "home_3": 2, "home_4": 2}
    assert [place.id for place in town.places] == [
        "home_1", "home_2", "home_3", "home_4", "grocer", "cafe", "office", "gym", "park",
    ]  # fmt: skip
    assert [(job.id, town.places[job.place].id, job.wage * job.length) for job in town.jobs] == [
        ("barista", "cafe", 3520),
        ("clerk", "office", 3600),
        ("grocer", "grocer", 3600),
    ]
    assert town.entries == ((0, 23),)
    assert (town.target, town.capacity, town.embedding_slots) == (8, 10, 64)
    assert town.warnings == ()


def test_hamlet_24_is_the_hamlet_of_the_rules(hamlet: TownPlan):
    assert (hamlet.width, hamlet.height) == (24, 24)
    assert passable(hamlet).sum() == 486
    assert Counter(item.type for item in hamlet.objects) == {
        "fridge": 1, "stove": 1, "bed": 3, "shower": 1, "checkout": 1, "bench": 2,
    }  # fmt: skip
    assert len(hamlet.home_tiles) == 3
    assert (hamlet.target, hamlet.capacity) == (3, 4)
    assert hamlet.warnings == ()


def test_everything_in_town_48_is_as_far_from_home_as_the_rules_say(town: TownPlan):
    free = passable(town)
    assert (walk_distances(free, town.entries[0])[free] >= 0).all()
    bounds = {"fridge": (1, 24), "bed": (0, 4), "shower": (3, 24)}
    paths: dict[str, list[int]] = {name: [] for name in (*bounds, "work", "park")}
    for home in town.home_tiles:
        steps = walk_distances(free, (home.x, home.y))
        for kind in bounds:
            reach = [spot for item in town.objects if item.type == kind for spot in item.reach]
            paths[kind].append(min(int(steps[y, x]) for x, y in reach))
        for index, place in enumerate(town.places):
            inside = steps[(town.place_at == index) & free].min()
            if place.kind == "park":
                paths["park"].append(int(inside))
        for job in town.jobs:
            paths["work"].append(int(steps[(town.place_at == job.place) & free].min()))
    bounds |= {"work": (20, 48), "park": (26, 42)}
    assert {name: (min(found), max(found)) for name, found in paths.items()} == bounds


def test_objects_are_numbered_by_type_row_by_row(town: TownPlan):
    assert [(item.y, item.x) for item in town.objects] == sorted((item.y, item.x) for item in town.objects)
    assert [item.id for item in town.objects][:5] == [
        "bed_1",
        "shower_1",
        "fridge_1",
        "stove_1",
        "checkout_1",
    ]


def test_reach_is_the_free_tiles_of_the_same_place_beside_an_object():
    district = read(SMALL)
    (bed,) = district.objects
    assert (bed.x, bed.y) == (3, 1)
    assert bed.reach == ((2, 1), (2, 2), (3, 2))
    assert district.homes == ((2, 2),)


def test_an_inherited_place_spreads_in_passes_until_every_tile_has_one():
    district = read(SMALL.replace('".aha.b"', '"hhhaab"').replace('".aaB.b"', '".Baa.b"'))
    assert district.place_at[2, 0] == district.place_at[1, 1] == 0


def test_arrays_of_a_plan_cannot_be_written(town: TownPlan):
    for array in (town.tiles, town.place_at):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


BROKEN = {
    "an unknown symbol": (
        "E.....",
        "E..?..",
        'rows[0]: unknown symbol "?" at (3, 0); allowed by the legend: "." "#"',
        17,
    ),
    "a short row": (
        "E.....",
        "E....",
        "rows[0]: a row of 5 symbols; allowed: a row of 6 symbols, like the others",
        17,
    ),
    "an object outside the map": (
        "E.....",
        "E.....B",
        "rows[0]: the bed at (6, 0) is outside the map, which is 6 wide; allowed: a row of 6 symbols",
        17,
    ),
    "no entry": (
        "E.....",
        "......",
        "rows: no entry; required: one tile with `mark: entry` in its legend",
        16,
    ),
    "two entries": (
        '".aha.b"',
        '".aha.E"',
        "rows[2]: 2 entries, the last at (5, 2); allowed: one tile marked",
        19,
    ),
    "an entry in a wall": (
        "E: {tile: road",
        "E: {tile: wall",
        "rows[0]: the entry at (0, 0) is not passable; allowed: floor",
        17,
    ),
    "no home tile": (
        ".aha.b",
        ".aaa.b",
        "rows: no home tile; required: tiles with `mark: home` in the legend",
        16,
    ),
    "a home in a wall": (
        "h: {tile: floor",
        "h: {tile: wall",
        "rows[2]: the home tile at (2, 2) is not passable; allowed: floor",
        19,
    ),
    "a home without a place": (
        'h: {tile: floor, place: "@", ',
        "h: {tile: floor, ",
        "rows[2]: the home tile at (2, 2) has no place",
        19,
    ),
    "a home that is cut off": (
        'rows:\n  - "E....."\n  - ".aaB.b"\n  - ".aha.b"\n',
        'rows:\n  - "Eaaa.b"\n  - ".aaB.b"\n  - "######"\n  - "#ahha#"\n',
        "rows[3]: the home tile at (2, 3) cannot be reached from the entry",
        20,
    ),
    "an object that is cut off": (
        'rows:\n  - "E....."\n  - ".aaB.b"\n  - ".aha.b"\n',
        'rows:\n  - "Eaha.b"\n  - ".....b"\n  - "######"\n  - "#aaaB#"\n',
        "rows[3]: the bed at (4, 3) can be used from 1 tiles; required: 2 free tiles of its place",
        20,
    ),
    "an object nobody gets to": (
        'rows:\n  - "E....."\n  - ".aaB.b"\n  - ".aha.b"\n',
        'rows:\n  - "Eaha.b"\n  - ".....b"\n  - "######"\n  - "#aaB##"\n  - "##aa##"\n',
        "rows[3]: the bed at (3, 3) cannot be reached from the entry",
        20,
    ),
    "an unreachable workplace": (
        'rows:\n  - "E....."\n  - ".aaB.b"\n  - ".aha.b"\n',
        'rows:\n  - "E...##"\n  - ".aaB#b"\n  - ".aha#b"\n',
        "kinds.kiosk: the workplace 'kiosk' cannot be reached from the entry",
        13,
    ),
    "an unreachable place": (
        JOBS + 'rows:\n  - "E....."\n  - ".aaB.b"\n  - ".aha.b"\n',
        'rows:\n  - "E...##"\n  - ".aaB#b"\n  - ".aha#b"\n',
        "kinds.kiosk: the place 'kiosk' cannot be reached from the entry",
        13,
    ),
    "a place without tiles": (
        "kinds:\n",
        "kinds:\n  barn: park\n",
        "kinds.barn: the place 'barn' has no tiles",
        12,
    ),
    "a place called like an object": (
        "kinds:\n",
        "kinds:\n  bed_1: park\n",
        "kinds.bed_1: the place 'bed_1' has the name of an object",
        12,
    ),
    "a job at an unknown place": (
        "place: kiosk, start",
        "place: kiosc, start",
        "jobs.grocer.place: unknown place 'kiosc'; did you mean 'kiosk'?",
        15,
    ),
    "a place without a kind": (
        "place: kiosk}",
        "place: kiosks}",
        "legend.b.place: the place 'kiosks' has no kind; did you mean 'kiosk'?",
        9,
    ),
    "an object without a place": (
        'B: {tile: floor, place: "@", ',
        "B: {tile: floor, ",
        "legend.B: the bed has no place; give it a place",
        10,
    ),
    "a marked object": (
        "object: bed}",
        "object: bed, mark: home}",
        "legend.B.mark: a mark on the bed; an object's tile is not free",
        10,
    ),
    "an object of an unknown type": (
        "object: bed}",
        "object: bad}",
        "legend.B.object: unknown type of object 'bad'; did you mean 'bed'? ",
        10,
    ),
    "an object with too small a reach": (
        '".aaB.b"\n  - ".aha.b"',
        '"aa#B.b"\n  - ".h#a.b"',
        "rows[1]: the bed at (3, 1) can be used from 1 tiles; required: 2 free tiles of its place",
        18,
    ),
    "a place to inherit between two": (
        '".aaB.b"\n  - ".aha.b"',
        '".aa..b"\n  - ".ahb.b"',
        "rows[2]: the tile at (2, 2) is between cabin and kiosk; ",
        19,
    ),
    "no place to inherit": (
        "E.....",
        "E....h",
        'rows[0]: the tile at (5, 0) has no neighbour with a place; allowed for "@"',
        17,
    ),
    "a shift of three minutes": (
        "end: 540",
        "end: 363",
        "jobs.grocer: ",
        15,
    ),
    "an unknown key": ("agents: 1", "agents: 1\nrats: 3", "rats: unknown key; ", 3),
    "a symbol of two letters": ('"#": {', '"##": {', 'legend["##"]: ', 5),
    "a width beyond all": ('  - "E....."\n', f'  - "E{"." * 300}"\n', "rows[0]: ", 17),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_map_with(case: str):
    """A broken map does not load; the message names file, line, key and what is allowed."""
    old, new, message, line = BROKEN[case]
    assert old in SMALL
    text = SMALL.replace(old, new)
    if case == "no place to inherit":
        text = text.replace('".aaB.b"', '".aaB.."')
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value.problems[0]).startswith(f"small.yaml:{line}: {message}")


def test_what_is_farther_than_254_steps_counts_as_cut_off():
    head = SMALL.partition("rows:")[0]
    rest = f'  - ".aaB.b{"." * 250}"\n  - ".aha.b{"." * 250}"\n'
    assert read(f'{head}rows:\n  - "{"." * 250}E....."\n{rest}').entry == (250, 0)
    with pytest.raises(
        ConfigError, match=r"the home tile at \(2, 2\) cannot be reached from the entry; required: a path"
    ):
        read(f'{head}rows:\n  - "{"." * 255}E"\n{rest}')
