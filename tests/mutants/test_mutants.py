"""`make mutants` finds the mistakes that no test of a project notices, in a project of two files."""

import subprocess
import sys
from itertools import combinations

import pytest

from tests.mutants.__main__ import PROJECT, RULES, TESTS, Copy, groups_of_tests, main
from tests.mutants.places import changed_lines, places

ADULT = """\
from typing import Annotated


def is_adult(age: int) -> bool:
    \"\"\"Whether somebody is 18.\"\"\"
    return age >= 18
"""
TRIED = "from tiny.adult import is_adult\n\n\ndef test_it():\n    assert is_adult({}) and not is_adult(3)\n"


FAILS_ONCE = """

def test_once():
    tried = pathlib.Path("tried")
    before = tried.exists()
    tried.touch()
    assert before


import pathlib
"""
STARTS_A_PROGRAM = """
import subprocess, sys

def test_it():
    code = "from tiny.adult import is_adult; print(is_adult(18), is_adult(17))"
    run = subprocess.run([sys.executable, "-c", code], env={}, cwd="/", capture_output=True)
    assert run.stdout == b"True False\\n", run.stderr
"""
ONE_TOWNLET = """
import subprocess, sys
from importlib.metadata import distributions
from pathlib import Path

def test_it():
    assert [each.name for each in distributions()].count("townlet") == 1
    townlet = Path(sys.executable).with_name("townlet")
    run = subprocess.run([townlet, "plugins", "list"], env={{}}, cwd="/", capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    code = "import townlet_core, numpy; print(townlet_core.__file__)"
    run = subprocess.run([sys.executable, "-c", code], env={{}}, cwd="/", capture_output=True, text=True)
    assert run.stdout == "{}/townlet_core/__init__.py\\n", run.stderr
"""


@pytest.fixture
def tiny(tmp_path):
    """A project of one module and one test, whose author forgot the age of 18 itself."""
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tiny" / "__init__.py").touch()
    (tmp_path / "tiny" / "adult.py").write_text(ADULT, encoding="utf-8")
    (tmp_path / "tests" / "test_adult.py").write_text(TRIED.format(40), encoding="utf-8")
    (tmp_path / ".gitignore").write_text("__pycache__\n", encoding="utf-8")
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    commit(tmp_path)
    return tmp_path


def git(folder, *arguments):
    name = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    subprocess.run(["git", *name, "-C", str(folder), *arguments], check=True)  # noqa: S607 - git is where PATH says


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x")


def test_a_mutant_that_no_test_notices_survives_and_the_others_are_killed(tiny, capsys):
    assert main(["tiny/adult.py", "--seed", "3"], tiny) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 of 2 mutants, seed 3"
    assert {line.partition(" s  ")[2] for line in lines if " SURVIVED " in line} == {
        "tiny/adult.py:6: >= -> >",
        "tiny/adult.py:6: 18 -> (18 + 1)",
    }
    assert lines[3:] == ["2 tried, 2 survived", *(f"  {line.partition(' s  ')[2]}" for line in lines[1:3])]
    assert (tiny / "tiny" / "adult.py").read_text(encoding="utf-8") == ADULT


def test_with_the_missing_test_no_mutant_survives(tiny, capsys):
    (tiny / "tests" / "test_adult.py").write_text(TRIED.format(18), encoding="utf-8")
    assert main(["tiny"], tiny) == 0
    out = capsys.readouterr().out
    assert out.count(" killed ") == out.count("  by tests/test_adult.py::test_it\n") == 2
    assert out.splitlines()[-1] == "2 tried, 0 survived"


def test_without_a_path_the_lines_that_differ_from_main_are_tried(tiny, capsys):
    assert main(["--list"], tiny) == 2
    assert "nothing to change in the lines that differ from main" in capsys.readouterr().err
    source = tiny / "tiny" / "adult.py"
    source.write_text(ADULT + "\n\ndef later(age: int) -> int:\n    return age + 2\n", encoding="utf-8")
    assert main(["--list"], tiny) == 0
    assert set(capsys.readouterr().out.splitlines()[1:]) == {
        "tiny/adult.py:10: + -> -",
        "tiny/adult.py:10: 2 -> (2 + 1)",
    }


def test_the_same_seed_tries_the_same_mutants_and_a_quarter_of_them_are_numbers(capsys):
    runs = []
    for seed in ("1", "1", "2", "3"):
        assert main(["townlet_core/transforms", "--list", "--count", "20", "--seed", seed]) == 0
        runs.append(capsys.readouterr().out.splitlines()[1:])
    assert runs[0] == runs[1]
    assert all(len(set(one) & set(other)) < 15 for one, other in combinations(runs[1:], 2))
    assert all(len(run) == 20 and sum(line.endswith("+ 1)") for line in run) == 5 for run in runs)


