"""The entry point ``market``."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from townlet_core.events.base import Event
from townlet_core.ports import PolicyPort, WorldPort
from townlet_market.events import Done, Sold, SoldOut
from townlet_plugins import hookimpl
from townlet_plugins.factory import BuildContext, Factory, PartFactory


class Options(BaseModel):
    """What both take."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class MarketOptions(Options):
    """Size of a market."""

    customers: int = Field(default=4, ge=1, le=100)
    """how many come"""
    stalls: int = Field(default=3, ge=1, le=10)
    """how many there are"""
    stock: int = Field(default=5, ge=0, le=100)
    """what each stall has in the morning"""


class BuyerOptions(Options):
    """The policy takes no options."""


@hookimpl
def townlet_worlds() -> Sequence[PartFactory[WorldPort]]:
    """Offer the world ``market``."""
    return (Factory("market", MarketOptions, build_market, "a ring of stalls"),)


@hookimpl
def townlet_policies() -> Sequence[PartFactory[PolicyPort]]:
    """Offer the policy ``buyers``."""
    return (Factory("buyers", BuyerOptions, build_buyers, "customers who buy wherever they can"),)


@hookimpl
def townlet_events() -> Sequence[type[Event]]:
    """Offer the kinds that a market tells."""
    return (Sold, SoldOut, Done)


def build_market(options: MarketOptions, _context: BuildContext) -> WorldPort:
    """Make the world."""
    from townlet_market.world import Market  # noqa: PLC0415 - only building one brings it

    return Market(options.customers, options.stalls, options.stock)


def build_buyers(_options: BuyerOptions, _context: BuildContext) -> PolicyPort:
    """Make the policy."""
    from townlet_market.policy import Buyers  # noqa: PLC0415 - as above

    return Buyers()
