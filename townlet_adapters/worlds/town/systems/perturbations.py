"""Events that happen to a town: how they are scheduled, start and end (domain.md, section 13).

What is off, closed or dear while an event is under way are effects with its number as their source
(``effects.py``). Residents are invited by an entry in their records.
"""

import numpy as np

from townlet_adapters.kernels import draws
from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record, Records
from townlet_adapters.worlds.town.codes import (
    BY_HAND,
    BY_SCHEDULER,
    CLOSURE,
    EFFECT_CLOSED,
    EFFECT_OFF,
    EFFECT_SCALED,
    EV_CANCELLED,
    EV_ENDED,
    EV_PRICE,
    EV_SCHEDULED,
    EV_STARTED,
    EVENT_TARGETS,
    FESTIVAL,
    MAX_SPECS,
    MEETING,
    NO_EVENT_NUMBER,
    NOBODY,
    OUTAGE,
    SPIKE,
    SPIKE_END,
    SPIKE_START,
)
from townlet_adapters.worlds.town.compiled.state import PERTURBATION, Journal, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import effects, journal, queues, residents

ORDER_DRAW, START_DRAW, DURATION_DRAW, MAGNITUDE_DRAW, OBJECT_DRAW = 0, 1, 2, 3, 4

_NONE: Records = np.zeros(1, PERTURBATION)
"""An empty row: a constant of the compiled code."""


@inlined
def entity(district: int, spec: int) -> int:
    """Return the entity of the draws about a spec in a district."""
    return MAX_SPECS * district + spec


@kernel
def draw_in(s: TownState, b: int, event: Record, low: int, high: int, now: int, index: int) -> int:
    """Draw a whole number about an event."""
    seed = s.towns[b].seed
    return draws.integer(low, high, seed, draws.EVENTS, now, entity(event.district, event.spec), index)


@kernel
def find(s: TownState, b: int, number: int) -> int:
    """Return the row of an event, -1 without one."""
    for k in range(s.towns[b].perturbations):
        if s.perturbations[b, k].number == number:
            return k
    return -1


@kernel
def drop(s: TownState, b: int, k: int) -> None:
    """Take a row from the list of events."""
    town = s.towns[b]
    town.perturbations -= 1
    for later in range(k, town.perturbations):
        s.perturbations[b, later] = s.perturbations[b, later + 1]
    s.perturbations[b, town.perturbations] = _NONE[0]


@kernel
def add(t: Tables, s: TownState, b: int, district: int, spec: int, starts_at: int, source: int) -> int:
    """Append an event of a spec with the next number; returns its row. There must be room."""
    town = s.towns[b]
    k = town.perturbations
    town.perturbations += 1
    town.last_event += 1
    event = s.perturbations[b, k]
    event.number = town.last_event
    event.spec = spec
    event.district = district
    event.starts_at = starts_at
    event.source = source
    event.place = t.spec_place[district, spec]
    for n in range(EVENT_TARGETS):
        event.targets[n] = t.specs[spec].targets[n]
    return k


@kernel
def size(t: Tables, s: TownState, b: int, k: int, duration: int, magnitude: int, now: int) -> None:
    """Set the end and magnitude of an event; -1 draws them from the ranges of its spec."""
    event = s.perturbations[b, k]
    spec = t.specs[event.spec]
    if duration < 0:
        duration = draw_in(s, b, event, spec.least, spec.most, now, DURATION_DRAW)
    if magnitude < 0:
        magnitude = draw_in(s, b, event, spec.weakest, spec.strongest, now, MAGNITUDE_DRAW)
    event.ends_at = event.starts_at + duration
    event.magnitude = magnitude if spec.effect == SPIKE else 0


@kernel
def choose_object(t: Tables, s: TownState, b: int, event: Record, now: int) -> int:
    """Draw an object that the spec may close in the district, -1 without one."""
    row = event.district * t.specs.shape[0] + event.spec
    first, last = t.spec_start[row], t.spec_start[row + 1] - 1
    if last < first:
        return NOBODY
    return t.spec_objects[draw_in(s, b, event, first, last, now, OBJECT_DRAW)]


@inlined
def may_meet(s: TownState, b: int, i: int, district: int, now: int) -> bool:
    """Return whether a resident of a district may be chosen for a meeting."""
    r = s.residents[b, i]
    return r.district == district and r.invite == NO_EVENT_NUMBER and r.meet_ready <= now


