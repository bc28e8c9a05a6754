"""What preconditions read and how they compare: every name and every operator once (section 8.1)."""

from collections.abc import Callable

import pytest

from tests.town.towns import Town, affordance
from tests.town.words import CONDITION_NAMES, HUNGER, MEAL, PLACE_KINDS
from townlet_adapters.worlds.town import codes

JOBS = {
    "guard": {"place": "office", "start": 100, "end": 200, "wage": 20, "late_fine": 0, "capacity": 4},
}
# The stove (1, 3) and the fridge (3, 3) are used from (2, 3); the office begins at (6, 2).
ROWS = [
    "E.......",
    ".hrr....",
    ".rrr..oo",
    ".SrF..oo",
    ".rrr....",
]
Change = Callable[[Town], None]


def set_resident(**fields: float) -> Change:
    def change(town: Town) -> None:
        for name, value in fields.items():
            town.resident(0)[name] = value

    return change


def set_need(index: int, value: float) -> Change:
    def change(town: Town) -> None:
        town.resident(0).need[index] = value

    return change


def set_inventory(index: int, value: int) -> Change:
    def change(town: Town) -> None:
        town.resident(0).inventory[index] = value

    return change


def set_stock(name: str, index: int, value: int) -> Change:
    def change(town: Town) -> None:
        town.thing(name).stock[index] = value

    return change


def set_utility(index: int) -> Change:
    def change(town: Town) -> None:
        town.state.districts[0, 0].utility[index] = 0

    return change


def set_price(mills: int) -> Change:
    def change(town: Town) -> None:
        town.put_price(mills, "home.meal")

    return change


def queue_up(town: Town) -> None:
    town.step({1: "use:long"})
    town.step({2: "use:long"})


def hold(town: Town) -> None:
    town.step({1: "use:long"})


def close(town: Town) -> None:
    town.thing("fridge_1").closed = True


def on_time_elsewhere(town: Town) -> None:
    """Within its shift, but away: who is on a shift is there, too."""
    town.resident(0).shift_state = codes.ON_TIME


def on_time_here(town: Town) -> None:
    on_time_elsewhere(town)
    town.model.tables.jobs[0].place = town.model.tables.place_at[3, 2]


def live_elsewhere(town: Town) -> None:
    town.model.tables.homes[0].place = town.model.tables.jobs[0].place


def make_it_a_cafe(town: Town) -> None:
    town.model.tables.objects[town.number_of("fridge_1")].kind = PLACE_KINDS.index("cafe")


def set_time(tick: int) -> Change:
    return lambda town: town.set_time(tick)


def set_shift(state: int) -> Change:
    return set_resident(shift_state=state)


def set_profile(name: str) -> Change:
    return lambda town: town.set_profile(0, name)


# name, condition, what makes it true (or None when it is so at first), what makes it false
CASES: list[tuple[str, str, Change | None, Change]] = [
    ("hunger", "hunger < 0.5", set_need(0, 0.4999), set_need(0, 0.5)),
    ("hygiene", "hygiene <= 0.5", set_need(1, 0.5), set_need(1, 0.5001)),
    ("energy", "energy >= 0.5", set_need(2, 0.5), set_need(2, 0.4999)),
    ("wallet", "wallet > 1999", None, set_resident(wallet=1999)),
    ("price", "price == 800", None, set_price(399)),
    ("lateness_counter", "lateness_counter != 2", None, set_resident(lateness_counter=2)),
    ("attendance_ratio", "attendance_ratio >= 0.75", None, set_resident(attendance=0.5)),
    ("rent_owed", "rent_owed == 0", None, set_resident(rent_owed=1)),
    ("tod", "tod < 60", set_time(1440 + 59), set_time(1440 + 60)),
    ("day", "day == 2", set_time(2 * 1440), set_time(2 * 1440 - 1)),
    ("queue_length", "queue_length < 1", hold, queue_up),
    ("inventory.meal", "inventory.meal == 3", set_inventory(0, 3), set_inventory(1, 3)),
    ("inventory.ingredients", "inventory.ingredients > 1", set_inventory(1, 2), set_inventory(0, 2)),
    ("stock.meal", "stock.meal >= 12", None, set_stock("fridge_1", 0, 11)),
    ("stock.ingredients", "stock.ingredients >= 10", None, set_stock("stove_1", 1, 9)),
    ("power_on", "power_on == true", set_utility(1), set_utility(0)),
    ("water_on", "water_on != false", set_utility(0), set_utility(1)),
    ("closed", "closed == false", None, close),
    ("occupied", "occupied == false", None, hold),
    ("on_shift", "on_shift == false", on_time_elsewhere, on_time_here),
    ("has_job", "has_job == true", None, set_resident(job=-1)),
    ("at_home", "at_home == true", None, live_elsewhere),
    ("place_kind", "place_kind == 'home'", None, make_it_a_cafe),
    ("shift_state", 'shift_state != "late"', set_shift(codes.PRE_SHIFT), set_shift(codes.LATE)),
    ("profile", "profile == 'stoic'", set_profile("stoic"), set_profile("balanced")),
]


