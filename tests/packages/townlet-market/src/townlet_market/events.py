"""What only a market tells."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_core.events.base import Event


@dataclass(frozen=True, slots=True)
class Sold(Event):
    """A customer bought something."""

    kind: ClassVar[str] = "market.sold"
    customer: str
    stall: int
    left: int


@dataclass(frozen=True, slots=True)
class SoldOut(Event):
    """A stall sold the last thing that it had today."""

    kind: ClassVar[str] = "market.sold_out"
    stall: int


@dataclass(frozen=True, slots=True)
class Done(Event):
    """A customer has everything on the list and goes home."""

    kind: ClassVar[str] = "market.done"
    customer: str
    bought: int
