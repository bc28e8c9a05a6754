"""The choice of an option: the first rule that matches (domain.md, section 17.3)."""

from typing import TypeAlias

from townlet_adapters.kernels.clock import TICKS_PER_DAY, day_of, since, time_of_day
from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.kernels.draws import POLICY, integer, unit
from townlet_adapters.kernels.fields import UNREACHABLE
from townlet_adapters.kernels.records import Record
from townlet_adapters.policies.scripted.columns import (
    ATTEND,
    AVOID,
    CARE,
    IDLE,
    NONE,
    SHOP,
    SOCIALISE,
    WORK,
    Chart,
    Scene,
)
from townlet_adapters.policies.scripted.planning import MAKE, SERVE, plan, steps, supplied, ticks_to_shift
from townlet_adapters.policies.scripted.refusals import unserved
from townlet_adapters.policies.scripted.society import has_need_below, must_step_aside

Choice: TypeAlias = tuple[int, int, int, int]
"""What is wanted, the need that CARE is for, and the object and affordance to carry it out with; -1 for those
that it takes none of."""
NO_CHOICE = (NONE, NONE, NONE, NONE)

BEFORE_SHIFT = 240
"""Ticks before its shift in which a resident prepares for it. With 180, the queues of the first morning send
a resident in need to work: the lowest need in 20 weeks of town_48 is 0.12; with 240 it is 0.22."""
PREPARED = 0.20
"""How much higher the threshold of each need is before work."""
NIGHT_FROM, NIGHT_TO = 1290, 360
EVENINGS = 45
"""The end of the evening is drawn for each night, at most so many ticks after the night begins."""
EVENING = 4
"""Index of the draw of the end of the evening."""
BEFORE_NIGHT, PREPARED_FOR_NIGHT = 150, 0.35
"""Ticks before the end of the evening in which a resident prepares for the night, and how much higher the
threshold of each need is then."""
NAP_BELOW = 0.25
"""By day, a need that has a level for the night is cared for below this only."""
ERRANDS_FROM, ERRANDS_TO = 480, 1260
SHOP_MONEY = 1000
MAKER = 11
"""Index of the draw that decides whether a resident makes things today."""
MAKING_DAYS = 0.5
"""Chance of a day on which a resident shops and makes things, whatever its wallet."""
SLOW_MORNING = 6
"""Index of the draws that decide whether and how late a resident sets out for its shift."""
SLOW, SLOW_FROM, SLOW_TO = 0.07, 26, 42
"""Chance of a slow morning, and by how many ticks a resident then sets out later."""
SOCIABLE_HOURS = 0
"""Index of the draw that decides whether a resident goes out in this part of the day."""
OUTING = 180
"""Ticks of such a part; leisure is kept for as long."""
EVENING_FROM = 1080
TIRED_FROM, TIRED = 1020, 0.4
"""From this minute on, a resident with a need below this that waits for the night prepares for the night: it
may lie down early."""
SOON = 0.06
"""By how much higher the threshold of each need is for a resident that would go home: it would leave again
within the hour."""
HOME_BY = 75
"""Leisure ends at least so many ticks before the night begins."""
SLEEP_BEFORE = 600
"""The night begins at least so many ticks before the shift, for residents with an early one."""
STAY_OUT = 60
"""An idle resident that is out does not go home when it would leave again within so many ticks."""
OUT_FROM, SOCIABLE, SOCIABLE_PER_EXTROVERSION, SOCIABLE_EVENING = -0.5, 0.4, 0.3, 0.3


@kernel
def option_of(c: Chart, choice: Choice) -> int:
    """Return the option that the world knows for a choice; -1 when it knows none."""
    want, need, _, _ = choice
    if want == CARE:
        return int(c.needs[need].option)
    if want == ATTEND:
        return int(c.own[SOCIALISE])
    return int(c.own[want]) if want != NONE else NONE


@kernel
def lowest_need(c: Chart, r: Record, below: float, tried: int) -> int:
    """Return the lowest need below a level, the first of equals; -1 without one.

    Args:
        c: the world's constants.
        r: the resident.
        below: the level.
        tried: one bit for each need to skip.
    """
    lowest = NONE
    for n in range(c.needs.shape[0]):
        low = r.need[n] < below and tried & (1 << n) == 0
        if low and (lowest < 0 or r.need[n] < r.need[lowest]):
            lowest = n
    return lowest


@kernel
def care(c: Chart, s: Scene, r: Record, need: int) -> Choice:
    """Choose to care for a need; no choice without a plan for it."""
    _, o, a = plan(c, s, r, CARE, 1 << need)
    return (CARE, need, o, a) if o >= 0 else NO_CHOICE


