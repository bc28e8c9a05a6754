"""Reads a manifest: resolves every name and type-checks every comparison."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias

from pydantic import Field, RootModel

from townlet_adapters.documents import KeyPath
from townlet_adapters.worlds.town.codes import (
    FIXED_NAMES,
    MAX_AFFORDANCES,
    NAME_INVENTORY,
    NAME_NEED,
    NAME_STOCK,
    OPERATORS,
    SHIFT_STATES,
)
from townlet_adapters.worlds.town.inputs.blame import Places
from townlet_adapters.worlds.town.inputs.section import MAX_MILLS
from townlet_adapters.worlds.town.inputs.texts import AffordanceText, TieEffect
from townlet_adapters.worlds.town.inputs.vocabulary import ObjectTypeText, Vocabulary
from townlet_core.dto.hook import STAGES, HookStage
from townlet_core.errors import ConfigError, Problem
from townlet_core.suggestions import nearest

NUMBER: Final = "number"
BOOL: Final = "bool"
_BOOL_NAMES: Final = frozenset(
    {"power_on", "water_on", "closed", "occupied", "on_shift", "has_job", "at_home"}
)
_TEXT_NAMES: Final = ("place_kind", "shift_state", "profile")
FIXED_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {name: BOOL if name in _BOOL_NAMES else name if name in _TEXT_NAMES else NUMBER for name in FIXED_NAMES}
)
"""Type of each name that every vocabulary has: a number, a bool, or, for text, the name itself."""
MOST_PRICED: Final = 100
_EQUALITY: Final = ("==", "!=")

_COMPARISON: Final = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(==|!=|<=|>=|<|>)\s*(.*\S)\s*", re.ASCII)
_NUMBER: Final = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
_QUOTED: Final = re.compile(r"\"([^\"]*)\"|'([^']*)'")


@dataclass(frozen=True, slots=True)
class Name:
    """A name that a precondition reads when it is checked.

    Attributes:
        name: the name.
        type: a number, a bool, or, for text, the name itself.
        code: the number by which kernels know it.
    """

    name: str
    type: str
    code: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written in a precondition.

    Attributes:
        value: the number, bool or text.
        type: as that of a name; a text has the type of the name on the other side.
        code: the number that kernels compare: a bool is 0 or 1, a text its index in the list of its type.
    """

    value: float | bool | str
    type: str
    code: float


