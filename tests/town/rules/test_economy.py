"""Money in double entry (domain.md, sections 3 and 11)."""

import numpy as np
import pytest

from tests.town.village import BESIDE, OFFICE, ROWS, STREET, Village, found
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.events import economy
from townlet_adapters.worlds.town.seam.batch import TownBatch


def flows(town: Village) -> dict[str, int]:
    """What was moved today, without what was not."""
    moved = dict(zip(codes.FLOWS, town.state.flows[0].tolist(), strict=True))
    return {kind: mills for kind, mills in moved.items() if mills}


def till(town: Village, place: str) -> int:
    return int(town.state.tills[0, [each.id for each in town.model.plan.places].index(place)])


def treasury(town: Village) -> int:
    return int(town.state.towns["treasury"][0])


def test_everybody_starts_with_a_grant_of_the_treasury():
    town = Village(population={"start_wallet": 1234})
    assert [town.wallet(slot) for slot in range(3)] == [1234] * 3
    assert (treasury(town), flows(town), town.money()) == (-3 * 1234, {"grant": 3 * 1234}, 0)


@pytest.mark.parametrize(
    ("thing", "use", "paid", "payee"),
    [
        ("fridge_1", "eat_meal", 400, None),
        ("stove_1", "cook_meal", 150, None),
        ("shower_1", "use_shower", 200, None),
        ("checkout_1", "buy_groceries", 300, "grocer"),
        ("counter_1", "buy_meal", 900, "cafe"),
    ],
)
def test_a_purchase_goes_to_the_till_of_the_place_or_to_the_treasury(thing, use, paid, payee):
    town = Village().stand(0, BESIDE[thing])
    town.step({0: f"use:{use}"})
    assert town.heard("affordance.start")[0].paid == paid
    assert town.wallet(0) == 2000 - paid
    assert flows(town) == {"grant": 6000, "purchase": paid}
    assert (0 if payee is None else till(town, payee)) == (0 if payee is None else paid)
    assert treasury(town) == -6000 + (paid if payee is None else 0)
    assert town.money() == 0


@pytest.mark.parametrize(
    ("thing", "use", "paid", "payee"),
    [("shower_1", "use_shower", 200, None), ("counter_1", "buy_meal", 900, "cafe")],
)
def test_a_refund_gives_exactly_back_what_was_paid(thing, use, paid, payee):
    town = Village().stand(0, BESIDE[thing])
    town.step({0: f"use:{use}"})
    town.put_price(7 * 900)  # a later price is nobody's business
    town.step({0: "leave"})
    assert town.heard("affordance.fail")[0].refunded == paid
    assert (town.wallet(0), treasury(town)) == (2000, -6000)
    assert flows(town) == {"grant": 6000, "purchase": paid, "refund": paid}
    assert payee is None or till(town, payee) == 0


def test_a_refund_may_take_a_till_below_zero():
    """The till was swept in the middle of the use."""
    town = Village().stand(0, BESIDE["counter_1"]).jump(1439)
    town.step({0: "use:buy_meal"})
    assert till(town, "cafe") == 0
    town.step({0: "leave"})
    assert till(town, "cafe") == -900
    assert town.money() == 0


def test_a_wage_comes_from_the_till_of_the_workplace_and_a_fine_goes_there():
    town = Village().stand(0, OFFICE[0]).stand(2, STREET[0]).jump(366)
    town.resident(0).first_x = 0
    town.step()
    assert flows(town) == {"grant": 6000, "wage": 20, "fine": 100 + 5}
    assert till(town, "office") == -20 + 105
    assert (town.wallet(0), town.wallet(2)) == (2020, 1895)
    assert town.money() == 0


def test_a_use_that_pays_pays_from_the_treasury_at_completion():
    manifest = [{"id": "sing", "object_type": "bench", "duration": 3, "effects": {"money": 70}}]
    town = Village(manifest=manifest).stand(0, BESIDE["bench_1"])
    town.step({0: "use:sing"})
    town.run(1)
    assert town.wallet(0) == 2000
    town.run(1)
    assert (town.wallet(0), treasury(town)) == (2070, -6070)
    assert flows(town) == {"grant": 6000, "bonus": 70}
    assert town.heard("affordance.finish")[0].effects == {"money": 70}


def test_rent_is_paid_to_the_treasury_at_the_end_of_the_day():
    town = Village().jump(1439)
    town.step()
    assert town.heard("economy.rent") == [economy.EconomyRent(f"a{k:05d}", 1300, 0) for k in range(3)]
    assert [town.wallet(slot) for slot in range(3)] == [700] * 3
    assert flows(town) == {"grant": 6000, "rent": 3900}
    assert treasury(town) == -6000 + 3900


@pytest.mark.parametrize(
    ("wallet", "owed", "paid", "left"),
    [
        (1299, 0, 0, 1),
        (1300, 0, 1300, 0),
        (2599, 1, 1300, 1),
        (4000, 2, 3900, 0),
        (3899, 2, 2600, 1),
        (10_000, 0, 1300, 0),
        (0, 5, 0, 6),
    ],
)
def test_arrears_are_paid_by_whole_days_as_far_as_the_wallet_reaches(wallet, owed, paid, left):
    town = Village().jump(1439)
    town.resident(1).wallet = wallet
    town.resident(1).rent_owed = owed
    town.step()
    assert town.heard("economy.rent")[1] == economy.EconomyRent("a00001", paid, left)
    assert (town.wallet(1), town.resident(1).rent_owed) == (wallet - paid, left)


