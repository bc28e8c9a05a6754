"""The vocabulary of a town: the needs, items, kinds of place, types of object, prices and profiles it knows.

It is declared once, as data: ``data/vocabulary.yaml`` is the shipped one, and a config extends it. Numbers,
arrays, features, frames, effects and commands follow from it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self, TypeAlias, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from townlet_adapters.documents import Document, KeyPath, read_document, spell_key
from townlet_adapters.validation import validate
from townlet_adapters.worlds.town.codes import (
    FIXED_NAMES,
    MAX_ITEMS,
    MAX_NEEDS,
    MAX_OBJECT_TYPES,
)
from townlet_adapters.worlds.town.inputs.section import Mills, Name, Section
from townlet_adapters.worlds.town.inputs.shipped import SHIPPED_VOCABULARIES, find_file, shipped_file
from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import JsonValue, canonical_json
from townlet_core.suggestions import nearest
from townlet_plugins.access import Access

BEHAVIOURS: Final = ("go_to_work", "shop", "socialise", "avoid_rival", "idle")
"""The options that serve no need; their numbers follow those of the needs' options."""
MAX_CARRY: Final = 99
MAX_STOCK: Final = 999
MAX_PLACE_KINDS: Final = 64
MAX_PROFILES: Final = 32
MAX_PRICES: Final = 256

Utility = Literal["power", "water"]
RewardGroup = Literal["survival", "employment", "social"]
REWARD_GROUPS: Final[tuple[RewardGroup, ...]] = ("survival", "employment", "social")
Fraction01 = Annotated[float, Field(ge=0, le=1)]
Trait = Annotated[float, Field(ge=-1, le=1)]


class NeedText(Section):
    """A need: it falls in each tick, and uses of objects raise it."""

    decay: Annotated[float, Field(ge=0, le=0.1)]
    """lost in each tick"""
    option: Name
    """name of the behaviour that satisfies it"""
    weight: Fraction01 = 0.6
    """its weight in rewards"""
    night: Fraction01 = 0.0
    """level below which residents care for it from 22:00 to 06:00; 0: night makes no difference"""


class ItemText(Section):
    """Something that residents carry and objects hold."""

    carry: Annotated[int, Field(ge=0, le=MAX_CARRY)]
    """most that one resident carries"""


class PlaceKindText(Section):
    """A kind of place."""

    till: bool = False
    """whether its places keep a till of their own for purchases and wages"""


class ObjectTypeText(Section):
    """A type of object."""

    stock: dict[Name, Annotated[int, Field(ge=1, le=MAX_STOCK)]] = {}
    """item -> number at the start and after each refill"""
    utilities: tuple[Utility, ...] = ()
    """utilities that it needs to work: `power`, `water`"""
    target: bool = True
    """whether features have direction and distance of the nearest one"""
    per_eight: Annotated[int, Field(ge=0, le=64)] = 0
    """number that eight residents need; a town with fewer gets a warning"""


class ProfileText(Section):
    """A personality profile."""

    weight: Fraction01
    """how frequent it is, relative to the others"""
    extroversion: Trait = 0.0
    """from -1, withdrawn, to 1, outgoing"""
    forgiveness: Trait = 0.0
    """from -1 to 1"""
    ambition: Trait = 0.0
    """from -1 to 1"""
    need_multipliers: dict[Name, Annotated[float, Field(ge=0, le=10)]] = {}
    """need -> factor of its decay; 1 unless given"""
    work_affinity: Annotated[float, Field(ge=0.1, le=5)] = 1.0
    """factor of the time that is left before a shift"""
    chat_preference: Annotated[float, Field(ge=0.1, le=5)] = 1.0
    """how much it likes to talk: divides the time between two chats, and is a factor of their quality"""
    tolerance: Annotated[float, Field(ge=0.1, le=5)] = 1.0
    """factor of the rivalry from which it avoids another resident"""
    reward_factors: dict[RewardGroup, Annotated[float, Field(ge=0.1, le=5)]] = {}
    """`survival`, `employment`, `social` -> factor of these rewards, with `features.reward_bias`"""


