"""Records the events of a tick, as rows that ``rows.py`` describes."""

from townlet_adapters.kernels.compiler import inlined
from townlet_adapters.kernels.records import Record
from townlet_adapters.worlds.town.codes import NOBODY
from townlet_adapters.worlds.town.compiled.state import Journal


@inlined
def clear(journal: Journal, b: int) -> None:
    """Clear the records of the last tick."""
    journal.written[b] = 0
    for a in range(journal.actions.shape[1]):
        journal.actions[b, a] = 0
    for reason in range(journal.failures.shape[1]):
        journal.failures[b, reason] = 0


@inlined
def write(journal: Journal, b: int, kind: int, agent: int, obj: int, affordance: int, reason: int,
          a: int, second: int, c: int) -> None:  # fmt: skip
    """Add a row about one resident (``agent`` is its serial, -1 for none); further columns are 0."""
    n = journal.written[b]
    journal.written[b] = n + 1
    if n < journal.rows.shape[1]:
        row = journal.rows[b, n]
        row.kind = kind
        row.agent = agent
        row.other = NOBODY
        row.object = obj
        row.affordance = affordance
        row.reason = reason
        row.a = a
        row.b = second
        row.c = c
        row.d = 0
        row.e = 0
        row.f = 0
        row.g = 0
        row.h = 0
        row.x = 0.0
        row.y = 0.0
        row.z = 0.0


@inlined
def last(journal: Journal, b: int) -> Record:
    """Return the row just written, to set fields that ``write`` does not take; check ``is_kept`` before."""
    return journal.rows[b, journal.written[b] - 1]


@inlined
def is_kept(journal: Journal, b: int) -> bool:
    """Return whether the row just written was stored."""
    return 0 < journal.written[b] <= journal.rows.shape[1]
