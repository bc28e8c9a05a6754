"""The records that the compiled rules read and write.

``Columns`` wraps the observation's memory without copying it. The rules themselves read ``Scene``, where a
resident is one record: ``gather_resident`` fills it, and ``decide_all`` writes the decision back.

Notation of the shapes: N slots, A affordances, O objects, J jobs, F fields, T object types, L charge
alternatives, I price items, H x W tiles.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.bundles import bundle
from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.kernels.records import Record, Records, record
from townlet_core.dto.observation import ObservationBatch, View

NONE = -1
"""No option, no object, no claim, no job."""

# What a resident can want. CARE is for one need; the others are this policy's own behaviours.
CARE, WORK, SHOP, SOCIALISE, IDLE, AVOID, ATTEND = 0, 1, 2, 3, 4, 5, 6
OWN_OPTIONS = {
    "go_to_work": WORK, "shop": SHOP, "socialise": SOCIALISE, "idle": IDLE, "avoid_rival": AVOID,
}  # fmt: skip
"""The options of the policy's own behaviours; a world that lacks one never gets that behaviour from it.
ATTEND, to follow an invitation, is a form of SOCIALISE."""
MAX_NEEDS, MAX_ITEMS, MAX_ACTIONS = 8, 16, 64
"""Capacities of the records: a world within them needs no rule compiled anew."""
# Stages of a claim.
NO_CLAIM, QUEUED, HELD, RUNNING = 0, 1, 2, 3
# The fixed verbs that the rules use; steps are MOVE_NORTH + direction.
WAIT, MOVE_NORTH, LEAVE = 0, 1, 5
HOUR = 60

USE = record(
    ("action", "i8"),
    ("type", "i8"),
    ("duration", "i8"),
    ("wakes", "i8"),
    ("alternatives", "i8"),
    ("serves", "i8"),
    ("makes", "i8"),
    ("fetches", "i8"),
    ("treats", "i8"),
    ("leisure", "i8"),
    ("raised", "i8"),
    ("lowered", "i8"),
    ("gain", "i8", (MAX_ITEMS,)),
)
"""One affordance; its purposes (``purposes.py``) have one bit per need. ``raised`` and ``lowered`` are the
needs that it raises and lowers most; ``lowered`` is -1 when it lowers none. ``wakes`` is the number of ticks
before the shift at which it ends by itself, -1 when it does not."""

CHARGE = record(("inventory", "i8", (MAX_ITEMS,)), ("stock", "i8", (MAX_ITEMS,)))
"""One way to pay for an affordance, without the price."""

NEED = record(
    ("option", "i8"),
    ("night", "f8"),
    ("made", "?"),
    ("fetched", "?"),
    ("means", "i8", (MAX_ITEMS,)),
    ("parts", "i8", (MAX_ITEMS,)),
)
"""One need: the option that serves it, the level below which it is cared for at night, whether anything is
made or fetched for it, and the most units of each item that a use takes that serves it (``means``) or makes
something for it (``parts``)."""

CONDITION = record(
    ("affordance", "i8"),
    ("operator", "i8"),
    ("left", "i8"),
    ("left_index", "i8"),
    ("right", "i8"),
    ("right_index", "i8"),
    ("right_value", "f8"),
)
"""One precondition that is about a resident and an object together; see ``refusals.py``."""

JOB = record(
    ("field", "i8"),
    ("start", "i8"),
    ("length", "i8"),
)
"""One job: the field that leads to its workplace, and its shift."""

RESIDENT = record(
    ("serial", "i8"),
    ("wallet", "i8"),
    ("mask", "u8"),
    ("need", "f8", (MAX_NEEDS,)),
    ("extroversion", "f8"),
    ("slot", "i8"),
    ("x", "i8"),
    ("y", "i8"),
    ("inventory", "i8", (MAX_ITEMS,)),
    ("job", "i8"),
    ("home_field", "i8"),
    ("home_place", "i8"),
    ("duty_place", "i8"),
    ("lead", "i8"),
    ("blocked", "i8"),
    ("claim_object", "i8"),
    ("claim_affordance", "i8"),
    ("claim_stage", "i8"),
    ("avoided", "i8"),
    ("invite", "i8"),
    ("invite_place", "i8"),
    # The context: as the world returned it, then as the policy sets it.
    ("option", "i8"),
    ("goal", "i8"),
    ("commit", "i8"),
    ("action", "i8"),
    ("bound_to", "i8"),
)
"""One living resident; ``mask`` has one bit per action, ``avoided`` is the number of those that it avoids,
``invite`` the event to which it is invited, 0 for none, ``bound_to`` is the only object for plans, -1 any.