class DefinitionsText(Section):
    """The entries of a vocabulary."""

    needs: dict[Name, NeedText] = {}
    """need -> its definition"""
    items: dict[Name, ItemText] = {}
    """item -> its definition"""
    place_kinds: dict[Name, PlaceKindText] = {}
    """kind of place -> its definition"""
    object_types: dict[Name, ObjectTypeText] = {}
    """type of object -> its definition"""
    prices: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}\.[a-z][a-z0-9_]{0,39}$")], Mills] = {}
    """`<kind of place>.<item or service>` -> base price in mills"""
    basket: dict[str, Annotated[float, Field(ge=0, le=1000)]] = {}
    """price key -> number that a resident buys in a day; the pay of jobs is checked against it"""
    profiles: dict[Name, ProfileText] = {}
    """profile -> its definition"""


SectionName: TypeAlias = Literal["needs", "items", "place_kinds", "object_types", "prices", "profiles"]


class RemovalText(Section):
    """What the extended vocabulary has and this town has not."""

    needs: tuple[Name, ...] = ()
    """needs; effects on them and conditions about them are dropped everywhere"""
    items: tuple[Name, ...] = ()
    """items"""
    place_kinds: tuple[Name, ...] = ()
    """kinds of place"""
    object_types: tuple[Name, ...] = ()
    """types of object"""
    prices: tuple[str, ...] = ()
    """price keys"""
    profiles: tuple[Name, ...] = ()
    """profiles"""

    def names(self, section: SectionName) -> tuple[str, ...]:
        """Return the names of one kind."""
        each: Mapping[SectionName, tuple[str, ...]] = {
            "needs": self.needs,
            "items": self.items,
            "place_kinds": self.place_kinds,
            "object_types": self.object_types,
            "prices": self.prices,
            "profiles": self.profiles,
        }
        return each[section]


class _ExtensionText(Section):
    """What a vocabulary starts from."""

    extend: (
        Annotated[
            Annotated[str, Tag("<name>"), Field(min_length=1)] | Annotated[DefinitionsText, Tag("<entries>")],
            Discriminator(lambda value: "<name>" if isinstance(value, str) else "<entries>"),
        ]
        | None
    ) = None
    """`town` for the shipped vocabulary, path of a file (relative to the config), or null to start empty"""
    remove: RemovalText = RemovalText()
    """entries of the extended vocabulary to leave out"""


