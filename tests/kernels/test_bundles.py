"""Kernels take a named tuple of arrays as one argument, and are linked where Python calls them (ADR 0023)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from townlet_adapters.kernels.bundles import bundle
from townlet_adapters.kernels.compiler import INTERPRETED, bound, entry_kernel, inlined, kernel

compiled = pytest.mark.skipif(INTERPRETED, reason="there is nothing to compile")


@bundle
class Basket(NamedTuple):
    """An array to read, and one to write."""

    prices: npt.NDArray[np.int64]
    total: npt.NDArray[np.float64]


@bundle
class Shop(NamedTuple):
    """A bundle in a bundle, between numbers."""

    discount: float
    basket: Basket
    closes: int


@kernel
def dearest(basket: Basket) -> int:
    """Return the highest price; both of its callers are reached by one entry kernel."""
    if basket.prices.shape[0] == 0:
        raise ValueError("an empty basket")
    best = basket.prices[0]
    for i in range(1, basket.prices.shape[0]):
        best = max(best, basket.prices[i])
    return best


@kernel
def sum_of(basket: Basket) -> int:
    """Return the sum, and write it after the dearest one."""
    total = 0
    for i in range(basket.prices.shape[0]):
        total += basket.prices[i]
    basket.total[1] = dearest(basket)
    return total


@inlined
def reduced(shop: Shop) -> float:
    """Return what is paid for the basket."""
    return sum_of(shop.basket) - shop.discount * dearest(shop.basket)


@entry_kernel
def pay(shop: Shop) -> int:
    """Write what is paid, and return the hour."""
    shop.basket.total[0] = reduced(shop)
    return shop.closes


@entry_kernel
def itself(shop: Shop) -> Shop:
    """Return the shop, which cannot be done."""
    return shop


def shop(*prices: int) -> Shop:
    """Make a shop with a basket."""
    return Shop(0.5, Basket(np.array(prices, dtype=np.int64), np.zeros(2)), 18)


def test_kernels_read_the_fields_of_bundles_and_write_to_their_arrays() -> None:
    """Numbers, arrays and a bundle within are where the names say, through every level of kernels."""
    full = shop(300, 700, 200)
    assert pay(full) == 18
    assert full.basket.total.tolist() == [1200 - 350, 700]


def test_a_bound_call_reads_its_own_bundle() -> None:
    """Two calls that are bound to bundles of one type keep apart."""
    one, two = shop(100), shop(100, 400)
    calls = bound(pay, one), bound(pay, two)
    for call in (*calls, *calls):
        assert call() == 18
    assert (one.basket.total.tolist(), two.basket.total.tolist()) == ([50, 100], [300, 400])


def test_an_exception_of_an_inner_kernel_reaches_python() -> None:
    """The code of a part finds its Python objects, though it was linked into the code of another kernel."""
    with pytest.raises(ValueError, match="an empty basket"):
        pay(shop())


@compiled
def test_other_types_of_the_fields_are_another_bundle() -> None:
    """Code for int64 prices is not used for int32 ones."""
    small = Shop(0.5, Basket(np.array([300, 700], dtype=np.int32), np.zeros(2)), 18)  # type: ignore[arg-type]  # on purpose
    assert pay(small) == 18
    assert small.basket.total.tolist() == [650, 700]


@compiled
def test_a_field_that_is_not_of_its_type_is_refused() -> None:
    """A bound call with a bundle that does not fit would read memory that is not its own."""
    call = bound(pay, shop(100)).func  # type: ignore[attr-defined]  # a partial call
    with pytest.raises(TypeError, match=r"(?i)array|arguments"):
        call(shop(100)._replace(basket=Basket("no array", np.zeros(2))))  # type: ignore[arg-type]  # on purpose


@compiled
def test_an_entry_kernel_cannot_return_a_bundle() -> None:
    """The bundle is gone when the call from Python ends."""
    with pytest.raises(TypeError, match="cannot convert native Shop"):
        itself(shop(100))
