"""Why residents leave town, when, and who follows them (domain.md, section 14).

Phase 10 decides who leaves in this tick, and ends the claims of those. They are still there when rewards and
their last observations are written; then, in phase 13, their slots are freed.
"""

from typing import Final

from townlet_adapters.kernels import draws
from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    AGENT_EXIT,
    ARRIVED_REPLACEMENT,
    ARRIVED_TO_WORK,
    EFFECT_OFF,
    EFFECT_SCALED,
    EV_EXIT,
    EV_EXIT_PENDING,
    EXECUTED,
    EXIT_AGE_OUT,
    EXIT_COLLAPSE,
    EXIT_EVICTION,
    EXIT_NEGLECT,
    EXIT_UNEMPLOYMENT,
    KEPT_CAP,
    KEPT_SPACING,
    KEPT_SUPPRESSED,
    NO_STAGE,
    NOBODY,
    POWER,
    PRICE_SPIKE,
    WATER,
    WHOLE_PRICE,
)
from townlet_adapters.worlds.town.compiled.state import Journal, Scratch, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import (
    affordances,
    employment,
    hook_requests,
    journal,
    residents,
    ties,
)

COLLAPSE_LEVEL = 0.03
COLLAPSE_TICKS = 30
NEGLECT_LEVEL = 0.1
NEGLECT_TICKS = 360
DAYS_OWED = 2
OWED_TICKS = 1440
JOBLESS_TICKS = 2880
CALM_TICKS = 60
ARRIVAL_DRAW = 2
SOONEST_ARRIVAL, LATEST_ARRIVAL = 5, 20
LONG_AGO: Final = -(1 << 40)
"""The tick of the last exit of a district that no resident has left yet."""

KEPT_BY: Final = (1 << POWER, 1 << POWER | 1 << WATER, 1 << POWER | 1 << WATER | 1 << PRICE_SPIKE,
                     1 << POWER | 1 << WATER, 0)  # fmt: skip
"""For each reason but the last, what suppresses an exit for it: one bit for each disturbance."""


@kernel
def mark(s: TownState, b: int, i: int, reason: int, replaced: bool) -> None:
    """Mark a resident that leaves in this tick; it does nothing any more but wait."""
    r = s.residents[b, i]
    r.leaving = 1 + reason
    r.replaced = 1 if replaced else 0
    r.mask = 0
    s.towns[b].leavers += 1


@kernel
def disturb(s: TownState, b: int, now: int) -> None:
    """Note until when what is off or dear now keeps residents in town."""
    for k in range(s.towns[b].effects):
        effect = s.effects[b, k]
        if effect.kind == EFFECT_OFF:
            s.districts[b, effect.who].calm[effect.key] = now + 1 + CALM_TICKS
        elif effect.kind == EFFECT_SCALED and effect.scale > WHOLE_PRICE:
            s.districts[b, effect.who].calm[PRICE_SPIKE] = now + 1 + CALM_TICKS


@inlined
def count_misery(t: Tables, r: Record, now: int) -> None:
    """Count the ticks of what may end a life in town."""
    params = t.params[0]
    lowest = 1.0
    for n in range(params.needs):
        lowest = min(lowest, r.need[n])
    if lowest <= NEGLECT_LEVEL:
        r.low_ticks_today += 1
    starves = params.hunger >= 0 and r.need[params.hunger] <= COLLAPSE_LEVEL
    r.collapse_ticks = r.collapse_ticks + 1 if starves else 0
    if r.rent_owed < DAYS_OWED:
        r.owed_since = NOBODY
    elif r.owed_since < 0:
        r.owed_since = now


