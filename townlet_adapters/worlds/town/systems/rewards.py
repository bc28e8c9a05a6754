"""What a tick was worth to each resident, in parts that add up (domain.md, section 15).

Phase 11 adds up what the rules of the tick wrote down (``merits.py``).
"""

import numpy as np
import numpy.typing as npt

from townlet_adapters.kernels.compiler import entry_kernel, inlined
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    EXIT_AGE_OUT,
    PART_AVOIDANCE,
    PART_DAY_CLIP,
    PART_DEBT,
    PART_GUARD,
    PART_HOMEOSTASIS,
    PART_PUNCTUALITY,
    PART_SHAPING,
    PART_SOCIAL,
    PART_SURVIVAL,
    PART_TERMINAL,
    PART_TICK_CLIP,
    PART_TOTAL,
    PART_WAGE,
    SOCIAL_C2,
    SOCIAL_OFF,
)
from townlet_adapters.worlds.town.compiled.state import TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import merits
from townlet_adapters.worlds.town.systems.observe import TownArrays

_LAST_OF_RAW = PART_DEBT


@inlined
def leaned(value: float, factor: float) -> float:
    """Return a reward times a profile's factor, and a cost divided by it."""
    return value * factor if value > 0 else value / factor


@inlined
def add_events(t: Tables, r: Record, parts: npt.NDArray[np.float64], most: float) -> None:
    """Write the parts that something in this tick gave; ``most`` is the largest deficit of a need."""
    params, profile = t.params[0], t.profiles[r.profile]
    stage = params.social_rewards
    parts[PART_SURVIVAL] = leaned(params.reward_survival, profile.reward_survival)
    parts[PART_WAGE] = leaned(params.reward_wage if r.waged > 0 else 0.0, profile.reward_employment)
    parts[PART_PUNCTUALITY] = leaned(params.reward_punctuality * r.presence, profile.reward_employment)
    listens = stage != SOCIAL_OFF and most <= params.reward_chat_deficit
    parts[PART_SOCIAL] = leaned(params.reward_chat * r.chat if listens else 0.0, profile.reward_social)
    avoided = r.avoidances if stage >= SOCIAL_C2 else 0
    parts[PART_AVOIDANCE] = leaned(params.reward_avoidance * avoided, profile.reward_social)
    parts[PART_DEBT] = -(params.reward_debt * min(r.rent_owed, params.reward_debt_days))


@inlined
def add_limits(t: Tables, r: Record, parts: npt.NDArray[np.float64], ended: bool, now: int) -> None:
    """Write what keeps a tick and a day within limits, and starving from being worth anything."""
    params = t.params[0]
    if r.collapse_ticks > 0:
        r.guard_until = now + params.reward_guard_ticks + 1
    raw = 0.0
    for part in range(_LAST_OF_RAW + 1):
        raw += parts[part]
    guarded = ended or r.collapse_ticks > 0 or now < r.guard_until
    parts[PART_GUARD] = min(raw, 0.0) - raw if guarded else 0.0
    kept = raw + parts[PART_GUARD]
    parts[PART_TICK_CLIP] = min(params.reward_tick_clip, max(-params.reward_tick_clip, kept)) - kept
    day = r.day_reward + (kept + parts[PART_TICK_CLIP])
    parts[PART_DAY_CLIP] = min(params.reward_day_clip, max(-params.reward_day_clip, day)) - day
    r.day_reward = day + parts[PART_DAY_CLIP]


@inlined
def reward(t: Tables, s: TownState, out: TownArrays, b: int, now: int) -> None:
    """Phase 11: the parts and their sum for every resident, those who leave in this tick included."""
    params = t.params[0]
    for k in range(s.towns[b].population):
        i = s.roster[b, k]
        r, parts = s.residents[b, i], out.reward_parts[b, i]
        unmet, squared, most = 0.0, 0.0, 0.0
        for n in range(params.needs):
            deficit = 1.0 - r.need[n]
            weighted = params.reward_weight[n] * deficit
            unmet += weighted
            squared += weighted * deficit
            most = max(most, deficit)
        leaves = r.leaving > 0
        ended = leaves and r.leaving - 1 < EXIT_AGE_OUT
        before = r.potential
        r.potential = 0.0 if ended else -(params.reward_shaping * unmet)
        parts[PART_HOMEOSTASIS] = -(params.reward_homeostasis * squared)
        parts[PART_SHAPING] = 0.0 if r.ctx_reset else params.reward_gamma * r.potential - before
        add_events(t, r, parts, most)
        add_limits(t, r, parts, ended, now)
        parts[PART_TERMINAL] = params.reward_terminal[r.leaving - 1] if leaves else 0.0
        total = 0.0
        for part in range(PART_TOTAL):
            total += parts[part]
        parts[PART_TOTAL] = total
        out.reward[b, i] = total
        merits.forget(r)


@entry_kernel
def mean_reward(s: TownState, out: TownArrays, b: int) -> float:
    """Return the mean reward of the living in the last tick, added up by serial; 0 for an empty town."""
    count = s.towns[b].population
    total = 0.0
    for k in range(count):
        total += out.reward_parts[b, s.roster[b, k], PART_TOTAL]
    return total / count if count > 0 else 0.0
