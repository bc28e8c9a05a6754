"""One tick of one town, then of all towns: the order of the rules (domain.md, section 1)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.bundles import bundle
from townlet_adapters.kernels.clock import day_of, time_of_day
from townlet_adapters.kernels.compiler import entry_kernel, inlined, kernel
from townlet_adapters.kernels.records import Records, outline
from townlet_adapters.worlds.town.codes import ARRIVED_START, NOBODY, TICKS_PER_DAY
from townlet_adapters.worlds.town.compiled.state import Journal, Scratch, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import (
    affordances,
    economy,
    effects,
    employment,
    hook_requests,
    intents,
    interventions,
    journal,
    lifecycle,
    movement,
    needs,
    perturbations,
    queues,
    residents,
    rewards,
    ties,
)
from townlet_adapters.worlds.town.systems.observe import (
    TownArrays,
    blank,
    blank_leavers,
    observe,
    observe_leavers,
)


@bundle
class Intents(NamedTuple):
    """The intents of every slot of every town, and the contexts of their policies.

    Attributes:
        action: int16[B, N].
        target: int32[B, N], -1 lets the world choose.
        option: int8[B, N], -1 none.
        goal: int32[B, N], navigation field, -1 none.
        commit: int16[B, N], ticks.
    """

    action: npt.NDArray[np.int16]
    target: npt.NDArray[np.int32]
    option: npt.NDArray[np.int8]
    goal: npt.NDArray[np.int32]
    commit: npt.NDArray[np.int16]

    def __repr__(self) -> str:
        return outline(self)


@inlined
def open_tick(t: Tables, s: TownState, j: Journal, wants: Intents, b: int, now: int) -> None:
    """Phase 0: a new day resets its counters; per-tick buffers are cleared, contexts are stored."""
    journal.clear(j, b)
    new_day = now > 0 and time_of_day(now, t.params[0].start_tod) == 0
    for k in range(s.towns[b].population):
        i = s.roster[b, k]
        r = s.residents[b, i]
        r.ctx_reset = False
        r.option = wants.option[b, i]
        r.goal = wants.goal[b, i]
        r.commit = wants.commit[b, i]
        if new_day:
            r.late_ticks_today = 0
            r.day_reward = 0.0
            r.low_ticks_today = 0
    if new_day:
        for district in range(s.districts.shape[1]):
            s.districts[b, district].losses_today = 0
            s.districts[b, district].exits_today = 0
        for flow in range(s.flows.shape[1]):
            s.flows[b, flow] = 0


@kernel
def end_day(t: Tables, s: TownState, j: Journal, b: int, now: int) -> None:
    """Phase 9 in the last tick of a day."""
    economy.pay_stipends(t, s, b)
    economy.collect_rent(t, s, j, b, now)
    economy.sweep_tills(t, s, b)
    economy.restock(t, s, j, b)
    employment.open_job_board(t, s, j, b, now)
    economy.report_day(s, j, b, day_of(now, t.params[0].start_tod))


@inlined
def close_tick(s: TownState, b: int) -> None:
    """Phase 13: the tick is finished."""
    for k in range(s.towns[b].population):
        r = s.residents[b, s.roster[b, k]]
        r.episode_tick = (r.episode_tick + 1) % TICKS_PER_DAY
    s.towns[b].tick += 1


@entry_kernel
def tick_towns(
    t: Tables, s: TownState, j: Journal, w: Scratch, wants: Intents, orders: Records, out: TownArrays
) -> bool:
    """Execute one tick of every town, one after the other.

    Returns:
        True when the tick is not finished: the cursor holds a request to a hook. Call again with the answer
        in the cursor and the same arguments.
    """
    c = w.cursor[0]
    for b in range(s.towns.shape[0]):
        now = s.towns[b].tick
        if c.phase == 0:
            open_tick(t, s, j, wants, b, now)  # 0
            blank_leavers(out, b)
            hook_requests.enter(c, 1)
        if c.phase == 1:
            if orders.shape[0] > 0 and interventions.intervene_all(t, s, j, w, b, orders, now):  # 1
                return True
            if s.towns[b].arrivals > 0:
                lifecycle.welcome(t, s, j, w, b, now)  # 2
            perturbations.happen(t, s, j, b, now)  # 2
            if now >= s.towns[b].effects_end:
                effects.expire(s, b, now)  # 3
            hook_requests.enter(c, 3)
        if c.phase == 3:
            if affordances.fail_where_utility_is_off(t, s, j, c, b, now):  # 3
                return True
            hook_requests.enter(c, 4)
        if c.phase == 4:
            if intents.resolve(t, s, j, w, b, wants.action, wants.target, now):  # 4a
                return True
            movement.clean_up_ghosts(t, s, j, w, b)  # 4b
            queues.upkeep(t, s, j, b, now)  # 5a
            hook_requests.enter(c, 5)
        if c.phase == 5:
            if affordances.progress_uses(t, s, j, c, b, now):  # 5b
                return True
            hook_requests.enter(c, 10)
            queues.grant_free_objects(t, s, j, b, now)  # 5c
            needs.decay(t, s, b)  # 6
            employment.employ(t, s, j, b, now)  # 7
            if (now + 1) % ties.TICKS_OF_DECAY == 0:
                ties.fade(t, s, j, b)  # 8
            if time_of_day(now + 1, t.params[0].start_tod) == 0:
                end_day(t, s, j, b, now)  # 9
            lifecycle.judge(t, s, j, b, now)  # 10
        leavers = s.towns[b].leavers > 0
        if leavers and lifecycle.end_claims(t, s, j, w, b, now):  # 10
            return True
        hook_requests.enter(c, 0)
        rewards.reward(t, s, out, b, now)  # 11
        if leavers:
            observe_leavers(t, s, out, b, now + 1)  # 12
            lifecycle.part(t, s, j, b, now)  # 13
        close_tick(s, b)  # 13 before 12: an observation describes the next instant
        observe(t, s, out, b, now + 1)  # 12
    return False


@entry_kernel
def found_town(
    t: Tables, s: TownState, j: Journal, w: Scratch, out: TownArrays, b: int, seed: np.uint64
) -> None:
    """Reset one town, whose state is all zero, and create its start population."""
    margin = t.params[0].margin
    journal.clear(j, b)
    s.towns[b].seed = seed
    s.towns[b].mortality = 1
    s.towns[b].exit_cap = t.params[0].daily_exit_cap
    s.towns[b].exit_spacing = t.params[0].exit_spacing
    s.occupant[b] = NOBODY
    for district in range(s.districts.shape[1]):
        s.districts[b, district].last_exit = lifecycle.LONG_AGO
        for key in range(s.price.shape[2]):
            s.price[b, district, key].normal = t.start_price[district, key]
    effects.derive(s, b)
    for o in range(t.objects.shape[0]):
        placed = s.objects[b, o]
        placed.holder = NOBODY
        placed.affordance = NOBODY
        placed.first = NOBODY
        placed.last_handover = -t.params[0].handover_spacing
        for item in range(t.params[0].items):
            placed.stock[item] = t.objects[o].capacity[item]
        s.reserved[b, t.objects[o].y + margin, t.objects[o].x + margin] = 0
    blank(out, b)
    for k in range(t.params[0].population):
        home = k % t.homes.shape[0]
        flat = movement.nearest_free(t, s, w, b, t.homes[home].x, t.homes[home].y)
        residents.create(t, s, j, b, k, home, flat, ARRIVED_START, -1, -1, NOBODY)
    observe(t, s, out, b, 0)


@entry_kernel
def observe_towns(t: Tables, s: TownState, out: TownArrays) -> None:
    """Write the current observation of every town, after a restore."""
    for b in range(s.towns.shape[0]):
        blank(out, b)
        observe(t, s, out, b, s.towns[b].tick)