Integers are 64 bits wide throughout: a kernel is compiled once for each combination of its arguments' types.
"""

THING = record(
    ("x", "i8"), ("y", "i8"),
    ("wait", "i8"), ("holder", "i8"), ("stock", "i8", (MAX_ITEMS,)), ("usable", "?"),
)  # fmt: skip
"""One object; (x, y) is its tile, for the whole run. ``usable``: it is open and has its utilities."""


@bundle
class Chart(NamedTuple):
    """The constants of a run: facts derived from the view's constants (``chart.py``), and the options.

    Attributes:
        field_steps: uint8[windows, h, w], the steps of all fields.
        fields: FIELD[F].
        nearest: int32[T, H, W, 8], nearest objects of a type.
        needs: NEED[needs].
        carry: int64[items], most that one resident carries.
        meaning: int64[options], what each option of the world means to this policy, -1 nothing.
        own: int64[6], option of each want, -1 without one; that of CARE depends on the need.
        uses: USE[A].
        charges: CHARGE[A, L].
        charge_price: int32[A, L, I], units paid for.
        conditions: CONDITION[...].
        object_place: int32[O].
        resting: int32[A, P, L], the objects of each place that can be used so if the use wakes before the
            shift, then -1; only -1 for another use.
        jobs: JOB[J].
        place_at: int32[H, W], place of each tile.
        talk: the action ``talk``, -1 without one.
        tiles: int32[...], flat indices of the passable tiles of each place, place by place.
        place_tiles: int64[P + 1], start of a place's row in ``tiles``.
        seed: the run's seed, uint64.
        start_tod: minute of day 0 at which the world starts.
        commit_ticks: option ``commit_ticks``.
        critical: option ``critical``.
        threshold: option ``threshold``.
    """

    field_steps: npt.NDArray[np.uint8]
    fields: Records
    nearest: npt.NDArray[np.int32]
    needs: Records
    carry: npt.NDArray[np.int64]
    meaning: npt.NDArray[np.int64]
    own: npt.NDArray[np.int64]
    uses: Records
    charges: Records
    charge_price: npt.NDArray[np.int32]
    conditions: Records
    object_place: npt.NDArray[np.int32]
    resting: npt.NDArray[np.int32]
    jobs: Records
    place_at: npt.NDArray[np.int32]
    talk: int
    tiles: npt.NDArray[np.int32]
    place_tiles: npt.NDArray[np.int64]
    seed: np.uint64
    start_tod: int
    commit_ticks: int
    critical: float
    threshold: float


@bundle
class Columns(NamedTuple):
    """The columns of the observation and of the view that the rules read; the world owns the memory."""

    alive: npt.NDArray[np.uint8]
    serial: npt.NDArray[np.int64]
    mask: npt.NDArray[np.uint8]
    xy: npt.NDArray[np.int32]
    needs: npt.NDArray[np.float64]
    wallet: npt.NDArray[np.int64]
    inventory: npt.NDArray[np.int32]
    job: npt.NDArray[np.int32]
    home_field: npt.NDArray[np.int32]
    extroversion: npt.NDArray[np.float64]
    departure_lead: npt.NDArray[np.int32]
    claim_object: npt.NDArray[np.int32]
    claim_affordance: npt.NDArray[np.int32]
    claim_stage: npt.NDArray[np.int8]
    blocked: npt.NDArray[np.int32]
    home_place: npt.NDArray[np.int32]
    duty_place: npt.NDArray[np.int32]
    refusal: npt.NDArray[np.uint8]
    resident_value: npt.NDArray[np.float64]
    cooldowns: npt.NDArray[np.int64]
    option: npt.NDArray[np.int8]
    goal: npt.NDArray[np.int32]
    commit_remaining: npt.NDArray[np.int16]
    tie_other: npt.NDArray[np.int32]
    tie_trust: npt.NDArray[np.float64]
    tie_familiarity: npt.NDArray[np.float64]
    tie_rivalry: npt.NDArray[np.float64]
    tie_avoided: npt.NDArray[np.uint8]
    tie_quiet_until: npt.NDArray[np.int64]
    talk_ready: npt.NDArray[np.int64]
    invite: npt.NDArray[np.int64]
    invite_place: npt.NDArray[np.int32]
    occupants: npt.NDArray[np.uint8]
    object_open: npt.NDArray[np.uint8]
    object_powered: npt.NDArray[np.uint8]
    object_wait: npt.NDArray[np.int32]
    object_stock: npt.NDArray[np.int32]
    object_holder: npt.NDArray[np.int32]
    object_price: npt.NDArray[np.int64]
    object_refusal: npt.NDArray[np.uint8]
    object_value: npt.NDArray[np.float64]


OBSERVED = ("alive", "serial", "mask")
"""The columns that are in every observation."""
COLUMNS_READ = frozenset(Columns._fields) - frozenset(OBSERVED)
"""The columns of the view."""


class Scene(NamedTuple):
    """One instant, in the form that the rules read.

    Attributes:
        tick: the tick to act in.
        living: number of living residents.
        things: THING[O].
        prices: int64[O, I], mills for a unit of each price item, -1 without a price.
        cooldowns: int64[N, C, 2], (object, tick) of what cools down for a resident, the latest tick first.
        occupants: uint8[H, W], residents on each tile.
        refusal: uint8[N, A], 0 allowed to the resident.
        object_refusal: uint8[O, A], 0 offered by the object.
        resident_value: float64[N, ...], values that conditions read.
        object_value: float64[O, ...], values that conditions read.
        alive: uint8[N].
        xy: int32[N, 2], tile of each resident.
        claim_object: int32[N], object that each resident claims.
        claim_stage: int8[N].
        tie_other: int32[N, T], slots of the residents to which a resident has ties, then -1.
        tie_trust: float64[N, T].
        tie_familiarity: float64[N, T].
        tie_rivalry: float64[N, T].
        tie_avoided: uint8[N, T], 1 for those that a resident avoids.
        tie_quiet_until: int64[N, T], tick from which a step away is an avoidance again.
        talk_ready: int64[N], tick from which a resident talks and listens again.
        invite: int64[N], number of the event to which each resident is invited, 0 for none.
    """

    tick: int
    living: int
    things: Records
    prices: npt.NDArray[np.int64]
    cooldowns: npt.NDArray[np.int64]
    occupants: npt.NDArray[np.uint8]
    refusal: npt.NDArray[np.uint8]
    object_refusal: npt.NDArray[np.uint8]
    resident_value: npt.NDArray[np.float64]
    object_value: npt.NDArray[np.float64]
    alive: npt.NDArray[np.uint8]
    xy: npt.NDArray[np.int32]
    claim_object: npt.NDArray[np.int32]
    claim_stage: npt.NDArray[np.int8]
    tie_other: npt.NDArray[np.int32]
    tie_trust: npt.NDArray[np.float64]
    tie_familiarity: npt.NDArray[np.float64]
    tie_rivalry: npt.NDArray[np.float64]
    tie_avoided: npt.NDArray[np.uint8]
    tie_quiet_until: npt.NDArray[np.int64]
    talk_ready: npt.NDArray[np.int64]
    invite: npt.NDArray[np.int64]


def look(observation: ObservationBatch, view: View) -> Columns:
    """Wrap the columns of an observation without copying them."""
    mine = {name: np.asarray(getattr(observation, name)) for name in OBSERVED}
    return Columns(**mine, **{name: np.asarray(view.columns[name]) for name in COLUMNS_READ})


@kernel
def gather_resident(c: Columns, i: int, r: Record) -> None:
    """Fill a resident's record from its slot."""
    r.slot = i
    r.serial = c.serial[i]
    r.wallet = c.wallet[i]
    r.extroversion = c.extroversion[i]
    r.x = c.xy[i, 0]
    r.y = c.xy[i, 1]
    r.job = c.job[i]
    r.home_field = c.home_field[i]
    r.home_place = c.home_place[i]
    r.duty_place = c.duty_place[i]
    r.lead = c.departure_lead[i]
    r.blocked = c.blocked[i]
    r.claim_object = c.claim_object[i]
    r.claim_affordance = c.claim_affordance[i]
    r.claim_stage = c.claim_stage[i]
    r.option = c.option[i]
    r.goal = c.goal[i]
    r.commit = c.commit_remaining[i]
    r.bound_to = NONE
    avoided = 0
    for k in range(c.tie_other.shape[1]):
        if c.tie_other[i, k] < 0:
            break
        avoided += c.tie_avoided[i, k]
    r.avoided = avoided
    r.invite = c.invite[i]
    r.invite_place = c.invite_place[i]
    for n in range(c.needs.shape[1]):
        r.need[n] = c.needs[i, n]
    for item in range(c.inventory.shape[1]):
        r.inventory[item] = c.inventory[i, item]
    mask = np.uint64(0)
    for action in range(c.mask.shape[1]):
        if c.mask[i, action] != 0:
            mask |= np.uint64(1) << np.uint64(action)
    r.mask = mask


@kernel
def gather_things(c: Columns, things: Records) -> None:
    """Fill the records of all objects."""
    for o in range(things.shape[0]):
        thing = things[o]
        thing.usable = c.object_open[o] != 0 and c.object_powered[o] != 0
        thing.wait = c.object_wait[o]
        thing.holder = c.object_holder[o]
        for item in range(c.object_stock.shape[1]):
            thing.stock[item] = c.object_stock[o, item]


@kernel
def count_living(alive: npt.NDArray[np.uint8]) -> int:
    """Count the living residents."""
    living = 0
    for i in range(alive.shape[0]):
        if alive[i] != 0:
            living += 1
    return living


@kernel
def allows(r: Record, action: int) -> bool:
    """Return whether a resident's mask has an action."""
    return bool((r.mask >> np.uint64(action)) & np.uint64(1) != 0)
