"""Chats between residents next to each other (domain.md, section 12)."""

from townlet_adapters.kernels import draws
from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import (
    BAD_TARGET,
    CHAT_FAILURE,
    CHAT_SUCCESS,
    EV_CHAT,
    EXECUTED,
    FESTIVAL,
    HAS_TALKED,
    NO_LISTENER,
    NOBODY,
    NOT_BESIDE,
    OK,
    RUNS_A_USE,
    STAGE_RUNNING,
    TALK_COOLDOWN,
)
from townlet_adapters.worlds.town.compiled.state import Journal, TownState
from townlet_adapters.worlds.town.compiled.tables import Tables
from townlet_adapters.worlds.town.systems import journal, merits, ties

CHAT_DRAW = 0
CHANCE, CHANCE_PER_TRUST, CHANCE_PER_FAMILIARITY = 0.7, 0.3, 0.2
LEAST_CHANCE, MOST_CHANCE = 0.05, 0.98
QUALITY, QUALITY_PER_EXTROVERSION = 0.5, 0.3
QUALITY_PER_TRUST, QUALITY_PER_FAMILIARITY, QUALITY_PER_RIVALRY = 0.2, 0.1, 0.2
LEAST_QUALITY, MOST_QUALITY = 0.1, 1.0
AT_FESTIVAL = 0.10
"""Added to the chance where both are in the place of a festival."""
GOOD_TRUST, GOOD_FAMILIARITY = 0.05, 0.10
BAD_FAMILIARITY, BAD_RIVALRY = -0.05, 0.05


@inlined
def listens(t: Tables, s: TownState, b: int, i: int, other: int, now: int) -> bool:
    """Return whether a resident next to another one would listen to it."""
    r = s.residents[b, other]
    if r.claim_stage == STAGE_RUNNING or r.talk_ready > now:
        return False
    return not ties.avoids(t, s, b, i, other) and not ties.avoids(t, s, b, other, i)


@kernel
def best_listener(t: Tables, s: TownState, b: int, i: int, now: int) -> int:
    """Return the listener beside a resident that it regards most highly, ties by serial; -1 for none."""
    r = s.residents[b, i]
    corner_y, corner_x = r.y + t.params[0].margin - 1, r.x + t.params[0].margin - 1
    best, highest = NOBODY, 0.0
    for y in range(corner_y, corner_y + 3):
        for x in range(corner_x, corner_x + 3):
            other = int(s.occupant[b, y, x])
            while other >= 0:  # the two residents of a shared tile, one after the other
                if other != i and listens(t, s, b, i, other, now):
                    regard = ties.regard(s, b, i, other)
                    earlier = best >= 0 and s.residents[b, other].serial < s.residents[b, best].serial
                    if best < 0 or regard > highest or (regard == highest and earlier):
                        best, highest = other, regard
                mate = s.residents[b, other].mate
                other = mate if mate > other else NOBODY  # the grid holds the lower slot of the two
    return best


@inlined
def may_talk(t: Tables, s: TownState, b: int, i: int, now: int) -> bool:
    """Return whether a resident may talk in the next tick ``now``."""
    r = s.residents[b, i]
    if r.claim_stage == STAGE_RUNNING or r.talk_ready > now:
        return False
    alone = r.mate < 0
    corner_y, corner_x = r.y + t.params[0].margin - 1, r.x + t.params[0].margin - 1
    for y in range(corner_y, corner_y + 3):
        for x in range(corner_x, corner_x + 3):
            other = int(s.occupant[b, y, x])
            alone = alone and (other < 0 or other == i)
    return not alone and best_listener(t, s, b, i, now) >= 0


@inlined
def is_beside(s: TownState, b: int, i: int, other: int) -> bool:
    """Return whether two residents stand within one step, also diagonally."""
    one, two = s.residents[b, i], s.residents[b, other]
    return abs(one.x - two.x) <= 1 and abs(one.y - two.y) <= 1


@kernel
def is_festive(t: Tables, s: TownState, b: int, i: int, other: int) -> bool:
    """Return whether two residents are both in the place of a festival."""
    one, two = s.residents[b, i], s.residents[b, other]
    place = t.place_at[one.y, one.x]
    if place < 0 or place != t.place_at[two.y, two.x]:
        return False
    for k in range(s.towns[b].perturbations):
        event = s.perturbations[b, k]
        if event.active != 0 and event.place == place and t.specs[event.spec].effect == FESTIVAL:
            return True
    return False


