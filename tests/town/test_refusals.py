"""What the view says about refusals is what the world does."""

import operator

import numpy as np
import pytest

from tests.town.towns import Town, affordance
from tests.town.words import PROFILES
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.limits import DISABLED, PRECONDITION
from townlet_adapters.worlds.town.compiled.model import FIGURES
from townlet_adapters.worlds.town.seam.view import allocate_view, fill_view, view_of

ROWS = [
    "#########",
    "#HrF#cFc#",
    "#rrr+ccc#",
    "##+######",
    "E========",
]
BESIDE = {"fridge_1": (2, 2), "fridge_2": (5, 2)}
JOBS = {"guard": {"place": "cafe", "start": 0, "end": 600, "wage": 1, "late_fine": 0, "capacity": 2}}
OF_RESIDENTS = [
    "hunger < 0.5", "energy >= hygiene", "wallet >= 2000", "tod >= 300", "day == 0", "inventory.meal > 0",
    "inventory.ingredients != inventory.meal", "has_job == true", "profile == 'stoic'",
    "shift_state == 'on_time'", "attendance_ratio > 0.5", "rent_owed < 1", "lateness_counter > 0",
]  # fmt: skip
OF_OBJECTS = [
    "queue_length < 1", "stock.meal > 3", "stock.meal >= queue_length", "power_on == true",
    "water_on == power_on", "closed == false", "place_kind == 'home'",
]  # fmt: skip
OF_BOTH = [
    "inventory.meal > stock.meal", "tod > price", "price < 500", "occupied == false", "at_home == true",
    "at_home != true", "on_shift == true", "at_home == on_shift", "queue_length < tod",
    "hunger <= queue_length", "has_job == power_on",
]  # fmt: skip
EVERY = [*OF_RESIDENTS, *OF_OBJECTS, *OF_BOTH]
COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Watched(Town):
    """A town with an affordance of a fridge for each precondition, and its view at any instant."""

    def __init__(self, preconditions=EVERY, **affordances):
        manifest = [
            affordance(f"use_{n}", "fridge", preconditions=[text], charge=[{"price:meal": 1}])
            for n, text in enumerate(preconditions)
        ]
        super().__init__(ROWS, at=[(2, 2), (7, 2)], jobs=JOBS, manifest=manifest, affordances=affordances)
        self._columns = allocate_view(self.model.spec, self.model.tables, self.model.limits, 6)
        self._totals = np.zeros(2 + len(FIGURES), np.int64)
        view = view_of(self.model.constants, self._columns.columns, self.state)
        self.columns = {name: np.asarray(column) for name, column in view.columns.items()}
        self.constants = view.constants

    def show(self):
        """Bring masks and view up to date."""
        self.look()
        fill_view(self.model.tables, self.state, self._columns, self._totals, 0)

    def stir(self, rng):
        """Give resident, object and time other values; resident 0 stands at a fridge."""
        name = rng.choice(list(BESIDE))
        self.place(BESIDE[name], (1, 1) if name == "fridge_1" else (7, 2))
        self.state.towns[0].tick = rng.integers(0, 3000)
        r, used, district = self.resident(0), self.thing(name), self.state.districts[0, 0]
        r.need[:3] = rng.random(3)
        r.wallet = rng.integers(600, 4000)
        r.inventory[:2] = rng.integers(0, 4, 2)
        r.job = rng.integers(-1, 1)
        r.profile = rng.integers(0, len(PROFILES))
        r.shift_state = rng.integers(0, len(codes.SHIFT_STATES))
        r.attendance, r.rent_owed, r.lateness_counter = rng.random(), rng.integers(0, 3), rng.integers(0, 3)
        used.stock[:2] = rng.integers(0, 6, 2)
        used.queue_length = rng.integers(0, 3)
        used.holder = rng.integers(-1, 2)
        used.closed = rng.random() < 0.1
        district.utility[:] = rng.integers(0, 2, 2)
        self.put_price(int(rng.integers(300, 600)))
        self.show()
        return name

    def operand(self, side, k, o, a):
        """The value of one side of row k of the table, as the page says."""
        kind = self.constants[f"condition_{side}"][k]
        index = self.constants[f"condition_{side}_index"][k]
        place = self.constants["object_place"][o]
        holder = self.columns["object_holder"][o]
        return {
            "constant": lambda: self.constants["condition_right_value"][k],
            "resident": lambda: self.columns["resident_value"][0, index],
            "object": lambda: self.columns["object_value"][o, index],
            "price": lambda: sum(self.constants["charge_price"][a, 0, g] * p for g, p in self.prices(o)),
            "occupied": lambda: holder not in (-1, 0),
            "at_home": lambda: self.columns["home_place"][0] == place,
            "on_shift": lambda: self.columns["duty_place"][0] == place,
        }[kind]()

    def prices(self, o):
        return enumerate(self.columns["object_price"][o].tolist())

    def refused(self, o, a):
        """Whether the view says that the use is refused to resident 0 at an object."""
        if self.columns["refusal"][0, a] or self.columns["object_refusal"][o, a]:
            return True
        for k, of in enumerate(self.constants["condition_affordance"]):
            sign = self.constants["operators"][self.constants["condition_operator"][k]]
            if of == a and not COMPARE[sign](self.operand("left", k, o, a), self.operand("right", k, o, a)):
                return True
        return False


