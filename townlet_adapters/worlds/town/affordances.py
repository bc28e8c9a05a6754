"""Reads a manifest: resolves every name and type-checks every comparison."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias

from pydantic import Field, RootModel

from townlet_adapters.documents import Document, KeyPath
from townlet_adapters.worlds.town.codes import (
    INVENTORY_LIMITS,
    ITEMS,
    MAX_AFFORDANCES,
    NEEDS,
    OPERATORS,
    PRECONDITION_NAMES,
    SHIFT_STATES,
)
from townlet_adapters.worlds.town.options import MAX_MILLS, AffordanceText, TieEffect
from townlet_adapters.worlds.town.vocabulary import (
    OBJECT_TYPES,
    PLACE_KINDS,
    PRICED_ITEMS,
    PROFILES,
    ObjectType,
    ObjectTypeName,
)
from townlet_core.dto.hook import STAGES, HookStage
from townlet_core.errors import ConfigError, Problem
from townlet_core.naming import nearest

NUMBER: Final = "number"
BOOL: Final = "bool"
_TEXT_VALUES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"place_kind": PLACE_KINDS, "shift_state": SHIFT_STATES, "profile": PROFILES}
)
_BOOL_NAMES: Final = frozenset(
    {"power_on", "water_on", "closed", "occupied", "on_shift", "has_job", "at_home"}
)
NAME_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: BOOL if name in _BOOL_NAMES else name if name in _TEXT_VALUES else NUMBER
        for name in PRECONDITION_NAMES
    }
)
"""Type of each name that a precondition may use: a number, a bool, or, for text, the name itself."""
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
        name: one of ``PRECONDITION_NAMES``.
        type: its entry in ``NAME_TYPES``.
    """

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written in a precondition.

    Attributes:
        value: the number, bool or text.
        type: as in ``NAME_TYPES``; a text has the type of the name on the other side.
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
        tags: `meal` marks a meal that can be shared.
        hooks: names of the hooks to call at each stage, in the order of the calls.
        enabled: whether the config allows its use; it keeps its action number if not.
    """

    id: str
    object_type: ObjectTypeName
    duration: int
    preconditions: tuple[Condition, ...]
    charge: tuple[Charge, ...]
    effects: Effects
    tags: tuple[str, ...]
    hooks: Mapping[HookStage, tuple[str, ...]]
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Manifest:
    """All affordances, in the order of their action numbers.

    Attributes:
        checksum: SHA-256 in hex of the manifest file, or of the canonical JSON of an inline list.
        affordances: in manifest order.
    """

    checksum: str
    affordances: tuple[Affordance, ...]


class ManifestText(
    RootModel[Annotated[tuple[AffordanceText, ...], Field(min_length=1, max_length=MAX_AFFORDANCES)]]
):
    """A manifest: a list of affordances."""


def read_manifest(
    texts: tuple[AffordanceText, ...],
    document: Document,
    checksum: str,
    hooks: Mapping[str, frozenset[HookStage]] = MappingProxyType({}),
) -> Manifest:
    """Read a manifest.

    Args:
        texts: its entries.
        document: the document that holds them, for messages.
        checksum: SHA-256 in hex of the text.
        hooks: active hooks with the stages that they handle, in the order of the calls.

    Raises:
        ConfigError: with every mistake; file, line and key if the document has them.
    """
    reader = _Reader(document, hooks)
    affordances = tuple(reader.affordance(index, text) for index, text in enumerate(texts))
    first: dict[str, int] = {}
    for index, text in enumerate(texts):
        if first.setdefault(text.id, index) != index:
            found = f"duplicate id '{text.id}', already used by entry {first[text.id]}"
            reader.problems.append(document.problem((index, "id"), found, "give every affordance its own id"))
    if reader.problems:
        raise ConfigError(*sorted(reader.problems, key=lambda problem: problem.line or 0))
    return Manifest(checksum, affordances)


def parse_condition(text: str, object_type: ObjectType) -> Condition:
    """Read a precondition ``NAME OP VALUE``.

    Args:
        text: the precondition as written.
        object_type: type of the objects that it is checked at.

    Raises:
        ValueError: with two arguments: what was found and what is allowed.
    """
    parts = _COMPARISON.fullmatch(text)
    if parts is None:
        allowed = f"allowed: NAME OP VALUE with OP one of {' '.join(OPERATORS)}"
        raise ValueError("this is not a comparison", allowed)
    lhs = _read_name(parts[1], object_type)
    rhs = _read_value(parts[3], lhs, object_type)
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


def _read_name(name: str, object_type: ObjectType) -> Name:
    if name not in NAME_TYPES:
        raise ValueError(f"unknown name '{name}'", nearest(name, NAME_TYPES))
    base, _, item = name.partition(".")
    if base == "stock" and item not in object_type.stock:
        raise ValueError(*_no_stock(object_type, item))
    return Name(name, NAME_TYPES[name])


def _read_value(text: str, lhs: Name, object_type: ObjectType) -> Operand:
    if _NUMBER.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"{text} is not a finite double", "allowed: a finite number")
        return Constant(number, NUMBER, number)
    if text in ("true", "false"):
        return Constant(text == "true", BOOL, float(text == "true"))
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        return _read_text(quoted[1] if quoted[1] is not None else quoted[2], lhs)
    if _NAME.fullmatch(text):
        return _read_name(text, object_type)
    raise ValueError(f"invalid value {text}", "allowed: a number, true, false, a quoted text or a name")


def _read_text(text: str, lhs: Name) -> Constant:
    values = _TEXT_VALUES.get(lhs.type)
    if values is None:
        found = f"{lhs.name} is {_type_phrase(lhs.type)}, but '{text}' is text"
        raise ValueError(found, "allowed: both sides of the same type")
    if text not in values:
        raise ValueError(f"'{text}' is not a value of {lhs.name}", nearest(text, values))
    return Constant(text, lhs.type, float(values.index(text)))


def _type_phrase(name: str) -> str:
    return {NUMBER: "a number", BOOL: "true or false"}.get(name, f"a text ({name})")


def _no_stock(object_type: ObjectType, item: str) -> tuple[str, str]:
    return f"a {object_type.name} has no stock of {item}", nearest(item, object_type.stock)


class _Reader:
    """Reads entries and collects their mistakes."""

    def __init__(self, document: Document, hooks: Mapping[str, frozenset[HookStage]]) -> None:
        self._document, self._hooks = document, hooks
        self.problems: list[Problem] = []

    def affordance(self, index: int, text: AffordanceText) -> Affordance:
        """Read one entry."""
        kind = OBJECT_TYPES[text.object_type]
        charge = tuple(
            self._charge((index, "charge", number), alternative, kind)
            for number, alternative in enumerate(text.charge)
        )
        return Affordance(
            id=text.id,
            object_type=text.object_type,
            duration=text.duration,
            preconditions=tuple(self._conditions(index, text.preconditions, kind)),
            charge=charge,
            effects=self._effects((index, "effects"), text.effects, kind),
            tags=text.tags,
            hooks=MappingProxyType({stage: self._hooks_at(stage, index, text) for stage in STAGES}),
        )

    def _refuse(self, path: KeyPath, found: str, allowed: str) -> None:
        self.problems.append(self._document.problem(path, found, allowed))

    def _hooks_at(self, stage: HookStage, index: int, text: AffordanceText) -> tuple[str, ...]:
        """Read the hooks of a stage; they are called in the config's order, not the manifest's."""
        names = {"before": text.hooks.before, "after": text.hooks.after, "failed": text.hooks.failed}[stage]
        for number, name in enumerate(names):
            path = (index, "hooks", stage, number)
            if name not in self._hooks:
                known = nearest(name, self._hooks)
                self._refuse(path, f"unknown hook '{name}'", f"{known}; plugins.hooks activates hooks")
            elif stage not in self._hooks[name]:
                answers = ", ".join(each for each in STAGES if each in self._hooks[name]) or "none"
                self._refuse(path, f"the hook '{name}' has no stage '{stage}'", f"its stages: {answers}")
            elif name in names[:number]:
                self._refuse(path, f"duplicate hook '{name}'", "name it once")
        return tuple(name for name in self._hooks if name in names)

    def _conditions(self, index: int, texts: tuple[str, ...], kind: ObjectType) -> Iterator[Condition]:
        for number, text in enumerate(texts):
            try:
                yield parse_condition(text, kind)
            except ValueError as error:
                found, allowed = error.args
                self._refuse((index, "preconditions", number), f"'{text}': {found}", allowed)

    def _charge(self, path: KeyPath, alternative: Mapping[str, int], kind: ObjectType) -> Charge:
        taken: dict[str, dict[str, int]] = {"inventory": {}, "stock": {}, "price": {}}
        known = [f"inventory:{item}" for item in ITEMS] + [f"stock:{item}" for item in kind.stock]
        known += [f"price:{item}" for item in PRICED_ITEMS]
        for key, number in alternative.items():
            base, _, item = key.partition(":")
            if not self._knows((*path, key), key, known, kind, "charge"):
                continue
            most = {"inventory": _inventory_limit(item), "stock": kind.stock.get(item, 0)}.get(
                base, MOST_PRICED
            )
            if not 1 <= number <= most:
                self._refuse((*path, key), str(number), f"allowed: a whole number from 1 to {most}")
            taken[base][item] = number
        return Charge(*(MappingProxyType(taken[base]) for base in ("inventory", "stock", "price")))

    def _effects(self, path: KeyPath, effects: Mapping[str, float | TieEffect], kind: ObjectType) -> Effects:
        need: dict[str, float] = {}
        counted: dict[str, dict[str, int]] = {"stock": {}, "inventory": {}}
        money, relation = 0, dict[str, float]()
        known = [f"need:{need}" for need in NEEDS] + [f"stock:{item}" for item in kind.stock]
        known += [f"inventory:{item}" for item in ITEMS] + ["money", "relation:nearby"]
        for key, value in effects.items():
            at = (*path, key)
            base, _, item = key.partition(":")
            if not self._knows(at, key, known, kind, "effect"):
                continue
            if base == "relation":
                relation = self._relation(at, value)
            elif base == "need":
                need[item] = self._real(at, value)
            elif base == "money":
                money = self._whole(at, value, 0, MAX_MILLS)
            else:
                most = kind.stock[item] if base == "stock" else _inventory_limit(item)
                counted[base][item] = self._whole(at, value, -most, most)
        return Effects(
            need=MappingProxyType(need),
            stock=MappingProxyType(counted["stock"]),
            inventory=MappingProxyType(counted["inventory"]),
            money=money,
            relation=MappingProxyType(relation),
        )

    def _knows(self, path: KeyPath, key: str, known: list[str], kind: ObjectType, word: str) -> bool:
        if key in known:
            return True
        base, _, item = key.partition(":")
        if base == "stock" and item in ITEMS:
            self._refuse(path, *_no_stock(kind, item))
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


def _inventory_limit(item: str) -> int:
    return INVENTORY_LIMITS[ITEMS.index(item)] if item in ITEMS else 0
