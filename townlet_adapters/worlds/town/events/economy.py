"""Money and goods. Money is in mills."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class EconomyRestock(Event):
    """An object's stock was refilled by ``amount``."""

    kind: ClassVar[str] = "economy.restock"
    object_id: str
    item: str
    amount: int


@dataclass(frozen=True, slots=True)
class EconomyRent(Event):
    """Rent fell due; ``owed_days`` days are still owed."""

    kind: ClassVar[str] = "economy.rent"
    agent_id: str
    paid: int
    owed_days: int


@dataclass(frozen=True, slots=True)
class EconomyPrice(Event):
    """A price of a district changed; ``reason`` is edit, spike_start or spike_end.

    Attributes:
        key: the price key.
        base: the base price in mills.
        price: the price in mills under all spikes that are active now.
    """

    kind: ClassVar[str] = "economy.price"
    district: int
    key: str
    base: int
    price: int
    reason: str


@dataclass(frozen=True, slots=True)
class EconomyDay(Event):
    """The accounts of a day: flows by kind, then the totals of wallets, tills and treasury."""

    kind: ClassVar[str] = "economy.day"
    day: int
    flows: Mapping[str, int]
    wallets: int
    tills: int
    treasury: int