@kernel
def rivalry(s: TownState, b: int, owner: int, other: int) -> float:
    """Return the rivalry of a tie, 0 without one."""
    for k in range(s.residents[b, owner].ties):
        if s.ties[b, owner, k].other == other:
            return s.ties[b, owner, k].rivalry
    return 0.0


@kernel
def choose_pair(s: TownState, b: int, event: Record, now: int) -> None:
    """Write the serials of the two residents of the district with the most rivalry between them.

    Ties go to the lower serials; without any rivalry, both are -1.
    """
    most, first, second = 0.0, NOBODY, NOBODY
    for each in range(s.towns[b].population):
        i = s.roster[b, each]
        if not may_meet(s, b, i, event.district, now):
            continue
        for k in range(s.residents[b, i].ties):
            tie = s.ties[b, i, k]
            if tie.rivalry <= 0 or not may_meet(s, b, tie.other, event.district, now):
                continue
            mine, its = s.residents[b, i].serial, s.residents[b, tie.other].serial
            lower, higher = min(mine, its), max(mine, its)
            total = tie.rivalry + rivalry(s, b, tie.other, i)
            earlier = lower < first or (lower == first and higher < second)
            if total > most or (total == most and earlier):
                most, first, second = total, lower, higher
    event.targets[0] = first
    event.targets[1] = second


@kernel
def slot_of(s: TownState, b: int, serial: int) -> int:
    """Return the slot of a living resident by its serial, -1 without one."""
    for each in range(s.towns[b].population):
        i = s.roster[b, each]
        if s.residents[b, i].serial == serial:
            return i
    return NOBODY


@kernel
def resolve(t: Tables, s: TownState, b: int, k: int, now: int) -> bool:
    """Find what an event is about; False when there is nothing, and it cannot start."""
    event = s.perturbations[b, k]
    effect = t.specs[event.spec].effect
    if effect == FESTIVAL:
        return event.place != NOBODY
    if effect == CLOSURE and event.targets[0] == NOBODY:
        event.targets[0] = choose_object(t, s, b, event, now)
    elif effect == MEETING:
        if event.place == NOBODY:
            return False
        if event.targets[0] == NOBODY:
            choose_pair(s, b, event, now)
        return slot_of(s, b, event.targets[0]) >= 0 and slot_of(s, b, event.targets[1]) >= 0
    return event.targets[0] != NOBODY


@kernel
def covers(t: Tables, event: Record, key: int) -> bool:
    """Return whether a spike is about a price key."""
    for n in range(EVENT_TARGETS):
        target = event.targets[n]
        if target >= 0 and t.price_targets[target, key] != 0:
            return True
    return False


@kernel
def record(j: Journal, b: int, event: Record, kind: int, a: int) -> None:
    """Record something about an event; ``a`` is the second number of its row."""
    journal.write(j, b, kind, -1, -1, event.spec, 0, event.number, a, 0)


@kernel
def record_start(j: Journal, b: int, event: Record) -> None:
    """Record that an event started, with all about it."""
    journal.write(j, b, EV_STARTED, -1, event.place, event.spec, event.source, event.number, event.district,
                  event.magnitude)  # fmt: skip
    if journal.is_kept(j, b):
        row = journal.last(j, b)
        row.d = event.ends_at
        row.e = event.targets[0]
        row.f = event.targets[1]
        row.g = event.targets[2]
        row.h = event.targets[3]


@kernel
def record_price(s: TownState, j: Journal, b: int, district: int, key: int, reason: int) -> None:
    """Record a price and its base price after a change."""
    price = s.price[b, district, key]
    journal.write(j, b, EV_PRICE, -1, -1, -1, reason, key, price.normal, price.now)
    if journal.is_kept(j, b):
        journal.last(j, b).d = district


@kernel
def record_prices(t: Tables, s: TownState, j: Journal, b: int, event: Record, reason: int) -> None:
    """Record the prices that a spike is about."""
    if t.specs[event.spec].effect == SPIKE:
        for key in range(s.price.shape[2]):
            if covers(t, event, key):
                record_price(s, j, b, event.district, key, reason)


