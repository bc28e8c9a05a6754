"""Every dependency is declared, locked by hash, and has its reason written down."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.house.sources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = ["requirements.lock", "requirements/ml.lock", "requirements/bootstrap.lock"]
PIN = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?P<rest>(?:.*\\\n)(?:\s+--hash=sha256:[0-9a-f]{64}.*\n)+)?",
    re.MULTILINE,
)
LOCKED_ML = [line for line in EXTRAS["ml"] if not line.startswith("torch")]


def declared(lines: list[str]) -> list[Requirement]:
    return [Requirement(line) for line in lines]


def pins(lock: str) -> dict[str, set[str]]:
    """Each locked name with its versions; a universal lock may hold one per Python version."""
    found: dict[str, set[str]] = {}
    for match in PIN.finditer((ROOT / lock).read_text(encoding="utf-8")):
        found.setdefault(canonicalize_name(match["name"]), set()).add(match["version"])
    return found


@pytest.mark.parametrize(
    ("lock", "lines"),
    [
        ("requirements.lock", PROJECT["dependencies"] + EXTRAS["dev"]),
        ("requirements/ml.lock", PROJECT["dependencies"] + LOCKED_ML),
    ],
    ids=["requirements.lock", "ml.lock"],
)
def test_a_lock_holds_every_declared_dependency_within_its_bounds(lock, lines):
    locked = pins(lock)
    for requirement in declared(lines):
        versions = locked[canonicalize_name(requirement.name)]
        outside = [version for version in versions if not requirement.specifier.contains(Version(version))]
        assert outside == [], f"{requirement} and {lock} disagree: run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_version_has_hashes(lock):
    matches = list(PIN.finditer((ROOT / lock).read_text(encoding="utf-8")))
    assert matches
    assert [match["name"] for match in matches if not match["rest"]] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_to_fetch_from(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert re.findall(r"https?://|--(?:extra-)?index|--find-links|file:", text) == []


def test_the_two_locks_agree_on_what_both_hold():
    run, ml = pins("requirements.lock"), pins("requirements/ml.lock")
    both = run.keys() & ml.keys()
    assert "numpy" in both
    assert {name: run[name] for name in both} == {name: ml[name] for name in both}


def test_pytorch_is_in_no_lock_and_its_pin_is_within_the_declared_bounds():
    assert all("torch" not in pins(lock) for lock in LOCKS)
    lines = (ROOT / "requirements/torch.txt").read_text(encoding="utf-8").splitlines()
    (pinned,) = declared([line for line in lines if not line.startswith("#")])
    (bounds,) = (requirement for requirement in declared(EXTRAS["ml"]) if requirement.name == "torch")
    (version,) = (specifier.version for specifier in pinned.specifier)
    assert bounds.specifier.contains(version)


def test_every_dependency_has_its_line_in_the_page_and_no_line_is_left_over():
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    rows = {canonicalize_name(name) for name in re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)}
    names = {
        canonicalize_name(requirement.name)
        for lines in (PROJECT["dependencies"], *EXTRAS.values())
        for requirement in declared(lines)
    }
    assert rows == names
