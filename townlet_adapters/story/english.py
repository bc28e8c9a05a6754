"""English made of ids and numbers; it knows the language, and no word of any vocabulary."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from townlet_core.words import (
    VOWELS,
    clock,
    lasting,
    listing,
    noun,
    ordinal,
    thousandths,
    times,
    with_article,
)

__all__ = [
    "amount",
    "clock",
    "coins",
    "doing",
    "is_sleep",
    "lasting",
    "listing",
    "noun",
    "ordinal",
    "phrase",
    "sentence",
    "times",
    "with_article",
]

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


def doing(words: str) -> str:
    """Return what the id of an affordance is while it lasts: ``cook_meal`` is ``cooking a meal``."""
    verb, space, rest = phrase(words, past=False).partition(" ")
    if verb.endswith("e") and not verb.endswith("ee"):
        verb = verb[:-1]
    elif _SHORT_VERB.fullmatch(verb):
        verb += verb[-1]
    return f"{verb}ing{space}{rest}"


def coins(mills: int) -> str:
    """Format an amount of money: ``0.45 coins``."""
    shown = amount(mills)
    return "a coin" if shown == "1.00" else f"{shown} coins"


def amount(mills: int) -> str:
    """Format an amount of money without its unit."""
    return thousandths(mills)


def sentence(parts: Sequence[str], asides: Sequence[str] = ()) -> str:
    """Join clauses to a sentence, the first letter of which becomes a capital; asides follow a semicolon."""
    text = "; ".join([", ".join(parts), *asides])
    return f"{text[:1].upper()}{text[1:]}."


def _article(words: Sequence[str]) -> str:
    """Return the article of a thing that is one among others; empty for many, or for what is not counted."""
    thing = words[-1]
    if thing in _UNCOUNTED or (thing.endswith("s") and not thing.endswith("ss")):
        return ""
    return "an" if words[0][0] in VOWELS else "a"


def _past(verb: str) -> str:
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("e"):
        return f"{verb}d"
    if len(verb) > 1 and verb.endswith("y") and verb[-2] not in VOWELS:
        return f"{verb[:-1]}ied"
    doubled = verb[-1:] if _SHORT_VERB.fullmatch(verb) else ""
    return f"{verb}{doubled}ed"
