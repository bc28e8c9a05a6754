"""What affordances are for, derived from their effects and charges; none is known by its name.

===========  =================================================================================================
purpose      an affordance that
===========  =================================================================================================
serve        raises the need by ``SERVES_FROM`` or more in a whole use, and yields no item that another such
             use takes from the inventory
make         yields an item that a use that serves the need takes from the inventory
fetch        makes nothing for the need, but yields an item that a use that makes something for it takes from
             the inventory
leisure      has none of these purposes and raises some need by less than ``SERVES_FROM``; it is paid when it
             has a price, and free when it has none and takes nothing
===========  =================================================================================================

Serve, make and fetch are purposes for a need: one affordance can serve one need and fetch for another. An
affordance that serves a need and takes nothing of that kind from the inventory is a treat when the need can
be served by something carried as well.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from townlet_core.dto.observation import Constants

SERVES_FROM: Final = 0.2
NO_LEISURE, PAID, FREE = 0, 1, 2

_Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Purposes:
    """The purposes of all affordances.

    Attributes:
        serves: bool[A, needs].
        makes: bool[A, needs].
        fetches: bool[A, needs].
        treats: bool[A, needs].
        leisure: int64[A], ``NO_LEISURE``, ``PAID`` or ``FREE``.
        means: int64[needs, items], most units of an item that a use takes that serves the need.
        parts: int64[needs, items], most units of an item that a use takes that makes something for it.
    """

    serves: _Bools
    makes: _Bools
    fetches: _Bools
    treats: _Bools
    leisure: npt.NDArray[np.int64]
    means: npt.NDArray[np.int64]
    parts: npt.NDArray[np.int64]


def purposes_of(constants: Constants) -> Purposes:
    """Derive the purposes of all affordances."""
    effect = effect_of(constants)
    yields = np.asarray(constants["affordance_yield"]) > 0
    inventory = np.asarray(constants["charge_inventory"])
    takes = inventory.max(axis=1, initial=0).astype(np.int64)
    raises = effect >= SERVES_FROM
    serves = raises & ~_feeds(yields, raises, takes)
    means = _most(serves, takes)
    makes = ~serves & _yields_any(yields, means)
    parts = _most(makes, takes)
    fetches = ~serves & ~makes & _yields_any(yields, parts)
    carried = _yields_any(takes > 0, means)
    purposeful = (serves | makes | fetches).any(axis=1)
    priced = np.asarray(constants["charge_price"]).any(axis=(1, 2))
    takes_something = takes.any(axis=1) | np.asarray(constants["charge_stock"]).any(axis=(1, 2))
    leisure = (effect > 0).any(axis=1) & ~purposeful
    return Purposes(
        serves=serves,
        makes=makes,
        fetches=fetches,
        treats=serves & ~carried & means.any(axis=1),
        leisure=np.where(leisure & priced, PAID, np.where(leisure & ~takes_something, FREE, NO_LEISURE)),
        means=means,
        parts=parts,
    )


def effect_of(constants: Constants) -> npt.NDArray[np.float64]:
    """Return what a whole use of each affordance does to each need, float64[A, needs]."""
    ticks = np.asarray(constants["affordance_duration"])[:, np.newaxis]
    whole = np.asarray(constants["affordance_need"]) + ticks * np.asarray(constants["affordance_each_tick"])
    return np.asarray(whole, dtype=np.float64)


def _feeds(yields: _Bools, raises: _Bools, takes: npt.NDArray[np.int64]) -> _Bools:
    """Return whether an affordance yields an item that another one takes that raises the need, [A, needs]."""
    feeds = np.zeros(raises.shape, dtype=np.bool_)
    for a, items in enumerate(yields):
        takers = np.asarray((takes[:, items] > 0).any(axis=1), dtype=np.bool_)
        takers[a] = False
        feeds[a] = (raises & takers[:, np.newaxis]).any(axis=0)
    return feeds


def _most(purpose: _Bools, takes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the most units of each item that one use with the purpose takes, [needs, items]."""
    return np.where(purpose[:, :, np.newaxis], takes[:, np.newaxis, :], 0).max(axis=0, initial=0)


def _yields_any(yields: _Bools, wanted: npt.NDArray[np.int64]) -> _Bools:
    """Return whether an affordance has an item in common with what is wanted for a need, [A, needs]."""
    shared = yields[:, np.newaxis, :] & (wanted > 0)[np.newaxis, :, :]
    return np.asarray(shared.any(axis=2), dtype=np.bool_)
