"""Plain words: docstrings, messages and pages avoid the patterns that readers stumble over.

The word list in docs/contributing.md fixes the terms. The table below holds only what a program can find.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.house.sources import PACKAGES, ROOT, modules, project_files, tree

EXEMPT = ("docs/domain.md",)
"""The rules of the town keep their own words until their subject is next touched."""


class Pattern(NamedTuple):
    """A regular expression that prose must not match, and the words to use instead."""

    expression: str
    instead: str


PATTERNS = (
    Pattern(r"\b(?:let|lets|letting)(?: \w+)? in\b", "allow, accept"),
    Pattern(r"\b(?:give|gives|given|gave|giving) up\b", "drop, stop trying"),
    Pattern(r"\b(?:tell|tells|telling|told)\b", "emit, record, report, print, log, say, distinguish"),
    Pattern(r"\b(?:whoever|whomever|whom)\b", "a noun: any client, the caller"),
    Pattern(r"\b(?:nobody|somebody|anybody)\b", "a noun: no plugin, another process, a resident"),
    Pattern(
        r"(?<!there )(?<!there\n    )\b(?:is|are|was|were|be) (?-i:none)\b",
        "is not valid, is not one, there is none",
    ),
    Pattern(
        r"(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|later\b|other than\b)", "is not a"
    ),
    Pattern(r"\bstrangers?\b", "plugin, third party, peer, unknown client"),
    Pattern(r"\b(?:lie|lies|lay) (?:in|at|on|below|beside|inside|within|outside|there|beyond)\b", "is in"),
    Pattern(r"\bof (?:ours|theirs)\b", "a noun: of Townlet, of the plugin"),
    Pattern(r"\b(?:spell|spells|spelled|spelt)\b", "format, write, call"),
    Pattern(r"\bkept from\b", "prevented from, cannot"),
    Pattern(r"\b(?:pictured|picturing|picture of the (?:town|world))\b", "frame"),
    Pattern(r"\b(?:hear|hears|heard) of\b", "receive"),
    Pattern(r"\bpurses?\b", "wallet"),
)

OPENINGS = Pattern(
    r"(?:Tells?|Says?|Spells?|Lets?|Picture|Name (?:a|an|the|each|what|which))\b"
    # A rule of the town may give an object or a job to a resident.
    r"|Gives?\b(?! (?:a resident|the object|a free))",
    "Return, Format, Build, List",
)
"""Words that must not open the docstring of a function."""

CODE = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)", re.DOTALL)
"""Parts of a page that are not prose: code, and the targets of links."""


class Prose(NamedTuple):
    """One piece of text, and where it starts."""

    file: str
    line: int
    text: str


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_checked(name: str) -> bool:
    return name not in EXEMPT


def of_module(name: str, module: ast.Module) -> Iterator[Prose]:
    """Docstrings and messages: every constant text of more than one word."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield Prose(name, node.lineno, node.value)


def of_page(name: str, text: str) -> Iterator[Prose]:
    """A page's prose; of a decision record, only the title."""
    if name.startswith("ADR/"):
        text = text.partition("\n")[0]
    blanked = CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), text)
    for number, line in enumerate(blanked.splitlines(), start=1):
        yield Prose(name, number, line)


def violations(pieces: Sequence[Prose], patterns: Sequence[Pattern] = PATTERNS) -> list[str]:
    """Matches of the patterns, each as ``FILE:LINE: words; write: instead``."""
    found = []
    for piece in pieces:
        for pattern in patterns:
            for match in re.finditer(pattern.expression, piece.text, re.IGNORECASE):
                line = piece.line + piece.text.count("\n", 0, match.start())
                found.append(f"{piece.file}:{line}: '{match[0].strip()}'; write: {pattern.instead}")
    return found


def openings(name: str, module: ast.Module) -> Iterator[str]:
    """Docstrings of functions that open with a word that hides what the function does."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            match = re.match(OPENINGS.expression, ast.get_docstring(node) or "")
            if match:
                yield f"{name}:{node.lineno}: '{match[0]}'; write: {OPENINGS.instead}"


def checked_modules() -> list[Path]:
    return [path for path in modules(*PACKAGES) if is_checked(name_of(path))]


def pages() -> list[Path]:
    return [
        path for path in project_files() if path.suffix == ".md" and not name_of(path).startswith("tests/")
    ]


def test_docstrings_and_messages_use_plain_words():
    pieces = [piece for path in checked_modules() for piece in of_module(name_of(path), tree(path))]
    assert pieces
    assert violations(pieces) == []


def test_docstrings_of_functions_open_with_what_the_function_does():
    found = [each for path in checked_modules() for each in openings(name_of(path), tree(path))]
    assert found == []


def test_pages_use_plain_words():
    checked = [path for path in pages() if is_checked(name_of(path))]
    pieces = [piece for path in checked for piece in of_page(name_of(path), path.read_text(encoding="utf-8"))]
    assert violations(pieces) == []


@pytest.mark.parametrize(
    "text",
    [
        "a plugin that was let in",
        "it gives up after three attempts",
        "messages given up, by reason",
        "tell nothing but errors",
        "its name is none",
        "it is no text",
        "whoever opened it closes it",
        "what a stranger wrote",
        "the file lies in the folder",
        "a plugin of ours",
        "spelled as JSON",
        "money in the purse",
    ],
)
def test_the_table_finds_what_it_is_for(text):
    assert violations([Prose("a.py", 1, text)])


@pytest.mark.parametrize(
    "text",
    [
        "a plugin that is allowed",
        "there is no such file",
        "by default there are none",
        "the hook is no longer called",
        "the value is not valid",
        "letters in a name",
        "print only errors",
    ],
)
def test_the_table_leaves_plain_text_alone(text):
    assert violations([Prose("a.py", 1, text)]) == []


def test_code_and_link_targets_on_a_page_are_not_prose():
    page = "See [the guide](tell/strangers.md) and `tell()`.\n```sh\ntell nobody\n```\n"
    assert violations(list(of_page("docs/a.md", page))) == []
    assert violations(list(of_page("docs/a.md", "nobody is told\n"))) == [
        "docs/a.md:1: 'told'; write: emit, record, report, print, log, say, distinguish",
        "docs/a.md:1: 'nobody'; write: a noun: no plugin, another process, a resident",
    ]
