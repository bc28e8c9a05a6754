"""How residents come and go (domain.md, sections 5, 10.4 and 14)."""

import numpy as np

from townlet_adapters.kernels import draws
from townlet_adapters.kernels.clock import day_of
from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.kernels.records import Record, Records
from townlet_adapters.worlds.town.codes import (
    ARRIVED_CONSOLE,
    ARRIVED_REPLACEMENT,
    ARRIVED_START,
    BLOCKED_TILE,
    EV_ARRIVE,
    EXECUTED,
    HIRED_ARRIVAL,
    HIRED_CONSOLE,
    HIRED_START,
    NO_SLOT,
    NOBODY,
    TICKS_PER_DAY,
)
from townlet_adapters.worlds.town.compiled.state import RESIDENT, Journal, Scratch, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import (
    economy,
    employment,
    journal,
    merits,
    movement,
    queues,
)

_DEAD: Records = np.zeros(1, RESIDENT)
"""A dead slot: a constant of the compiled code, as each array that kernels take costs time in every call."""

PROFILE_DRAW = 0
NAME_DRAW = 0
JOB_DRAW = 1
STAY_DRAW = 3
HOUR_DRAW = 5
FIRST_NEED_DRAW = 16
"""Index of the draw of the first need; the others follow."""
ARRIVAL_JOB_CHANCE = 0.5
MOVES_FROM, MOVES_TO = 540, 1139
"""Minutes of the day at which residents move away."""


@kernel
def count(s: TownState, b: int, row: int, column: int, change: int) -> None:
    """Add one living resident to the census (1), or take one from it (-1)."""
    s.census[b, row, column] += change
    s.census[b, row, s.census.shape[2] - 1] += change


@kernel
def choose_name(t: Tables, s: TownState, b: int, r: Record) -> None:
    """Draw a name and advance to the first that no living resident has; round 1 has the suffix ``-2``."""
    names = t.params[0].names
    first = draws.integer(0, names - 1, s.towns[b].seed, draws.NAMES, r.birth, r.serial, NAME_DRAW)
    name_round = 0
    while s.census[b, 1 + name_round, s.census.shape[2] - 1] == names:
        name_round += 1
    name = first
    while s.census[b, 1 + name_round, name] > 0:
        name = (name + 1) % names
    r.name = name
    r.name_round = name_round
    count(s, b, 1 + name_round, name, 1)


@kernel
def choose_profile(t: Tables, s: TownState, b: int, r: Record) -> int:
    """The profile configured for its name, else a draw among those below their weight."""
    if r.name_round < t.name_profile.shape[0] and t.name_profile[r.name_round, r.name] >= 0:
        return t.name_profile[r.name_round, r.name]
    coming = s.towns[b].population + 1
    total = 0.0
    for p in range(t.profiles.shape[0]):
        total += max(0.0, t.profiles[p].weight * coming - s.census[b, 0, p])
    goal = draws.unit(s.towns[b].seed, draws.LIFECYCLE, r.birth, r.serial, PROFILE_DRAW) * total
    reached = 0.0
    for p in range(t.profiles.shape[0]):
        reached += max(0.0, t.profiles[p].weight * coming - s.census[b, 0, p])
        if reached > goal:
            return p
    return t.profiles.shape[0] - 1


@kernel
def take_embedding(t: Tables, s: TownState, b: int) -> int:
    """Take the lowest embedding slot that was never used, else the one that was released longest ago."""
    town = s.towns[b]
    if town.embeddings < s.released.shape[1]:
        town.embeddings += 1
        return town.embeddings - 1
    oldest = -1
    for slot in range(s.released.shape[1]):
        released = s.released[b, slot]
        if released > 0 and (oldest < 0 or released < s.released[b, oldest]):
            oldest = slot
    if town.tick < s.released[b, oldest] - 1 + t.params[0].embedding_cooldown:
        town.forced_reuses += 1
    s.released[b, oldest] = 0
    return oldest


@kernel
def reset_context(r: Record) -> None:
    """Make the policy discard its plan for a resident."""
    r.ctx_reset = True
    r.option = -1
    r.goal = -1
    r.commit = 0


@kernel
def moving_day(t: Tables, s: TownState, b: int, r: Record, reason: int) -> int:
    """Return the tick in which a resident moves away: by day, after some months.

    Those who live in town at its start have lived there before.
    """
    params, seed = t.params[0], s.towns[b].seed
    least = params.founders_stay_least if reason == ARRIVED_START else params.stay_least
    days = draws.integer(least, params.stay_most, seed, draws.LIFECYCLE, r.birth, r.serial, STAY_DRAW)
    minute = draws.integer(MOVES_FROM, MOVES_TO, seed, draws.LIFECYCLE, r.birth, r.serial, HOUR_DRAW)
    return (day_of(r.birth, params.start_tod) + days) * TICKS_PER_DAY + minute - params.start_tod


@kernel
def first_job(t: Tables, s: TownState, b: int, r: Record, reason: int) -> int:
    """Return the job with which a resident comes, -1 for none: half of those who follow have one."""
    if reason == ARRIVED_REPLACEMENT:
        drawn = draws.unit(s.towns[b].seed, draws.LIFECYCLE, r.birth, r.serial, JOB_DRAW)
        if drawn >= ARRIVAL_JOB_CHANCE:
            return NOBODY
    elif reason == ARRIVED_CONSOLE:
        return NOBODY
    return employment.vacancy(t, s, b, r.district)