class VocabularyText(DefinitionsText, _ExtensionText):
    """The vocabulary of a town: entries that are added to those of another one."""

    @model_validator(mode="after")
    def _check_removal(self) -> Self:
        if self.extend is None and self.remove != RemovalText():
            raise ValueError("remove takes from an extended vocabulary: set `extend: town`")
        return self


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A vocabulary that was read and checked; every mapping is in the order of the numbers.

    Attributes:
        needs: need -> its definition.
        items: item -> its definition.
        place_kinds: kind of place -> its definition.
        object_types: type of object -> its definition.
        prices: price key -> base price in mills.
        basket: price key -> number that a resident buys in a day.
        profiles: profile -> its definition.
        removed_needs: needs of the extended vocabulary that this one leaves out.
    """

    needs: Mapping[str, NeedText]
    items: Mapping[str, ItemText]
    place_kinds: Mapping[str, PlaceKindText]
    object_types: Mapping[str, ObjectTypeText]
    prices: Mapping[str, int]
    basket: Mapping[str, Fraction]
    profiles: Mapping[str, ProfileText]
    removed_needs: frozenset[str]

    def __repr__(self) -> str:
        return f"Vocabulary(needs={', '.join(self.needs)}; items={', '.join(self.items)})"

    @cached_property
    def definitions(self) -> Mapping[str, Mapping[str, Section]]:
        """Every kind of entry but prices: section -> name -> definition."""
        return {
            "needs": self.needs,
            "items": self.items,
            "place_kinds": self.place_kinds,
            "object_types": self.object_types,
            "profiles": self.profiles,
        }

    @cached_property
    def options(self) -> tuple[tuple[str, str | None], ...]:
        """Each option in the order of the numbers, with the need that it serves."""
        serving = tuple((need.option, name) for name, need in self.needs.items())
        return (*serving, *((name, None) for name in BEHAVIOURS))

    @cached_property
    def option_names(self) -> tuple[str, ...]:
        """The name of each option number."""
        return tuple(name for name, _ in self.options)

    @cached_property
    def priced_items(self) -> tuple[str, ...]:
        """Each good or service that has a price somewhere; not all of them are items."""
        return tuple(dict.fromkeys(key.partition(".")[2] for key in self.prices))

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The types of object whose direction and distance are features."""
        return tuple(name for name, kind in self.object_types.items() if kind.target)

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex of all definitions, in their order."""
        defined: dict[str, JsonValue] = {
            section: [[name, entry.model_dump(mode="json")] for name, entry in entries.items()]
            for section, entries in self.definitions.items()
        }
        text = canonical_json({**defined, "prices": [list(each) for each in self.prices.items()]})
        return hashlib.sha256(text).hexdigest()

    def carry_limits(self) -> tuple[int, ...]:
        """Return the most that a resident carries of each item."""
        return tuple(item.carry for item in self.items.values())


def read_vocabulary(text: VocabularyText, access: Access) -> Vocabulary:
    """Read a vocabulary.

    Args:
        text: the section ``vocabulary`` of the town's options.
        access: which files it may name; a relative path starts in its folder.

    Raises:
        ConfigError: with every mistake; keys are relative to the town's options, or to the file that the
            section extends.
    """
    base, document = _extended(text, access)
    problems = list(_problems_of_removal(text, base))
    left = text.remove
    vocabulary = Vocabulary(
        needs=_merged(base.needs, text.needs, left.needs),
        items=_merged(base.items, text.items, left.items),
        place_kinds=_merged(base.place_kinds, text.place_kinds, left.place_kinds),
        object_types=_merged(base.object_types, text.object_types, left.object_types),
        prices=_merged(base.prices, text.prices, left.prices),
        basket=MappingProxyType(
            {
                key: Fraction(str(number))
                for key, number in _merged(base.basket, text.basket, left.prices).items()
            }
        ),
        profiles=_merged(base.profiles, text.profiles, left.profiles),
        removed_needs=frozenset(left.needs) - text.needs.keys(),
    )
    checks = _Checks(vocabulary, text, document)
    problems += checks.problems()
    if problems:
        raise ConfigError(*problems)
    return vocabulary


def read_definitions(name: str, access: Access) -> tuple[DefinitionsText, Document]:
    """Read a vocabulary file that a config names.

    Raises:
        ConfigError: when there is no such file, the config may not read it, or it is not a vocabulary.
    """
    path = find_file(name, SHIPPED_VOCABULARIES, access, ("vocabulary", "extend"))
    document = read_document(path, quotable=False)
    return validate(document, DefinitionsText), document


def shipped_definitions(name: str = "town") -> DefinitionsText:
    """Read a shipped vocabulary."""
    return validate(read_document(shipped_file(SHIPPED_VOCABULARIES[name])), DefinitionsText)


def removal_key(text: VocabularyText, *named: tuple[SectionName, str]) -> KeyPath:
    """Return the key that takes the first of some names out of the vocabulary, else the vocabulary's."""
    for section, name in named:
        removed = text.remove.names(section)
        if name in removed:
            return ("vocabulary", "remove", section, removed.index(name))
    return ("vocabulary",)


def _extended(text: VocabularyText, access: Access) -> tuple[DefinitionsText, Document | None]:
    """Return the extended vocabulary, and the document of it unless it came with the town."""
    if text.extend is None:
        return DefinitionsText(), None
    if isinstance(text.extend, DefinitionsText):
        return text.extend, Document(None, "", at=("vocabulary", "extend"))
    if text.extend in SHIPPED_VOCABULARIES:
        return shipped_definitions(text.extend), None
    return read_definitions(text.extend, access)


EntryT = TypeVar("EntryT")


def _merged(
    base: Mapping[str, EntryT], added: Mapping[str, EntryT], removed: tuple[str, ...]
) -> Mapping[str, EntryT]:
    """Return the base without what is removed, then what is added; an entry of the same name is replaced."""
    return MappingProxyType({**{name: base[name] for name in base if name not in removed}, **added})


def _problems_of_removal(text: VocabularyText, base: DefinitionsText) -> Iterator[Problem]:
    left = text.remove
    sections: tuple[tuple[str, tuple[str, ...], Mapping[str, object]], ...] = (
        ("needs", left.needs, base.needs),
        ("items", left.items, base.items),
        ("place_kinds", left.place_kinds, base.place_kinds),
        ("object_types", left.object_types, base.object_types),
        ("prices", left.prices, base.prices),
        ("profiles", left.profiles, base.profiles),
    )
    for section, names, known in sections:
        for number, name in enumerate(names):
            if name not in known:
                found = f"'{name}' is not in the extended vocabulary"
                key = spell_key(("vocabulary", "remove", section, number))
                yield Problem(key, found, nearest(name, known))


