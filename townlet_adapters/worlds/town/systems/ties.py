"""Ties: what residents make of each other (domain.md, section 12).

A resident owns at most ``max_ties`` of them. They change in pairs: what happens between two residents moves
the tie of each to the other, by as much as its owner's traits say.
"""

from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    CHAT_SUCCESS,
    CONFLICT,
    EMPLOYMENT_HELP,
    EV_THRESHOLD,
    EV_TIE,
    FAMILIARITY_GIVEN,
    FRIEND,
    PLUGIN,
    RIVAL,
    RIVALRY_GIVEN,
    SHIFT_COVERED,
    TIE_ADDED,
    TIE_CAPACITY,
    TIE_COMMAND,
    TIE_DECAY,
    TIE_EXIT,
    TIE_REMOVED,
    TRUST_GIVEN,
)
from townlet_adapters.worlds.town.compiled.state import Journal, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import journal

TICKS_OF_DECAY = 60
TRUST_LEFT, FAMILIARITY_LEFT, RIVALRY_LEFT = 0.998, 0.995, 0.98
FORGOTTEN = 0.01
"""A tie of which every part is below this is dropped."""
FRIEND_FROM, FEUD_FROM, REARMED = 0.6, 0.9, 0.1
RESERVED = 2
"""A tie of the other class makes no room for a new one if that left fewer than so many of its class."""
PER_FORGIVENESS, PER_AMBITION, PER_EXTROVERSION = 0.5, 0.3, 0.02


@inlined
def find(s: TownState, b: int, owner: int, other: int) -> int:
    """Return the number of the owner's tie to another resident; -1 without one."""
    for k in range(s.residents[b, owner].ties):
        if s.ties[b, owner, k].other == other:
            return k
    return -1


@kernel
def regard(s: TownState, b: int, owner: int, other: int) -> float:
    """Trust + familiarity - rivalry of a tie; 0 without one."""
    k = find(s, b, owner, other)
    if k < 0:
        return 0.0
    tie = s.ties[b, owner, k]
    return tie.trust + tie.familiarity - tie.rivalry


@inlined
def meet(s: TownState, b: int, one: int, other: int) -> bool:
    """Return whether two residents are invited to the same meeting, where they do not avoid each other."""
    r = s.residents[b, one]
    return r.meets != 0 and r.invite == s.residents[b, other].invite


@inlined
def avoids(t: Tables, s: TownState, b: int, owner: int, other: int) -> bool:
    """Return whether the owner avoids another resident."""
    r = s.residents[b, owner]
    if r.avoided == 0:
        return False
    k = find(s, b, owner, other)
    if k < 0 or s.ties[b, owner, k].rivalry < t.profiles[r.profile].avoids_from:
        return False
    return not meet(s, b, owner, other)


@inlined
def liking(tie: Record) -> float:
    """abs(trust + familiarity) / 2."""
    return abs(tie.trust + tie.familiarity) / 2


@inlined
def is_weaker(s: TownState, b: int, owner: int, k: int, than: int) -> bool:
    """Return whether a tie goes before another one, by (strength, tick of the last change, serial)."""
    one, other = s.ties[b, owner, k], s.ties[b, owner, than]
    mine, its = max(liking(one), one.rivalry), max(liking(other), other.rivalry)
    if mine != its:
        return mine < its
    if one.changed != other.changed:
        return one.changed < other.changed
    return s.residents[b, one.other].serial < s.residents[b, other.other].serial


@kernel
def record_tie(s: TownState, j: Journal, b: int, owner: int, k: int, status: int, reason: int) -> None:
    """Record that a tie began or ended, with its numbers."""
    tie = s.ties[b, owner, k]
    journal.write(j, b, EV_TIE, s.residents[b, owner].serial, -1, -1, reason, status, 0, 0)
    if journal.is_kept(j, b):
        row = journal.last(j, b)
        row.other = s.residents[b, tie.other].serial
        row.x = tie.trust
        row.y = tie.familiarity
        row.z = tie.rivalry


@kernel
def record_threshold(s: TownState, j: Journal, b: int, owner: int, k: int, kind: int, value: float) -> None:
    """Record that a tie passed a threshold."""
    journal.write(j, b, EV_THRESHOLD, s.residents[b, owner].serial, -1, -1, kind, 0, 0, 0)
    if journal.is_kept(j, b):
        row = journal.last(j, b)
        row.other = s.residents[b, s.ties[b, owner, k].other].serial
        row.x = value


