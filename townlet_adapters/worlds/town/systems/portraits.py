"""The features of a resident's ties (domain.md, section 16): computed when they changed, then copied."""

import numpy as np

from townlet_adapters.kernels import draws
from townlet_adapters.kernels.compiler import inlined, kernel
from townlet_adapters.worlds.town.compiled import observation_layout as layout
from townlet_adapters.worlds.town.compiled.state import TownState
from townlet_adapters.worlds.town.compiled.tables import Tables

MOST_AVOIDED = 6
"""Avoided residents from which ``rivalry_avoid`` is 1."""
CODE_DRAW = 1000
"""Index of the first draw of an identity code; each gives ``BYTES`` of it."""
BYTES = 8


@inlined
def worth(s: TownState, b: int, i: int, k: int, rival: bool) -> float:
    """Return by how much a tie makes a friend, or a rival."""
    tie = s.ties[b, i, k]
    return tie.rivalry if rival else tie.trust + tie.familiarity


@kernel
def draw_tie(t: Tables, s: TownState, b: int, i: int, k: int, column: int) -> None:
    """Write the identity code and the numbers of one tie."""
    tie = s.ties[b, i, k]
    row = s.portraits[b, i]
    serial = s.residents[b, tie.other].serial
    length = t.params[0].identity_dim
    for n in range(length):
        code = draws.draw(s.towns[b].seed, draws.NAMES, 0, serial, CODE_DRAW + n // BYTES)
        row[column + n] = float((code >> np.uint64(8 * (n % BYTES))) & np.uint64(255)) / 255
    row[column + length] = tie.trust
    row[column + length + 1] = tie.familiarity
    row[column + length + 2] = tie.rivalry


@kernel
def next_best(s: TownState, b: int, i: int, rival: bool, drawn: int) -> int:
    """Return the tie that is worth most, ties by serial; ``drawn`` has a bit for each to skip."""
    best = -1
    for k in range(s.residents[b, i].ties):
        if (drawn >> k) & 1 != 0 or worth(s, b, i, k, rival) <= 0:
            continue
        if best >= 0:
            mine, highest = worth(s, b, i, k, rival), worth(s, b, i, best, rival)
            serial = s.residents[b, s.ties[b, i, k].other].serial
            if mine < highest or (
                mine == highest and serial > s.residents[b, s.ties[b, i, best].other].serial
            ):
                continue
        best = k
    return best


@kernel
def portray(t: Tables, s: TownState, b: int, i: int) -> None:
    """Fill the resident's row of ``portraits``."""
    params = t.params[0]
    r = s.residents[b, i]
    row = s.portraits[b, i]
    row[:] = 0.0
    drawn, slots = 0, params.top_friends + params.top_rivals
    length = params.identity_dim + len(layout.TIE)
    totals = layout.OWN_RIVALRY + slots * length
    filled, trust, rivalry, most_trust, most_rivalry = 0, 0.0, 0.0, 0.0, 0.0
    for slot in range(slots):
        k = next_best(s, b, i, slot >= params.top_friends, drawn)
        if k < 0:
            continue
        drawn |= 1 << k
        draw_tie(t, s, b, i, k, layout.OWN_RIVALRY + slot * length)
        tie = s.ties[b, i, k]
        most_trust = tie.trust if filled == 0 else max(most_trust, tie.trust)
        most_rivalry = max(most_rivalry, tie.rivalry)
        trust += tie.trust
        rivalry += tie.rivalry
        filled += 1
    if filled > 0:
        row[totals], row[totals + 1] = trust / filled, most_trust
        row[totals + 2], row[totals + 3] = rivalry / filled, most_rivalry
    fiercest = 0.0
    for k in range(r.ties):
        fiercest = max(fiercest, s.ties[b, i, k].rivalry)
    row[0] = fiercest
    row[1] = min(1.0, r.avoided / MOST_AVOIDED)
    r.portrayed = 1