@kernel
def critical_choice(c: Chart, s: Scene, r: Record) -> Choice:
    """Rule 1: the lowest need that anything serves is critical, and a plan for it exists."""
    if lowest_need(c, r, c.critical, 0) < 0:
        return NO_CHOICE
    need = lowest_need(c, r, c.critical, unserved(c, s, r))
    return care(c, s, r, need) if need >= 0 else NO_CHOICE


@kernel
def delay(c: Chart, s: Scene, r: Record, start: int) -> int:
    """Return by how many ticks a resident sets out later for a shift than it usually does; mostly 0."""
    shift = day_of(s.tick, c.start_tod - start + TICKS_PER_DAY + TICKS_PER_DAY // 2)
    if unit(c.seed, POLICY, shift, r.serial, SLOW_MORNING) >= SLOW:
        return 0
    return integer(SLOW_FROM, SLOW_TO, c.seed, POLICY, shift, r.serial, SLOW_MORNING + 1)


@kernel
def work_calls(c: Chart, s: Scene, r: Record) -> bool:
    """Rule 2, the mask of go_to_work: it is time to set out, and the shift is not over."""
    if r.job == NONE or c.own[WORK] == NONE:
        return False
    job = c.jobs[r.job]
    path = steps(c, r, job.field)
    if path >= UNREACHABLE:
        return False
    ahead = r.lead + path - delay(c, s, r, job.start)
    return bool(since(job.start - ahead, s.tick, c.start_tod) < job.length + ahead)


@kernel
def end_of_evening(c: Chart, s: Scene, r: Record) -> int:
    """Return the minute at which a resident's night begins; the draw is that of the noon before."""
    noon = day_of(s.tick, c.start_tod + TICKS_PER_DAY // 2)
    begins = NIGHT_FROM
    if r.job != NONE:
        latest = (c.jobs[r.job].start - SLEEP_BEFORE) % TICKS_PER_DAY
        if ERRANDS_TO <= latest < NIGHT_FROM:
            begins = latest
    return begins + integer(0, EVENINGS, c.seed, POLICY, noon, r.serial, EVENING)


@kernel
def ready_for_nights(c: Chart, r: Record) -> int:
    """Return the needs that can wait for the night, one bit for each."""
    bits = 0
    for n in range(c.needs.shape[0]):
        if c.needs[n].night > 0.0 and r.need[n] >= NAP_BELOW:
            bits |= 1 << n
    return bits


@kernel
def prepares_for_night(c: Chart, s: Scene, r: Record) -> bool:
    """Return whether it is the end of a resident's evening, or the evening of a tired one."""
    time = time_of_day(s.tick, c.start_tod)
    left = end_of_evening(c, s, r) - time
    if 0 < left <= BEFORE_NIGHT:
        return True
    if left <= 0 or time < TIRED_FROM:
        return False
    for n in range(c.needs.shape[0]):
        if c.needs[n].night > 0.0 and r.need[n] < TIRED:
            return True
    return False


@kernel
def need_choice(c: Chart, s: Scene, r: Record, sooner: float) -> Choice:
    """Rule 5: a need is low, and a plan for it exists; the lowest need first.

    Before the night, what is done at home comes last: a resident that is out comes home once.

    Args:
        c: the world's constants.
        s: the instant.
        r: the resident.
        sooner: what is added to the threshold.
    """
    threshold = c.threshold + sooner
    evening = prepares_for_night(c, s, r)
    if evening:
        threshold += PREPARED_FOR_NIGHT
    elif 0 <= ticks_to_shift(c, s, r) <= BEFORE_SHIFT:
        threshold += PREPARED
    tried = ready_for_nights(c, r)
    at_home = NO_CHOICE
    need = lowest_need(c, r, threshold, tried)
    while need >= 0:
        choice = care(c, s, r, need)
        if choice[0] != NONE:
            if not evening or c.object_place[choice[2]] != r.home_place:
                return choice
            if at_home[0] == NONE:
                at_home = choice
        tried |= 1 << need
        need = lowest_need(c, r, threshold, tried)
    return at_home


@kernel
def is_night(c: Chart, s: Scene, r: Record) -> bool:
    """Return whether it is a resident's night."""
    return not NIGHT_TO <= time_of_day(s.tick, c.start_tod) < end_of_evening(c, s, r)


@kernel
def attends(c: Chart, s: Scene, r: Record) -> bool:
    """Return whether a resident follows an invitation: it is not its night, and no need is critical."""
    if r.invite == 0 or c.own[SOCIALISE] == NONE or is_night(c, s, r):
        return False
    return not has_need_below(c, r, c.critical)


@kernel
def night_choice(c: Chart, s: Scene, r: Record) -> Choice:
    """Rule 6: at night, a need is below its level for the night, and a plan for it exists."""
    if not is_night(c, s, r):
        return NO_CHOICE
    tried = 0
    for n in range(c.needs.shape[0]):
        if r.need[n] >= c.needs[n].night:
            tried |= 1 << n
    need = lowest_need(c, r, 1.0, tried)
    while need >= 0:
        choice = care(c, s, r, need)
        if choice[0] != NONE:
            return choice
        tried |= 1 << need
        need = lowest_need(c, r, 1.0, tried)
    return NO_CHOICE


@kernel
def to_shop_for(c: Chart, s: Scene, r: Record) -> int:
    """Return the needs to shop for, one bit each.

    It is a day on which the resident makes things, and it carries no means, but parts, or has enough money
    for them.
    """
    day = day_of(s.tick, c.start_tod)
    if unit(c.seed, POLICY, day, r.serial, MAKER) >= MAKING_DAYS:
        return 0
    needs = 0
    for n in range(c.needs.shape[0]):
        if not (c.needs[n].made or c.needs[n].fetched):
            continue
        affordable = r.wallet >= SHOP_MONEY or supplied(c, r, n, MAKE)
        if affordable and not supplied(c, r, n, SERVE):
            needs |= 1 << n
    return needs


@kernel
def feels_sociable(c: Chart, s: Scene, r: Record, ahead: int) -> bool:
    """Rule 8: the town has other residents, and this one goes out in the part of the day some ticks ahead."""
    if s.living <= 1 or r.extroversion < OUT_FROM:
        return False
    chance = SOCIABLE + SOCIABLE_PER_EXTROVERSION * r.extroversion
    if time_of_day(s.tick + ahead, c.start_tod) >= EVENING_FROM:
        chance += SOCIABLE_EVENING
    part = (s.tick + ahead + c.start_tod) // OUTING
    return bool(unit(c.seed, POLICY, part, r.serial, SOCIABLE_HOURS) < chance)


@kernel
def ends_in_time(c: Chart, s: Scene, r: Record, o: int, a: int) -> bool:
    """Return whether a use is over early enough before a resident's night."""
    ticks = steps(c, r, o) + s.things[o].wait + c.uses[a].duration
    return bool(time_of_day(s.tick, c.start_tod) + ticks <= end_of_evening(c, s, r) - HOME_BY)


@kernel
def errand_choice(c: Chart, s: Scene, r: Record) -> Choice:
    """Rules 7 and 8, by day: shop, or seek company."""
    if not ERRANDS_FROM <= time_of_day(s.tick, c.start_tod) < ERRANDS_TO:
        return NO_CHOICE
    needs = to_shop_for(c, s, r) if c.own[SHOP] != NONE else 0
    if needs != 0:
        _, o, a = plan(c, s, r, SHOP, needs)
        if o >= 0:
            return SHOP, NONE, o, a
    if c.own[SOCIALISE] != NONE and feels_sociable(c, s, r, 0):
        _, o, a = plan(c, s, r, SOCIALISE, 0)
        if o >= 0 and ends_in_time(c, s, r, o, a):
            return SOCIALISE, NONE, o, a
    return NO_CHOICE


@kernel
def stays_out(c: Chart, s: Scene, r: Record) -> bool:
    """Return whether an idle resident that is out waits where it is: it would soon leave home again."""
    left = ticks_to_shift(c, s, r)
    if 0 <= left <= STAY_OUT + 2 * r.lead:
        return True
    later = time_of_day(s.tick + STAY_OUT, c.start_tod)
    return ERRANDS_FROM <= later < ERRANDS_TO and feels_sociable(c, s, r, STAY_OUT)


@kernel
def choose(c: Chart, s: Scene, r: Record) -> Choice:
    """Choose what to do, with its object and affordance."""
    choice = critical_choice(c, s, r)
    if choice[0] != NONE:
        return choice
    if work_calls(c, s, r):
        return WORK, NONE, NONE, NONE
    if must_step_aside(c, s, r):
        return AVOID, NONE, NONE, NONE
    if attends(c, s, r):
        return ATTEND, NONE, NONE, NONE
    choice = need_choice(c, s, r, 0.0)
    if choice[0] != NONE:
        return choice
    choice = night_choice(c, s, r)
    if choice[0] != NONE:
        return choice
    choice = errand_choice(c, s, r)
    if choice[0] == NONE and c.place_at[r.y, r.x] != r.home_place:
        choice = need_choice(c, s, r, SOON)
    if choice[0] != NONE:
        return choice
    return IDLE, NONE, NONE, NONE
