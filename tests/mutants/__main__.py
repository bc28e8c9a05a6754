"""``make mutants``: makes one small mistake at a time in a copy of the project, and runs tests against it.

Without a path it tries lines that differ from the branch ``main``, else lines of the named files and folders.
Each mutant is tested with the test files that are named after the changed module, then with those that import
it, then with the tests that ``TESTS`` lists for it. A mutant with which all of them pass has survived: a test
is missing, or the change makes no difference.

A killed mutant is printed with the test that noticed it: a test that fails now and then would kill every one.
A mutant with tests that do not pass without it either, tried twice, is not judged.

Exit codes: 0 when no mutant survived, 1 when one did, 2 when none did and one could not be tried or judged.
"""

import argparse
import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import Distribution, distributions
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.mutants.places import Place, changed_lines, places

PROJECT = Path(__file__).resolve().parents[2]

TESTS = {
    "townlet_core/": ["tests/core"],
    "townlet_core/transforms/": ["tests/core", "tests/composition"],
    "townlet_plugins/": ["tests/plugins"],
    "townlet_adapters/cli/": ["tests/cli"],
    "townlet_adapters/composition/": ["tests/composition", "tests/plugins"],
    "townlet_adapters/config/": ["tests/config", "tests/composition"],
    "townlet_adapters/drawing/": ["tests/drawing", "tests/cli/test_watch.py"],
    "townlet_adapters/kernels/": ["tests/kernels", "tests/town/rules"],
    "townlet_adapters/policies/": ["tests/policies"],
    "townlet_adapters/stages/": ["tests/stages"],
    "townlet_adapters/story/": ["tests/story", "tests/cli/test_story.py"],
    "townlet_adapters/storage/": ["tests/storage", "tests/composition"],
    "townlet_adapters/telemetry/": ["tests/telemetry"],
    "townlet_adapters/worlds/town/observers/": ["tests/town/test_key_figures.py", "tests/town/test_kpis.py"],
    "townlet_adapters/worlds/town/seam/": ["tests/town", "tests/composition"],
    "townlet_adapters/worlds/town/": [
        "tests/town/inputs",
        "tests/town/rules",
        "tests/town/test_observations.py",
    ],
}
"""Start of a path -> the tests behind those that import the module; the longest start decides."""

RULES = ["tests/house/test_records.py", "tests/cli/test_reference.py"]
"""Tests of what is the same for every module, run for each: its records, its options with their limits."""

EVERYTHING = ["tests"]
"""The tests of a module without an entry in ``TESTS``."""

KERNELS = (
    "townlet_adapters/kernels/",
    "townlet_adapters/policies/scripted/",
    "townlet_adapters/worlds/town/",
)
"""Compiled sources: the tests that are named after them run as plain Python, which takes less time than
compiling anew; all others run compiled, because as plain Python they take many minutes."""

WARM_UP = 600
"""Seconds in which the kernels of a mutant must be compiled, and two ticks run."""

KILLED, SURVIVED, NOT_JUDGED = "killed", "SURVIVED", "NOT JUDGED"

_PASSED, _NO_TESTS = 0, 5


class Mutant(NamedTuple):
    """A file of the project and one change of it."""

    path: str
    place: Place

    def __str__(self) -> str:
        return f"{self.path}:{self.place}"


class Outcome(NamedTuple):
    """What became of a run of tests."""

    passed: bool
    seconds: float
    output: str

    @property
    def reason(self) -> str:
        """The test that failed, or what else went wrong."""
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", self.output, re.MULTILINE)
        return failed[1] if failed else (self.output.strip().splitlines() or ["no output"])[-1]


class UnjudgedError(Exception):
    """Tests fail without a change."""