@kernel
def converse(t: Tables, s: TownState, j: Journal, b: int, i: int, other: int, now: int) -> None:
    """Hold a chat that goes well or badly; both residents then rest from talking."""
    r = s.residents[b, i]
    profile = t.profiles[r.profile]
    trust, familiarity, rivalry = 0.0, 0.0, 0.0
    k = ties.find(s, b, i, other)
    if k >= 0:
        tie = s.ties[b, i, k]
        trust, familiarity, rivalry = tie.trust, tie.familiarity, tie.rivalry
    chance = CHANCE * (1 + CHANCE_PER_TRUST * trust) * (1 + CHANCE_PER_FAMILIARITY * familiarity)
    if is_festive(t, s, b, i, other):
        chance += AT_FESTIVAL
    chance = min(MOST_CHANCE, max(LEAST_CHANCE, chance))
    quality = QUALITY + QUALITY_PER_EXTROVERSION * profile.extroversion + QUALITY_PER_TRUST * trust
    quality = quality + QUALITY_PER_FAMILIARITY * familiarity - QUALITY_PER_RIVALRY * rivalry
    quality = min(MOST_QUALITY, max(LEAST_QUALITY, quality * profile.chat_factor))
    well = draws.unit(s.towns[b].seed, draws.SOCIAL, now, r.serial, CHAT_DRAW) < chance
    conclude(t, s, j, b, i, other, well, quality, now)


@kernel
def conclude(
    t: Tables, s: TownState, j: Journal, b: int, i: int, other: int, well: bool, quality: float, now: int,
) -> None:  # fmt: skip
    """Record a chat and what follows from it; both residents then rest from talking."""
    r = s.residents[b, i]
    journal.write(j, b, EV_CHAT, r.serial, -1, -1, 0, 1 if well else 0, 0, 0)
    if journal.is_kept(j, b):
        row = journal.last(j, b)
        row.other = s.residents[b, other].serial
        row.x = quality
    if well:
        gained, known = GOOD_TRUST * quality, GOOD_FAMILIARITY * quality
        ties.change(t, s, j, b, i, other, gained, known, 0.0, CHAT_SUCCESS, now)
        merits.value_chat(t, s, b, i, other, quality)
        merits.value_chat(t, s, b, other, i, quality)
    else:
        ties.change(t, s, j, b, i, other, 0.0, BAD_FAMILIARITY, BAD_RIVALRY, CHAT_FAILURE, now)
        r.chat = -t.params[0].reward_chat_speaker
        s.residents[b, other].chat = -t.params[0].reward_chat_listener
    r.talk_ready = now + t.profiles[r.profile].chat_cooldown
    listener = s.residents[b, other]
    listener.talk_ready = now + t.profiles[listener.profile].chat_cooldown


@inlined
def has_talked(t: Tables, r: Record, now: int) -> bool:
    """Return whether a resident's rest from talking began in this tick."""
    return r.talk_ready == now + t.profiles[r.profile].chat_cooldown


@kernel
def force(t: Tables, s: TownState, j: Journal, b: int, i: int, other: int, quality: float, now: int) -> int:
    """Hold a chat that goes well, whatever the two think of each other; returns the answer of a command."""
    one, two = s.residents[b, i], s.residents[b, other]
    if not is_beside(s, b, i, other):
        return NOT_BESIDE
    if one.claim_stage == STAGE_RUNNING or two.claim_stage == STAGE_RUNNING:
        return RUNS_A_USE
    if has_talked(t, one, now) or has_talked(t, two, now):
        return HAS_TALKED
    conclude(t, s, j, b, i, other, True, min(MOST_QUALITY, max(LEAST_QUALITY, quality)), now)
    return EXECUTED


@kernel
def talk(t: Tables, s: TownState, j: Journal, b: int, i: int, target: int, now: int) -> int:
    """Resolve ``talk`` and return its result; target -1 lets the world choose the listener."""
    if target != NOBODY:
        known = 0 <= target < s.residents.shape[1] and target != i
        if not known or not s.residents[b, target].alive:
            return BAD_TARGET
    if s.residents[b, i].talk_ready > now:
        return TALK_COOLDOWN
    other = target
    if target == NOBODY:
        other = best_listener(t, s, b, i, now)
    elif not (is_beside(s, b, i, target) and listens(t, s, b, i, target, now)):
        other = NOBODY
    if other == NOBODY:
        return NO_LISTENER
    converse(t, s, j, b, i, other, now)
    return OK