@kernel
def invite(t: Tables, s: TownState, b: int, i: int, event: Record) -> None:
    """Invite a resident; its policy discards its plan."""
    r = s.residents[b, i]
    r.invite = event.number
    r.invite_place = event.place
    r.invite_until = event.ends_at
    if t.specs[event.spec].effect == MEETING:
        r.meets = 1
        r.meet_ready = event.ends_at + t.params[0].agent_pause
    residents.reset_context(r)


@kernel
def impose(t: Tables, s: TownState, j: Journal, b: int, event: Record, now: int) -> None:
    """Impose the effects of an event that starts, and invite residents."""
    effect, until, source, district = t.specs[event.spec].effect, event.ends_at, event.number, event.district
    if effect == SPIKE:
        for key in range(s.price.shape[2]):
            if covers(t, event, key):
                effects.impose(s, b, EFFECT_SCALED, district, key, event.magnitude, until, source)
    elif effect == MEETING:
        for n in range(2):
            invite(t, s, b, slot_of(s, b, event.targets[n]), event)
    elif effect == FESTIVAL:
        for each in range(s.towns[b].population):
            i = s.roster[b, each]
            if s.residents[b, i].district == district and s.residents[b, i].invite == NO_EVENT_NUMBER:
                invite(t, s, b, i, event)
    else:
        for n in range(EVENT_TARGETS):
            target = event.targets[n]
            if target >= 0 and effect == OUTAGE:
                effects.impose(s, b, EFFECT_OFF, district, target, 0, until, source)
            elif target >= 0:
                effects.impose(s, b, EFFECT_CLOSED, target, 0, 0, until, source)
                queues.dismiss(t, s, j, b, target, now)


@kernel
def start(t: Tables, s: TownState, j: Journal, b: int, k: int, now: int) -> None:
    """Start an event that was resolved."""
    event = s.perturbations[b, k]
    event.active = 1
    ready = event.ends_at + t.specs[event.spec].cooldown
    s.spec_ready[b, event.district, event.spec] = max(s.spec_ready[b, event.district, event.spec], ready)
    record_start(j, b, event)
    impose(t, s, j, b, event, now)
    record_prices(t, s, j, b, event, SPIKE_START)


@kernel
def finish(t: Tables, s: TownState, j: Journal, b: int, k: int) -> None:
    """End an event that is under way: its effects, its invitations, its row."""
    event = s.perturbations[b, k]
    number = event.number
    effects.lift_all(s, b, number)
    for each in range(s.towns[b].population):
        r = s.residents[b, s.roster[b, each]]
        if r.invite == number:
            r.invite = NO_EVENT_NUMBER
            r.invite_place = 0
            r.invite_until = 0
            r.meets = 0
    district = s.districts[b, event.district]
    district.quiet_until = max(district.quiet_until, event.ends_at + t.params[0].event_pause)
    record(j, b, event, EV_ENDED, 0)
    record_prices(t, s, j, b, event, SPIKE_END)
    drop(s, b, k)


@kernel
def give_up(s: TownState, j: Journal, b: int, k: int) -> None:
    """Cancel an event that waits."""
    record(j, b, s.perturbations[b, k], EV_CANCELLED, 1)
    drop(s, b, k)


@kernel
def schedule(t: Tables, s: TownState, j: Journal, b: int, order: Record, now: int) -> int:
    """Schedule an event by hand; returns its number, 0 when there is no room.

    Args:
        t: the tables.
        s: the state.
        j: the journal.
        b: the town.
        order: ``who`` is the district, ``a`` the spec, ``b`` the ticks until it starts, ``c`` its duration,
            ``d`` its magnitude, ``e`` its place, ``f`` to ``i`` its targets; -1 for what the spec says.
        now: the tick.
    """
    if s.towns[b].perturbations == s.perturbations.shape[1]:
        return NO_EVENT_NUMBER
    k = add(t, s, b, order.who, order.a, now + order.b, BY_HAND)
    size(t, s, b, k, order.c, order.d, now)
    event = s.perturbations[b, k]
    if order.e >= 0:
        event.place = order.e
    if order.f >= 0:
        event.targets[0] = order.f
        event.targets[1] = order.g
        event.targets[2] = order.h
        event.targets[3] = order.i
    record(j, b, event, EV_SCHEDULED, event.starts_at)
    return event.number


