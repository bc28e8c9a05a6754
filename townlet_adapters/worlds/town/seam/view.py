"""Fills the columns that a scripted policy plans on: one copy per tick, for one town."""

from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.bundles import bundle
from townlet_adapters.kernels.compiler import entry_kernel, inlined
from townlet_adapters.worlds.town.codes import STAGE_QUEUED
from townlet_adapters.worlds.town.compiled.columns import COLUMNS, DTYPES
from townlet_adapters.worlds.town.compiled.limits import DISABLED, Limits
from townlet_adapters.worlds.town.compiled.state import TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import queues, refusals, ties
from townlet_core.dto.observation import Constants, View
from townlet_core.dto.spec import WorldSpec


@bundle
class ViewColumns(NamedTuple):
    """The writable columns behind a view; ``COLUMNS`` describes them, and ``cooldowns`` as well."""

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
    ctx_reset: npt.NDArray[np.uint8]
    option: npt.NDArray[np.int8]
    goal: npt.NDArray[np.int32]
    commit_remaining: npt.NDArray[np.int16]
    home_place: npt.NDArray[np.int32]
    duty_place: npt.NDArray[np.int32]
    refusal: npt.NDArray[np.uint8]
    resident_value: npt.NDArray[np.float64]
    tie_other: npt.NDArray[np.int32]
    tie_trust: npt.NDArray[np.float64]
    tie_familiarity: npt.NDArray[np.float64]
    tie_rivalry: npt.NDArray[np.float64]
    tie_avoided: npt.NDArray[np.uint8]
    tie_quiet_until: npt.NDArray[np.int64]
    talk_ready: npt.NDArray[np.int64]
    invite: npt.NDArray[np.int64]
    invite_place: npt.NDArray[np.int32]
    invite_until: npt.NDArray[np.int64]
    occupants: npt.NDArray[np.uint8]
    object_open: npt.NDArray[np.uint8]
    object_powered: npt.NDArray[np.uint8]
    object_holder: npt.NDArray[np.int32]
    object_queue: npt.NDArray[np.int32]
    object_wait: npt.NDArray[np.int32]
    object_stock: npt.NDArray[np.int32]
    object_price: npt.NDArray[np.int64]
    object_refusal: npt.NDArray[np.uint8]
    object_value: npt.NDArray[np.float64]


@bundle
class Shown(NamedTuple):
    """What a world's view is filled into, and what its refusals are read from.

    Attributes:
        columns: the columns.
        limits: the town's preconditions.
    """

    columns: ViewColumns
    limits: Limits


_DESCRIBED: Final = {each.name: each for each in COLUMNS}
_NONE: Final = -1
_WITHOUT: Final = frozenset(
    {"job", "claim_object", "claim_affordance", "option", "goal", "duty_place", "tie_other", "invite_place"}
)
"""Columns of residents in which ``_NONE`` says that there is none, as in the rows of dead slots."""


def allocate_view(spec: WorldSpec, tables: Tables, limits: Limits, ties: int) -> Shown:
    """Allocate the columns that ``COLUMNS`` describes, with room for so many ties of each resident."""
    height, width = tables.passable.shape
    lengths = {
        "slots": spec.capacity,
        "needs": len(spec.needs),
        "items": len(spec.items),
        "ties": ties,
        "objects": tables.objects.shape[0],
        "affordances": tables.affordances.shape[0],
        "resident_values": limits.resident_values.shape[0],
        "object_values": limits.object_values.shape[0],
        "goods": tables.charge_price.shape[2],
        "xy": 2,
        "y": height,
        "x": width,
    }
    columns = ViewColumns(
        **{
            name: np.zeros([lengths[axis] for axis in _DESCRIBED[name].axes], DTYPES[_DESCRIBED[name].format])
            for name in ViewColumns._fields
        }
    )
    shown = Shown(columns, limits)
    blank_rows(shown, np.ones(spec.capacity, np.bool_))
    columns.object_holder[...] = columns.object_price[...] = _NONE
    return shown


def blank_rows(shown: Shown, dead: npt.NDArray[np.bool_]) -> None:
    """Clear the rows of dead slots, bool[N], and the tiles on which residents stand."""
    columns = shown.columns
    for name, column in columns._asdict().items():
        if _DESCRIBED[name].axes[0] == "slots":
            column[dead] = _NONE if name in _WITHOUT else 0
    columns.refusal[np.ix_(dead, shown.limits.disabled)] = DISABLED
    columns.occupants[...] = 0


def view_of(
    constants: Constants,
    columns: ViewColumns,
    state: TownState,
) -> View:
    """Wrap the columns, read-only, once for the life of the buffers.

    Cool-downs are shown in the state's own array, which is laid out as described.
    """
    arrays = {**columns._asdict(), "cooldowns": state.cooldowns[0]}
    return View(
        constants=MappingProxyType(constants),
        columns=MappingProxyType({name: memoryview(array).toreadonly() for name, array in arrays.items()}),
    )


