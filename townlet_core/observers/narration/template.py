"""Sentences with gaps, and how values are put into them."""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from townlet_core import words
from townlet_core.observers.facts import wrong
from townlet_core.suggestions import nearest

_GAP: Final = re.compile(r"\{([^{}:]+)(?::([a-z]+))?\}")


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


FORMS: Final[Mapping[str, Callable[[object], str]]] = {
    "noun": lambda value: words.noun(str(value)),
    "a": lambda value: words.with_article(words.noun(str(value))),
    "span": lambda value: words.lasting(_whole(value)),
    "clock": lambda value: words.clock(_whole(value)),
    "nth": lambda value: words.ordinal(_whole(value)),
    "times": lambda value: words.times(_whole(value)),
    "thousandths": lambda value: words.thousandths(_whole(value)),
}
"""How a value can be formatted."""


class _Gap(NamedTuple):
    """One gap of a sentence, and the text behind it."""

    path: str
    form: str
    after: str


class Template:
    """One sentence with gaps."""

    def __init__(self, line: str, key: str) -> None:
        """Parse a sentence.

        Raises:
            ConfigError: when a form is unknown, or a brace is left over.
        """
        first, *rest = _GAP.split(line)
        self._first = first
        self._gaps = [_Gap(rest[at], rest[at + 1] or "", rest[at + 2]) for at in range(0, len(rest), 3)]
        for gap in self._gaps:
            if gap.form and gap.form not in FORMS:
                raise wrong(key, f"unknown form '{gap.form}'", nearest(gap.form, FORMS))
        if any(brace in text for text in (first, *(gap.after for gap in self._gaps)) for brace in "{}"):
            raise wrong(key, "a brace that belongs to no gap", "{FIELD} or {FIELD:FORM}")

    @property
    def paths(self) -> tuple[str, ...]:
        """What the gaps name."""
        return tuple(gap.path for gap in self._gaps)

    def fill(self, values: Mapping[str, object], names: Mapping[str, str]) -> str:
        """Return the sentence: ids become names, and the first letter a capital."""
        text = self._first
        for gap in self._gaps:
            value = values[gap.path]
            if isinstance(value, str) and value in names:
                shown = names[value]
            else:
                shown = FORMS[gap.form](value) if gap.form else _plain(value, names)
            text += shown + gap.after
        return f"{text[:1].upper()}{text[1:]}"


def _plain(value: object, names: Mapping[str, str]) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return words.listing(names.get(str(each), str(each)) for each in value)
    return "" if value is None else str(value).replace("_", " ")


class Lines:
    """Several sentences for the same; which one is narrated looks like chance, but follows from the tick.

    Attributes:
        used: the places of those that were narrated last, oldest first: half of all, which rest for a while.
    """

    def __init__(self, lines: Sequence[str], key: str) -> None:
        """Parse the sentences; raises ``ConfigError``."""
        self._templates = [Template(line, f"{key}[{at}]") for at, line in enumerate(lines)]
        self.used: list[int] = []

    @property
    def paths(self) -> tuple[str, ...]:
        """What the gaps of any of them name, each once."""
        return tuple(dict.fromkeys(path for each in self._templates for path in each.paths))

    def tell(self, values: Mapping[str, object], names: Mapping[str, str], lot: str) -> str:
        """Return one sentence: ``lot`` decides which of those that do not rest."""
        free = [at for at in range(len(self._templates)) if at not in self.used]
        chosen = free[zlib.crc32(lot.encode()) % len(free)]
        rests = len(self._templates) // 2
        self.used = [*self.used, chosen][-rests:] if rests else []
        return self._templates[chosen].fill(values, names)

    def restore(self, used: Sequence[int]) -> None:
        """Continue from an exported ``used``.

        Raises:
            ValueError: when it is not one of so many sentences.
        """
        count = len(self._templates)
        if len(used) > count // 2 or not all(0 <= at < count for at in used):
            raise ValueError(f"{list(used)} are not places among {count} sentences")
        self.used = list(used)