def test_free_rent_leaves_nobody_in_debt():
    town = Village(economy={"rent_per_day": 0}).jump(1439)
    town.step()
    assert town.heard("economy.rent")[0] == economy.EconomyRent("a00000", 0, 0)


def test_a_stipend_is_paid_before_the_rent_falls_due():
    town = Village(population={"start_wallet": 0}, economy={"stipend": 1300}).jump(1439)
    town.step()
    assert [event.paid for event in town.heard("economy.rent")] == [1300] * 3
    assert flows(town) == {"grant": 3900, "rent": 3900}


def test_the_day_ends_with_every_till_swept_and_the_net_told():
    town = Village().jump(1439)
    cafe, office = (till_number(town, name) for name in ("cafe", "office"))
    town.state.tills[0, cafe], town.state.tills[0, office] = 900, -250
    town.state.towns["treasury"][0] -= 650
    town.step()
    assert not town.state.tills.any()
    assert flows(town)["sweep"] == 650
    assert treasury(town) == -6000 + 3900
    assert town.money() == 0


def till_number(town: Village, place: str) -> int:
    return [each.id for each in town.model.plan.places].index(place)


def test_stocks_are_filled_up_without_payment():
    town = Village().jump(1439)
    town.thing("fridge_1").stock[0] = 5
    town.thing("checkout_1").stock[1] = 0
    town.step()
    assert town.heard("economy.restock") == [
        economy.EconomyRestock("fridge_1", "meal", 7),
        economy.EconomyRestock("checkout_1", "ingredients", 24),
    ]
    assert (town.stock("fridge_1"), town.stock("checkout_1")) == ((12, 0), (0, 24))
    assert "purchase" not in flows(town)


def test_the_day_is_told_with_its_flows_and_what_stands_where():
    town = Village().jump(1439)
    town.step()
    assert town.told[-1] == economy.EconomyDay(
        day=0,
        flows={"grant": 6000, "purchase": 0, "refund": 0, "wage": 0, "fine": 0, "rent": 3900, "bonus": 0,
               "sweep": 0},
        wallets=2100, tills=0, treasury=-2100,
    )  # fmt: skip


def test_prices_are_those_of_the_config_and_of_the_place_where_the_object_stands():
    town = Village(economy={"prices": {"home.shower": 77}}).stand(0, BESIDE["shower_1"])
    town.step({0: "use:use_shower"})
    assert town.heard("affordance.start")[0].paid == 77
    town = Village().stand(0, BESIDE["counter_1"])
    town.put_price(13, "cafe.meal")
    town.step({0: "use:buy_meal"})
    assert town.heard("affordance.start")[0].paid == 13


def test_a_wallet_one_mill_short_pays_nothing():
    town = Village().stand(0, BESIDE["counter_1"])
    town.resident(0).wallet = 449
    town.look()
    assert "use:buy_meal" not in town.mask(0)
    town.resident(0).wallet = 900
    town.look()
    town.step({0: "use:buy_meal"})
    assert town.wallet(0) == 0


def test_the_books_of_every_day_explain_all_balances():
    """Four villages, three days of random actions: flows alone account for every change."""
    batch = TownBatch(Village().model, 4)
    batch.reset(11)
    rng = np.random.default_rng(5)
    state, slots = batch.state, batch.model.spec.capacity
    before, totals = np.zeros(4, np.int64), dict.fromkeys(codes.FLOWS, 0)
    for day in range(3):
        for _ in range(1440):
            allowed = batch.arrays.mask.reshape(4 * slots, -1).astype(float)
            keys = rng.random(allowed.shape) * allowed
            batch.step(keys.argmax(axis=1).reshape(4, slots))
            wallets = state.residents["wallet"].sum(axis=1)
            assert (state.residents["wallet"] >= 0).all()
            assert (wallets + state.tills.sum(axis=1) + state.towns["treasury"] == 0).all()
        moved = {kind: state.flows[:, k] for k, kind in enumerate(codes.FLOWS)}
        gained = (
            moved["grant"] - moved["purchase"] + moved["refund"] + moved["wage"] - moved["fine"]
            - moved["rent"] + moved["bonus"]
        )  # fmt: skip
        assert (wallets - before == gained).all(), f"day {day}"
        assert (state.tills == 0).all()
        assert (state.towns["treasury"] == -wallets).all()
        before = wallets
        totals = {kind: total + int(abs(moved[kind]).sum()) for kind, total in totals.items()}
    assert [kind for kind, total in totals.items() if total == 0] == ["bonus", "hook", "estate"]


def test_what_tills_take_and_give_is_what_is_swept():
    """With every purchase at a till, the day's sweep is purchases - refunds - wages + fines."""
    rows = [row.replace("F", "r").replace("S", "r").replace("W", "r") for row in ROWS]
    assert rows != list(ROWS)
    town = Village().stand(0, BESIDE["counter_1"]).stand(2, OFFICE[0]).jump(360)
    town.step({0: "use:buy_meal"})
    town.jump(1439).step()
    moved = flows(town)
    assert moved["sweep"] == moved["purchase"] - moved["wage"] + moved["fine"]


def test_a_large_town_keeps_one_treasury_and_a_till_for_each_place():
    world, _ = found({"town": {"grid": {"district": "hamlet_24", "rows": 1, "cols": 2}}})
    state = world.engine.state
    assert state.tills.shape == (1, 2 * 4)
    assert state.towns["treasury"].tolist() == [-6 * 2000]