@inlined
def show_resident(t: Tables, s: TownState, shown: Shown, b: int, i: int) -> None:
    """Fill the row of a resident."""
    v, limits = shown.columns, shown.limits
    r = s.residents[b, i]
    now = s.towns[b].tick
    v.xy[i, 0], v.xy[i, 1] = r.x, r.y
    v.occupants[r.y, r.x] = 2 if r.mate >= 0 else 1
    for n in range(t.params[0].needs):
        v.needs[i, n] = r.need[n]
    v.wallet[i] = r.wallet
    for item in range(t.params[0].items):
        v.inventory[i, item] = r.inventory[item]
    v.job[i] = r.job
    v.home_field[i] = t.objects.shape[0] + t.places.shape[0] + r.home
    v.extroversion[i] = t.profiles[r.profile].extroversion
    v.departure_lead[i] = t.profiles[r.profile].lead
    v.claim_object[i] = r.claim_object
    v.claim_affordance[i] = r.claim_affordance
    v.claim_stage[i] = r.claim_stage
    v.blocked[i] = r.blocked
    v.ctx_reset[i] = r.ctx_reset
    v.option[i] = r.option
    v.goal[i] = r.goal
    v.commit_remaining[i] = r.commit
    v.home_place[i] = t.homes[r.home].place
    v.duty_place[i] = refusals.place_on_duty(t, r)
    v.talk_ready[i] = r.talk_ready
    v.invite[i] = r.invite
    v.invite_place[i] = r.invite_place if r.invite != 0 else -1
    v.invite_until[i] = r.invite_until
    show_ties(t, s, shown, b, i)
    refusals.refuse_resident(t, limits, r, now, v.refusal[i])
    for value in range(limits.resident_values.shape[0]):
        v.resident_value[i, value] = refusals.read_own(t, r, now, limits.resident_values[value])


@inlined
def show_ties(t: Tables, s: TownState, shown: Shown, b: int, i: int) -> None:
    """Fill the ties of a resident; -1 follows the last one."""
    v = shown.columns
    r = s.residents[b, i]
    avoids_from = t.profiles[r.profile].avoids_from
    for k in range(s.ties.shape[2]):
        tie = s.ties[b, i, k]
        v.tie_other[i, k] = tie.other if k < r.ties else -1
        v.tie_trust[i, k] = tie.trust
        v.tie_familiarity[i, k] = tie.familiarity
        v.tie_rivalry[i, k] = tie.rivalry
        v.tie_quiet_until[i, k] = tie.quiet_until
        avoided = k < r.ties and tie.rivalry >= avoids_from
        v.tie_avoided[i, k] = avoided and not ties.meet(s, b, i, tie.other)


@inlined
def show_object(t: Tables, s: TownState, shown: Shown, b: int, o: int) -> None:
    """Fill the row of an object."""
    v, limits = shown.columns, shown.limits
    placed = t.objects[o]
    live = s.objects[b, o]
    v.object_open[o] = not live.closed
    v.object_powered[o] = queues.is_working(t, s, b, o)
    v.object_holder[o] = live.holder
    v.object_queue[o] = live.queue_length
    v.object_wait[o] = queues.expected_wait(t, s, b, o)
    for item in range(t.params[0].items):
        v.object_stock[o, item] = live.stock[item]
    for good in range(v.object_price.shape[1]):
        key = t.price_key[placed.kind, good]
        v.object_price[o, good] = s.price[b, placed.district, key].now if key >= 0 else -1
    refusals.refuse_at_object(t, s, limits, b, o, v.object_refusal[o])
    for value in range(limits.object_values.shape[0]):
        v.object_value[o, value] = refusals.read_objects(t, s, b, o, limits.object_values[value])


@entry_kernel
def fill_view(t: Tables, s: TownState, shown: Shown, totals: npt.NDArray[np.int64], b: int) -> None:
    """Copy one town's live columns and add up its totals.

    Args:
        t: the town's tables.
        s: the state.
        shown: the columns to fill.
        totals: int64[10], filled with population, residents in queues, wallets, tills, treasury (mills),
            pending reviews, events under way, events that wait, and embedding slots that were given too
            early and altogether; the last number is also the serial of the next resident.
        b: which town.
    """
    v = shown.columns
    for k in range(s.towns[b].population):
        i = s.roster[b, k]
        v.occupants[v.xy[i, 1], v.xy[i, 0]] = 0
    totals[:] = 0
    totals[0] = s.towns[b].population
    totals[4] = s.towns[b].treasury
    totals[8] = s.towns[b].forced_reuses
    # Each newborn gets a serial and an embedding slot.
    totals[9] = s.towns[b].next_serial
    for k in range(s.towns[b].perturbations):
        totals[6 if s.perturbations[b, k].active != 0 else 7] += 1
    for d in range(s.districts.shape[1]):
        totals[5] += s.districts[b, d].reviews
    for place in range(s.tills.shape[1]):
        totals[3] += s.tills[b, place]
    for k in range(s.towns[b].population):
        i = s.roster[b, k]
        r = s.residents[b, i]
        totals[1] += r.claim_stage == STAGE_QUEUED
        totals[2] += r.wallet
        show_resident(t, s, shown, b, i)
    for o in range(t.objects.shape[0]):
        show_object(t, s, shown, b, o)
