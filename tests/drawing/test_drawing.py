"""What is drawn, and where, follows from plan and frames alone."""

from dataclasses import replace

import pytest

from townlet_adapters.drawing.ground import NO_PLACE, Ground, Label
from townlet_adapters.drawing.palette import figure_colour, ground_colour, lit, object_colour
from townlet_adapters.drawing.scene import Scene
from townlet_core.dto.frame import TownFrame
from townlet_core.dto.plan import PlanDistrict, PlanObject, PlanPlace, TileKind, TownPlan

PLAN = TownPlan(
    name="garden",
    width=6,
    height=3,
    ticks_per_day=1440,
    tile_kinds=(
        TileKind("floor", walkable=True),
        TileKind("wall", walkable=False),
        TileKind("moss", walkable=True),
    ),
    rows=((1, 6), (0, 5, 2, 1), (0, 6)),
    places=(
        PlanPlace("lawn", "park", "lawn", ((0, 1, 5), (0, 2, 2))),
        PlanPlace("shed", "store", "shed", ((3, 2, 1),)),
    ),
    objects=(PlanObject("well_1", "well", (1, 1)),),
    districts=(PlanDistrict("0", (0, 0), (3, 3)), PlanDistrict("1", (3, 0), (3, 3))),
)


def scene(**changes):
    return Scene.of(TownFrame(5, **changes))


def doing(**entry):
    return scene(agents={"a": entry}).figures["a"].doing


def test_tiles_know_their_place_object_and_district():
    ground = Ground.of(PLAN)
    assert ground.places == [
        [NO_PLACE] * 6,
        [0, 0, 0, 0, 0, NO_PLACE],
        [0, 0, NO_PLACE, 1, NO_PLACE, NO_PLACE],
    ]
    assert [ground.place_kind(x, 2) for x in range(4)] == [0, 0, None, 1]
    assert ground.objects == {(1, 1): "well_1"}
    assert [ground.walkable(0, y) for y in range(3)] == [False, True, True]
    assert [ground.district_at(x, 0) for x in (0, 2, 3, 5)] == ["0", "0", "1", "1"]
    assert Ground.of(replace(PLAN, districts=())).district_at(0, 0) is None


def test_a_place_is_named_where_no_object_stands():
    assert Ground.of(PLAN).labels == (Label("lawn", 2, 1, 3), Label("shed", 3, 2, 1))


def test_ground_has_the_colour_of_its_kind_and_places_that_of_theirs():
    ground = Ground.of(PLAN)
    lawn, shed, wall, moss = (ground_colour(ground, *at) for at in ((0, 1), (3, 2), (0, 0), (5, 1)))
    assert len({lawn, shed, wall, moss}) == 4
    assert ground_colour(ground, 2, 1) == lawn


def test_night_and_an_outage_are_darker():
    day = (200, 100, 50)
    night, outage = lit(day, night=True, dark=False), lit(day, night=False, dark=True)
    assert lit(day, night=False, dark=False) == day
    assert sum(outage) < sum(night) < sum(day)
    assert figure_colour(0) == figure_colour(8) != figure_colour(1)
    assert len({object_colour(each) for each in ("free", "used", "closed")}) == 3


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"claim": {"object": "stove_1", "affordance": "cook_meal", "stage": "running"}}, "cooking a meal"),
        ({"claim": {"object": "bed_1", "affordance": "rest_sleep", "stage": "running"}}, "sleeping"),
        ({"claim": {"object": "well_2", "affordance": "drink", "stage": "queued"}}, "waiting for the well"),
        ({"claim": {"object": "well_2", "affordance": "drink", "stage": "held"}}, "at the well"),
        ({"action": "talk", "option": "socialise"}, "talking"),
        ({"action": "move_east", "option": "go_to_work", "shift_state": "on_time"}, "off to work"),
        ({"action": "move_west", "option": "idle"}, "strolling"),
        ({"action": "move_west"}, "strolling"),
        ({"action": "wait", "shift_state": "late"}, "working"),
        ({"action": "wait", "option": "get_fed", "shift_state": "pre_shift"}, "about to get fed"),
        ({}, "standing around"),
    ],
)
def test_what_a_resident_does_is_said_in_words(entry, words):
    assert doing(**entry) == words


def test_a_scene_holds_what_a_frame_says():
    seen = scene(
        clock={"day": 2, "tod": 1300, "phase": "night"},
        agents={
            "a0": {"name": "Iris", "pos": [3, 1], "needs": {"thirst": 0.5}},
            "a1": {"name": "", "claim": {"object": "b", "affordance": "rest_sleep", "stage": "running"}},
        },
        objects={"x": {}, "y": {"holder": "a0"}, "z": {"closed": True, "holder": "a0"}},
        utilities={"0": {"power": True}, "1": {"power": True, "water": False}},
    )
    assert (seen.day, seen.tod, seen.night, seen.dark) == (2, 1300, True, {"1"})
    iris, other = seen.figures.values()
    assert (iris.name, iris.letter, iris.at, iris.needs, iris.asleep) == (
        "Iris",
        "I",
        (3, 1),
        {"thirst": 0.5},
        False,
    )
    assert (other.name, other.letter, other.at, other.asleep) == ("a1", "A", None, True)
    assert seen.objects == {"x": "free", "y": "used", "z": "closed"}


def test_a_frame_with_little_in_it_is_a_scene():
    seen = scene(agents={"a": {"pos": "here", "needs": 3, "claim": "bed"}})
    assert (seen.day, seen.tod, seen.night, seen.figures["a"].at) == (0, 0, False, None)
