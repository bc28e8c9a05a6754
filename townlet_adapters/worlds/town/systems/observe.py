"""The observation of a resident (domain.md, section 16): the window around it, its features, its mask."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.bundles import bundle
from townlet_adapters.kernels.clock import since, time_of_day
from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.fields import DX, DY, UNREACHABLE, steps_to, way_to
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    ABSENT,
    EXIT_AGE_OUT,
    FIRST_USE,
    LAST_SUCCESS,
    LATE,
    LEAVE,
    MOVE_NORTH,
    MOVE_WEST,
    NO_STAGE,
    OK,
    ON_TIME,
    POST_SHIFT,
    POWER,
    STAGE_HELD,
    STAGE_QUEUED,
    STAGE_RUNNING,
    TALK,
    TICKS_PER_DAY,
    WAIT,
    WATER,
)
from townlet_adapters.worlds.town.compiled import observation_layout as layout
from townlet_adapters.worlds.town.compiled.state import TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import (
    affordances,
    chat,
    employment,
    portraits,
    preconditions,
    queues,
)

_ONE = np.uint64(1)
_HALF_DAY = TICKS_PER_DAY // 2

USUAL_SIDE = 11
"""Side of the windows for which the code is fastest: the default of ``observations.window``."""


@bundle
class TownArrays(NamedTuple):
    """The arrays that a step writes for learning programs: contiguous, owned by the caller.

    Sizes: B towns, N slots, C channels, K x K window, F features, A actions, P parts of a reward. Rows of
    dead slots are zero, but for ``wait`` in the mask; after the tick in which a resident left, its row holds
    its last observation, its last reward and its serial, and ``terminated`` or ``truncated`` is 1.

    Attributes:
        map: uint8[B, N, C, K, K].
        features: float32[B, N, F].
        mask: uint8[B, N, A].
        reward: float32[B, N], the last column of ``reward_parts``.
        reward_parts: float64[B, N, P], the parts of each reward, which ``WorldSpec.reward_parts`` names.
        terminated: uint8[B, N], 1 where a resident left in this tick because its life there failed.
        truncated: uint8[B, N], 1 where one left that moved away or was removed.
        alive: uint8[B, N].
        serial: int64[B, N].
    """

    map: npt.NDArray[np.uint8]
    features: npt.NDArray[np.float32]
    mask: npt.NDArray[np.uint8]
    reward: npt.NDArray[np.float32]
    reward_parts: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.uint8]
    truncated: npt.NDArray[np.uint8]
    alive: npt.NDArray[np.uint8]
    serial: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        towns, slots, *maps = self.map.shape
        return (
            f"TownArrays(towns={towns}, slots={slots}, map={maps}, features={self.features.shape[-1]}, "
            f"actions={self.mask.shape[-1]})"
        )


@inlined
def usable_bits(t: Tables, s: TownState, b: int, i: int, now: int) -> np.uint64:
    """Mask bits of the ``use:`` actions (domain.md, section 6.1)."""
    r = s.residents[b, i]
    bits = np.uint64(0)
    if r.claim_stage != NO_STAGE:
        if r.claim_stage == STAGE_RUNNING or affordances.in_reach(t, r.x, r.y, r.claim_object):
            bits |= _ONE << np.uint64(FIRST_USE + r.claim_affordance)
        return bits
    tile = r.y * t.passable.shape[1] + r.x
    for k in range(t.reach_start[tile], t.reach_start[tile + 1]):
        o = t.reach[k]
        kind = t.objects[o].type
        for u in range(t.use_start[kind], t.use_start[kind + 1]):
            a = t.uses[u]
            bit = _ONE << np.uint64(FIRST_USE + a)
            if (bits & bit) == 0 and affordances.check(t, s, b, i, o, a, now) == OK:
                bits |= bit
    return bits


@inlined
def mask_bits(t: Tables, s: TownState, b: int, i: int, now: int) -> np.uint64:
    """One bit for each action that the resident may choose in the next tick ``now``."""
    r = s.residents[b, i]
    bits = _ONE << np.uint64(WAIT)
    if r.claim_stage != STAGE_RUNNING:
        height, width = t.passable.shape
        for d in range(4):
            x, y = r.x + DX[d], r.y + DY[d]
            if 0 <= x < width and 0 <= y < height and t.passable[y, x]:
                bits |= _ONE << np.uint64(MOVE_NORTH + d)
    if r.claim_stage != NO_STAGE:
        bits |= _ONE << np.uint64(LEAVE)
    if chat.may_talk(t, s, b, i, now):
        bits |= _ONE << np.uint64(TALK)
    return bits | usable_bits(t, s, b, i, now)


@inlined
def copy_window(
    occupant: np.ndarray, mark: np.ndarray, held: np.ndarray, window: np.ndarray, side: int
) -> tuple[int, int]:
    """Fill the four channels from the grids; returns the numbers of occupied and of reserved tiles."""
    others = 0
    reserved = 0
    for wy in range(side):
        for wx in range(side):
            window[layout.SELF, wy, wx] = 0
            window[layout.OBJECTS, wy, wx] = mark[wy, wx]
        for wx in range(side):
            occupied = int(occupant[wy, wx] >= 0)
            window[layout.AGENTS, wy, wx] = occupied
            others += occupied
        for wx in range(side):
            window[layout.RESERVATIONS, wy, wx] = held[wy, wx]
            reserved += held[wy, wx]
    return others, reserved


@inlined
def draw_window(t: Tables, s: TownState, b: int, r: Record, window: np.ndarray, nearby: np.ndarray) -> None:
    """Fill the four channels and the features that count the content of the window.

    The state's grids have a margin of half a window, so the window's corner in them is the resident's
    own position.
    """
    side = window.shape[1]
    half = side // 2
    # Windows as separate arrays: numba need not handle negative indices, and LLVM can copy whole rows.
    occupant = s.occupant[b, r.y : r.y + side, r.x : r.x + side]
    mark = t.object_mark[r.y : r.y + side, r.x : r.x + side]
    held = s.reserved[b, r.y : r.y + side, r.x : r.x + side]
    # LLVM unrolls the loops over a row for a constant side; windows are half of a batch's time.
    if side == USUAL_SIDE:
        others, reserved = copy_window(occupant, mark, held, window, USUAL_SIDE)
    else:
        others, reserved = copy_window(occupant, mark, held, window, side)
    window[layout.SELF, half, half] = 1
    window[layout.AGENTS, half, half] = r.mate >= 0
    others -= 1
    cells = side * side
    nearest = 1.0
    if others > 0 or r.mate >= 0:
        doubled, nearest = look_around(s, b, occupant, window)
        others += doubled
    nearby[layout.NEAR_AGENTS] = min(1.0, others / (cells - 1))
    nearby[layout.NEAR_OBJECTS] = t.objects_near[r.y, r.x]
    nearby[layout.NEAR_RESERVED] = reserved / cells
    nearby[layout.NEAREST_AGENT] = nearest


@inlined
def look_around(s: TownState, b: int, occupant: np.ndarray, window: np.ndarray) -> tuple[int, float]:
    """Count the tiles of the window with two residents, and measure the distance to the nearest other one.

    The distance is min(1, Euclidean distance * 2 / (K - 1)); the own tile counts when it is shared.
    """
    side = window.shape[1]
    half = side // 2
    doubled = 0
    best = 2 * side * side
    for wy in range(side):
        for wx in range(side):
            if window[layout.AGENTS, wy, wx]:
                doubled += int(s.residents[b, occupant[wy, wx]].mate >= 0)
                square = (wx - half) * (wx - half) + (wy - half) * (wy - half)
                best = min(best, square)
    return doubled, min(1.0, math.sqrt(best) / half)


@inlined
def describe_job(t: Tables, r: Record, status: np.ndarray, now: int) -> None:
    """Features of the job and the shift at instant ``now``."""
    status[layout.ATTENDANCE] = r.attendance
    status[layout.LATE_TODAY] = min(1.0, r.late_ticks_today / 60)
    status[layout.LATENESS] = min(1.0, r.lateness_counter / 5)
    status[layout.ABSENCES] = min(1.0, employment.active_stamps(r, now) / 3) if r.stamps_seen > 0 else 0.0
    status[layout.WITHHELD] = min(1.0, r.withheld / 5000)
    employed = r.job >= 0
    status[layout.HAS_JOB] = employed
    status[layout.ON_SHIFT] = employed and preconditions.is_on_shift(t, r)
    status[layout.SHIFT_PRE] = employed and r.shift_state < ON_TIME
    status[layout.SHIFT_ON_TIME] = employed and r.shift_state == ON_TIME
    status[layout.SHIFT_LATE] = employed and r.shift_state == LATE
    status[layout.SHIFT_ABSENT] = employed and r.shift_state == ABSENT
    status[layout.SHIFT_POST] = employed and r.shift_state == POST_SHIFT
    status[layout.SHIFT_START_IN] = 0.0
    status[layout.SHIFT_PROGRESS] = 0.0
    if employed:
        job = t.jobs[r.job]
        elapsed = since(job.start, now, t.params[0].start_tod)
        until = (_HALF_DAY - elapsed) % TICKS_PER_DAY - _HALF_DAY
        status[layout.SHIFT_START_IN] = until / _HALF_DAY
        if elapsed < job.length:
            status[layout.SHIFT_PROGRESS] = elapsed / job.length


@inlined
def describe_last(r: Record, status: np.ndarray) -> None:
    """Features of the last intent."""
    last = r.last_action
    status[layout.LAST_WAIT] = last == WAIT
    status[layout.LAST_MOVE] = MOVE_NORTH <= last <= MOVE_WEST
    status[layout.LAST_LEAVE] = last == LEAVE
    status[layout.LAST_TALK] = last == TALK
    status[layout.LAST_USE] = last >= FIRST_USE
    status[layout.LAST_SUCCESS] = last >= 0 and r.last_result <= LAST_SUCCESS
    status[layout.LAST_DURATION] = min(1.0, r.last_duration / 60)


@inlined
def describe_claim(t: Tables, s: TownState, b: int, i: int, status: np.ndarray) -> None:
    """Features of the claim."""
    r = s.residents[b, i]
    status[layout.HOLDS] = r.claim_stage == STAGE_HELD or r.claim_stage == STAGE_RUNNING
    status[layout.IN_QUEUE] = r.claim_stage == STAGE_QUEUED
    status[layout.USING] = r.claim_stage == STAGE_RUNNING
    status[layout.QUEUE_POSITION] = 0.0
    status[layout.USE_PROGRESS] = 0.0
    if r.claim_stage == STAGE_QUEUED:
        index = queues.index_in_queue(s, b, r.claim_object, i)
        status[layout.QUEUE_POSITION] = min(1.0, (index + 1) / 8)
    elif r.claim_stage == STAGE_RUNNING:
        remaining = s.objects[b, r.claim_object].remaining
        status[layout.USE_PROGRESS] = 1.0 - remaining / t.affordances[r.claim_affordance].duration


@inlined
def describe_goal(t: Tables, r: Record, nearby: np.ndarray) -> None:
    """Features of the goal: its direction and distance."""
    nearby[layout.GOAL_DISTANCE] = 1.0
    for d in range(4):
        nearby[layout.HINTS + d] = 0.0
    if r.goal < 0 or r.goal >= t.fields.shape[0]:
        return
    height, width = t.passable.shape
    way = way_to(t.field_steps, t.fields, r.goal, r.x, r.y)
    here = steps_to(t.field_steps, t.fields, way, r.x, r.y)
    if way == r.goal and here < UNREACHABLE:
        nearby[layout.GOAL_DISTANCE] = min(1.0, here / (width + height))
    for d in range(4):
        x, y = r.x + DX[d], r.y + DY[d]
        inside = 0 <= x < width and 0 <= y < height
        nearby[layout.HINTS + d] = (
            inside and t.passable[y, x] != 0 and steps_to(t.field_steps, t.fields, way, x, y) < here
        )


@inlined
def price_level(s: TownState, b: int, district: int) -> float:
    """tanh(mean(price / base) - 1) over a district's price keys; without effects, prices are base prices."""
    keys = s.price.shape[2]
    if s.towns[b].effects == 0 or keys == 0:
        return 0.0
    total = 0.0
    for k in range(keys):
        price, base = s.price[b, district, k].now, s.price[b, district, k].normal
        total += 1.0 if price == base or base == 0 else price / base
    mean = total / keys
    return 0.0 if mean == 1.0 else math.tanh(mean - 1.0)


