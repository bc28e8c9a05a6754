"""Base prices, and the check that jobs pay for the cost of a day."""

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from townlet_adapters.documents import KeyPath
from townlet_adapters.worlds.town.inputs.texts import EconomyOptions, TownOptions
from townlet_adapters.worlds.town.inputs.vocabulary import Vocabulary
from townlet_core.errors import ConfigError, Problem
from townlet_core.suggestions import nearest

HIGHEST_PRICE_FACTOR: Final = 100
"""A base price can be set to at most this many times its default."""
LEAST_PAY: Final = Fraction(110, 100)
MOST_PAY: Final = Fraction(120, 100)
"""A shift pays between ``LEAST_PAY`` and ``MOST_PAY`` baskets."""


def base_prices(economy: EconomyOptions, vocabulary: Vocabulary) -> Mapping[str, int]:
    """Return the price in mills of every price key of a vocabulary.

    Raises:
        ConfigError: when the config has an unknown key, or a price out of range; keys are relative to the
            town's options.
    """
    problems = []
    known = vocabulary.prices
    for key, mills in economy.prices.items():
        path = f'economy.prices["{key}"]'
        if key not in known:
            problems.append(Problem(path, f"unknown price key '{key}'", nearest(key, known)))
        elif mills > HIGHEST_PRICE_FACTOR * known[key]:
            allowed = f"allowed: a whole number from 0 to {HIGHEST_PRICE_FACTOR * known[key]}"
            problems.append(Problem(path, str(mills), allowed))
    if problems:
        raise ConfigError(*problems)
    return MappingProxyType({**known, **economy.prices})


def cost_of_a_day(rent: int, prices: Mapping[str, int], basket: Mapping[str, Fraction]) -> Fraction:
    """Return the mills that a resident needs for a day: its rent and what it buys."""
    return rent + sum((number * prices[key] for key, number in basket.items()), Fraction(0))


def key_of_cost(options: TownOptions) -> KeyPath:
    """Return the first key of a config by which the cost of a day differs from that of the shipped town."""
    economy, vocabulary = options.economy, options.vocabulary
    if economy.prices:
        return ("economy", "prices")
    if economy.rent_per_day != EconomyOptions().rent_per_day:
        return ("economy", "rent_per_day")
    for section in ("basket", "prices"):
        if getattr(vocabulary, section):
            return ("vocabulary", section)
    return ("vocabulary", "remove", "prices") if vocabulary.remove.prices else ("economy",)


def is_balanced(wage: int, length: int, cost: Fraction) -> bool:
    """Return whether a shift of ``length`` ticks at ``wage`` mills each fits a day's ``cost``."""
    return LEAST_PAY * cost <= wage * length <= MOST_PAY * cost