@kernel
def cancel(t: Tables, s: TownState, j: Journal, b: int, number: int) -> bool:
    """Cancel an event that waits, or end one that is under way; False when there is none."""
    k = find(s, b, number)
    if k < 0:
        return False
    if s.perturbations[b, k].active != 0:
        record(j, b, s.perturbations[b, k], EV_CANCELLED, 0)
        finish(t, s, j, b, k)
    else:
        give_up(s, j, b, k)
    return True


@kernel
def may_start(t: Tables, s: TownState, b: int, district: int, now: int) -> bool:
    """Return whether the scheduler of a district may start an event now."""
    params = t.params[0]
    if now < params.event_grace or now < s.districts[b, district].quiet_until:
        return False
    if params.max_per_window == 0 or s.towns[b].perturbations == s.perturbations.shape[1]:
        return False
    earliest = s.starts[b, district, 0]
    if earliest > 0 and earliest - 1 > now - params.event_window:
        return False
    active = 0
    for k in range(s.towns[b].perturbations):
        event = s.perturbations[b, k]
        if event.active != 0 and event.district == district:
            active += 1
    return active < params.max_concurrent


@kernel
def next_due(
    t: Tables, s: TownState, b: int, district: int, now: int, tried: int, tried_key: np.uint64
) -> tuple[int, np.uint64]:
    """Return the spec that is due and follows another one, by (draw, number), and its draw; -1 without."""
    seed = s.towns[b].seed
    best, lowest = NOBODY, np.uint64(0)
    for spec in range(t.specs.shape[0]):
        chance = t.specs[spec].chance
        if chance <= 0 or s.spec_ready[b, district, spec] > now:
            continue
        if draws.unit(seed, draws.EVENTS, now, entity(district, spec), START_DRAW) >= chance:
            continue
        key = draws.draw(seed, draws.EVENTS, now, entity(district, spec), ORDER_DRAW)
        if tried >= 0 and (key < tried_key or (key == tried_key and spec <= tried)):
            continue
        if best < 0 or key < lowest:
            best, lowest = spec, key
    return best, lowest


@kernel
def begin(t: Tables, s: TownState, j: Journal, b: int, district: int, spec: int, now: int) -> bool:
    """Start an event of a spec; False, and nothing changes, when it is about nothing here."""
    k = add(t, s, b, district, spec, now, BY_SCHEDULER)
    size(t, s, b, k, -1, -1, now)
    if not resolve(t, s, b, k, now):
        drop(s, b, k)
        s.towns[b].last_event -= 1
        return False
    starts = s.starts[b, district]
    for n in range(starts.shape[0] - 1):
        starts[n] = starts[n + 1]
    starts[starts.shape[0] - 1] = now + 1
    start(t, s, j, b, k, now)
    return True


@kernel
def draw_events(t: Tables, s: TownState, j: Journal, b: int, district: int, now: int) -> None:
    """Start at most one event of a district, as its scheduler draws."""
    if not may_start(t, s, b, district, now):
        return
    spec, key = next_due(t, s, b, district, now, NOBODY, np.uint64(0))
    while spec >= 0 and not begin(t, s, j, b, district, spec, now):
        spec, key = next_due(t, s, b, district, now, spec, key)


@kernel
def turn(t: Tables, s: TownState, j: Journal, b: int, now: int) -> None:
    """End the events that are over, then start those that are due."""
    k = 0
    while k < s.towns[b].perturbations:
        if s.perturbations[b, k].active != 0 and s.perturbations[b, k].ends_at <= now:
            finish(t, s, j, b, k)
        else:
            k += 1
    k = 0
    while k < s.towns[b].perturbations:
        event = s.perturbations[b, k]
        if event.active != 0 or event.starts_at > now:
            k += 1
        elif resolve(t, s, b, k, now):
            start(t, s, j, b, k, now)
            k += 1
        else:
            give_up(s, j, b, k)


@inlined
def happen(t: Tables, s: TownState, j: Journal, b: int, now: int) -> None:
    """Phase 2: events end, events that wait start, and the scheduler of each district may start one."""
    if s.towns[b].perturbations > 0:
        turn(t, s, j, b, now)
    if t.params[0].perturbations:
        for district in range(s.districts.shape[1]):
            draw_events(t, s, j, b, district, now)
