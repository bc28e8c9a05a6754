"""Draws stamps over a map: a map with changes becomes one whole map."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from townlet_adapters.documents import KeyPath, spell_key
from townlet_adapters.worlds.town.inputs.blame import Places
from townlet_adapters.worlds.town.inputs.texts import ExtendedMapText, LegendEntry, MapText, StampText
from townlet_core.errors import ConfigError, Problem
from townlet_core.suggestions import nearest

_UNCHANGED: Final = " "
_FIRST_FREE_SYMBOL: Final = 0xE000
"""Unicode's first private character: a stamp's symbol gets one when the map uses it for something else."""


@dataclass(frozen=True, slots=True)
class ExtensionPlaces:
    """Builds problems of an extended map.

    What the changes do not define is reported at the extended map. But its rows were right before they were
    drawn over, so a problem of them is reported at the changes.

    Attributes:
        text: the changes.
        base: builds the problems of the extended map.
        at: place of the changes in the options.
        symbols: symbol of the whole map -> number of the stamp that defines it, and the symbol there.
    """

    text: ExtendedMapText
    base: Places
    at: KeyPath
    symbols: dict[str, tuple[int, str]]

    def problem(self, path: KeyPath, found: str, allowed: str) -> Problem:
        """Build the problem of a part of the whole map."""
        own = self._own(path)
        if own is None:
            return self.base.problem(path, found, allowed)
        return Problem(spell_key((*self.at, *own)), found, allowed)

    def _own(self, path: KeyPath) -> KeyPath | None:
        """Return the changes' own key for a part of the whole map, None when they do not define it."""
        match path:
            case ("rows", *rest):
                return self._drawn(*rest)
            case ("legend", str(symbol), *rest) if symbol in self.symbols:
                number, written = self.symbols[symbol]
                return ("stamp", number, "legend", written, *rest)
            case ("jobs" | "kinds" as section, str(name), *_) if name in getattr(self.text, section):
                return path
        return None

    def _drawn(self, y: str | int = -1) -> KeyPath:
        """Return the row of the last stamp that draws over a row of the map; empty when none does."""
        for number, stamp in reversed(list(enumerate(self.text.stamp))):
            row = int(y) - stamp.at[1]
            if 0 <= row < len(stamp.rows):
                return ("stamp", number, "rows", row)
        return ()


def extended_map(
    base: MapText, base_places: Places, text: ExtendedMapText, at: KeyPath
) -> tuple[MapText, ExtensionPlaces]:
    """Draw the stamps over a map and merge its places and jobs.

    Args:
        base: the map.
        base_places: builds its problems.
        text: the changes.
        at: their place in the options.

    Returns:
        The whole map, and what builds its problems.

    Raises:
        ConfigError: when a stamp does not fit on the map, or something to remove does not exist.
    """
    places = ExtensionPlaces(text, base_places, at, {})
    problems = [*_problems_of_removal(base, text, at), *_problems_of_stamps(base, text, at)]
    if problems:
        raise ConfigError(*problems)
    legend = dict(base.legend)
    rows = [list(row) for row in base.rows]
    for number, stamp in enumerate(text.stamp):
        symbols = _symbols(legend, stamp)
        for written, symbol in symbols.items():
            legend[symbol] = stamp.legend[written]
            places.symbols[symbol] = (number, written)
        x, y = stamp.at
        for dy, drawn in enumerate(stamp.rows):
            for dx, written in enumerate(drawn):
                if written != _UNCHANGED:
                    rows[y + dy][x + dx] = symbols.get(written, written)
    drawn_symbols = set().union(*rows)
    # A type of object that the stamps draw over may be missing in the vocabulary.
    kept_legend = {
        symbol: entry
        for symbol, entry in legend.items()
        if symbol in drawn_symbols or symbol in places.symbols
    }
    kept_kinds = {name: kind for name, kind in base.kinds.items() if name not in text.remove.kinds}
    kept_jobs = {name: job for name, job in base.jobs.items() if name not in text.remove.jobs}
    whole = MapText(
        id=text.id or base.id,
        agents=text.agents or base.agents,
        legend=kept_legend,
        kinds={**kept_kinds, **text.kinds},
        jobs={**kept_jobs, **text.jobs},
        rows=tuple("".join(row) for row in rows),
    )
    return whole, places


def _symbols(legend: dict[str, LegendEntry], stamp: StampText) -> dict[str, str]:
    """Return for each symbol of a stamp's legend the symbol that stands for it in the whole map."""
    symbols: dict[str, str] = {}
    free = _FIRST_FREE_SYMBOL
    for written, entry in stamp.legend.items():
        symbol = written
        while symbol in symbols.values() or legend.get(symbol, entry) != entry:
            symbol, free = chr(free), free + 1
        symbols[written] = symbol
    return symbols


def _problems_of_removal(base: MapText, text: ExtendedMapText, at: KeyPath) -> Iterator[Problem]:
    for section, names, known in (
        ("jobs", text.remove.jobs, list(base.jobs)),
        ("kinds", text.remove.kinds, list(base.kinds)),
    ):
        for number, name in enumerate(names):
            if name not in known:
                key = spell_key((*at, "remove", section, number))
                yield Problem(key, f"'{name}' is not in the map '{text.extend}'", nearest(name, known))


def _problems_of_stamps(base: MapText, text: ExtendedMapText, at: KeyPath) -> Iterator[Problem]:
    width, height = len(base.rows[0]), len(base.rows)
    for number, stamp in enumerate(text.stamp):
        x, y = stamp.at
        right, bottom = x + max(map(len, stamp.rows)), y + len(stamp.rows)
        if right > width or bottom > height:
            found = f"a stamp from ({x}, {y}) to ({right - 1}, {bottom - 1})"
            allowed = f"allowed: within the map, (0, 0) to ({width - 1}, {height - 1})"
            yield Problem(spell_key((*at, "stamp", number)), found, allowed)
        for dy, drawn in enumerate(stamp.rows):
            for symbol in dict.fromkeys(drawn):
                if symbol not in stamp.legend and symbol not in base.legend and symbol != _UNCHANGED:
                    known = " ".join([*stamp.legend, *base.legend])
                    key = spell_key((*at, "stamp", number, "rows", dy))
                    yield Problem(key, f"unknown symbol '{symbol}'", f"allowed: a space or one of {known}")