@inlined
def reason_to_leave(t: Tables, s: TownState, b: int, r: Record, now: int) -> int:
    """Return 1 + the first reason for which a resident is due to leave, 0 without one."""
    exits = t.params[0].exits
    if exits >> EXIT_COLLAPSE & 1 and r.collapse_ticks >= COLLAPSE_TICKS:
        return 1 + EXIT_COLLAPSE
    if exits >> EXIT_NEGLECT & 1 and r.low_ticks_today >= NEGLECT_TICKS:
        return 1 + EXIT_NEGLECT
    if exits >> EXIT_EVICTION & 1 and r.owed_since >= 0 and now - r.owed_since >= OWED_TICKS:
        return 1 + EXIT_EVICTION
    if exits >> EXIT_UNEMPLOYMENT & 1 and r.job < 0 and now - r.jobless_since >= JOBLESS_TICKS:
        if employment.vacancy(t, s, b, r.district) >= 0:
            return 1 + EXIT_UNEMPLOYMENT
    if exits >> EXIT_AGE_OUT & 1 and now >= r.moves:
        return 1 + EXIT_AGE_OUT
    return 0


@inlined
def queue_up(r: Record, due: int, now: int) -> None:
    """Note that a resident waits to leave for a reason (1 + its number), or for none any more (0)."""
    if due == r.due:
        return
    if due == 0 or r.due == 0:
        r.due_since = now if due > 0 else 0
    r.due = due
    r.kept = 0


@kernel
def obstacle(t: Tables, s: TownState, b: int, i: int, now: int) -> int:
    """Return what keeps a resident in town that is due to leave, -1 for nothing."""
    town, r = s.towns[b], s.residents[b, i]
    district, reason = s.districts[b, r.district], r.due - 1
    for disturbance in range(district.calm.shape[0]):
        if KEPT_BY[reason] >> disturbance & 1 and now < district.calm[disturbance]:
            return KEPT_SUPPRESSED
    if 0 < town.exit_cap <= district.exits_today:
        return KEPT_CAP
    spacing = town.exit_spacing
    if reason == EXIT_AGE_OUT:
        spacing = max(spacing, t.params[0].move_spacing)
    return KEPT_SPACING if now - district.last_exit < spacing else -1


@kernel
def decide(t: Tables, s: TownState, j: Journal, b: int, i: int, now: int) -> None:
    """Mark a resident that is due to leave, or record what keeps it: once for each cause."""
    r = s.residents[b, i]
    cause = obstacle(t, s, b, i, now)
    if cause < 0:
        district = s.districts[b, r.district]
        district.exits_today += 1
        district.last_exit = now
        mark(s, b, i, r.due - 1, True)
    elif r.kept >> cause & 1 == 0:
        r.kept |= 1 << cause
        journal.write(j, b, EV_EXIT_PENDING, r.serial, -1, -1, r.due - 1, cause, 0, 0)


@kernel
def let_go(t: Tables, s: TownState, j: Journal, b: int, now: int) -> None:
    """Decide about those who are due to leave, the one first who has waited longest, then by serial."""
    since, place = -1, -1
    while True:
        following = -1
        for k in range(s.towns[b].population):
            r = s.residents[b, s.roster[b, k]]
            if r.due == 0 or r.leaving > 0:
                continue
            if r.due_since > since or (r.due_since == since and k > place):
                if following < 0 or r.due_since < s.residents[b, s.roster[b, following]].due_since:
                    following = k
        if following < 0:
            return
        i = s.roster[b, following]
        since, place = s.residents[b, i].due_since, following
        decide(t, s, j, b, i, now)


@inlined
def judge(t: Tables, s: TownState, j: Journal, b: int, now: int) -> None:
    """Phase 10: who is due to leave, by serial, then who leaves in this tick."""
    if s.towns[b].effects > 0:
        disturb(s, b, now)
    mortal = s.towns[b].mortality != 0 and t.params[0].exits != 0
    waiting = 0
    for k in range(s.towns[b].population):
        r = s.residents[b, s.roster[b, k]]
        count_misery(t, r, now)
        if r.leaving == 0:
            queue_up(r, reason_to_leave(t, s, b, r, now) if mortal else 0, now)
            waiting += r.due
    if waiting > 0:
        let_go(t, s, j, b, now)