class Copy:
    """A copy of the project, in which tests run against its own sources and keep their own kernels."""

    def __init__(self, project: Path, folder: Path) -> None:
        """Copy what git knows or would add."""
        self.folder = folder
        self._checked: dict[tuple[str, ...], float | None] = {}
        for name in _git(project, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
            source, target = project / name, folder / name
            if not name or not (source.is_file() or source.is_symlink()):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
        self._python = _environment_of(project, folder)
        _git(folder, "init", "--quiet")
        _git(folder, "add", "--all")

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": str(self.folder / ".kernels"),
        }

    def compile(self) -> None:
        """Compile the kernels of the copy; a test that did it would run into its time limit.

        Should they not compile, or not end the ticks that a warm-up runs, the tests that need them say so.
        """
        if (self.folder / "townlet_adapters" / "kernels").is_dir():
            command = [self._python, "-m", "townlet", "warmup"]
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    command,
                    cwd=self.folder,
                    env=self._environment,
                    check=False,
                    capture_output=True,
                    timeout=WARM_UP,
                )

    def test(self, tests: Sequence[str], *, interpreted: bool, limit: float) -> Outcome:
        """Run tests until the first failure, for at most ``limit`` seconds."""
        environment = self._environment
        if interpreted:
            environment["NUMBA_DISABLE_JIT"] = "1"
        command = [self._python, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
        start = time.monotonic()
        try:
            run = subprocess.run(
                [*command, *tests],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome(passed=False, seconds=limit, output=f"no end after {limit:.0f} s")
        passed = run.returncode in {_PASSED, _NO_TESTS}
        return Outcome(passed, time.monotonic() - start, run.stdout + run.stderr)

    def seconds_of(self, tests: Sequence[str], *, interpreted: bool, limit: float) -> float:
        """Return how long tests take on the unchanged project, which they must pass, at the second try if not
        at the first.

        Raises:
            UnjudgedError: when they do not; no mutant can be judged by them then.
        """
        key = (*tests, str(interpreted))
        if key not in self._checked:
            outcome = self.test(tests, interpreted=interpreted, limit=limit)
            if not outcome.passed:
                outcome = self.test(tests, interpreted=interpreted, limit=limit)
            if not outcome.passed:
                _note("\n".join(outcome.output.splitlines()[-30:]))
                _note(f"error: without a change, {' '.join(tests)} does not pass")
            self._checked[key] = outcome.seconds if outcome.passed else None
        seconds = self._checked[key]
        if seconds is None:
            raise UnjudgedError
        return seconds

    def killer(self, mutant: Mutant, limit: float) -> str:
        """Make the change, run its tests, and undo it; returns the test that noticed it, empty for none.

        Raises:
            UnjudgedError: when tests fail without the change.
        """
        path = self.folder / mutant.path
        source = path.read_text(encoding="utf-8")
        kernels = mutant.path.startswith(KERNELS)
        for tests in groups_of_tests(self.folder, mutant.path):
            interpreted = kernels and all(map(_is_named_after(mutant.path), tests))
            compiled = kernels and not interpreted
            if compiled:
                self.compile()
            usual = self.seconds_of(tests, interpreted=interpreted, limit=limit)
            path.write_text(mutant.place.applied(source), encoding="utf-8")
            try:
                if compiled:
                    self.compile()
                outcome = self.test(tests, interpreted=interpreted, limit=30 + 3 * usual)
            finally:
                path.write_text(source, encoding="utf-8")
            if not outcome.passed:
                return outcome.reason
        return ""


def _environment_of(project: Path, folder: Path) -> Path:
    """Make an environment for the copy, and return its Python.

    It has what is installed beside the project, but the project itself is the copy: one of two would be taken
    for an impostor, and a test that clears the variables of a program would try the unchanged sources.
    """
    venv.EnvBuilder(symlinks=True).create(folder / ".venv")
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder / ".venv")}))
    own = {name for name in (_folder_of(each, project) for each in distributions()) if name}
    for source in Path(sysconfig.get_path("purelib")).iterdir():
        target = packages / source.name
        if source.name in own:
            shutil.copytree(source, target)
            copied = {"url": folder.as_uri(), "dir_info": {"editable": True}}
            (target / "direct_url.json").write_text(json.dumps(copied), encoding="utf-8")
        elif source.suffix != ".pth" or set(source.read_text(encoding="utf-8").split()) != {str(project)}:
            target.symlink_to(source)
    (packages / "copy.pth").write_text(str(folder), encoding="utf-8")
    scripts = folder / ".venv" / "bin"
    for source in Path(sysconfig.get_path("scripts")).iterdir():
        if not (scripts / source.name).exists():
            _add_script(source, scripts)
    return scripts / "python"


def _folder_of(installed: Distribution, project: Path) -> str:
    """Name the folder of a distribution's metadata if it was installed from the project."""
    origin = installed.read_text("direct_url.json")
    ours = origin and json.loads(origin)["url"] == project.as_uri()
    return f"{installed.name}-{installed.version}.dist-info" if ours else ""


def _add_script(source: Path, scripts: Path) -> None:
    """Copy a script for the Python in its new folder; link a program."""
    target, line = scripts / source.name, f"#!{source.parent}/"
    content = source.read_bytes()
    if content.startswith(line.encode()):
        target.write_bytes(content.replace(line.encode(), f"#!{scripts}/".encode(), 1))
        target.chmod(0o755)
    else:
        target.symlink_to(source)


def groups_of_tests(project: Path, path: str) -> Iterator[list[str]]:
    """List the groups of tests that try a module, the nearest first."""
    importers = sorted(_importers(project, path))
    named = [*filter(_is_named_after(path), importers)]
    others = [test for test in importers if test not in named]
    rules = [test for test in RULES if (project / test).exists()]
    yield from filter(None, (named, others, rules))
    start = max((start for start in TESTS if path.startswith(start)), key=len, default="")
    yield TESTS.get(start, EVERYTHING)


def _is_named_after(path: str) -> Callable[[str], bool]:
    """Build the question whether a test file has the name of a module."""
    return lambda test: Path(test).stem == f"test_{Path(path).stem}"


