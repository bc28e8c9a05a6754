"""The time of a tick in compiled form (domain.md, section 1); ``WorldSpec.clock`` has it in Python.

Ticks are counted from the start of a town, days from a midnight: a town may start at any minute of day 0.
"""

from townlet_adapters.kernels.compiler import inlined

TICKS_PER_DAY = 1440


@inlined
def time_of_day(tick: int, start: int) -> int:
    """Return the minute of its day of a tick, in a town that starts at the minute ``start`` of day 0."""
    return (tick + start) % TICKS_PER_DAY


@inlined
def day_of(tick: int, start: int) -> int:
    """Return the number of the day of a tick, in a town that starts at the minute ``start`` of day 0."""
    return (tick + start) // TICKS_PER_DAY


@inlined
def since(minute: int, tick: int, start: int) -> int:
    """Return the ticks since it was last that minute of a day; 0 in the tick itself."""
    return (tick + start - minute) % TICKS_PER_DAY