def test_tests_that_fail_without_a_change_judge_nothing(tiny, capsys):
    (tiny / "tests" / "test_adult.py").write_text(TRIED.format(2), encoding="utf-8")
    assert main(["tiny"], tiny) == 2
    told = capsys.readouterr()
    assert told.out.splitlines()[-1] == "2 tried, 0 survived, 2 not judged"
    assert told.err.count("error: without a change, tests/test_adult.py does not pass") == 1


def test_tests_that_fail_once_without_a_change_are_tried_again(tiny, capsys):
    (tiny / "tests" / "test_adult.py").write_text(TRIED.format(18) + FAILS_ONCE, encoding="utf-8")
    assert main(["tiny"], tiny) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 tried, 0 survived"


def test_a_program_without_variables_or_a_folder_of_its_own_runs_the_copy(tiny, capsys):
    (tiny / "tests" / "test_adult.py").write_text(STARTS_A_PROGRAM, encoding="utf-8")
    assert main(["tiny"], tiny) == 0
    assert capsys.readouterr().out.count(" killed ") == 2


def test_the_copy_has_the_packages_and_programs_of_the_environment_and_one_townlet(tmp_path):
    copy = Copy(PROJECT, tmp_path)
    (tmp_path / "tests" / "test_adult.py").write_text(ONE_TOWNLET.format(str(tmp_path)), encoding="utf-8")
    outcome = copy.test(["tests/test_adult.py"], interpreted=False, limit=100)
    assert outcome.passed, outcome.output


def test_it_stops_when_its_time_is_over(tiny, capsys):
    assert main(["tiny", "--minutes", "0"], tiny) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 tried, 0 survived; out of time"


def test_a_path_without_sources_is_wrong_usage():
    run = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "docs", "--list"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr == "error: nothing to change in docs; name files or folders of the packages\n"


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x = a < b", ["x = a <= b"]),
        ("x = a is not b", ["x = a is b"]),
        ("x = (a  # >\n     > b)", ["x = (a  # >\n     >= b)"]),
        ("x = a and b or c", ["x = a and b and c", "x = a or b or c"]),
        ("x = not a", ["x = a"]),
        ("x = 'ä' * 2", ["x = 'ä' * (2 + 1)", "x = 'ä' // 2"]),
        ("x += 1", ["x += (1 + 1)", "x -= 1"]),
        ("disk.sync(file)", ["pass"]),
        ("while going:\n    break", ["while going:\n    continue", "while not (going):\n    break"]),
        ("x = 1 if a else b", ["x = (1 + 1) if a else b", "x = 1 if not (a) else b"]),
        ("x = min(a, b)", ["x = max(a, b)"]),
        ("def f():\n    raise ValueError('x')", ["def f():\n    pass"]),
        ("x: Annotated[int, Field(ge=1)] = True", [
            "x: Annotated[int, Field(ge=(1 + 1))] = True", "x: Annotated[int, Field(ge=1)] = False",
        ]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    x = 1", []),
        ("def f(a: 1 = None) -> 2:\n    'text'\n    return f'{1}'", []),
    ],
)  # fmt: skip
def test_each_kind_of_mistake_is_made_in_its_place(source, changed):
    assert sorted(place.applied(source) for place in places(source)) == sorted(changed)


def test_the_lines_of_a_diff_are_those_that_it_adds():
    diff = "--- a/x.py\n+++ b/x.py\n@@ -3 +3,2 @@ def f\n-a\n+b\n+c\n@@ -9,2 +10,0 @@\n-d\n-e\n"
    assert list(changed_lines(diff)) == [("x.py", 3), ("x.py", 4)]


def test_every_folder_of_tests_that_the_table_names_is_there():
    for start, tests in (*TESTS.items(), ("", RULES)):
        assert (PROJECT / start).is_dir(), start
        assert all((PROJECT / test).exists() for test in tests), tests


def test_the_tests_that_import_a_module_come_first():
    first, *others = groups_of_tests(PROJECT, "townlet_core/transforms/rename.py")
    assert "tests/core/test_transforms.py" in first
    assert others == [RULES, ["tests/core", "tests/composition"]]
    assert list(groups_of_tests(PROJECT, "townlet_adapters/disk.py"))[-1] == ["tests"]


def test_the_tests_that_are_named_after_a_module_come_before_the_others_that_import_it():
    first, second, _, third = groups_of_tests(PROJECT, "townlet_adapters/telemetry/delivery/buffer.py")
    assert first == ["tests/telemetry/test_buffer.py"]
    assert "tests/telemetry/test_streams.py" in second
    assert first[0] not in second
    assert third == ["tests/telemetry"]
