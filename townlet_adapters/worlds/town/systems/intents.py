"""Intents of residents, executed one after the other in a fair order (domain.md, sections 1 and 6)."""

import numpy as np

from townlet_adapters.kernels import draws
from townlet_adapters.kernels.compiler import inlined
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    ASKING,
    FIRST_USE,
    INVALID,
    LAST_SUCCESS,
    LEAVE,
    LEFT,
    MOVE_NORTH,
    MOVE_WEST,
    NO_CLAIM,
    NOBODY,
    OK,
    TALK,
    WAIT,
)
from townlet_adapters.worlds.town.compiled.state import Journal, Scratch, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import affordances, chat, hook_requests, movement

_ONE = np.uint64(1)


@inlined
def fair_order(s: TownState, w: Scratch, b: int, now: int) -> int:
    """Sort the living by (draw of this tick, serial) into ``w.order``; returns their number."""
    count = s.towns[b].population
    for k in range(count):
        i = s.roster[b, k]
        w.order[k] = i
        w.keys[k] = draws.draw(s.towns[b].seed, draws.WORLD, now, s.residents[b, i].serial, 0)
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:  # Shell's sort: no allocation; an insertion sort in a small town
        for k in range(gap, count):
            key, slot = w.keys[k], w.order[k]
            hole = k
            while hole >= gap and comes_later(s, w, b, hole - gap, key, slot):
                w.keys[hole] = w.keys[hole - gap]
                w.order[hole] = w.order[hole - gap]
                hole -= gap
            w.keys[hole] = key
            w.order[hole] = slot
        gap //= 3
    return count


@inlined
def comes_later(s: TownState, w: Scratch, b: int, k: int, key: np.uint64, slot: int) -> bool:
    """Return whether entry k belongs behind (key, slot)."""
    if w.keys[k] != key:
        return w.keys[k] > key
    return s.residents[b, w.order[k]].serial > s.residents[b, slot].serial


@inlined
def act(
    t: Tables, s: TownState, j: Journal, c: Record, b: int, i: int, action: int, target: int, now: int
) -> int:
    """Execute one allowed intent and return its result; ``ASKING`` when a hook must be called first."""
    if action == WAIT:
        return OK
    if MOVE_NORTH <= action <= MOVE_WEST:
        return movement.walk(t, s, j, b, i, action - MOVE_NORTH, now)
    if action == LEAVE:
        if s.residents[b, i].claim_object < 0:
            return NO_CLAIM
        return OK if affordances.end_claim(t, s, j, c, b, i, LEFT, now) else ASKING
    if action == TALK:
        return chat.talk(t, s, j, b, i, target, now)
    return affordances.use(t, s, j, c, b, i, action - FIRST_USE, target, now)


@inlined
def note(r: Record, action: int, target: int, result: int) -> None:
    """Store the intent and its result in the resident; ``last_duration`` counts repetitions."""
    repeated = r.last_action == action and r.last_target == target
    r.last_duration = r.last_duration + 1 if repeated else 1
    r.last_action = action
    r.last_target = target
    r.last_result = result


@inlined
def resolve(
    t: Tables,
    s: TownState,
    j: Journal,
    w: Scratch,
    b: int,
    actions: np.ndarray,
    targets: np.ndarray,
    now: int,
) -> bool:
    """Phase 4a: one intent for every living resident; a masked one is ``invalid`` and has no effect.

    A resident that arrived in this tick waits: no policy has seen it.

    Returns:
        True when a hook must be called before the resident at the cursor can be processed.
    """
    action_count = FIRST_USE + t.affordances.shape[0]
    c = w.cursor[0]
    if c.asked == 0:
        c.count = fair_order(s, w, b, now)
    for k in range(c.entity, c.count):
        i = w.order[k]
        r = s.residents[b, i]
        action = int(actions[b, i])
        target = int(targets[b, i])
        r.moved = False
        if r.mask == 0:
            r.mask = _ONE << np.uint64(WAIT)
            action, target = WAIT, NOBODY
        result = INVALID
        counted = WAIT
        if 0 <= action < action_count and (r.mask >> np.uint64(action)) & _ONE:
            counted = action
            result = act(t, s, j, c, b, i, action, target, now)
            if result == ASKING:
                c.entity = k
                return True
            hook_requests.pass_on(c)
        note(r, action, target, result)
        j.actions[b, counted] += 1
        if result > LAST_SUCCESS:
            j.failures[b, result] += 1
    return False