@kernel
def end_claims(t: Tables, s: TownState, j: Journal, w: Scratch, b: int, now: int) -> bool:
    """End the claims of those who leave, by serial; True when a hook must be called."""
    c = w.cursor[0]
    for k in range(c.entity, s.towns[b].population):
        i = s.roster[b, k]
        r = s.residents[b, i]
        if r.leaving > 0 and r.claim_stage != NO_STAGE:
            if not affordances.end_claim(t, s, j, c, b, i, AGENT_EXIT, now):
                c.entity = k
                return True
            hook_requests.pass_on(c)
    return False


@kernel
def send_for(s: TownState, b: int, i: int, now: int) -> None:
    """List a newcomer for the district of a resident who leaves, if there can be a place for it."""
    town, r = s.towns[b], s.residents[b, i]
    k = town.arrivals
    if k == s.arrivals.shape[1]:
        return
    delay = draws.integer(
        SOONEST_ARRIVAL, LATEST_ARRIVAL, town.seed, draws.LIFECYCLE, now, r.serial, ARRIVAL_DRAW
    )
    town.arrivals += 1
    while k > 0 and s.arrivals[b, k - 1].due > now + delay:
        s.arrivals[b, k] = s.arrivals[b, k - 1]
        k -= 1
    s.arrivals[b, k].due = now + delay
    s.arrivals[b, k].district = r.district
    s.arrivals[b, k].follows = r.leaving - 1


@kernel
def part(t: Tables, s: TownState, j: Journal, b: int, now: int) -> None:
    """Phase 13, by serial: the ties of those who leave end, their exits are recorded, their slots freed."""
    k = 0
    while k < s.towns[b].population:
        i = s.roster[b, k]
        r = s.residents[b, i]
        if r.leaving == 0:
            k += 1
            continue
        reason = r.leaving - 1
        ties.sever(t, s, j, b, i)
        journal.write(j, b, EV_EXIT, r.serial, -1, -1, reason, i, now - r.birth, r.wallet)
        if journal.is_kept(j, b):
            journal.last(j, b).x = t.params[0].reward_terminal[reason]
        if r.replaced != 0:
            send_for(s, b, i, now)
        residents.free(t, s, b, i)
    s.towns[b].leavers = 0


@kernel
def quietest_home(t: Tables, s: TownState, b: int, district: int) -> int:
    """Return the home tile of a district, or of the town (-1), that fewest live at, ties by number."""
    best, fewest = NOBODY, 0
    for home in range(t.homes.shape[0]):
        if district >= 0 and t.homes[home].district != district:
            continue
        living = 0
        for k in range(s.towns[b].population):
            if s.residents[b, s.roster[b, k]].home == home:
                living += 1
        if best < 0 or living < fewest:
            best, fewest = home, living
    return best


@kernel
def welcome(t: Tables, s: TownState, j: Journal, w: Scratch, b: int, now: int) -> None:
    """Phase 2: those who are due arrive at the entry of their district, while there is a slot and a tile."""
    town = s.towns[b]
    while town.arrivals > 0 and s.arrivals[b, 0].due <= now:
        home = quietest_home(t, s, b, s.arrivals[b, 0].district)
        gate = t.homes[home]
        # After an exit for lack of work, only who has some comes.
        certain = s.arrivals[b, 0].follows == EXIT_UNEMPLOYMENT
        how = ARRIVED_TO_WORK if certain else ARRIVED_REPLACEMENT
        answer = residents.admit(t, s, j, w, b, home, gate.entry_x, gate.entry_y, how, -1, -1, NOBODY)
        if answer != EXECUTED:
            return
        town.arrivals -= 1
        for k in range(town.arrivals):
            s.arrivals[b, k] = s.arrivals[b, k + 1]
        s.arrivals[b, town.arrivals].due = 0
        s.arrivals[b, town.arrivals].district = 0
        s.arrivals[b, town.arrivals].follows = 0
