"""The shipped vocabulary and its numbers, for tests that act on the shipped town."""

from pathlib import Path

from townlet_adapters.worlds.town.compiled.observation_layout import NEARBY, STATUS, TOWN
from townlet_adapters.worlds.town.inputs.manifest import Names
from townlet_adapters.worlds.town.inputs.vocabulary import VocabularyText, read_vocabulary
from townlet_plugins.access import Access

SHIPPED = read_vocabulary(VocabularyText(extend="town"), Access(Path()))
NEEDS = tuple(SHIPPED.needs)
ITEMS = tuple(SHIPPED.items)
PROFILES = tuple(SHIPPED.profiles)
PLACE_KINDS = tuple(SHIPPED.place_kinds)
OBJECT_TYPES = SHIPPED.object_types
PRICES = SHIPPED.prices
OPTIONS = SHIPPED.option_names
TARGETS = (*SHIPPED.targets, "work", "home")
CARRY = SHIPPED.carry_limits()
HUNGER, HYGIENE, ENERGY = map(NEEDS.index, ("hunger", "hygiene", "energy"))
MEAL, INGREDIENTS = map(ITEMS.index, ("meal", "ingredients"))

BASE = (
    *(f"need_{need}" for need in NEEDS),
    *STATUS,
    *(f"inv_{item}" for item in ITEMS),
    *NEARBY,
    *(f"option_{option}" for option in OPTIONS),
    *TOWN,
)
"""The features that every observation has, in order."""


def names_at(object_type: str) -> Names:
    """The names that preconditions at a type of object may read."""
    return Names(SHIPPED, object_type, OBJECT_TYPES[object_type])


CONDITION_NAMES = tuple(names_at("fridge").known)
