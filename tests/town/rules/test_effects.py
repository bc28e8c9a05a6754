"""What is off, closed or dear, and for how long (rules, section 13)."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.town.invariants import check_effects
from tests.town.towns import Town, affordance, agent
from tests.town.village import BESIDE, Village
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_core.errors import ArgumentError

HALL = ["E......", ".hrrWrr", ".rrrrrr", ".rrrrrr"]
IT = "use:it"
LONG = [affordance("it", "shower", 20)]


def utilities(town: Town) -> list[int]:
    """(power, water), on or off."""
    return town.state.districts[0, 0].utility.tolist()


def hall(*tiles: tuple[int, int]) -> Town:
    return Town(HALL, tiles, manifest=LONG)


def test_two_outages_overlap_and_the_last_to_end_switches_on():
    town = hall((1, 1))
    town.switch("power", on=False, source=1, until=5)
    town.step()
    town.switch("power", on=False, source=2, until=3)
    lit = []
    for _ in range(6):
        town.step()
        lit.append(utilities(town)[0])
    assert lit == [0, 0, 0, 0, 1, 1]  # ticks 1 to 6: off in [0, 5)
    assert utilities(town) == [1, 1]
    assert not town.state.effects.tobytes().strip(b"\0")


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_who_ends_an_outage_ends_only_its_own(order):
    town = hall((1, 1))
    for source in (codes.MANUAL, 1, 2):
        town.switch("water", on=False, source=source)
    town.step()
    for source in order:
        town.switch("water", on=True, source=source)
        town.step()
        assert utilities(town) == [1, 0]
    town.switch("water", on=True, source=7)  # nobody's
    town.switch("power", on=True)  # another utility
    town.step()
    assert utilities(town) == [1, 0]
    town.switch("water", on=True)
    town.step()
    assert utilities(town) == [1, 1]


def test_what_is_imposed_again_by_its_source_is_replaced():
    town = hall((1, 1))
    town.switch("power", on=False, source=1, until=50)
    town.switch("power", on=False, source=1, until=2)
    town.run(2)
    assert (int(town.state.towns[0].effects), utilities(town)) == (1, [0, 1])
    town.step()
    assert utilities(town) == [1, 1]


def test_a_use_fails_in_the_tick_of_an_outage_and_may_begin_in_the_tick_after_its_end():
    town = hall((3, 2))
    town.step({0: IT})
    town.switch("power", on=False, source=1, until=3)
    town.step()
    (failed,) = town.heard("affordance.fail")
    assert (failed.agent_id, failed.reason) == (agent(0), "utility_lost")
    town.step({0: IT})
    assert town.result(0) == "invalid"
    assert IT not in town.mask(0)
    town.step()
    assert IT in town.mask(0)
    town.step({0: IT})
    assert town.result(0) == "ok"


def test_an_object_stays_closed_until_its_last_closure_ends():
    town = hall((3, 2), (5, 2))
    town.step({0: IT})
    town.step({1: IT})
    town.close("shower_1", source=4, until=6)
    town.close("shower_1")
    town.step()
    (left,) = town.heard("queue.leave")
    assert (left.agent_id, left.reason, town.stage(0)) == (agent(1), "closed", "running")
    town.open("shower_1")
    town.step()
    assert bool(town.thing("shower_1").closed)
    town.step()
    town.step()
    assert (town.tick, bool(town.thing("shower_1").closed)) == (6, True)
    town.step()
    assert not bool(town.thing("shower_1").closed)


def test_an_edit_during_a_spike_holds_after_it():
    town = Village().stand(0, BESIDE["counter_1"])
    town.scale("cafe.meal", 1500, source=1, until=2)
    town.step()
    assert town.price("cafe.meal") == 1350
    town.set_price("cafe.meal", 400)
    town.step()
    assert town.price("cafe.meal") == 600
    town.step({0: "use:buy_meal"})
    assert town.price("cafe.meal") == 400
    assert town.heard("affordance.start")[0].paid == 400


def test_spikes_multiply_in_the_order_of_their_sources_and_round_each_time():
    town, other = Village(), Village()
    for each, sources in ((town, (1, 2, 3)), (other, (3, 1, 2))):
        scales = dict(zip((1, 2, 3), (1333, 1777, 1001), strict=True))
        for source in sources:
            each.scale("home.meal", scales[source], source=source)
        each.step()
    expected = 400
    for scale in (1333, 1777, 1001):
        expected = (expected * scale + 500) // 1000
    assert town.price("home.meal") == other.price("home.meal") == expected
    assert town.price("home.shower") == 200
    assert town.state.effects.tobytes() == other.state.effects.tobytes()
    town.scale("home.meal", 1000, source=2)
    town.step()
    assert town.price("home.meal") == (((400 * 1333 + 500) // 1000) * 1001 + 500) // 1000


def test_a_price_stays_within_what_an_integer_holds():
    town = Village()
    for source in range(1, 16):
        town.scale("home.meal", codes.MOST_SCALE, source=source)
    town.step()
    assert town.price("home.meal") == codes.MOST_PRICE


def test_the_price_level_shows_spikes_and_no_edits():
    town = Village()
    town.set_price("home.meal", 900)
    town.switch("power", on=False)
    town.step()
    assert town.features(0)["price_level"] == 0.0
    town.scale("home.meal", 1800, source=1)
    town.step()
    keys = len(town.model.price_keys)
    assert town.features(0)["price_level"] == pytest.approx(math.tanh(0.8 / keys), rel=1e-6)


def test_a_free_thing_has_no_level():
    town = Village()
    town.set_price("home.meal", 0)
    town.scale("home.meal", 2000, source=1)
    town.step()
    assert (town.price("home.meal"), town.features(0)["price_level"]) == (0, 0.0)


def test_a_full_list_takes_no_more_and_says_so():
    town = hall((1, 1))
    rows = town.state.effects.shape[1]
    for source in range(1, rows + 2):
        town.switch("power", on=False, source=source)
    town.switch("power", on=False, source=1, until=9)
    town.close("shower_1")
    town.switch("power", on=True, source=2)
    town.close("shower_1", source=5)
    town.step()
    assert town.engine.answers.tolist() == [
        *[codes.EXECUTED] * rows, codes.NO_ROOM,
        codes.EXECUTED, codes.NO_ROOM, codes.EXECUTED, codes.EXECUTED,
    ]  # fmt: skip
    check_effects(town.state)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (Intervention(0, codes.SWITCH_UTILITY, 0, 0, 0, c=-1), "c is -1 in "),
        (Intervention(0, codes.CLOSE_OBJECT, 0, 1, d=-1), "d is -1 in "),
        (Intervention(0, codes.SCALE_PRICE, 1, 0, 1000), "who is 1 in "),
        (Intervention(0, codes.SCALE_PRICE, 0, 99, 1000), "a is 99 in "),
        (Intervention(0, codes.SCALE_PRICE, 0, 0, 10_001), "b is 10001 in "),
        (Intervention(0, codes.SET_PRICE, 0, 0, -1), "b is -1 in "),
        (Intervention(0, codes.SET_PRICE, 0, 0, 40_001), "b is 40001 in "),
    ],
)
def test_what_no_effect_can_be_is_refused(order, message):
    with pytest.raises(ArgumentError, match=message):
        Village(economy={"prices": {"home.meal": 400}}).engine.intervene(order)


EFFECTS = st.one_of(
    st.tuples(st.just(codes.SWITCH_UTILITY), st.just(0), st.integers(0, 1), st.integers(0, 1)),
    st.tuples(st.just(codes.CLOSE_OBJECT), st.integers(0, 6), st.integers(0, 1), st.just(0)),
    st.tuples(st.just(codes.SCALE_PRICE), st.just(0), st.integers(0, 5), st.sampled_from((500, 1000, 1800))),
    st.tuples(st.just(codes.SET_PRICE), st.just(0), st.integers(0, 5), st.integers(0, 900)),
)


@settings(max_examples=30, deadline=None)
@given(
    orders=st.lists(st.tuples(EFFECTS, st.integers(0, 3), st.integers(0, 12), st.integers(0, 2)), max_size=25)
)
def test_everything_off_closed_or_dear_follows_from_who_wants_it_so(orders):
    """A plain account of who wants what until when: after every tick, the town agrees with it."""
    town = Village()
    wanted: dict[tuple[int, ...], tuple[int, int]] = {}
    base = town.state.price["normal"][0, 0].tolist()
    for (what, who, a, b), source, lasts, ticks in orders:
        until = 0 if lasts == 0 else town.tick + lasts
        town.engine.intervene(Intervention(0, what, who, a, b, source, until))
        key = (what, who, 0 if what == codes.CLOSE_OBJECT else a, source)
        ends = {codes.SWITCH_UTILITY: b == 1, codes.CLOSE_OBJECT: a == 0, codes.SCALE_PRICE: b == 1000}
        if what == codes.SET_PRICE:
            base[a] = b
        elif ends[what]:
            wanted.pop(key, None)
        else:
            wanted[key] = b, until
        for _ in range(ticks):
            now = town.tick
            town.step()
            wanted = {key: value for key, value in wanted.items() if not 0 < value[1] <= now}
            compare(town, wanted, base)


def compare(town: Town, wanted: dict[tuple[int, ...], tuple[int, int]], base: list[int]) -> None:
    """Compare a town with an account of its effects."""
    off = {key[2] for key in wanted if key[0] == codes.SWITCH_UTILITY}
    closed = {key[1] for key in wanted if key[0] == codes.CLOSE_OBJECT}
    prices = list(base)
    for (what, _, name, _), (scale, _) in sorted(wanted.items(), key=lambda item: item[0][3]):
        if what == codes.SCALE_PRICE:
            prices[name] = (prices[name] * scale + 500) // 1000
    assert utilities(town) == [int(number not in off) for number in range(2)]
    assert set(np.flatnonzero(town.state.objects["closed"][0]).tolist()) == closed
    assert town.state.price["now"][0, 0].tolist() == prices
    assert int(town.state.towns[0].effects) == len(wanted)
