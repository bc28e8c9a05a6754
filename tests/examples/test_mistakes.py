"""Every mistake that a modeller can make in the library is explained: at its line, with what is allowed.

The mistakes are made by machine, one after the other, in each line of the world: a key or a name with one
letter too many, a number out of range, a text in place of a number, an entry that is missing.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.house.sources import ROOT
from townlet_adapters.composition import check_config, load_config
from townlet_core.errors import ConfigError, Problem
from townlet_core.ports import WARNING

pytestmark = pytest.mark.slow
LINES = (ROOT / "examples/library/town.yaml").read_text(encoding="utf-8").splitlines()
WORLD = range(LINES.index("world:"), LINES.index("policy:"))
KEY = re.compile(r"([\w.]+(?::\w+)?):(?= |$)")
NAME = re.compile(r"(?:(?<=: )|(?<=\[))([a-z]\w+)(?=[,}\]]|$)")
NUMBER = re.compile(r"(?<=[ \[])-?[0-9.]+(?=[,}\]]|$)")

NEW_NAMES = {"have_fun", "bookworm", "read_book"}
"""What the config names and nothing else refers to: another name is as good."""
DEFINED = {
    "    fun: {decay": "need_multipliers.fun: unknown need 'fun'",
    "    book: {carry": "stock.book: unknown item 'book'",
    "    library: {till": "prices[\"library.book\"]: unknown kind of place 'library'",
    "    shelf: {stock": "legend.L.object: unknown type of object 'shelf'",
    "    library.book: 50": "charge[1].price:book: no kind of place has a price for 'book'",
    "    library: library": "legend.l.place: the place 'library' has no kind",
}
"""Start of a line that defines a name -> the problem of its first use when it is called otherwise."""


class Mistake(NamedTuple):
    """A changed config.

    Attributes:
        at: number of the changed line, from 1.
        lines: the config.
        right: what stood there; empty for what was removed.
        wrong: what stands there now.
    """

    at: int
    lines: list[str]
    right: str
    wrong: str


def replaced(number: int, match: re.Match[str], wrong: str) -> Mistake:
    line = LINES[number]
    changed = line[: match.start()] + wrong + line[match.start() + len(match[0].rstrip(":")) :]
    return Mistake(number + 1, [*LINES[:number], changed, *LINES[number + 1 :]], match[0].rstrip(":"), wrong)


def misspelled(word: str) -> str:
    return f"{word[:-1]}x{word[-1]}"


def mistakes(pattern: re.Pattern[str], wrong: str = "") -> Iterator[Mistake]:
    for number in WORLD:
        for match in pattern.finditer(LINES[number]):
            yield replaced(number, match, wrong or misspelled(match[0].rstrip(":")))


def removals() -> Iterator[Mistake]:
    """Every entry removed, with what is below it."""
    for number in WORLD:
        depth = len(LINES[number]) - len(LINES[number].lstrip())
        end = number + 1
        while LINES[end].strip() and len(LINES[end]) - len(LINES[end].lstrip()) > depth:
            end += 1
        if LINES[number].strip():
            yield Mistake(number + 1, LINES[:number] + LINES[end:], LINES[number].strip(), "")


@pytest.fixture
def check(tmp_path):
    """Check a config; gives its problems and its warnings. Anything but a ``ConfigError`` ends the test."""
    path: Path = tmp_path / "town.yaml"

    def check(lines: list[str]) -> tuple[tuple[Problem, ...], list[str]]:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        try:
            remarks = check_config(load_config(path))
        except ConfigError as error:
            problems = error.problems
        else:
            return (), [remark.text for remark in remarks if remark.topic == WARNING]
        assert {problem.file for problem in problems} == {str(path)}
        assert all(problem.line and problem.key and problem.allowed for problem in problems)
        return problems, []

    return check


def problem_of_use(mistake: Mistake) -> str | None:
    """Return the problem of the first use of a name that the mistake defines otherwise."""
    line = LINES[mistake.at - 1].strip()
    is_first = mistake.right == KEY.match(line)[1] if KEY.match(line) else False
    return next((DEFINED[start] for start in DEFINED if is_first and line.startswith(start.strip())), None)


def test_the_library_itself_has_no_mistake(check):
    assert check(LINES) == ((), [])


def test_a_misspelled_key_is_named_with_the_right_one(check):
    seen = 0
    for mistake in mistakes(KEY):
        problems, _ = check(mistake.lines)
        used = problem_of_use(mistake)
        if mistake.right in NEW_NAMES:
            assert problems == ()
        elif used is not None:
            assert used in str(problems[0])
            assert f"did you mean '{mistake.wrong}'?" in str(problems[0]) or "price" in used
        elif mistake.right in {"l", "L"}:
            assert (problems[0].line, problems[0].found) == (mistake.at, f'the key "{mistake.wrong}"')
        else:
            here = "".join(problem.allowed for problem in problems if problem.line == mistake.at)
            assert f"did you mean '{mistake.right}'?" in here, (mistake.wrong, problems)
        seen += 1
    assert seen > 50


def test_a_misspelled_name_is_named_with_the_right_one(check):
    seen = 0
    for mistake in mistakes(NAME):
        problems, _ = check(mistake.lines)
        seen += 1
        if mistake.right in NEW_NAMES:
            assert problems == ()
            continue
        assert [problem.line for problem in problems] == [mistake.at]
        allowed = problems[0].allowed
        assert f"did you mean '{mistake.right}'?" in allowed or mistake.right in {"floor", "true"}, problems
        assert mistake.right in allowed
    assert seen > 14


@pytest.mark.parametrize(("wrong", "allowed"), [("1000000000", " from -?[01]"), ("much", "number")])
def test_a_number_out_of_range_is_answered_with_the_range(check, wrong, allowed):
    seen = 0
    for mistake in mistakes(NUMBER, wrong):
        problems, _ = check(mistake.lines)
        assert [problem.line for problem in problems] == [mistake.at]
        assert wrong in problems[0].found
        assert re.search(allowed, problems[0].allowed), problems
        seen += 1
    assert seen > 14


NEEDED = {
    "use: town": (7, "world.use: this key is missing"),
    "vocabulary:": (35, "unknown type of object 'shelf'"),
    "extend: town": (10, "the shipped map 'town_48' does not fit: legend.F.object: unknown type of object"),
    "needs:": (21, "unknown need 'fun'"),
    "items:": (17, "unknown item 'book'"),
    "place_kinds:": (19, "unknown kind of place 'library'"),
    "object_types:": (47, "unknown type of object 'shelf'"),
    "prices:": (30, "add a price named <kind of place>.book to vocabulary.prices"),
    "object_type: shelf": (27, "object_type: this key is missing"),
    "duration: 30": (27, "duration: this key is missing; a whole number from 1 up to 600"),
    "extend: town_48": (35, "world.options.town.extend: this key is missing"),
    "kinds:": (46, "the place 'library' has no kind"),
    "stamp:": (38, "the place 'library' has no tiles; draw it or remove it"),
    "rows:": (40, "stamp[0].rows: this key is missing"),
    "legend:": (43, "unknown symbol 'L'"),
    "l: {tile: floor, place: library}": (43, "unknown symbol 'l'"),
    "L: {tile: floor, place: library, object: shelf}": (43, "unknown symbol 'L'"),
}
"""What cannot be left out -> line and words of the first problem. An emptied section is null."""
FUN = "nothing in the town raises the need fun"
WARNED = {"affordances:", "add:", "effects: {need:fun: 0.35}", '- "#LlLlLlL#"', "town:"}
"""What can be left out, but hardly should."""


def test_what_is_missing_is_named_where_it_is_needed(check):
    left = dict(NEEDED)
    for mistake in removals():
        problems, warnings = check(mistake.lines)
        if mistake.right in WARNED:
            assert problems == ()
            assert any(FUN in warning for warning in warnings)
        elif mistake.right in left:
            line, words = left.pop(mistake.right)
            assert problems[0].line == line, mistake.right
            assert words in str(problems[0])
        elif problems:
            assert problems[0].found == "null", (mistake.right, problems)
            assert problems[0].line == mistake.at - 1
    assert left == {}