@kernel
def create(
    t: Tables, s: TownState, j: Journal, b: int, i: int, home: int, flat: int, reason: int,
    wallet: int, profile: int, job: int,
) -> None:  # fmt: skip
    """Create a resident of a home tile in the dead slot i, on a free tile (flat index).

    Wallet, profile and job are -1 for those that the rules choose.
    """
    town = s.towns[b]
    r = s.residents[b, i]
    r.alive = True
    r.serial = town.next_serial
    r.birth = town.tick
    r.home = home
    r.district = t.homes[home].district
    for n in range(t.params[0].needs):
        drawn = draws.unit(town.seed, draws.LIFECYCLE, r.birth, r.serial, FIRST_NEED_DRAW + n)
        least = t.params[0].least_start_share[n]
        level = t.params[0].start_need + (least + (1.0 - least) * drawn) * t.params[0].start_spread
        r.need[n] = min(1.0, max(0.0, level))
    r.potential = merits.potential(t, r)
    r.mate = NOBODY
    r.job = NOBODY
    r.option = NOBODY
    r.goal = NOBODY
    r.last_action = NOBODY
    r.last_target = NOBODY
    r.review_since = NOBODY
    r.lost_job_day = NOBODY
    r.owed_since = NOBODY
    r.jobless_since = r.birth
    r.moves = moving_day(t, s, b, r, reason)
    r.attendance = 1.0
    r.ctx_reset = True
    r.embedding = take_embedding(t, s, b)
    employment.clear_shift(r)
    r.behind = NOBODY
    queues.clear_claim(r)
    choose_name(t, s, b, r)
    r.profile = profile if profile >= 0 else choose_profile(t, s, b, r)
    count(s, b, 0, r.profile, 1)
    width = t.passable.shape[1]
    movement.put(s, t.params[0].margin, b, i, flat % width, flat // width)
    s.roster[b, town.population] = i
    town.population += 1
    town.next_serial += 1
    economy.grant(s, b, i, wallet if wallet >= 0 else t.params[0].start_wallet)
    given = job >= 0
    if not given:
        job = first_job(t, s, b, r, reason)
    journal.write(j, b, EV_ARRIVE, r.serial, -1, -1, reason, i, flat, job)
    if journal.is_kept(j, b):
        row = journal.last(j, b)
        row.d = r.wallet
        row.e = r.name
        row.f = r.name_round
        row.g = r.profile
        row.h = r.district
    if job >= 0:
        how = HIRED_START if reason == ARRIVED_START else HIRED_ARRIVAL
        employment.hire(t, s, j, b, i, job, HIRED_CONSOLE if given else how, town.tick)


@kernel
def admit(
    t: Tables, s: TownState, j: Journal, w: Scratch, b: int, home: int, x: int, y: int, reason: int,
    wallet: int, profile: int, job: int,
) -> int:  # fmt: skip
    """Create a resident of a home tile in the lowest dead slot, as near to a tile as there is room.

    Wallet, profile and job are -1 for those that the rules choose.

    Returns:
        ``EXECUTED``, or why there is no arrival: ``NO_SLOT`` or ``BLOCKED_TILE``.
    """
    slot = 0
    while slot < s.residents.shape[1] and s.residents[b, slot].alive:
        slot += 1
    if slot == s.residents.shape[1]:
        return NO_SLOT
    flat = movement.nearest_free(t, s, w, b, x, y)
    if flat < 0:
        return BLOCKED_TILE
    create(t, s, j, b, slot, home, flat, reason, wallet, profile, job)
    return EXECUTED


@kernel
def strike_off(s: TownState, b: int, i: int) -> None:
    """Take a resident from the roster."""
    town = s.towns[b]
    town.population -= 1
    k = 0
    while s.roster[b, k] != i:
        k += 1
    for later in range(k, town.population):
        s.roster[b, later] = s.roster[b, later + 1]
    s.roster[b, town.population] = 0


@kernel
def forget(s: TownState, b: int, i: int) -> None:
    """Clear what a resident remembers of objects, and its portrait; its ties have ended before."""
    s.portraits[b, i] = 0.0
    for k in range(s.cooldowns.shape[2]):
        s.cooldowns[b, i, k, 0], s.cooldowns[b, i, k, 1] = 0, 0
    for k in range(s.outcomes.shape[2]):
        line = s.outcomes[b, i, k]
        line.tick = 0
        line.affordance = 0
        line.object = 0
        line.reason = 0
        line.duration = 0


@kernel
def free(t: Tables, s: TownState, b: int, i: int) -> None:
    """Free the slot of a resident that has no claim: it becomes like one that was never used.

    The wallet goes to the treasury. The embedding slot cools down; serial and name are not given again while
    others have them. The row of the observation becomes blank when it is next written.
    """
    r = s.residents[b, i]
    economy.estate(s, b, i)
    movement.lift(s, t.params[0].margin, b, i)
    employment.retire(s, b, i)
    count(s, b, 0, r.profile, -1)
    count(s, b, 1 + r.name_round, r.name, -1)
    s.released[b, r.embedding] = s.towns[b].tick + 1
    strike_off(s, b, i)
    forget(s, b, i)
    s.residents[b, i] = _DEAD[0]
