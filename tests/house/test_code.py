"""Rules about the code that no linter states."""

import ast
import re
import sys
from collections.abc import Iterator

import pytest

from tests.house.sources import PACKAGES, ROOT, imported_roots, modules, tree

SCREEN = 60
BANNED_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
BANNED_NAMES = {"eval", "exec", "compile", "__import__"}
BANNED_METHODS = {"os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
STAND_INS = {"unittest.mock", "mock", "pytest_mock"}


def dangers(module: ast.Module) -> Iterator[str]:
    """What could run code out of data."""
    for node in ast.walk(module):
        if isinstance(node, ast.keyword) and node.arg in {"allow_pickle", "shell"}:
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                yield f"line {node.value.lineno}: {node.arg}"
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in BANNED_NAMES | BANNED_METHODS:
                yield f"line {node.lineno}: {name}()"
    yield from (f"import {name}" for name in imported_roots(module) if name in BANNED_IMPORTS)


def guesses(module: ast.Module) -> Iterator[str]:
    """Every `getattr` with a default: an attribute that may be missing is a seam that nobody wrote down."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and len(node.args) > 2:
            yield f"line {node.lineno}"


def is_kernel(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function is compiled; a rule of the town may be as long as its text."""
    return any(ast.unparse(decorator) in {"kernel", "entry_kernel"} for decorator in function.decorator_list)


def long_functions(module: ast.Module) -> Iterator[str]:
    """Functions that do not fit a screen."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_kernel(node):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > SCREEN:
                yield f"line {node.lineno}: {node.name} has {lines} lines"


def stand_ins(module: ast.Module) -> Iterator[str]:
    """What replaces a part of the program under test behind its back."""
    for node in ast.walk(module):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name in STAND_INS)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "monkeypatch.setattr":
            yield f"line {node.lineno}: monkeypatch.setattr"


def bare_forks(module: ast.Module) -> Iterator[str]:
    """Forks that could outlive their test or go on as a second worker; see ``tests/forks.py``."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"os.fork", "os.forkpty", "pty.fork"}:
            yield f"line {node.lineno}: {ast.unparse(node.func)}()"


def constants_made_twice(module: ast.Module) -> Iterator[str]:
    """Constants that a later line gives another value, for those as well who mean the first one."""
    known: set[str] = set()
    for statement in module.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else ()
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = (statement.target,)
        for node in (node for target in targets for node in ast.walk(target)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id.isupper():
                if node.id in known:
                    yield f"line {node.lineno}: {node.id}"
                known.add(node.id)


SILENT = re.compile(
    r"#\s*(?:type:\s*ignore(?:\[[a-z, -]+\])?|noqa(?::\s*[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)?)\s*$"
)
"""A checker told to look away, with nothing after the codes that says why."""


def silent_exceptions(text: str) -> Iterator[str]:
    """Exceptions from a check with a reason neither beside them nor in a comment right above."""
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        explained_above = number > 1 and lines[number - 2].lstrip().startswith("# ")
        if SILENT.search(line) and not explained_above:
            yield f"line {number}: {line.strip()}"


def findings(check, paths) -> list[str]:
    return [f"{path.relative_to(ROOT)}: {found}" for path in paths for found in check(tree(path))]


def test_nothing_in_the_packages_runs_code_out_of_data():
    assert findings(dangers, modules(*PACKAGES)) == []


def test_no_attribute_is_guessed():
    assert findings(guesses, modules(*PACKAGES)) == []


def test_every_function_outside_kernels_fits_a_screen():
    assert findings(long_functions, modules(*PACKAGES)) == []


def test_no_module_gives_a_constant_two_values():
    assert findings(constants_made_twice, modules(*PACKAGES, "tests", "benchmarks", "examples")) == []


def test_tests_replace_nothing_behind_the_programs_back():
    assert findings(stand_ins, modules("tests", "examples")) == []


def test_tests_fork_in_the_one_way_that_ends():
    paths = [path for path in modules("tests", "examples") if path != ROOT / "tests" / "forks.py"]
    assert findings(bare_forks, paths) == []


def test_every_exception_from_a_check_says_why():
    silent = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in modules(*PACKAGES, "tests", "examples")
        for found in silent_exceptions(path.read_text(encoding="utf-8"))
    ]
    assert silent == []


def test_the_core_imports_the_standard_library_and_itself():
    allowed = sys.stdlib_module_names | {"townlet_core"}
    strangers = {name for path in modules("townlet_core") for name in imported_roots(tree(path))} - allowed
    assert strangers == set()


def test_the_door_imports_pluggy_and_importlib_metadata_besides():
    allowed = sys.stdlib_module_names | {"townlet_core", "townlet_plugins", "pluggy", "importlib_metadata"}
    strangers = {name for path in modules("townlet_plugins") for name in imported_roots(tree(path))} - allowed
    assert strangers == set()


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (dangers, "import pickle"),
        (dangers, "def f():\n    from pickle import loads"),
        (dangers, "eval('1')"),
        (dangers, "numpy.load(path, allow_pickle=True)"),
        (dangers, "numpy.load(path, allow_pickle=trusted)"),
        (dangers, "yaml.load(text)"),
        (dangers, "subprocess.run(line, shell=True)"),
        (guesses, "getattr(sink, 'name', None)"),
        (long_functions, "def f():\n" + "    x = 1\n" * SCREEN),
        (constants_made_twice, "TOO_FAR, BUSY = 8, 9\nGONE, BUSY = range(2)"),
        (constants_made_twice, "LIMIT: Final = 1\nLIMIT: Final = 2"),
        (bare_forks, "child = os.fork()"),
        (stand_ins, "from unittest import mock"),
        (stand_ins, "from unittest.mock import patch"),
        (stand_ins, "def test(monkeypatch):\n    monkeypatch.setattr(module, 'name', 1)"),
    ],
    ids=lambda value: value.partition("\n")[0] if isinstance(value, str) else value.__name__,
)
def test_each_check_finds_what_it_is_for(check, code):
    assert list(check(ast.parse(code))) != []


@pytest.mark.parametrize(
    "marker", ["noqa", "noqa: S101", "noqa: S101, S603", "type: ignore", "type: ignore[misc]"]
)
def test_an_exception_without_a_reason_is_found(marker):
    line = f"x = 1  # {marker}"
    assert list(silent_exceptions(line)) != []
    assert list(silent_exceptions(f"{line} - the reason")) == []
    assert list(silent_exceptions(f"# The reason.\n{line}")) == []