@kernel
def watch(t: Tables, s: TownState, j: Journal, b: int, owner: int, k: int) -> None:
    """Record the thresholds that a tie has passed; one that fell ``REARMED`` below is recorded anew."""
    tie = s.ties[b, owner, k]
    for kind in range(3):
        value, level = tie.rivalry, FEUD_FROM
        if kind == FRIEND:
            value, level = tie.trust, FRIEND_FROM
        elif kind == RIVAL:
            level = t.profiles[s.residents[b, owner].profile].avoids_from
        reported = (tie.reported >> kind) & 1
        if reported == 0 and value >= level:
            tie.reported += 1 << kind
            record_threshold(s, j, b, owner, k, kind, value)
        elif reported == 1 and value < level - REARMED:
            tie.reported -= 1 << kind


@kernel
def take_stock(t: Tables, s: TownState, b: int, owner: int) -> None:
    """Count the residents that the owner avoids, after its ties changed; its portrait is out of date."""
    r = s.residents[b, owner]
    avoided = 0
    for k in range(r.ties):
        if s.ties[b, owner, k].rivalry >= t.profiles[r.profile].avoids_from:
            avoided += 1
    r.avoided = avoided
    r.portrayed = 0


@kernel
def clear(tie: Record) -> None:
    """Make the row of a tie empty."""
    tie.other = 0
    tie.changed = 0
    tie.quiet_until = 0
    tie.reported = 0
    tie.trust = 0.0
    tie.familiarity = 0.0
    tie.rivalry = 0.0


@kernel
def end(s: TownState, j: Journal, b: int, owner: int, k: int, reason: int) -> None:
    """Remove a tie; later ones move up."""
    record_tie(s, j, b, owner, k, TIE_REMOVED, reason)
    r = s.residents[b, owner]
    r.ties -= 1
    for later in range(k, r.ties):
        s.ties[b, owner, later] = s.ties[b, owner, later + 1]
    clear(s.ties[b, owner, r.ties])


@kernel
def make_room(s: TownState, j: Journal, b: int, owner: int, rival: bool) -> None:
    """Remove the weakest tie that is not reserved for its class, before a new one begins.

    Args:
        s: the state.
        j: the journal.
        b: which town.
        owner: whose ties they are.
        rival: whether the new tie is one to a rival, not to a friend.
    """
    r = s.residents[b, owner]
    rivals = 0
    for k in range(r.ties):
        tie = s.ties[b, owner, k]
        if tie.rivalry > liking(tie):
            rivals += 1
    weakest = -1
    for k in range(r.ties):
        tie = s.ties[b, owner, k]
        is_rival = tie.rivalry > liking(tie)
        members = rivals if is_rival else r.ties - rivals
        if is_rival != rival and members <= RESERVED:
            continue
        if weakest < 0 or is_weaker(s, b, owner, k, weakest):
            weakest = k
    end(s, j, b, owner, weakest, TIE_CAPACITY)


@inlined
def clamped(value: float, low: float) -> float:
    """clamp(value, low, 1)."""
    return min(1.0, max(low, value))


@kernel
def begin(s: TownState, j: Journal, b: int, owner: int, other: int, rival: bool) -> int:
    """Add a tie of zeros, for which another one may have to end; returns its number."""
    r = s.residents[b, owner]
    if r.ties == s.ties.shape[2]:
        make_room(s, j, b, owner, rival)
    k = r.ties
    r.ties += 1
    s.ties[b, owner, k].other = other
    return k


@kernel
def settle(
    t: Tables, s: TownState, j: Journal, b: int, owner: int, k: int, begins: bool, reason: int, now: int,
) -> None:  # fmt: skip
    """Record what follows from a tie's new numbers."""
    s.ties[b, owner, k].changed = now
    if begins:
        record_tie(s, j, b, owner, k, TIE_ADDED, reason)
    watch(t, s, j, b, owner, k)
    take_stock(t, s, b, owner)