def _importers(project: Path, path: str) -> Iterator[str]:
    """List the test files that import a module by its name."""
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    parent, _, name = module.rpartition(".")
    for test in (project / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(test.read_text(encoding="utf-8"))):
            by_from = isinstance(node, ast.ImportFrom) and (
                node.module == module
                or (node.module == parent and any(each.name == name for each in node.names))
            )
            if by_from or (isinstance(node, ast.Import) and any(each.name == module for each in node.names)):
                yield test.relative_to(project).as_posix()
                break


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _note(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _git(folder: Path, *arguments: str) -> str:
    run = subprocess.run(
        ["git", "-C", str(folder), *arguments],  # noqa: S607 - git is where PATH says
        check=True,
        capture_output=True,
        text=True,
    )
    return run.stdout


def sources(project: Path, named: Sequence[str]) -> list[str]:
    """List the sources of the packages, or those of them that are named or in a named folder."""
    packages = {path.parent.name for path in project.glob("*/__init__.py")} - {"tests"}
    found = (
        path.relative_to(project).as_posix() for name in packages for path in (project / name).rglob("*.py")
    )
    wanted = [name.removeprefix("./").rstrip("/") for name in named]
    return sorted(
        path
        for path in found
        if not wanted or any(path == each or path.startswith(f"{each}/") for each in wanted)
    )


def candidates(project: Path, named: Sequence[str], base: str) -> list[Mutant]:
    """List every mutant of the named sources, or of the lines that differ from ``base``."""
    lines = None
    if not named:
        start = _git(project, "merge-base", base, "HEAD").strip()
        lines = set(changed_lines(_git(project, "diff", "--unified=0", "--no-color", start, "--", "*.py")))
    return [
        Mutant(path, place)
        for path in sources(project, named)
        for place in places((project / path).read_text(encoding="utf-8"))
        if lines is None or (path, place.line) in lines
    ]


def sample(found: Sequence[Mutant], count: int, seed: int, project: Path) -> list[Mutant]:
    """Choose mutants at random, not more than a quarter of them changed numbers while there are others."""
    order = random.Random(seed).sample(found, len(found))  # noqa: S311 - no secret
    others = list(islice(_real(order, project, numbers=False), count))
    numbers = list(islice(_real(order, project, numbers=True), max(count // 4, count - len(others))))
    return others[: count - len(numbers)] + numbers


def _real(order: Sequence[Mutant], project: Path, *, numbers: bool) -> Iterator[Mutant]:
    """Pick the mutants of one kind that are other programs than their sources."""
    for each in order:
        source = (project / each.path).read_text(encoding="utf-8")
        if each.place.is_number is numbers and each.place.changes(source):
            yield each


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="files and folders to try, instead of the diff"
    )
    parser.add_argument("--count", type=int, default=20, metavar="N", help="mutants to try (default: 20)")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="S", help="which ones; the same seed, the same ones"
    )
    parser.add_argument("--base", default="main", help="branch that the diff starts from (default: main)")
    parser.add_argument("--minutes", type=float, default=30, metavar="M", help="when to stop (default: 30)")
    parser.add_argument("--list", action="store_true", help="print the mutants and try none")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None, project: Path = PROJECT) -> int:
    """Run the command; see the module's text."""
    options = _arguments(given)
    found = candidates(project, options.paths, options.base)
    if not found:
        where = " ".join(options.paths) or f"the lines that differ from {options.base}"
        _note(f"error: nothing to change in {where}; name files or folders of the packages")
        return 2
    chosen = sample(found, options.count, options.seed, project)
    _say(f"{len(chosen)} of {len(found)} mutants, seed {options.seed}")
    if options.list:
        _say("\n".join(map(str, chosen)))
        return 0
    verdicts = dict(_judge(chosen, project, end=time.monotonic() + 60 * options.minutes))
    survivors = [mutant for mutant, verdict in verdicts.items() if verdict == SURVIVED]
    unjudged = list(verdicts.values()).count(NOT_JUDGED)
    _say(
        f"{len(verdicts)} tried, {len(survivors)} survived"
        + (f", {unjudged} not judged" if unjudged else "")
        + ("" if len(verdicts) == len(chosen) else "; out of time")
    )
    for mutant in survivors:
        _say(f"  {mutant}")
    if survivors:
        return 1
    return 2 if unjudged else 0


def _judge(chosen: Sequence[Mutant], project: Path, *, end: float) -> Iterator[tuple[Mutant, str]]:
    """Try mutants until a time, and print each verdict."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Copy(project, Path(folder).resolve())
        if not all(mutant.path.startswith(KERNELS) for mutant in chosen):
            copy.compile()
        for number, mutant in enumerate(chosen, 1):
            left = end - time.monotonic()
            if left <= 0:
                return
            start = time.monotonic()
            try:
                killer = copy.killer(mutant, limit=max(60.0, left))
            except UnjudgedError:
                killer, verdict = "", NOT_JUDGED
            else:
                verdict = KILLED if killer else SURVIVED
            by = f"  by {killer}" if killer else ""
            _say(f"[{number}/{len(chosen)}] {verdict} {time.monotonic() - start:.0f} s  {mutant}{by}")
            yield mutant, verdict


if __name__ == "__main__":
    raise SystemExit(main())