@inlined
def point_at(features: np.ndarray, column: int, dx: float, dy: float, path: int, scale: int) -> None:
    """Write one target: Euclidean unit vector and min(1, path / (W + H)); (0, 0, 0) at the target."""
    if path == UNREACHABLE:
        features[column] = 0.0
        features[column + 1] = 0.0
        features[column + 2] = 1.0
        return
    length = math.sqrt(dx * dx + dy * dy)
    moving = path > 0 and length > 0.0
    features[column] = dx / length if moving else 0.0
    features[column + 1] = dy / length if moving else 0.0
    features[column + 2] = min(1.0, path / scale)


@inlined
def describe_targets(t: Tables, r: Record, features: np.ndarray) -> None:
    """The targets block: types of object from the tables, then work and home."""
    column = t.params[0].targets_at
    if column < 0:
        return
    block = t.target_block.shape[2]
    for k in range(block):
        features[column + k] = t.target_block[r.y, r.x, k]
    height, width = t.passable.shape
    scale = width + height
    places = t.objects.shape[0]
    path, dx, dy = UNREACHABLE, 0.0, 0.0
    if r.job >= 0:
        workplace = t.jobs[r.job].place
        path = steps_to(t.field_steps, t.fields, places + workplace, r.x, r.y)
        dx, dy = t.places[workplace].x - r.x, t.places[workplace].y - r.y
    point_at(features, column + block, dx, dy, path, scale)
    home = t.homes[r.home]
    path = steps_to(t.field_steps, t.fields, places + t.places.shape[0] + r.home, r.x, r.y)
    point_at(features, column + block + 3, float(home.x - r.x), float(home.y - r.y), path, scale)