@kernel
def move(
    t: Tables, s: TownState, j: Journal, b: int, owner: int, other: int,
    trust: float, familiarity: float, rivalry: float, reason: int, now: int,
) -> None:  # fmt: skip
    """Add to the owner's tie to another resident; without one, it begins at zero."""
    r = s.residents[b, owner]
    if t.params[0].relationship_modifiers and reason != PLUGIN:
        profile = t.profiles[r.profile]
        harm = 1 - PER_FORGIVENESS * profile.forgiveness
        trust = trust * harm if trust < 0 else trust
        familiarity = familiarity * harm if familiarity < 0 else familiarity
        rivalry = rivalry * harm if rivalry > 0 else rivalry
        if rivalry > 0 and (reason == CONFLICT or reason == SHIFT_COVERED or reason == EMPLOYMENT_HELP):
            rivalry = rivalry * (1 + PER_AMBITION * profile.ambition)
        if reason == CHAT_SUCCESS:
            familiarity = familiarity + PER_EXTROVERSION * profile.extroversion
    trust, familiarity, rivalry = clamped(trust, -1.0), clamped(familiarity, -1.0), clamped(rivalry, -1.0)
    k = find(s, b, owner, other)
    begins = k < 0
    if begins:
        k = begin(s, j, b, owner, other, max(rivalry, 0.0) > abs(trust + familiarity) / 2)
    tie = s.ties[b, owner, k]
    tie.trust = clamped(tie.trust + trust, -1.0)
    tie.familiarity = clamped(tie.familiarity + familiarity, -1.0)
    tie.rivalry = clamped(tie.rivalry + rivalry, 0.0)
    settle(t, s, j, b, owner, k, begins, reason, now)


@kernel
def put(
    t: Tables, s: TownState, j: Journal, b: int, owner: int, other: int,
    given: int, trust: float, familiarity: float, rivalry: float, now: int,
) -> None:  # fmt: skip
    """Set the given numbers of the owner's tie to another resident; without one, it begins at zero."""
    k = find(s, b, owner, other)
    begins = k < 0
    had_trust, had_familiarity, had_rivalry = 0.0, 0.0, 0.0
    if not begins:
        tie = s.ties[b, owner, k]
        had_trust, had_familiarity, had_rivalry = tie.trust, tie.familiarity, tie.rivalry
    trust = clamped(trust, -1.0) if given & TRUST_GIVEN else had_trust
    familiarity = clamped(familiarity, -1.0) if given & FAMILIARITY_GIVEN else had_familiarity
    rivalry = clamped(rivalry, 0.0) if given & RIVALRY_GIVEN else had_rivalry
    if begins:
        k = begin(s, j, b, owner, other, rivalry > abs(trust + familiarity) / 2)
    tie = s.ties[b, owner, k]
    tie.trust, tie.familiarity, tie.rivalry = trust, familiarity, rivalry
    settle(t, s, j, b, owner, k, begins, TIE_COMMAND, now)


@kernel
def change(
    t: Tables, s: TownState, j: Journal, b: int, one: int, other: int,
    trust: float, familiarity: float, rivalry: float, reason: int, now: int,
) -> None:  # fmt: skip
    """Move the ties of two residents (slots) to each other: first that of the one, then that of the other."""
    move(t, s, j, b, one, other, trust, familiarity, rivalry, reason, now)
    move(t, s, j, b, other, one, trust, familiarity, rivalry, reason, now)


@kernel
def fade(t: Tables, s: TownState, j: Journal, b: int) -> None:
    """Phase 8, hourly: ties decay, by serial and in their order; what is forgotten is dropped."""
    for each in range(s.towns[b].population):
        owner = s.roster[b, each]
        r = s.residents[b, owner]
        if r.ties == 0:
            continue
        k = 0
        while k < r.ties:
            tie = s.ties[b, owner, k]
            tie.trust *= TRUST_LEFT
            tie.familiarity *= FAMILIARITY_LEFT
            tie.rivalry *= RIVALRY_LEFT
            if abs(tie.trust) < FORGOTTEN and abs(tie.familiarity) < FORGOTTEN and tie.rivalry < FORGOTTEN:
                end(s, j, b, owner, k, TIE_DECAY)
            else:
                watch(t, s, j, b, owner, k)
                k += 1
        take_stock(t, s, b, owner)


@kernel
def sever(t: Tables, s: TownState, j: Journal, b: int, i: int) -> None:
    """End all ties of a resident that leaves town, then those of the others to it, by serial."""
    while s.residents[b, i].ties > 0:
        end(s, j, b, i, 0, TIE_EXIT)
    for each in range(s.towns[b].population):
        owner = s.roster[b, each]
        k = find(s, b, owner, i)
        if k >= 0:
            end(s, j, b, owner, k, TIE_EXIT)
            take_stock(t, s, b, owner)
