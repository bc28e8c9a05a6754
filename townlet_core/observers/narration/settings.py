"""Which facts are narrated, how often and in which words: ``observers.narration`` of a config."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from townlet_core.bounds import Bounds
from townlet_core.observers.facts import Facts, Test
from townlet_core.observers.stability.settings import require_name

OPERATOR_STORY: Final = "operator_story"
"""The category of what an operator announces."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Facts that are narrated, and the words for them."""

    kind: str
    """kind of the facts"""

    lines: tuple[str, ...] = field(metadata=Bounds(min_length=1))
    """sentences, of which each fact gets one; `{FIELD}` is the value of a field, with the name of the \
resident for an id, `{FIELD:FORM}` is formatted as `noun`, `a`, `span`, `clock`, `nth`, `times` or \
`thousandths`"""

    where: Mapping[str, Test] = field(default_factory=dict)
    """what the fields of the fact must hold, as below `observers.stability.alerts.<name>.count`"""

    about: tuple[str, ...] = ()
    """fields with the ids that the sentence is about; the same category about the same ids is not narrated \
again for a while"""

    priority: bool = False
    """whether it is narrated without regard to the pauses"""

    priority_where: Mapping[str, Test] = field(default_factory=dict)
    """what the fields must hold for that; empty for what `priority` says"""


@dataclass(frozen=True, slots=True)
class Category:
    """Sentences of one kind."""

    triggers: tuple[Trigger, ...] = ()
    """facts that are narrated; of several that fit, the first one counts"""

    cooldown: int = field(default=30, metadata=Bounds(ge=0, le=100_000))
    """ticks from one sentence of the category to the next"""


@dataclass(frozen=True, slots=True)
class Named:
    """Facts that say what an agent is called."""

    kind: str
    """kind of the facts"""

    id: str
    """field with the id of the agent"""

    name: str = ""
    """field with its name"""


@dataclass(frozen=True, slots=True)
class DigestPart:
    """One sentence of a digest."""

    lines: tuple[str, ...] = field(metadata=Bounds(min_length=1))
    """sentences, of which one is taken; they may name `{agent}`, `{other}`, `{value}`, `{count}` and \
`{number}`, the number of the digest"""

    count: Facts | None = None
    """facts since the last digest, whose number is `count`; the sentence is left out when there are none"""

    highest: str | None = None
    """column of the view in which the greatest number is looked for: `value`, of `agent`"""

    other: str | None = None
    """column of the same shape with slots: that of the greatest number is `other`"""

    above: float = 0.0
    """number that the greatest one must exceed; else the sentence is left out"""

    none: tuple[str, ...] = ()
    """sentences for when it would be left out"""


@dataclass(frozen=True, slots=True)
class Digest:
    """What a longer time came to."""

    every: int = field(metadata=Bounds(ge=60, le=1_000_000))
    """ticks from one to the next"""

    parts: tuple[DigestPart, ...] = field(metadata=Bounds(min_length=1))
    """its sentences, in order"""


@dataclass(frozen=True, slots=True)
class NarrationSettings:
    """Sentences about a run, for people."""

    enabled: bool = True
    """whether anything is narrated"""

    dedupe: int = field(default=20, metadata=Bounds(ge=0, le=100_000))
    """ticks for which the same is not narrated again"""

    cooldown: int = field(default=30, metadata=Bounds(ge=0, le=100_000))
    """ticks from any sentence to the next"""

    window: int = field(default=600, metadata=Bounds(ge=1, le=100_000))
    """ticks in which at most `most` sentences are narrated"""

    most: int = field(default=10, metadata=Bounds(ge=1, le=1000))
    """most sentences in so many ticks, those with priority among them"""

    names: Named | None = None
    """facts that say what an agent is called"""

    gone: Named | None = None
    """facts behind which an agent is not named any more"""

    categories: Mapping[str, Category | None] = field(default_factory=dict)
    """what is narrated, by category, on top of what the world brings; null leaves out what it brings"""

    digests: Mapping[str, Digest | None] = field(default_factory=dict)
    """what a longer time came to, by category, on top of what the world brings"""

    def __post_init__(self) -> None:
        """Check the names; raises ``ValueError``."""
        for name in (*self.categories, *self.digests):
            require_name(name)

    @property
    def told(self) -> Mapping[str, Category]:
        """The categories that are narrated."""
        return {name: each for name, each in self.categories.items() if each is not None and self.enabled}

    @property
    def summed_up(self) -> Mapping[str, Digest]:
        """The digests that are narrated."""
        return {name: each for name, each in self.digests.items() if each is not None and self.enabled}
