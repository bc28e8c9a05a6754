"""Core and policies hold no word of the shipped town: what they know of it comes through the port, as names.

Needs, items, types of objects, kinds of places, profiles, options, affordances and money are the town's. A
word of them that stands in the code of another package would hold only for the shipped vocabulary.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.house.sources import ROOT, modules, tree
from townlet_adapters.documents import read_document
from townlet_adapters.worlds.town.compiled.columns import COLUMNS
from townlet_adapters.worlds.town.compiled.model import FIGURES
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_adapters.worlds.town.inputs.vocabulary import BEHAVIOURS

FREE_OF_THE_TOWN: Final = (
    "townlet_core",
    "townlet_adapters/policies",
    "townlet_adapters/envs",
    "townlet_adapters/viewer",
    "townlet_adapters/study",
)
"""Folders without a word of the town; some do not exist yet."""

ORDINARY: Final = {
    "bench": "what measures speed",
    "counter": "something that counts; Counter of the standard library",
    "home": "the place where a resident lives, in every town; the folder of a program",
    "idle": "without work",
    "rest": "what remains",
    "sink": "a destination of messages",
}
"""Words of the vocabulary that are also words of every program, with their meaning there."""


def vocabulary() -> set[str]:
    """Every name that the shipped vocabulary and manifest declare."""
    declared = read_document(shipped_file("vocabulary")).value
    sections = ("needs", "items", "place_kinds", "object_types", "profiles")
    names = {name for section in sections for name in declared[section]}
    names |= {need["option"] for need in declared["needs"].values()}
    return names | {use["id"] for use in read_document(shipped_file("manifest")).value}


def texts(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Every identifier and string of a module, docstrings included, with its line."""
    for node in ast.walk(module):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Name(id=text) | ast.Attribute(attr=text) | ast.arg(arg=text):
                yield line, text
            case ast.FunctionDef(name=text) | ast.ClassDef(name=text):
                yield line, text
            case ast.keyword(arg=str(text)) | ast.alias(name=text):
                yield line, text
            case ast.Constant(value=str(text)):
                yield line, text


def found_in(text: str, words: set[str]) -> set[str]:
    """The words that stand in a text, alone or as parts of an identifier, in singular or plural."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()
    return {word for word in words if re.search(rf"(?<![a-z]){word}s?(?![a-z])", plain)}


WORDS = vocabulary() - ORDINARY.keys()
CHECKED = [path for folder in FREE_OF_THE_TOWN for path in modules(folder)]
OPTIONS = set(BEHAVIOURS) - ORDINARY.keys()
"""The options that serve no need: a policy knows what they are, since they are what it does."""
MONEY = {"mill"} | {each.name for each in (*COLUMNS, *FIGURES) if each.unit == "mills"}
"""The town's money: its unit, and the columns and figures counted in it; a policy reads the columns."""


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_holds_no_word_of_the_shipped_vocabulary(path: Path):
    module = tree(path)
    words = WORDS if "policies" in path.parts else WORDS | OPTIONS | MONEY
    assert [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for line, text in texts(module)
        for word in sorted(found_in(text, words))
    ] == []


def test_the_vocabulary_is_found_wherever_it_stands():
    assert {"hunger", "meal", "shower", "cafe", "stoic", "get_fed", "eat_meal"} <= WORDS
    assert found_in("need_hunger", WORDS) == found_in("HungerSpec", WORDS) == {"hunger"}
    assert found_in("Two meals.", WORDS) == {"meal"}
    assert found_in("oatmeal", WORDS) == set()
    assert {"wallet", "treasury", "mill"} <= MONEY
    assert found_in("wallets = columns['wallet']", MONEY) == {"wallet", "wallets"}
    assert found_in("In mills, not milliseconds.", MONEY) == {"mill"}
    module = ast.parse("def eat_meal(stove, *, bed=1):\n    '''A fridge.'''\n    return x.cafe\n")
    assert {word for _, text in texts(module) for word in found_in(text, WORDS)} == {
        "eat_meal", "meal", "stove", "bed", "fridge", "cafe",
    }  # fmt: skip


def test_every_ordinary_word_is_one_of_the_vocabulary():
    assert ORDINARY.keys() <= vocabulary() | set(BEHAVIOURS)