@dataclass(frozen=True, slots=True)
class _Checks:
    """Checks a vocabulary as a whole.

    Attributes:
        vocabulary: the vocabulary.
        text: what the config says about it.
        document: the extended vocabulary, unless it came with the town.
    """

    vocabulary: Vocabulary
    text: VocabularyText
    document: Document | None

    def problems(self) -> Iterator[Problem]:
        """Find every problem."""
        yield from self._of_sizes()
        yield from self._of_needs()
        yield from self._of_stock()
        yield from self._of_multipliers()
        yield from self._of_prices()

    def _problem(self, path: KeyPath, found: str, allowed: str) -> Problem:
        """Build the problem of an entry: in the config, or in the file that the config extends."""
        section, *names = path
        own = getattr(self.text, str(section))
        if self.document is not None and names and names[0] not in own:
            return self.document.problem(path, found, allowed)
        return Problem(spell_key(("vocabulary", *path)), found, allowed)

    def _missing(self, path: KeyPath, found: str, section: SectionName, name: str) -> Problem:
        """Build the problem of an entry that uses a name which the vocabulary does not have."""
        using = getattr(self.text, str(path[0]))
        if path[1] not in using and name in self.text.remove.names(section):
            what = f"{spell_key(path)} uses '{name}'"
            remedy = f"remove {path[1]} as well (vocabulary.remove.{path[0]}), or define it anew"
            return Problem(spell_key(removal_key(self.text, (section, name))), what, remedy)
        return self._problem(path, found, nearest(name, getattr(self.vocabulary, section)))

    def _of_sizes(self) -> Iterator[Problem]:
        limits = {
            "needs": (1, MAX_NEEDS),
            "items": (0, MAX_ITEMS),
            "place_kinds": (1, MAX_PLACE_KINDS),
            "object_types": (1, MAX_OBJECT_TYPES),
            "prices": (0, MAX_PRICES),
            "profiles": (1, MAX_PROFILES),
        }
        for section, (least, most) in limits.items():
            count = len(getattr(self.vocabulary, section))
            if not least <= count <= most:
                yield self._problem((section,), f"{count} entries", f"allowed: {least} to {most}")
        profiles = self.vocabulary.profiles
        if profiles and not any(profile.weight for profile in profiles.values()):
            yield self._problem(("profiles",), "all weights are 0", "at least one must be above 0")

    def _of_needs(self) -> Iterator[Problem]:
        needs = self.vocabulary.needs
        options = [need.option for need in needs.values()]
        for number, (name, need) in enumerate(needs.items()):
            if name in FIXED_NAMES:
                found = f"a need cannot be called '{name}'"
                allowed = f"reserved for preconditions: {', '.join(FIXED_NAMES)}"
                yield self._problem(("needs", name), found, allowed)
            if need.option in BEHAVIOURS or need.option in options[:number]:
                found = f"the option '{need.option}' exists already"
                allowed = "give every need an option of its own"
                yield self._problem(("needs", name, "option"), found, allowed)

    def _of_stock(self) -> Iterator[Problem]:
        for kind, entry in self.vocabulary.object_types.items():
            for item in entry.stock:
                if item not in self.vocabulary.items:
                    path = ("object_types", kind, "stock", item)
                    yield self._missing(path, f"unknown item '{item}'", "items", item)

    def _of_multipliers(self) -> Iterator[Problem]:
        known = {*self.vocabulary.needs, *self.vocabulary.removed_needs}
        for profile, about in self.vocabulary.profiles.items():
            for need in about.need_multipliers:
                if need not in known:
                    path = ("profiles", profile, "need_multipliers", need)
                    yield self._missing(path, f"unknown need '{need}'", "needs", need)

    def _of_prices(self) -> Iterator[Problem]:
        for key in self.vocabulary.prices:
            place = key.partition(".")[0]
            if place not in self.vocabulary.place_kinds:
                found = f"unknown kind of place '{place}'"
                yield self._missing(("prices", key), found, "place_kinds", place)
        for key in self.vocabulary.basket:
            if key not in self.vocabulary.prices:
                yield self._missing(("basket", key), f"unknown price key '{key}'", "prices", key)