def found(*conditions: str, object_type: str = "fridge", charge: list[dict[str, int]] | None = None) -> Town:
    manifest = [
        affordance("it", object_type, 5, preconditions=list(conditions), charge=charge or [{}]),
        affordance("long", "fridge", 90),
    ]
    return Town(ROWS, [(2, 3), (2, 2), (2, 4)], manifest=manifest, jobs=JOBS)


def allowed(town: Town) -> bool:
    town.look()
    return "use:it" in town.mask(0)


def test_every_name_has_its_case():
    assert {name for name, *_ in CASES} == set(CONDITION_NAMES)


@pytest.mark.parametrize(("name", "condition", "make_true", "make_false"), CASES, ids=[c[0] for c in CASES])
def test_a_name_is_read_where_the_use_would_be(name, condition, make_true, make_false):
    object_type = "stove" if name == "stock.ingredients" else "fridge"
    charge = [{"price:meal": 2}] if name == "price" else None
    good, bad = (found(condition, object_type=object_type, charge=charge) for _ in range(2))
    if make_true is not None:
        make_true(good)
    assert allowed(good)
    make_false(bad)
    assert not allowed(bad)


@pytest.mark.parametrize(
    ("op", "below", "equal", "above"),
    [
        ("==", False, True, False),
        ("!=", True, False, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_every_operator_compares_as_it_says(op, below, equal, above):
    town = found(f"wallet {op} 1000")
    seen = []
    for wallet in (999, 1000, 1001):
        town.resident(0).wallet = wallet
        seen.append(allowed(town))
    assert seen == [below, equal, above]


def test_a_name_can_be_compared_with_another():
    town = found("hunger < energy")
    town.resident(0).need[:3] = (0.4, 0.0, 0.5)
    assert allowed(town)
    town.resident(0).need[:3] = (0.5, 0.0, 0.5)
    assert not allowed(town)


def test_all_conditions_must_hold():
    town = found("wallet >= 100", "hunger < 0.5", "day == 0")
    town.resident(0).need[HUNGER] = 0.4
    assert allowed(town)
    town.resident(0).wallet = 99
    assert not allowed(town)
    town.resident(0).wallet = 100
    town.resident(0).need[HUNGER] = 0.6
    assert not allowed(town)


@pytest.mark.parametrize(
    ("meals", "wallet", "price"),
    [(1, 2000, 0), (0, 2000, 400), (0, 500, 400), (0, 399, 800)],
)
def test_the_price_is_that_of_the_first_payable_alternative_else_of_the_last(meals, wallet, price):
    charge = [{"inventory:meal": 1}, {"price:meal": 1}, {"price:meal": 2}]
    town, other = (found(f"price {op} {price}", charge=charge) for op in ("==", "!="))
    for each in (town, other):
        each.resident(0).inventory[MEAL] = 1
        each.resident(0).wallet = 2000
        each.look()
        each.resident(0).inventory[MEAL] = meals
        each.resident(0).wallet = wallet
        # The mask cannot tell an unpayable use from one whose precondition fails: the result can.
        each.resident(0).mask = (1 << len(each.model.spec.action_names)) - 1
        each.step({0: "use:it"})
    payable = meals > 0 or wallet >= 400
    assert (town.result(0), other.result(0)) == (
        "ok" if payable else "insufficient_funds",
        "precondition_failed",
    )


def test_only_another_holder_makes_an_object_occupied():
    town = found("occupied == true")
    assert not allowed(town)
    town.step({1: "use:long"})
    town.step({0: "use:it"})
    town.step({1: "leave"})
    assert town.stage(0) == "held"
    town.step({0: "use:it"})
    assert (town.result(0), town.stage(0)) == ("precondition_failed", "none")


def test_a_precondition_is_read_again_when_a_holder_starts():
    town = Town(
        ["Ehrr", ".rNr", ".rrr"],
        [(1, 1), (3, 1), (2, 2)],
        manifest=[affordance("it", "bench", 3, preconditions=["hunger < 0.95"])],
    )
    town.step({0: "use:it"})
    town.step({1: "use:it"})
    town.step()
    assert town.stage(1) == "held"
    town.set_need(1, "hunger", 1.0)
    town.step({1: "use:it"})
    assert (town.result(1), town.stage(1)) == ("precondition_failed", "none")