@inlined
def describe_ties(t: Tables, s: TownState, b: int, i: int, status: np.ndarray, features: np.ndarray) -> None:
    """Features of the ties: rivalry and the social block, copied from the resident's portrait."""
    if s.residents[b, i].portrayed == 0:
        portraits.portray(t, s, b, i)
    portrait = s.portraits[b, i]
    status[layout.RIVALRY_MAX] = portrait[0]
    status[layout.RIVALRY_AVOID] = portrait[1]
    column = t.params[0].social_at - layout.OWN_RIVALRY
    for k in range(layout.OWN_RIVALRY, portrait.shape[0]):
        features[column + k] = portrait[k]


@inlined
def describe(t: Tables, s: TownState, b: int, i: int, features: np.ndarray, now: int) -> None:
    """Write every feature of one resident except those of the window."""
    params = t.params[0]
    r = s.residents[b, i]
    status = features[params.status_at : params.items_at]
    nearby = features[params.nearby_at : params.options_at]
    town = features[params.town_at : params.town_at + len(layout.TOWN)]
    for n in range(params.needs):
        features[n] = r.need[n]
    for item in range(params.items):
        features[params.items_at + item] = (
            r.inventory[item] / params.carry[item] if params.carry[item] > 0 else 0.0
        )
    for option in range(params.options):
        features[params.options_at + option] = r.option == option
    status[layout.WALLET] = math.tanh(r.wallet / 5000)
    status[layout.RENT_OWED] = min(1.0, r.rent_owed / 3)
    describe_job(t, r, status, now)
    tod = time_of_day(now, params.start_tod)
    status[layout.TIME_SIN] = t.time_wave[tod, 0]
    status[layout.TIME_COS] = t.time_wave[tod, 1]
    status[layout.EMBEDDING_SLOT] = r.embedding / params.embedding_slots
    status[layout.CTX_RESET] = r.ctx_reset
    status[layout.EPISODE_PROGRESS] = r.episode_tick / TICKS_PER_DAY
    describe_last(r, status)
    describe_claim(t, s, b, i, status)
    describe_goal(t, r, nearby)
    nearby[layout.AT_HOME] = t.place_at[r.y, r.x] == t.homes[r.home].place
    nearby[layout.AT_WORK] = r.job >= 0 and employment.is_at_work(t, r)
    district = s.districts[b, r.district]
    town[layout.COMMIT] = min(1.0, r.commit / layout.COMMIT_SCALE)
    town[layout.POWER_ON] = district.utility[POWER]
    town[layout.WATER_ON] = district.utility[WATER]
    town[layout.PRICE_LEVEL] = price_level(s, b, r.district)
    town[layout.INVITED] = r.invite != 0
    describe_targets(t, r, features)
    describe_ties(t, s, b, i, status, features)
    column = t.params[0].personality_at
    if column >= 0:
        profile = t.profiles[r.profile]
        features[column] = profile.extroversion
        features[column + 1] = profile.forgiveness
        features[column + 2] = profile.ambition


