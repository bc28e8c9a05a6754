"""What Python code passes to a batch of towns, checked before the kernels, which trust their arguments."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from operator import index

import numpy as np
import numpy.typing as npt

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.perturbations import MAX_EVENT_COOLDOWN, MAX_EVENT_TICKS
from townlet_adapters.worlds.town.systems.observe import TownArrays
from townlet_core.errors import ArgumentError

SEED_RANGE = 2**64

_LAST_TARGET = np.iinfo(np.int32).max
_LAST_NUMBER = 1 << 62
_INTEGER_KINDS = "iu"

# The method of an array does the same behind two more Python calls, which a batch of one town would feel.
_greatest = np.maximum.reduce
_least = np.minimum.reduce


@dataclass(frozen=True, slots=True)
class Intervention:
    """Something done to a town from outside, in phase 1 of the coming tick.

    Attributes:
        town: number of the town in the batch.
        what: ``codes.TELEPORT`` (``who`` a slot, ``a``, ``b`` the tile's x, y), ``codes.SWITCH_UTILITY``
            (``who`` a district, ``a`` 0 power or 1 water, ``b`` 0 off or 1 on), ``codes.SET_NEED``
            (``who`` a slot, ``a`` the need, ``x`` its new level, kept within [0, 1]),
            ``codes.CLOSE_OBJECT`` (``who`` an object, ``a`` 1 closed or 0 open), ``codes.SET_PRICE`` (``who``
            a district, ``a`` the price key, ``b`` its base price in mills), ``codes.SCALE_PRICE`` (``who``
            a district, ``a`` the price key, ``b`` permille of the price, 1000 ends it), ``codes.SPAWN``
            (for a resident in the lowest dead slot: ``who`` a home tile, -1 for the one that fewest live
            at; then, each one more than the number, and 0 for what the rules say, ``a`` and ``b`` the tile
            on which it stands, ``c`` its mills, ``d`` its profile, ``e`` its job, ``f`` the district in which
            a home is chosen), ``codes.REMOVE`` (``who`` a slot, ``a`` 1 when a newcomer follows, else 0),
            ``codes.INTERRUPT`` (``who`` a slot, ``a`` 1 when it is idle: a running use goes on then, else
            0), ``codes.REVIEW`` (``who`` a slot, ``a`` 1 to approve its review, 0 to defer it),
            ``codes.SET_EXITS`` (``who`` what is set: ``codes.MORTALITY``, ``EXIT_CAP`` or ``EXIT_SPACING``,
            ``a`` the number), ``codes.PERTURB`` (``who`` a district, ``a`` a spec of events, ``b`` ticks
            until it starts, ``c`` its duration, ``d`` permille of prices, ``e`` the place to which it
            invites, ``f`` to ``i`` targets by number, -1 for what the spec says), ``codes.CANCEL`` (``a``
            the number of an event), ``codes.FORCE_CHAT`` (``who`` the slot of the speaker, ``a`` that of the
            listener, ``b`` one more than the listener's serial, 0 for any in the slot, ``x`` the quality) or
            ``codes.SET_TIE`` (``who`` the slot of the owner, ``a`` that of the other, ``b`` one more than the
            other's serial or 0, ``c`` the sum of ``codes.TRUST_GIVEN``, ``FAMILIARITY_GIVEN`` and
            ``RIVALRY_GIVEN`` for the numbers that are set, ``d`` 1 when both ties are set, else 0, ``x``,
            ``y``, ``z`` trust, familiarity and rivalry, kept within their ranges). What switches, closes or
            scales has a source (``c``, ``codes.MANUAL`` or the number of an event), ends only what is of the
            same source, and ends by itself in the tick ``d`` unless that is 0.
        who: see ``what``.
        a: whole number, see ``what``; so are ``b`` to ``i``.
        b: whole number.
        c: whole number.
        d: whole number.
        e: whole number.
        f: whole number.
        g: whole number.
        h: whole number.
        i: whole number.
        x: real number, see ``what``; so are ``y`` and ``z``.
        y: real number.
        z: real number.
        needs: for ``codes.SPAWN``, one bit for each need that ``level`` gives.
        level: the levels of needs in [0, 1], one for each that a vocabulary may have.
        serial: serial of the resident that is meant, -1 for any in the slot.
    """

    town: int
    what: int
    who: int
    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0
    e: int = 0
    f: int = 0
    g: int = 0
    h: int = 0
    i: int = 0
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    needs: int = 0
    level: tuple[float, ...] = (0.0,) * codes.MAX_NEEDS
    serial: int = -1


def check_model(model: object) -> None:
    """Refuse anything but a model.

    Raises:
        ArgumentError: when ``model`` is something else, such as options or a config.
    """
    if not isinstance(model, TownModel):
        raise ArgumentError(f"model is {_name(model)}; expected a TownModel, as TownModel.build(...) returns")


def town_count(towns: int) -> int:
    """Return the number of towns as an ``int``.

    Raises:
        ArgumentError: when it is not a whole number of at least 1.
    """
    try:
        count = index(towns)
    except TypeError:
        count = 0
    if count < 1:
        raise ArgumentError(f"towns is {towns!r}; expected a whole number of at least 1")
    return count


def seeds_of(seed: int | Iterable[int], towns: int) -> list[int]:
    """Return one seed for each town: those given, or a seed and the numbers that follow it.

    Raises:
        ArgumentError: when there are more or fewer seeds than towns, or one is not in [0, 2**64).
    """
    if isinstance(seed, Iterable):
        seeds = [_seed(each) for each in seed]
        if len(seeds) != towns:
            raise ArgumentError(f"{len(seeds)} seeds for {towns} towns; expected one, or one for each town")
        return seeds
    first = _seed(seed)
    return [(first + b) % SEED_RANGE for b in range(towns)]


def _seed(seed: object) -> int:
    try:
        number = index(seed)  # type: ignore[arg-type]  # whether it is one is the question
    except TypeError:
        number = -1
    if not 0 <= number < SEED_RANGE:
        raise ArgumentError(f"seed is {seed!r}; expected a whole number from 0 to 2**64 - 1")
    return number


def check_actions(actions: npt.NDArray[np.integer], towns: int, slots: int, count: int) -> None:
    """Refuse actions that are not one whole number in [0, ``count``) for each slot of each town.

    Raises:
        ArgumentError: with the type, shape or number found and what is expected.
    """
    _check_numbers("actions", actions, towns, slots)
    # As an unsigned number a negative one is greater than any action: one pass sees both bounds.
    if _greatest(actions.view(f"u{actions.itemsize}"), None) >= count:
        raise _out_of_range("actions", actions, 0, count - 1)


def check_targets(targets: npt.NDArray[np.integer], towns: int, slots: int) -> None:
    """Refuse targets that are not -1 or a number that an ``int32`` holds, for each slot of each town.

    Raises:
        ArgumentError: with the type, shape or number found and what is expected.
    """
    _check_numbers("targets", targets, towns, slots)
    if _least(targets, None) < -1 or _greatest(targets, None) > _LAST_TARGET:
        raise _out_of_range("targets", targets, -1, _LAST_TARGET)


def _check_numbers(name: str, given: object, towns: int, slots: int) -> None:
    if not (
        isinstance(given, np.ndarray) and given.dtype.kind in _INTEGER_KINDS and given.shape == (towns, slots)
    ):
        raise ArgumentError(
            f"{name} is {_name(given)}; expected an array of integers of shape [{towns}, {slots}], "
            "a number for each slot of each town"
        )


def _out_of_range(name: str, given: npt.NDArray[np.integer], first: int, last: int) -> ArgumentError:
    town, slot = (int(at[0]) for at in np.nonzero((given < first) | (given > last)))
    return ArgumentError(f"{name}[{town}, {slot}] is {given[town, slot]}; expected {first} to {last}")


def _name(given: object) -> str:
    """Return the type of an argument; for an array its dtype and shape."""
    if isinstance(given, np.ndarray):
        return f"{given.dtype}{list(given.shape)}"
    return f"of type {type(given).__name__}"


def check_arrays(given: object, fitting: TownArrays) -> None:
    """Refuse arrays of the caller that a kernel cannot write.

    Raises:
        ArgumentError: when one has another shape or dtype, is not contiguous or not writable.
    """
    if not isinstance(given, TownArrays):
        raise ArgumentError(f"arrays is {_name(given)}; expected TownArrays, as allocate_arrays returns")
    pairs: zip[tuple[str, object, npt.NDArray[np.generic]]]
    pairs = zip(TownArrays._fields, given, fitting, strict=True)
    for name, array, want in pairs:
        if not isinstance(array, np.ndarray) or array.shape != want.shape or array.dtype != want.dtype:
            raise ArgumentError(f"arrays.{name} is {_name(array)}; expected {_name(want)}")
        if not (array.flags.c_contiguous and array.flags.writeable):
            raise ArgumentError(f"arrays.{name} is read-only or not C-contiguous; a batch writes into it")


def check_intervention(order: Intervention, model: TownModel, towns: int) -> None:
    """Refuse an intervention in something that does not exist; where a teleport leads is the town's matter.

    Raises:
        ArgumentError: with the field at fault and its range.
    """
    slots, tables = model.spec.capacity, model.tables
    districts, keys = tables.start_price.shape
    lasting = {"c": _LAST_NUMBER, "d": _LAST_NUMBER}
    kinds = {
        codes.TELEPORT: {"who": slots},
        codes.SWITCH_UTILITY: {"who": districts, "a": len(codes.UTILITIES), "b": 2, **lasting},
        codes.SET_NEED: {"who": slots, "a": len(model.vocabulary.needs)},
        codes.CLOSE_OBJECT: {"who": tables.objects.shape[0], "a": 2, **lasting},
        codes.SET_PRICE: {"who": districts, "a": keys},
        codes.SCALE_PRICE: {"who": districts, "a": keys, "b": codes.MOST_SCALE + 1, **lasting},
        codes.SPAWN: {
            "c": _LAST_NUMBER,
            "d": len(tables.profiles) + 1,
            "e": tables.jobs.shape[0] + 1,
            "f": districts + 1,
            "needs": 1 << len(model.vocabulary.needs),
        },
        codes.REMOVE: {"who": slots, "a": 2},
        codes.INTERRUPT: {"who": slots, "a": 2},
        codes.REVIEW: {"who": slots, "a": 2},
        codes.SET_EXITS: {"who": 3, "a": codes.MOST_SPACING + 1},
        codes.PERTURB: {"who": districts, "a": len(model.plan.specs), "b": MAX_EVENT_COOLDOWN + 1},
        codes.CANCEL: {"a": _LAST_NUMBER},
        codes.FORCE_CHAT: {"who": slots, "a": slots, "b": _LAST_NUMBER},
        codes.SET_TIE: {"who": slots, "a": slots, "b": _LAST_NUMBER, "c": 8, "d": 2},
    }
    if order.what not in kinds:
        known = ", ".join(map(str, sorted(kinds)))
        raise ArgumentError(f"what is {order.what!r} in an intervention; known: {known}")
    for name, count in {"town": towns, **kinds[order.what]}.items():
        found = getattr(order, name)
        if not 0 <= found < count:
            raise ArgumentError(f"{name} is {found} in {order}; expected 0 to {count - 1}")
    if order.what == codes.PERTURB:
        _check_event(order, model)
    _check_pair(order)
    if order.what == codes.SET_PRICE:
        most = codes.MOST_BASE * int(tables.start_price[order.who, order.a])
        if not 0 <= order.b <= most:
            raise ArgumentError(f"b is {order.b} in {order}; expected 0 to {most}, the price in mills")
    if order.what == codes.SPAWN:
        _check_newcomer(order, model)
    for name in ("x", "y", "z"):
        if math.isnan(getattr(order, name)):
            raise ArgumentError(f"{name} is nan in {order}; expected a number")


def _check_pair(order: Intervention) -> None:
    """Refuse a chat of a resident with itself, and a tie to itself."""
    if order.what in (codes.FORCE_CHAT, codes.SET_TIE) and order.who == order.a:
        raise ArgumentError(f"who and a are {order.a} in {order}; expected two different slots")


def _check_newcomer(order: Intervention, model: TownModel) -> None:
    """Refuse a home that does not exist, and levels of needs that no resident can have."""
    homes = model.tables.homes.shape[0]
    if not -1 <= order.who < homes:
        raise ArgumentError(f"who is {order.who} in {order}; expected -1 to {homes - 1}")
    if len(order.level) != codes.MAX_NEEDS or not all(0.0 <= level <= 1.0 for level in order.level):
        raise ArgumentError(f"level is {order.level}; expected {codes.MAX_NEEDS} numbers in [0, 1]")


def _check_event(order: Intervention, model: TownModel) -> None:
    """Refuse an event whose numbers its spec cannot have; -1 is for what the spec says."""
    effect = model.plan.specs[order.a].effect
    targets = {
        codes.SPIKE: model.tables.price_targets.shape[0],
        codes.OUTAGE: len(codes.UTILITIES),
        codes.CLOSURE: model.tables.objects.shape[0],
        codes.MEETING: _LAST_NUMBER,
    }.get(effect, 0)
    counts = {"c": MAX_EVENT_TICKS + 1, "d": codes.MOST_SCALE + 1, "e": model.tables.places.shape[0]}
    for name, count in {**counts, **dict.fromkeys("fghi", targets)}.items():
        found = getattr(order, name)
        if not -1 <= found < count or (name == "c" and found == 0):
            raise ArgumentError(f"{name} is {found} in {order}; expected -1 to {count - 1}")
