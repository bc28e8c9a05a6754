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


@inlined
def leaned(value: float, factor: float) -> float:
    """Return a reward times a profile's factor, and a cost divided by it."""
    if value > 0:
        return value * factor
    return value / factor if value < 0 else 0.0


@inlined
def of_needs(t: Tables, r: Record, parts: npt.NDArray[np.float64], ended: bool) -> tuple[float, float]:
    """Write what the needs give; returns it, and the largest deficit."""
    params = t.params[0]
    unmet, squared, most = 0.0, 0.0, 0.0
    for n in range(params.needs):
        deficit = 1.0 - r.need[n]
        weighted = params.reward_weight[n] * deficit
        unmet += weighted
        squared += weighted * deficit
        most = max(most, deficit)
    before = r.potential
    r.potential = 0.0 if ended else -(params.reward_shaping * unmet)
    homeostasis = -(params.reward_homeostasis * squared)
    shaping = 0.0 if r.ctx_reset else params.reward_gamma * r.potential - before
    parts[PART_HOMEOSTASIS] = homeostasis
    parts[PART_SHAPING] = shaping
    return homeostasis + shaping, most


@inlined
def of_events(t: Tables, r: Record, parts: npt.NDArray[np.float64], raw: float, most: float) -> float:
    """Write what this tick's events and rent give; returns it, added to the parts before."""
    params, profile = t.params[0], t.profiles[r.profile]
    stage = params.social_rewards
    survival = leaned(params.reward_survival, profile.reward_survival)
    wage = leaned(params.reward_wage if r.waged > 0 else 0.0, profile.reward_employment)
    punctuality = leaned(params.reward_punctuality * r.presence, profile.reward_employment)
    counts = stage != SOCIAL_OFF and most <= params.reward_chat_deficit
    social = leaned(params.reward_chat * r.chat if counts else 0.0, profile.reward_social)
    avoided = r.avoidances if stage >= SOCIAL_C2 else 0
    avoidance = leaned(params.reward_avoidance * avoided, profile.reward_social)
    debt = -(params.reward_debt * min(r.rent_owed, params.reward_debt_days))
    parts[PART_SURVIVAL] = survival
    parts[PART_WAGE] = wage
    parts[PART_PUNCTUALITY] = punctuality
    parts[PART_SOCIAL] = social
    parts[PART_AVOIDANCE] = avoidance
    parts[PART_DEBT] = debt
    return raw + survival + wage + punctuality + social + avoidance + debt


@inlined
def within_limits(
    t: Tables, r: Record, parts: npt.NDArray[np.float64], raw: float, ended: bool, now: int
) -> float:
    """Write what keeps a tick and a day within limits and starving worthless; returns the sum so far."""
    params = t.params[0]
    if r.collapse_ticks > 0:
        r.guard_until = now + params.reward_guard_ticks + 1
    guarded = ended or r.collapse_ticks > 0 or now < r.guard_until
    guard = min(raw, 0.0) - raw if guarded else 0.0
    kept = raw + guard
    tick_clip = min(params.reward_tick_clip, max(-params.reward_tick_clip, kept)) - kept
    day = r.day_reward + (kept + tick_clip)
    day_clip = min(params.reward_day_clip, max(-params.reward_day_clip, day)) - day
    r.day_reward = day + day_clip
    parts[PART_GUARD] = guard
    parts[PART_TICK_CLIP] = tick_clip
    parts[PART_DAY_CLIP] = day_clip
    return kept + tick_clip + day_clip


@inlined
def reward(t: Tables, s: TownState, out: TownArrays, b: int, now: int) -> None:
    """Phase 11: the parts and their sum for every resident, those who leave in this tick included."""
    for k in range(s.towns[b].population):
        i = s.roster[b, k]
        r, parts = s.residents[b, i], out.reward_parts[b, i]
        leaves = r.leaving > 0
        ended = leaves and r.leaving - 1 < EXIT_AGE_OUT
        raw, most = of_needs(t, r, parts, ended)
        raw = of_events(t, r, parts, raw, most)
        total = within_limits(t, r, parts, raw, ended, now)
        terminal = t.params[0].reward_terminal[r.leaving - 1] if leaves else 0.0
        total += terminal
        parts[PART_TERMINAL] = terminal
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
