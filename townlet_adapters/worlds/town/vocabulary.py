"""The names in maps, manifests, configs and commands; in the order of their numbers in the state."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from townlet_core.dto.command import Argument, CommandSpec

Tile: TypeAlias = Literal["floor", "road", "door", "wall", "water"]
TILES: Final[tuple[Tile, ...]] = ("floor", "road", "door", "wall", "water")
FIRST_IMPASSABLE_TILE: Final = 3
"""Tiles with a code below this one are passable."""

PlaceKind: TypeAlias = Literal["home", "park", "grocer", "cafe", "office", "gym"]
PLACE_KINDS: Final[tuple[PlaceKind, ...]] = ("home", "park", "grocer", "cafe", "office", "gym")
TILL_KINDS: Final[frozenset[PlaceKind]] = frozenset({"grocer", "cafe", "office", "gym"})
"""Kinds of places that keep a till."""

Profile: TypeAlias = Literal["balanced", "industrious", "socialite", "stoic"]
PROFILES: Final[tuple[Profile, ...]] = ("balanced", "industrious", "socialite", "stoic")

ObjectTypeName: TypeAlias = Literal[
    "fridge", "stove", "bed", "shower", "sink", "checkout", "counter", "bench", "rack"
]


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A type of object.

    Attributes:
        name: its name in maps and manifests.
        stock: item -> number at the start and after a refill.
        utilities: utilities that it needs to work.
    """

    name: ObjectTypeName
    stock: Mapping[str, int]
    utilities: tuple[str, ...]


def _type(name: ObjectTypeName, *utilities: str, **stock: int) -> ObjectType:
    return ObjectType(name, MappingProxyType(stock), utilities)


OBJECT_TYPES: Final[Mapping[str, ObjectType]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            _type("fridge", meal=12),
            _type("stove", "power", ingredients=10),
            _type("bed"),
            _type("shower", "power", "water"),
            _type("sink", "water"),
            _type("checkout", ingredients=24),
            _type("counter", meal=8),
            _type("bench"),
            _type("rack"),
        )
    }
)
"""Every type by its name, in the order of the codes."""

PRICES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "home.meal": 400,
        "home.ingredients": 150,
        "home.shower": 200,
        "cafe.meal": 450,
        "grocer.ingredients": 150,
        "gym.session": 100,
    }
)
"""Base price in mills of an item by the kind of place where it is sold: ``<place kind>.<item>``."""
PRICED_ITEMS: Final = tuple(dict.fromkeys(key.partition(".")[2] for key in PRICES))
HIGHEST_PRICE_FACTOR: Final = 100
"""A base price can be set to at most this many times its default."""

COMMANDS: Final = (
    CommandSpec(
        "teleport",
        "admin",
        "Moves a resident to a free tile; its claim ends, and its policy plans anew.",
        (Argument("agent_id", "text"), Argument("position", "xy")),
    ),
    CommandSpec(
        "set_need",
        "admin",
        "Sets needs of a resident, in [0, 1]; its policy plans anew.",
        (Argument("agent_id", "text"), Argument("needs", "reals")),
    ),
)
"""The commands, in the order of the table in ``docs/domain.md``."""
