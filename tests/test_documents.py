"""YAML texts as plain values that remember where they were written."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townlet_adapters.documents import (
    MAX_BYTES,
    MAX_DEPTH,
    Document,
    parse_document,
    read_document,
    read_key,
    spell_key,
)
from townlet_core.errors import ConfigError, Problem


def refused(text: str | bytes) -> Problem:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "a.yaml")
    (problem,) = caught.value.problems
    assert problem.file == "a.yaml"
    assert "\n" not in str(problem)
    return problem


def test_scalars_are_what_they_look_like():
    text = """
    nothing: [null, ~, ]
    switches: [true, FALSE]
    whole: [0, -7, +7, 18446744073709551615, -9223372036854775808]
    real: [0.5, .5, 1e3, -2.5E-2]
    text: [no, on, Yes, 22:22, 2020-01-01, 0x10, 010, 1_000, "1", 'true', "", 1.2.3, <<]
    """
    assert parse_document(text, "a.yaml").value == {
        "nothing": [None, None],
        "switches": [True, False],
        "whole": [0, -7, 7, 2**64 - 1, -(2**63)],
        "real": [0.5, 0.5, 1000.0, -0.025],
        "text": [
            "no",
            "on",
            "Yes",
            "22:22",
            "2020-01-01",
            "0x10",
            "010",
            "1_000",
            "1",
            "true",
            "",
            "1.2.3",
            "<<",
        ],
    }
    assert parse_document("", "a.yaml").value is None
    assert parse_document(b"\xef\xbb\xbfa: 1", "a.yaml").value == {"a": 1}


@pytest.mark.parametrize(
    ("text", "line", "key", "found"),
    [
        ("a: &x 1", 1, "a", "an anchor"),
        ("a: 1\nb: [2, *x]", 2, "b[1]", "an alias"),
        ("a: 1\nb: !!int 5", 2, "b", "a tag"),
        ("a: !mine {}", 1, "a", "a tag"),
        ("a: 1\nb:\n  c: 1\n  c: 2", 4, "b.c", "a repeated key (first on line 3)"),
        ("a:\n  1: x", 2, "a", "a key that is not text"),
        ("? [a]\n: 1", 1, "", "a key that is not plain text"),
        ("&x a: 1", 1, "", "a key that is not plain text"),
        ("--- 1\n--- 2", 2, "", "a second document"),
        ("a:\n- 1e999", 2, "a[0]", "a number that a double cannot hold"),
        ("a:\n- .nan", 2, "a[0]", "a number that is not finite"),
        ("a:\n- -.inf", 2, "a[0]", "a number that is not finite"),
        ("a: -9223372036854775809", 1, "a", "a whole number that 64 bits cannot hold"),
        ("a: 18446744073709551616", 1, "a", "a whole number that 64 bits cannot hold"),
        ("a: " + "9" * 9999, 1, "a", "a whole number that 64 bits cannot hold"),
        ("a: 1\nb: [", 2, "", "not YAML"),
        ("a: b: c", 1, "", "not YAML"),
        ("a: 1\nb: \x01", 2, "", "a character that YAML forbids"),
        (b"a: 1\nb: \xff", 2, "", "not UTF-8 text"),
        ("a: \ud800", 1, "", "not UTF-8 text"),
        ("home.meal: [1,\n !x 2]", 2, '["home.meal"][1]', "a tag"),
    ],
)
def test_what_yaml_can_do_beyond_values_is_refused_where_it_stands(text, line, key, found):
    problem = refused(text)
    assert (problem.line, problem.key) == (line, key)
    assert problem.found.startswith(found)


def test_an_alias_bomb_is_refused_at_its_first_anchor():
    bomb = "a: &a [x, x]\n" + "".join(
        f"{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert refused(bomb).line == 1


def test_size_and_depth_are_bounded_before_anything_is_built():
    assert parse_document("x" * MAX_BYTES, "a.yaml").value == "x" * MAX_BYTES
    assert "larger than 1048576 bytes" in refused("x" * (MAX_BYTES + 1)).found
    assert parse_document("[" * MAX_DEPTH + "]" * MAX_DEPTH, "a.yaml").value
    assert "too deep nesting" in refused("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)).found
    assert "too deep nesting" in refused("[" * 900_000).found


def test_every_part_knows_its_line_and_an_unknown_part_that_of_its_parent():
    document = parse_document("a:\n  - x: 1\n    y: 2\n  - [3,\n     4]\n", "a.yaml")
    assert [document.line_of(path) for path in [(), ("a",), ("a", 0, "y"), ("a", 1, 1)]] == [1, 1, 3, 5]
    assert document.line_of(("a", 0, "z", "deeper")) == 2
    assert Document(5, "--set").line_of(("a",)) is None


def test_a_child_starts_at_its_part_and_its_problems_at_the_top():
    document = parse_document("a:\n  - x:\n      y: 2\n", "a.yaml")
    child = document.child(("a", 0)).child(("x",))
    assert child.value == {"y": 2}
    assert child.problem(("y",), "2", "3") == Problem("a[0].x.y", "2", "3", "a.yaml", 3)
    assert child.locate(Problem("y", "2", "3")) == Problem("a[0].x.y", "2", "3", "a.yaml", 3)
    elsewhere = Problem("y", "2", "3", "map.yaml", 9)
    assert child.locate(elsewhere) is elsewhere
    for path in [("b",), ("a", 1), ("a", "x"), ("a", 0, "x", "y", 0)]:
        with pytest.raises(KeyError):
            document.child(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    for path, reason in [(tmp_path / "no.yaml", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(ConfigError, match=reason) as caught:
            read_document(path)
        assert caught.value.problems[0].file == str(path)


def test_no_more_of_a_huge_file_is_read_than_shows_that_it_is_too_large(tmp_path: Path):
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        read_document(path)


@given(st.lists(st.text(max_size=8) | st.integers(0, 99), max_size=5).map(tuple))
def test_a_spelled_path_is_read_back(path):
    assert read_key(spell_key(path)) == path


@given(st.text(max_size=40) | st.binary(max_size=40) | st.text("ab:-[]{}&*!|>'\"#?, \n\t%", max_size=40))
def test_any_text_gives_a_value_or_a_config_error(text):
    try:
        document = parse_document(text, "a.yaml")
    except ConfigError as error:
        files = [problem.file for problem in error.problems]
    else:
        files = [document.file]
        assert json.loads(json.dumps(document.value, allow_nan=False)) == document.value
    assert files == ["a.yaml"]
