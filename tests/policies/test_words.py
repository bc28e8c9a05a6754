"""The policies know no word of the shipped vocabulary: every name comes through the port."""

import io
import re
import tokenize
from pathlib import Path

import pytest

import townlet_adapters.policies
from tests.town.words import ITEMS, NEEDS, OBJECT_TYPES, PLACE_KINDS, PRICES, PROFILES, SHIPPED
from townlet_adapters.documents import read_document
from townlet_adapters.worlds.town.inputs.shipped import shipped_file

FOLDER = Path(townlet_adapters.policies.__file__).parent
MODULES = sorted(FOLDER.rglob("*.py"))
AFFORDANCES = tuple(entry["id"] for entry in read_document(shipped_file("manifest")).value)
ORDINARY = {"home", "rest"}
"""Words of the vocabulary that are parts of the port as well (``home_field``), or of plain English."""
VOCABULARY = {
    *NEEDS, *ITEMS, *OBJECT_TYPES, *PLACE_KINDS, *PROFILES, *AFFORDANCES,
    *(key.partition(".")[2] for key in PRICES),
    *(need.option for need in SHIPPED.needs.values()),
} - ORDINARY  # fmt: skip
WORD = re.compile(r"[A-Za-z]+(?:_[A-Za-z]+)*")


def words(source: str) -> set[str]:
    """Every name and every word of a text or comment, and the parts of names."""
    found = {
        word.lower()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type in (tokenize.NAME, tokenize.STRING, tokenize.COMMENT)
        for word in WORD.findall(token.string)
    }
    return found | {part for word in found for part in word.split("_")}


def test_the_vocabulary_is_the_shipped_one():
    assert {"hunger", "meal", "fridge", "cafe", "stoic", "work_out", "session", "get_fed"} <= VOCABULARY


@pytest.mark.parametrize(
    "source", ["HUNGER = 0", "x = 'a fresh meal'", "# goes to the gym", "need_energy = 1"]
)
def test_a_word_of_the_vocabulary_would_be_found(source):
    assert words(source) & VOCABULARY


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_no_policy_holds_a_word_of_the_vocabulary(path):
    assert words(path.read_text(encoding="utf-8")) & VOCABULARY == set()
