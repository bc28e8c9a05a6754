"""What is off, closed or dear: derived from the active effects and the base prices (domain.md, section 13).

An event or operator that wants something off or dear adds an effect of its own, and lifts no other: so two
outages can overlap, and an edit of a price during a spike holds after it. ``derive`` is the only place that
writes what follows.
"""

from townlet_adapters.kernels.compiler import entry_kernel, kernel
from townlet_adapters.worlds.town.codes import (
    EFFECT_CLOSED,
    EFFECT_OFF,
    MOST_PRICE,
    NO_END,
    WHOLE_PRICE,
)
from townlet_adapters.worlds.town.compiled.state import TownState

NEVER = 1 << 62


@kernel
def derive(s: TownState, b: int) -> None:
    """Compute utilities, closures and prices from the list of effects; spikes multiply in its order."""
    for district in range(s.districts.shape[1]):
        for utility in range(s.districts[b, district].utility.shape[0]):
            s.districts[b, district].utility[utility] = 1
        for key in range(s.price.shape[2]):
            s.price[b, district, key].now = s.price[b, district, key].normal
    for o in range(s.objects.shape[1]):
        s.objects[b, o].closed = False
    town = s.towns[b]
    town.effects_end = NEVER
    for k in range(town.effects):
        effect = s.effects[b, k]
        if effect.kind == EFFECT_OFF:
            s.districts[b, effect.who].utility[effect.key] = 0
        elif effect.kind == EFFECT_CLOSED:
            s.objects[b, effect.who].closed = True
        else:
            price = s.price[b, effect.who, effect.key]
            price.now = min(MOST_PRICE, (price.now * effect.scale + WHOLE_PRICE // 2) // WHOLE_PRICE)
        if effect.until != NO_END:
            town.effects_end = min(town.effects_end, effect.until)


@kernel
def find(s: TownState, b: int, kind: int, who: int, key: int, source: int) -> int:
    """Return the row of an effect by what it does and whose it is, -1 without one."""
    for k in range(s.towns[b].effects):
        effect = s.effects[b, k]
        if effect.kind == kind and effect.who == who and effect.key == key and effect.source == source:
            return k
    return -1


@kernel
def impose(s: TownState, b: int, kind: int, who: int, key: int, scale: int, until: int, source: int) -> bool:
    """Add an effect, or replace the same one of the same source; False when the list is full."""
    town = s.towns[b]
    k = find(s, b, kind, who, key, source)
    if k < 0:
        if town.effects == s.effects.shape[1]:
            return False
        k = town.effects
        town.effects += 1
        while k > 0 and s.effects[b, k - 1].source > source:
            s.effects[b, k] = s.effects[b, k - 1]
            k -= 1
    effect = s.effects[b, k]
    effect.kind = kind
    effect.who = who
    effect.key = key
    effect.scale = scale
    effect.until = until
    effect.source = source
    derive(s, b)
    return True


@kernel
def drop(s: TownState, b: int, k: int) -> None:
    """Take a row from the list; what follows from the list is not computed yet."""
    town = s.towns[b]
    town.effects -= 1
    for later in range(k, town.effects):
        s.effects[b, later] = s.effects[b, later + 1]
    last = s.effects[b, town.effects]
    last.kind = 0
    last.who = 0
    last.key = 0
    last.scale = 0
    last.until = 0
    last.source = 0


@kernel
def lift(s: TownState, b: int, kind: int, who: int, key: int, source: int) -> None:
    """Take an effect away; those of other sources stay."""
    k = find(s, b, kind, who, key, source)
    if k >= 0:
        drop(s, b, k)
        derive(s, b)


@kernel
def lift_all(s: TownState, b: int, source: int) -> None:
    """Take all effects of a source away."""
    for k in range(s.towns[b].effects - 1, -1, -1):
        if s.effects[b, k].source == source:
            drop(s, b, k)
    derive(s, b)


@kernel
def expire(s: TownState, b: int, now: int) -> None:
    """Phase 3: take away all effects that are over."""
    for k in range(s.towns[b].effects - 1, -1, -1):
        until = s.effects[b, k].until
        if until != NO_END and until <= now:
            drop(s, b, k)
    derive(s, b)


@kernel
def set_base(s: TownState, b: int, district: int, key: int, mills: int) -> None:
    """Edit a base price; active spikes apply to it."""
    s.price[b, district, key].normal = mills
    derive(s, b)


@entry_kernel
def derive_towns(s: TownState) -> None:
    """Compute what follows from the effects of every town, after a restore."""
    for b in range(s.towns.shape[0]):
        derive(s, b)
