"""The choice of an option: the first rule that matches (DOMAIN section 17.3).

Rule 3 (step aside from an avoided resident) and the invitations of rule 7 need relations between residents,
which do not exist yet: their conditions never hold.
"""

from typing import TypeAlias

from townlet_adapters.kernels.compiler import kernel
from townlet_adapters.kernels.draws import POLICY, unit
from townlet_adapters.kernels.fields import UNREACHABLE
from townlet_adapters.kernels.records import Record
from townlet_adapters.policies.scripted.columns import (
    DAY,
    ENERGY,
    GO_TO_WORK,
    HOUR,
    IDLE,
    INGREDIENTS,
    MEAL,
    NEEDS,
    NONE,
    REST,
    SHOP,
    SOCIALISE,
    Chart,
    Scene,
)
from townlet_adapters.policies.scripted.planning import plan, steps, ticks_to_shift

Choice: TypeAlias = tuple[int, int, int]
"""Option, and the object and affordance to carry it out with (-1 if it takes none)."""
NO_CHOICE = (NONE, NONE, NONE)

BEFORE_SHIFT = 240
"""Ticks before its shift in which a resident prepares for it. With 180, the queues of the first morning send
a hungry resident to work: the lowest need in 20 weeks of town_48 is 0.12; with 240 it is 0.22."""
PREPARED = 0.20
"""How much higher the threshold of each need is before work."""
NIGHT_FROM, NIGHT_TO, NIGHT_ENERGY = 1320, 360, 0.6
ERRANDS_FROM, ERRANDS_TO = 480, 1260
FREE_TIME = (REST, SHOP, SOCIALISE)
"""The options of rules 5, 6 and 7, in this order."""
SHOP_BELOW, SHOP_MONEY = 5000, 1000
SOCIABLE_HOUR = 0
"""Index of the draw that decides whether this hour is a sociable one."""
SHY, SOCIABLE, SOCIABLE_PER_EXTROVERSION = -0.2, 0.4, 0.3


@kernel
def lowest_need(r: Record, below: float, tried: int) -> int:
    """Return the lowest need below a level, the first of equals; -1 without one.

    Args:
        r: the resident.
        below: the level.
        tried: one bit for each need to skip.
    """
    lowest = NONE
    for n in range(NEEDS):
        low = r.need[n] < below and tried & (1 << n) == 0
        if low and (lowest < 0 or r.need[n] < r.need[lowest]):
            lowest = n
    return lowest


@kernel
def critical_choice(c: Chart, s: Scene, r: Record) -> Choice:
    """Rule 1: the lowest need is critical, and a plan for it exists."""
    need = lowest_need(r, c.critical, 0)
    if need >= 0:
        _, o, a = plan(c, s, r, need)
        if o >= 0:
            return need, o, a
    return NO_CHOICE


@kernel
def work_calls(c: Chart, s: Scene, r: Record) -> bool:
    """Rule 2, the mask of go_to_work: it is time to set out, and the shift is not over."""
    if r.job == NONE:
        return False
    job = c.jobs[r.job]
    path = steps(c, r, job.field)
    if path >= UNREACHABLE:
        return False
    ahead = r.lead + path
    return bool((s.tick - job.start + ahead) % DAY < job.length + ahead)


@kernel
def need_choice(c: Chart, s: Scene, r: Record) -> Choice:
    """Rule 4: a need is low, and a plan for it exists; the lowest need first."""
    threshold = c.threshold
    if 0 <= ticks_to_shift(c, s, r) <= BEFORE_SHIFT:
        threshold += PREPARED
    tried = 0
    need = lowest_need(r, threshold, tried)
    while need >= 0:
        _, o, a = plan(c, s, r, need)
        if o >= 0:
            return need, o, a
        tried |= 1 << need
        need = lowest_need(r, threshold, tried)
    return NO_CHOICE


@kernel
def wants_to_shop(r: Record) -> bool:
    """The mask of shop without the plan: no meal, little money, but ingredients or enough money for them."""
    if r.inventory[MEAL] > 0 or r.wallet >= SHOP_BELOW:
        return False
    return bool(r.inventory[INGREDIENTS] > 0 or r.wallet >= SHOP_MONEY)


@kernel
def feels_sociable(c: Chart, s: Scene, r: Record) -> bool:
    """Rule 7: the town has other residents, and this is a sociable hour."""
    if s.living <= 1 or r.extroversion < SHY:
        return False
    chance = SOCIABLE + SOCIABLE_PER_EXTROVERSION * r.extroversion
    return bool(unit(c.seed, POLICY, s.tick // HOUR, r.serial, SOCIABLE_HOUR) < chance)


@kernel
def feels_like(c: Chart, s: Scene, r: Record, option: int) -> bool:
    """Rules 5, 6 and 7 without their plans: rest at night, errands by day, company."""
    time = s.tick % DAY
    if option == REST:
        return bool((time >= NIGHT_FROM or time < NIGHT_TO) and r.need[ENERGY] < NIGHT_ENERGY)
    if not ERRANDS_FROM <= time < ERRANDS_TO:
        return False
    return wants_to_shop(r) if option == SHOP else feels_sociable(c, s, r)


@kernel
def choose(c: Chart, s: Scene, r: Record) -> Choice:
    """Choose an option, with its object and affordance."""
    choice = critical_choice(c, s, r)
    if choice[0] != NONE:
        return choice
    if work_calls(c, s, r):
        return GO_TO_WORK, NONE, NONE
    choice = need_choice(c, s, r)
    if choice[0] != NONE:
        return choice
    for option in FREE_TIME:
        if feels_like(c, s, r, option):
            _, o, a = plan(c, s, r, option)
            if o != NONE:
                return option, o, a
    return IDLE, NONE, NONE