Operand: TypeAlias = Name | Constant


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of two operands of one type.

    Attributes:
        lhs: left side.
        op: one of ``OPERATORS``; bools and texts are only compared for equality.
        rhs: right side.
        text: the comparison as it was written.
    """

    lhs: Name
    op: str
    rhs: Operand
    text: str


@dataclass(frozen=True, slots=True)
class Charge:
    """One way to pay for a use; a use with three empty maps is free.

    Attributes:
        inventory: item -> number taken from the resident.
        stock: item -> number taken from the object.
        price: priced item -> quantity bought.
    """

    inventory: Mapping[str, int]
    stock: Mapping[str, int]
    price: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of a finished use, applied in this order.

    Attributes:
        need: need -> change.
        stock: item -> change of the object's stock.
        inventory: item -> change of the resident's inventory.
        money: mills that the treasury pays.
        relation: part of a tie -> change of the ties between the resident and those nearby.
    """

    need: Mapping[str, float]
    stock: Mapping[str, int]
    inventory: Mapping[str, int]
    money: int
    relation: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Affordance:
    """An action that a type of object offers.

    Attributes:
        id: its name.
        object_type: type of the objects that offer it.
        duration: ticks of a use.
        preconditions: all of them must hold.
        charge: ways to pay, the first payable one is taken.
        effects: effects of a finished use.
        each_tick: need -> change in each tick of a use.
        until: the use is finished as soon as all of them hold; never before its last tick without any.
        wakes_before: ticks before the resident's shift at which the use ends; -1 for no such end.
        wakes_below: the use ends when a need falls below this; 0 for no such end.
        decay: factor of the decay of the resident's needs during a use.
        tags: `meal` marks a meal that can be shared.
        hooks: names of the hooks to call at each stage, in the order of the calls.
        text: the entry as it was written.
        enabled: whether the config allows its use; it keeps its action number if not.
    """

    id: str
    object_type: str
    duration: int
    preconditions: tuple[Condition, ...]
    charge: tuple[Charge, ...]
    effects: Effects
    each_tick: Mapping[str, float]
    until: tuple[Condition, ...]
    wakes_before: int
    wakes_below: float
    decay: float
    tags: tuple[str, ...]
    hooks: Mapping[HookStage, tuple[str, ...]]
    text: AffordanceText
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Manifest:
    """All affordances, in the order of their action numbers.

    Attributes:
        checksum: SHA-256 in hex of the shipped file, or of the canonical JSON of other affordances.
        affordances: in manifest order.
        dropped: what is left out because it is about a need that the vocabulary leaves out, as sentences.
    """

    checksum: str
    affordances: tuple[Affordance, ...]
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One affordance as it was written.

    Attributes:
        text: its text.
        places: builds the problems of its parts.
    """

    text: AffordanceText
    places: Places


class ManifestText(
    RootModel[Annotated[tuple[AffordanceText, ...], Field(min_length=1, max_length=MAX_AFFORDANCES)]]
):
    """A manifest: a list of affordances."""


def read_manifest(
    entries: Sequence[Entry],
    vocabulary: Vocabulary,
    checksum: str,
    hooks: Mapping[str, frozenset[HookStage]] = MappingProxyType({}),
) -> Manifest:
    """Read a manifest.

    Args:
        entries: its entries, in order.
        vocabulary: the names that they may use.
        checksum: SHA-256 in hex of the text.
        hooks: active hooks with the stages that they handle, in the order of the calls.

    Raises:
        ConfigError: with every mistake; file, line and key if the documents have them.
    """
    problems: list[Problem] = []
    dropped: list[str] = []
    affordances: list[Affordance] = []
    for entry in entries:
        reader = _Reader(entry, vocabulary, hooks)
        affordance = reader.affordance()
        problems += reader.problems
        dropped += reader.dropped
        if affordance is not None:
            affordances.append(affordance)
    if problems:
        raise ConfigError(*sorted(problems, key=lambda problem: problem.line or 0))
    return Manifest(checksum, tuple(affordances), tuple(dropped))


class Names:
    """The names that preconditions at one type of object may read, and the texts to compare with."""

    def __init__(self, vocabulary: Vocabulary, type_name: str, kind: ObjectTypeText) -> None:
        """Collect the fixed names, the needs and the items."""
        self._type_name, self._kind = type_name, kind
        items = tuple(vocabulary.items)
        self.known: dict[str, Name] = {
            name: Name(name, FIXED_TYPES[name], code) for code, name in enumerate(FIXED_NAMES)
        }
        for base, first, names in (
            ("", NAME_NEED, tuple(vocabulary.needs)),
            ("inventory.", NAME_INVENTORY, items),
            ("stock.", NAME_STOCK, items),
        ):
            for number, name in enumerate(names):
                self.known[base + name] = Name(base + name, NUMBER, first + number)
        self.texts: Mapping[str, tuple[str, ...]] = {
            "place_kind": tuple(vocabulary.place_kinds),
            "shift_state": SHIFT_STATES,
            "profile": tuple(vocabulary.profiles),
        }
        self.removed = vocabulary.removed_needs

    def find(self, name: str) -> Name:
        """Return a name; raises ``ValueError`` with what was found and what is allowed."""
        if name not in self.known:
            raise ValueError(f"unknown name '{name}'", nearest(name, self.known))
        base, _, item = name.partition(".")
        if base == "stock" and item not in self._kind.stock:
            raise ValueError(*_no_stock(self._type_name, self._kind, item))
        return self.known[name]


def parse_condition(text: str, names: Names) -> Condition | None:
    """Read a precondition ``NAME OP VALUE``.

    Args:
        text: the precondition as written.
        names: the names that it may read.

    Returns:
        The comparison; None when it is about a need that the vocabulary leaves out.

    Raises:
        ValueError: with two arguments: what was found and what is allowed.
    """
    parts = _COMPARISON.fullmatch(text)
    if parts is None:
        allowed = f"allowed: NAME OP VALUE with OP one of {' '.join(OPERATORS)}"
        raise ValueError("this is not a comparison", allowed)
    if names.removed & {parts[1], parts[3]}:
        return None
    lhs = names.find(parts[1])
    rhs = _read_value(parts[3], lhs, names)
    if rhs.type != lhs.type:
        raise ValueError(
            f"{lhs.name} is {_type_phrase(lhs.type)}, but {parts[3]} is {_type_phrase(rhs.type)}",
            "allowed: both sides of the same type",
        )
    if lhs.type != NUMBER and parts[2] not in _EQUALITY:
        raise ValueError(
            f"operator {parts[2]} on {_type_phrase(lhs.type)}", f"allowed: {' '.join(_EQUALITY)}"
        )
    return Condition(lhs, parts[2], rhs, text)


def _read_value(text: str, lhs: Name, names: Names) -> Operand:
    if _NUMBER.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"{text} is not a finite double", "allowed: a finite number")
        return Constant(number, NUMBER, number)
    if text in ("true", "false"):
        return Constant(text == "true", BOOL, float(text == "true"))
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        return _read_text(quoted[1] if quoted[1] is not None else quoted[2], lhs, names)
    if _NAME.fullmatch(text):
        if text in names.texts.get(lhs.type, ()) and text not in names.known:
            raise ValueError(f"{text} is a text, and texts need quotes", f"allowed: {lhs.name} OP '{text}'")
        return names.find(text)
    raise ValueError(f"invalid value {text}", "allowed: a number, true, false, a quoted text or a name")


def _read_text(text: str, lhs: Name, names: Names) -> Constant:
    values = names.texts.get(lhs.type)
    if values is None:
        found = f"{lhs.name} is {_type_phrase(lhs.type)}, but '{text}' is text"
        raise ValueError(found, "allowed: both sides of the same type")
    if text not in values:
        raise ValueError(f"'{text}' is not a value of {lhs.name}", nearest(text, values))
    return Constant(text, lhs.type, float(values.index(text)))


def _type_phrase(name: str) -> str:
    return {NUMBER: "a number", BOOL: "true or false"}.get(name, f"a text ({name})")


def _no_stock(type_name: str, kind: ObjectTypeText, item: str) -> tuple[str, str]:
    return f"a {type_name} has no stock of {item}", nearest(item, kind.stock)


class _Reader:
    """Reads one entry and collects its mistakes, and what it leaves out."""

    def __init__(
        self, entry: Entry, vocabulary: Vocabulary, hooks: Mapping[str, frozenset[HookStage]]
    ) -> None:
        self._text, self._places = entry.text, entry.places
        self._vocabulary, self._hooks = vocabulary, hooks
        self._type = entry.text.object_type
        self.problems: list[Problem] = []
        self.dropped: list[str] = []

    def affordance(self) -> Affordance | None:
        """Read the entry; None when its type of object is unknown."""
        text, types = self._text, self._vocabulary.object_types
        kind = types.get(self._type)
        if kind is None:
            found = f"unknown type of object '{self._type}'"
            self._refuse(("object_type",), found, nearest(self._type, types))
            return None
        charge = tuple(
            self._charge(("charge", number), alternative, kind)
            for number, alternative in enumerate(text.charge)
        )
        wakes = text.wakes
        return Affordance(
            id=text.id,
            object_type=self._type,
            duration=text.duration,
            preconditions=tuple(self._conditions("preconditions", text.preconditions, kind)),
            charge=charge,
            effects=self._effects(text.effects, kind),
            each_tick=MappingProxyType(self._each_tick(text.each_tick)),
            until=tuple(self._conditions("until", text.until, kind)),
            wakes_before=-1 if wakes.before_shift is None else wakes.before_shift,
            wakes_below=wakes.need_below or 0.0,
            decay=text.decay,
            tags=text.tags,
            hooks=MappingProxyType({stage: self._hooks_at(stage) for stage in STAGES}),
            text=text,
        )

    def _refuse(self, path: KeyPath, found: str, allowed: str) -> None:
        self.problems.append(self._places.problem(path, found, allowed))

    def _drop(self, what: str) -> None:
        self.dropped.append(f"{self._text.id}: {what}")

    def _hooks_at(self, stage: HookStage) -> tuple[str, ...]:
        """Read the hooks of a stage; they are called in the config's order, not the manifest's."""
        text = self._text
        names = {"before": text.hooks.before, "after": text.hooks.after, "failed": text.hooks.failed}[stage]
        for number, name in enumerate(names):
            path = ("hooks", stage, number)
            if name not in self._hooks:
                known = nearest(name, self._hooks)
                self._refuse(path, f"unknown hook '{name}'", f"{known}; plugins.hooks activates hooks")
            elif stage not in self._hooks[name]:
                answers = ", ".join(each for each in STAGES if each in self._hooks[name]) or "none"
                self._refuse(path, f"the hook '{name}' has no stage '{stage}'", f"its stages: {answers}")
            elif name in names[:number]:
                self._refuse(path, f"duplicate hook '{name}'", "name it once")
        return tuple(name for name in self._hooks if name in names)

    def _conditions(self, key: str, texts: Sequence[str], kind: ObjectTypeText) -> Iterator[Condition]:
        names = Names(self._vocabulary, self._type, kind)
        for number, text in enumerate(texts):
            try:
                condition = parse_condition(text, names)
            except ValueError as error:
                found, allowed = error.args
                self._refuse((key, number), f"'{text}': {found}", allowed)
                continue
            if condition is None:
                self._drop(f"{'precondition' if key == 'preconditions' else key} {text}")
            else:
                yield condition

    def _charge(self, path: KeyPath, alternative: Mapping[str, int], kind: ObjectTypeText) -> Charge:
        taken: dict[str, dict[str, int]] = {"inventory": {}, "stock": {}, "price": {}}
        items = self._vocabulary.items
        known = [f"inventory:{item}" for item in items] + [f"stock:{item}" for item in kind.stock]
        known += [f"price:{item}" for item in self._vocabulary.priced_items]
        for key, number in alternative.items():
            base, _, item = key.partition(":")
            if not self._knows((*path, key), key, known, kind, "charge"):
                continue
            most = {"inventory": self._carry(item), "stock": kind.stock.get(item, 0)}.get(base, MOST_PRICED)
            if not 1 <= number <= most:
                self._refuse((*path, key), str(number), f"allowed: a whole number from 1 to {most}")
            taken[base][item] = number
        return Charge(*(MappingProxyType(taken[base]) for base in ("inventory", "stock", "price")))

    def _effects(self, effects: Mapping[str, float | TieEffect], kind: ObjectTypeText) -> Effects:
        need: dict[str, float] = {}
        counted: dict[str, dict[str, int]] = {"stock": {}, "inventory": {}}
        money, relation = 0, dict[str, float]()
        needs, items = self._vocabulary.needs, self._vocabulary.items
        known = [f"need:{need}" for need in needs] + [f"stock:{item}" for item in kind.stock]
        known += [f"inventory:{item}" for item in items] + ["money", "relation:nearby"]
        removed = {f"need:{each}" for each in self._vocabulary.removed_needs}
        for key, value in effects.items():
            at = ("effects", key)
            base, _, item = key.partition(":")
            if key in removed:
                self._drop(f"effect {key}")
                continue
            if not self._knows(at, key, known, kind, "effect"):
                continue
            if base == "relation":
                relation = self._relation(at, value)
            elif base == "need":
                need[item] = self._real(at, value)
            elif base == "money":
                money = self._whole(at, value, 0, MAX_MILLS)
            else:
                most = kind.stock[item] if base == "stock" else self._carry(item)
                counted[base][item] = self._whole(at, value, -most, most)
        every = effects.keys() | self._text.each_tick.keys()
        if every and every <= removed:
            found = f"{self._text.id} is left without an effect"
            section = "effects" if effects else "each_tick"
            self._refuse((section,), found, f"remove it as well: affordances.remove: [{self._text.id}]")
        return Effects(
            need=MappingProxyType(need),
            stock=MappingProxyType(counted["stock"]),
            inventory=MappingProxyType(counted["inventory"]),
            money=money,
            relation=MappingProxyType(relation),
        )

    def _each_tick(self, effects: Mapping[str, float]) -> dict[str, float]:
        need: dict[str, float] = {}
        known = [f"need:{name}" for name in self._vocabulary.needs]
        for key, value in effects.items():
            name = key.partition(":")[2]
            if name in self._vocabulary.removed_needs and key == f"need:{name}":
                self._drop(f"each_tick {key}")
            elif key in known:
                need[name] = value
            else:
                self._refuse(("each_tick", key), f"unknown effect '{key}' in each tick", nearest(key, known))
        return need

    def _carry(self, item: str) -> int:
        known = self._vocabulary.items.get(item)
        return 0 if known is None else known.carry

    def _knows(self, path: KeyPath, key: str, known: list[str], kind: ObjectTypeText, word: str) -> bool:
        if key in known:
            return True
        base, _, item = key.partition(":")
        if base == "stock" and item in self._vocabulary.items:
            self._refuse(path, *_no_stock(self._type, kind, item))
        elif base == "price":
            allowed = f"add a price named <kind of place>.{item} to vocabulary.prices; {nearest(key, known)}"
            self._refuse(path, f"no kind of place has a price for '{item}'", allowed)
        else:
            self._refuse(path, f"unknown {word} '{key}'", nearest(key, known))
        return False

    def _relation(self, path: KeyPath, value: float | TieEffect) -> dict[str, float]:
        if isinstance(value, TieEffect):
            return {
                "trust": value.trust,
                "familiarity": value.familiarity,
                "rivalry": value.rivalry,
            }
        self._refuse(path, str(value), "allowed: a mapping with trust, familiarity and rivalry")
        return {}

    def _real(self, path: KeyPath, value: float | TieEffect) -> float:
        if isinstance(value, TieEffect) or not -1 <= value <= 1:
            found = "a mapping" if isinstance(value, TieEffect) else str(value)
            self._refuse(path, found, "allowed: a number from -1 to 1")
            return 0.0
        return value

    def _whole(self, path: KeyPath, value: float | TieEffect, least: int, most: int) -> int:
        if isinstance(value, TieEffect) or value != math.floor(value) or not least <= value <= most:
            found = "a mapping" if isinstance(value, TieEffect) else str(value)
            self._refuse(path, found, f"allowed: a whole number from {least} to {most}")
            return 0
        return int(value)
