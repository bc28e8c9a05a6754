"""English made of ids and numbers; it knows the language, and no word of any vocabulary."""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

_MILLS_OF_A_COIN: Final = 1000
_MINUTES: Final = 60
_SUFFIX: Final = re.compile(r"(?:_\d+)?(?:@\w+)?$")
_VOWELS: Final = frozenset("aeiou")
_SHORT_VERB: Final = re.compile(r"[^aeiou]*[aeiou][bdgklmnprt]")

_IRREGULAR: Final[Mapping[str, str]] = MappingProxyType(
    {
        "begin": "began", "bring": "brought", "build": "built", "buy": "bought", "catch": "caught",
        "choose": "chose", "cut": "cut", "dig": "dug", "do": "did", "draw": "drew", "drink": "drank",
        "drive": "drove", "eat": "ate", "feed": "fed", "fight": "fought", "find": "found", "fly": "flew",
        "get": "got", "give": "gave", "go": "went", "grow": "grew", "hang": "hung", "have": "had",
        "hide": "hid", "hit": "hit", "hold": "held", "keep": "kept", "lay": "laid", "lead": "led",
        "leave": "left", "lend": "lent", "light": "lit", "lose": "lost", "make": "made", "meet": "met",
        "pay": "paid", "put": "put", "read": "read", "ride": "rode", "ring": "rang", "run": "ran",
        "say": "said", "see": "saw", "sell": "sold", "send": "sent", "set": "set", "sew": "sewed",
        "shoot": "shot", "sing": "sang", "sit": "sat", "sleep": "slept", "speak": "spoke", "spend": "spent",
        "stand": "stood", "steal": "stole", "sweep": "swept", "swim": "swam", "take": "took",
        "teach": "taught", "think": "thought", "throw": "threw", "wear": "wore", "win": "won",
        "write": "wrote",
    }
)  # fmt: skip

_PARTICLES: Final = frozenset(
    {
        "about", "around", "at", "away", "back", "by", "down", "for", "in", "off", "on", "out", "over", "to",
        "up", "with",
    }
)  # fmt: skip

_UNCOUNTED: Final = frozenset(
    {
        "art", "baseball", "basketball", "beer", "billiards", "bread", "breakfast", "cash", "cheese", "chess",
        "clay", "coffee", "darts", "dinner", "fish", "food", "football", "fruit", "fun", "golf", "hockey",
        "homework",
        "juice", "laundry", "lunch", "mail", "medicine", "milk", "money", "music", "news", "paint", "rice",
        "soup", "supper", "tea", "television", "tennis", "tv", "water", "wine", "wood", "work", "yoga",
    }
)  # fmt: skip

_SLEEP: Final = "sleep"
_TIMES: Final = (
    "", "once", "twice", "three times", "four times", "five times", "six times", "seven times", "eight times",
    "nine times", "ten times",
)  # fmt: skip
_ORDINALS: Final = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh")
_ENDINGS: Final[Mapping[int, str]] = MappingProxyType({1: "st", 2: "nd", 3: "rd"})


def is_sleep(words: str) -> bool:
    """Return whether the id of an affordance says that it is a sleep: ``sleep`` is among its words."""
    return _SLEEP in words.split("_")


def phrase(words: str, *, past: bool, again: bool = False) -> str:
    """Return what the id of an affordance means: ``cook_meal`` is ``cook a meal``, or ``cooked a meal``.

    Args:
        words: the id, a verb with its object or particle, joined by underscores; a sleep is ``sleep``,
            whatever else its id holds.
        past: whether the past tense is wanted.
        again: whether it is not the first time.
    """
    parts = [_SLEEP] if is_sleep(words) else words.replace("-", "_").split("_")
    verb, rest = parts[0], [part for part in parts[1:] if part]
    shown, once_more = _past(verb) if past else verb, " again" if again else ""
    if rest and rest[0] not in _PARTICLES:
        article = "the" if verb == "use" else _article(rest)
        if again and article in {"a", "an"}:
            article, once_more = "another", ""
        rest.insert(0, article)
    return " ".join(part for part in (shown, *rest) if part) + once_more


def noun(name: str) -> str:
    """Return the word for an object or a job by its id: ``shower_2`` is ``shower``."""
    return _SUFFIX.sub("", name).replace("_", " ") or name


def with_article(word: str) -> str:
    """Put the indefinite article in front of a noun."""
    return f"{'an' if word[:1].lower() in _VOWELS else 'a'} {word}"


def listing(words: Iterable[str]) -> str:
    """Join words as a sentence does: ``Ivo, Uma and Karl``; empty without any."""
    *most, last = [*words] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def times(count: int) -> str:
    """Format how often something happened: ``twice``, ``12 times``."""
    return _TIMES[count] if count < len(_TIMES) else f"{count} times"


def ordinal(count: int) -> str:
    """Format a place in an order: ``second``, ``12th``, ``21st``."""
    if count < len(_ORDINALS):
        return _ORDINALS[count]
    teen = count // 10 % 10 == 1
    return f"{count}{'th' if teen else _ENDINGS.get(count % 10, 'th')}"


def lasting(ticks: int) -> str:
    """Format a length of time within a sentence: ``12 minutes``, ``an hour``, ``2 h 5 min``."""
    hours, minutes = divmod(ticks, _MINUTES)
    if not hours:
        return "a minute" if ticks == 1 else f"{ticks} minutes"
    if minutes:
        return f"{hours} h {minutes} min"
    return "an hour" if hours == 1 else f"{hours} hours"


def coins(mills: int) -> str:
    """Format an amount of money: ``0.45 coins``."""
    shown = amount(mills)
    return "a coin" if shown == "1.00" else f"{shown} coins"


def amount(mills: int) -> str:
    """Format an amount of money without its unit."""
    return f"{mills / _MILLS_OF_A_COIN:,.2f}"


def clock(tod: int) -> str:
    """Format a time of day in minutes: ``06:05``; the end of the day is ``24:00``."""
    hours, minutes = divmod(tod, _MINUTES)
    return f"{hours:02}:{minutes:02}"


def sentence(parts: Sequence[str], asides: Sequence[str] = ()) -> str:
    """Join clauses to a sentence, the first letter of which becomes a capital; asides follow a semicolon."""
    text = "; ".join([", ".join(parts), *asides])
    return f"{text[:1].upper()}{text[1:]}."


def _article(words: Sequence[str]) -> str:
    """Return the article of a thing that is one among others; empty for many, or for what is not counted."""
    thing = words[-1]
    if thing in _UNCOUNTED or (thing.endswith("s") and not thing.endswith("ss")):
        return ""
    return "an" if words[0][0] in _VOWELS else "a"


def _past(verb: str) -> str:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("e"):
        return f"{verb}d"
    if len(verb) > 1 and verb.endswith("y") and verb[-2] not in _VOWELS:
        return f"{verb[:-1]}ied"
    doubled = verb[-1:] if _SHORT_VERB.fullmatch(verb) else ""
    return f"{verb}{doubled}ed"
