"""English made of ids and numbers: it knows the language, and no word of any world."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

_THOUSAND: Final = 1000
_MINUTES: Final = 60
_SUFFIX: Final = re.compile(r"(?:_\d+)?(?:@\w+)?$")
VOWELS: Final = frozenset("aeiou")
"""The letters before which an indefinite article has an n."""

_TIMES: Final = (
    "", "once", "twice", "three times", "four times", "five times", "six times", "seven times", "eight times",
    "nine times", "ten times",
)  # fmt: skip
_ORDINALS: Final = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh")
_ENDINGS: Final[Mapping[int, str]] = MappingProxyType({1: "st", 2: "nd", 3: "rd"})


def noun(name: str) -> str:
    """Return the word for a thing by its id: ``lamp_2`` is ``lamp``."""
    return _SUFFIX.sub("", name).replace("_", " ") or name


def with_article(word: str) -> str:
    """Put the indefinite article in front of a noun."""
    return f"{'an' if word[:1].lower() in VOWELS else 'a'} {word}"


def listing(words: Iterable[str]) -> str:
    """Join words as a sentence does: ``Ivo, Uma and Karl``; empty without any."""
    *most, last = [*words] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def times(count: int) -> str:
    """Format how often something happened: ``twice``, ``12 times``."""
    return _TIMES[count] if 0 <= count < len(_TIMES) else f"{count} times"


def ordinal(count: int) -> str:
    """Format a place in an order: ``second``, ``12th``, ``21st``."""
    if 0 <= count < len(_ORDINALS):
        return _ORDINALS[count]
    teen = count // 10 % 10 == 1
    return f"{count}{'th' if teen else _ENDINGS.get(count % 10, 'th')}"


def lasting(ticks: int) -> str:
    """Format minutes within a sentence: ``12 minutes``, ``an hour``, ``2 h 5 min``."""
    hours, minutes = divmod(ticks, _MINUTES)
    if not hours:
        return "a minute" if ticks == 1 else f"{ticks} minutes"
    if minutes:
        return f"{hours} h {minutes} min"
    return "an hour" if hours == 1 else f"{hours} hours"


def clock(tod: int) -> str:
    """Format a time of day in minutes: ``06:05``; the end of the day is ``24:00``."""
    hours, minutes = divmod(tod, _MINUTES)
    return f"{hours:02}:{minutes:02}"


def thousandths(number: float) -> str:
    """Format a number of thousandths: ``1,234.50``."""
    return f"{number / _THOUSAND:,.2f}"
