"""Base prices, and the check that jobs pay for the cost of a day."""

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from townlet_adapters.worlds.town.options import EconomyOptions
from townlet_adapters.worlds.town.vocabulary import HIGHEST_PRICE_FACTOR, PRICES
from townlet_core.errors import ConfigError, Problem
from townlet_core.naming import nearest

MEALS_PER_DAY: Final = Fraction(36, 10)
SHOWERS_PER_DAY: Final = Fraction(16, 10)
LEAST_PAY: Final = Fraction(110, 100)
MOST_PAY: Final = Fraction(120, 100)
"""A shift pays between ``LEAST_PAY`` and ``MOST_PAY`` baskets."""


def base_prices(economy: EconomyOptions) -> Mapping[str, int]:
    """Return the price in mills of every key of ``PRICES``.

    Raises:
        ConfigError: when the config has an unknown key, or a price out of range; keys are relative to the
            town's options.
    """
    problems = []
    for key, mills in economy.prices.items():
        path = f'economy.prices["{key}"]'
        if key not in PRICES:
            problems.append(Problem(path, f"unknown price key '{key}'", nearest(key, PRICES)))
        elif mills > HIGHEST_PRICE_FACTOR * PRICES[key]:
            allowed = f"allowed: a whole number from 0 to {HIGHEST_PRICE_FACTOR * PRICES[key]}"
            problems.append(Problem(path, str(mills), allowed))
    if problems:
        raise ConfigError(*problems)
    return MappingProxyType({**PRICES, **economy.prices})


def basket(rent: int, prices: Mapping[str, int]) -> Fraction:
    """Return the mills that a resident needs for a day: rent, meals cooked from stock, showers."""
    return rent + MEALS_PER_DAY * prices["home.meal"] + SHOWERS_PER_DAY * prices["home.shower"]


def is_balanced(wage: int, length: int, cost: Fraction) -> bool:
    """Return whether a shift of ``length`` ticks at ``wage`` mills each fits a day's ``cost``."""
    return LEAST_PAY * cost <= wage * length <= MOST_PAY * cost
