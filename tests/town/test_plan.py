"""The plan of the town shows the map that the rules use."""

import pytest

from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.townmap import NO_PLACE
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.jsonvalue import canonical_json
from townlet_core.records import record_to_json

GRID = {"town": {"grid": {"district": "hamlet_24", "rows": 2, "cols": 3}}}


@pytest.mark.parametrize("options", [{}, GRID], ids=["town", "grid"])
def test_the_plan_is_the_map(options):
    model = TownModel.build(options)
    town, plan = model.plan, TownWorld(model).plan()
    assert (plan.name, plan.width, plan.height) == (town.id, town.width, town.height)
    assert plan.ground() == town.tiles.tolist()
    assert [(kind.name, kind.walkable) for kind in plan.tile_kinds] == [
        ("floor", True), ("road", True), ("door", True), ("wall", False), ("water", False),
    ]  # fmt: skip
    drawn = [[NO_PLACE] * town.width for _ in range(town.height)]
    for number, place in enumerate(plan.places):
        for x, y, length in place.tiles:
            drawn[y][x : x + length] = [number] * length
    assert drawn == town.place_at.tolist()
    assert [(place.id, place.kind) for place in plan.places] == [(each.id, each.kind) for each in town.places]
    assert [(item.id, item.type, item.at) for item in plan.objects] == [
        (each.id, each.type, (each.x, each.y)) for each in town.objects
    ]
    assert plan.homes == tuple((each.x, each.y) for each in town.home_tiles)
    assert plan.entries == town.entries
    assert (plan.units["wallet"].name, plan.units["wallet"].size) == ("coins", 1000)


def test_districts_lie_row_by_row_and_their_places_have_names():
    plan = TownWorld(TownModel.build(GRID)).plan()
    assert [(each.id, each.at) for each in plan.districts] == [
        ("0", (0, 0)), ("1", (24, 0)), ("2", (48, 0)), ("3", (0, 24)), ("4", (24, 24)), ("5", (48, 24)),
    ]  # fmt: skip
    assert {each.size for each in plan.districts} == {(24, 24)}
    assert [(each.id, each.name) for each in plan.places[:2]] == [
        ("home_1@r0c0", "home 1"),
        ("washhouse@r0c0", "washhouse"),
    ]


def test_the_plan_of_a_city_fits_a_message():
    plan = TownWorld(
        TownModel.build({"town": {"grid": {"district": "town_48", "rows": 8, "cols": 8}}})
    ).plan()
    assert len(canonical_json(record_to_json(plan))) < 1 << 19