def test_what_the_view_refuses_is_what_the_mask_refuses():
    town, rng = Watched(), np.random.default_rng(5)
    seen = {text: set() for text in EVERY}
    for _ in range(400):
        name = town.stir(rng)
        allowed = town.mask(0)
        if town.thing(name).closed:
            continue
        for a, text in enumerate(EVERY):
            refused = town.refused(town.number_of(name), a)
            assert refused == (f"use:use_{a}" not in allowed), text
            seen[text].add(refused)
    # Where an object is open, "closed == false" always holds.
    assert {text for text, found in seen.items() if found != {True, False}} == {"closed == false"}


@pytest.mark.parametrize(
    ("texts", "column"), [(OF_RESIDENTS, "refusal"), (OF_OBJECTS, "object_refusal"), (OF_BOTH, "")]
)
def test_each_precondition_is_shown_where_it_belongs(texts, column):
    town, rng = Watched(), np.random.default_rng(6)
    shown = {"refusal": set(), "object_refusal": set()}
    for _ in range(100):
        town.stir(rng)
        for name, found in shown.items():
            found |= {EVERY[a] for a in np.nonzero(town.columns[name])[1]}
    in_table = {EVERY[a] for a in town.constants["condition_affordance"]}
    assert all((text in found) == (name == column) for name, found in shown.items() for text in texts)
    assert {text in in_table for text in texts} == {column == ""}


def test_what_is_disabled_is_refused_to_everybody_with_its_own_number():
    town = Watched(["hunger < 0.5", "hunger < 0.5", "queue_length < 1"], enabled=["use_1"])
    town.resident(0).need[0] = 0.9
    town.show()
    assert town.columns["refusal"][0].tolist() == [DISABLED, PRECONDITION, DISABLED]
    town.resident(0).need[0] = 0.1
    town.show()
    assert town.columns["refusal"][0].tolist() == [DISABLED, 0, DISABLED]
    assert not town.columns["object_refusal"].any()


def test_an_object_refuses_only_what_it_offers():
    manifest = [affordance("sit", "bench", preconditions=["queue_length > 5"])]
    rows = ["#######", "#rNrFr#", "#HrrrH#", "##+####", "E======"]
    town = Town(rows, at=[(1, 2)], manifest=[*manifest, affordance("eat", "fridge")])
    view = allocate_view(town.model.spec, town.model.tables, town.model.limits, 6)
    fill_view(town.model.tables, town.state, view, np.zeros(2 + len(FIGURES), np.int64), 0)
    bench = town.number_of("bench_1")
    assert view.columns.object_refusal.sum() == PRECONDITION
    assert view.columns.object_refusal[bench, 0] == PRECONDITION


def test_a_town_whose_preconditions_read_one_side_shows_no_table():
    town = Watched(["hunger < 0.5", "stock.meal > 1"])
    assert len(town.constants["condition_affordance"]) == 0
    assert town.columns["resident_value"].shape[1] == town.columns["object_value"].shape[1] == 0