@kernel
def blank_row(out: TownArrays, b: int, i: int) -> None:
    """Clear the row of a dead slot; the mask allows only ``wait``."""
    out.map[b, i] = 0
    out.features[b, i] = 0.0
    out.mask[b, i] = 0
    out.mask[b, i, WAIT] = 1
    out.reward[b, i] = 0.0
    out.reward_parts[b, i] = 0.0
    out.terminated[b, i] = 0
    out.truncated[b, i] = 0
    out.alive[b, i] = 0
    out.serial[b, i] = 0


@kernel
def blank(out: TownArrays, b: int) -> None:
    """Clear all rows of a town."""
    for i in range(out.alive.shape[1]):
        blank_row(out, b, i)


@inlined
def blank_leavers(out: TownArrays, b: int) -> None:
    """Clear the rows of those who left in the last tick."""
    for i in range(out.alive.shape[1]):
        if out.terminated[b, i] | out.truncated[b, i]:
            blank_row(out, b, i)


@kernel
def observe_leavers(t: Tables, s: TownState, out: TownArrays, b: int, now: int) -> None:
    """Phase 12: write the last observations of those who leave; they may do nothing any more but wait."""
    for k in range(s.towns[b].population):
        i = s.roster[b, k]
        r = s.residents[b, i]
        if r.leaving == 0:
            continue
        r.episode_tick = (r.episode_tick + 1) % TICKS_PER_DAY
        features = out.features[b, i]
        describe(t, s, b, i, features, now)
        draw_window(t, s, b, r, out.map[b, i], features[t.params[0].nearby_at : t.params[0].options_at])
        out.mask[b, i] = 0
        out.mask[b, i, WAIT] = 1
        out.alive[b, i] = 0
        out.serial[b, i] = r.serial
        out.terminated[b, i] = r.leaving - 1 < EXIT_AGE_OUT
        out.truncated[b, i] = r.leaving - 1 >= EXIT_AGE_OUT


@inlined
def observe(t: Tables, s: TownState, out: TownArrays, b: int, now: int) -> None:
    """Phase 12: write the observation of instant ``now`` of all who live in town."""
    actions = out.mask.shape[2]
    for k in range(s.towns[b].population):
        i = s.roster[b, k]
        r = s.residents[b, i]
        mask = mask_bits(t, s, b, i, now)
        r.mask = mask
        for a in range(actions):
            out.mask[b, i, a] = (mask >> np.uint64(a)) & _ONE
        features = out.features[b, i]
        describe(t, s, b, i, features, now)
        draw_window(t, s, b, r, out.map[b, i], features[t.params[0].nearby_at : t.params[0].options_at])
        out.alive[b, i] = 1
        out.serial[b, i] = r.serial
