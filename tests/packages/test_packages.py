"""Packages of others, built, installed, tested, let in and used as an operator would."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from tests.house.sources import ROOT
from tests.packages.conftest import NEW

ALL = ["townlet-bakery", "townlet-market", "townlet-sink-sqlite", *NEW.values()]
OFFERS = {
    ("townlet-bakery", "hook", "bakery"),
    ("townlet-bakery", "command", "bakery.feed"),
    ("townlet-market", "world", "market"),
    ("townlet-market", "policy", "buyers"),
    ("townlet-market", "event", "market.sold"),
    ("townlet-market", "event", "market.sold_out"),
    ("townlet-market", "event", "market.done"),
    ("townlet-sink-sqlite", "sink", "sqlite"),
    ("townlet-tally", "sink", "tally"),
    ("townlet-wanderer", "policy", "wanderer"),
    ("townlet-corridor", "world", "corridor"),
    ("townlet-corridor", "event", "corridor.arrived"),
    ("townlet-curfew", "stage", "curfew"),
    ("townlet-curfew", "event", "curfew.held"),
    ("townlet-hot-water", "hook", "hot_water"),
}
HAMLET = {"use": "town", "options": {"town": "hamlet_24"}}
RUNS = {
    "townlet-bakery": {"plugins": {"hooks": ["bakery"]}},
    "townlet-market": {"world": {"use": "market"}, "policy": {"use": "buyers"}},
    "townlet-sink-sqlite": {"world": HAMLET, "telemetry": {"sinks": [{"use": "sqlite"}]}},
    "townlet-tally": {"world": HAMLET, "telemetry": {"sinks": [{"use": "tally"}]}},
    "townlet-wanderer": {"world": HAMLET, "policy": {"use": "wanderer"}},
    "townlet-corridor": {"world": {"use": "corridor"}, "policy": {"use": "random"}},
    "townlet-curfew": {"world": HAMLET, "stages": ["curfew"]},
    "townlet-hot-water": {"plugins": {"hooks": ["hot_water"]}},
}
"""A config that uses what each of them brings."""


@pytest.fixture(scope="session")
def pins(environment) -> dict[str, list]:
    """What `townlet plugins pin` prints for each of them."""
    section = yaml.safe_load(environment.townlet("plugins", "pin", *ALL))
    entries = section["plugins"]["allow"]
    return {name: [each for each in entries if each["distribution"] == name] for name in ALL}


def config_of(environment, tmp_path, pins, name):
    """A config that lets one package in, pinned, and uses it."""
    sections = {"townlet": 1, "name": "trial", "seed": 7, "world": HAMLET} | RUNS[name]
    if name == "townlet-bakery":
        environment.townlet("plugins", "files", name, "--out", tmp_path / "village")
        sections["world"] = yaml.safe_load((tmp_path / "village/village.yaml").read_text())["world"]
        folder = tmp_path / "village"
    else:
        folder = tmp_path
    if name == "townlet-hot-water":
        environment.townlet("plugins", "files", name, "--out", tmp_path / "hot_water")
        options = {"town": "hamlet_24", "affordances": {"extend": "hot_water/manifest.yaml"}}
        sections["world"] = {"use": "town", "options": options}
    sections["plugins"] = {"allow": pins[name], "require_pins": True} | sections.get("plugins", {})
    path = folder / "trial.yaml"
    path.write_text(yaml.safe_dump(sections))
    return path


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if "bakery" in name else ()) for name in ALL]
)
def test_its_own_tests_pass_where_it_is_installed(environment, name):
    done = environment.run(
        "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=environment.packages / name
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\d+ passed in ", done.stdout, re.MULTILINE), done.stdout


def test_the_environment_has_no_checkout(environment):
    done = environment.run("python", "-c", "import townlet_adapters as a, sys; print(a.__file__, sys.path)")
    assert str(environment.folder) in done.stdout
    assert str(ROOT) not in done.stdout


def test_nobody_is_let_in_unasked(environment):
    rows = json.loads(environment.townlet("plugins", "list", "--json"))
    states = {row["distribution"]: row["state"] for row in rows if row["distribution"] != "townlet"}
    assert states == dict.fromkeys(ALL, "refused: not allowed")


def test_all_of_them_verify_as_pinned_and_offer_what_they_should(environment, pins, tmp_path):
    entries = [entry for name in ALL for entry in pins[name]]
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump({"townlet": 1, "plugins": {"allow": entries, "require_pins": True}}))
    lines = environment.townlet("plugins", "verify", path).splitlines()
    assert len(lines) == len(ALL)
    assert all(line.endswith(": ok, pinned") for line in lines)
    rows = json.loads(environment.townlet("plugins", "list", "--json", "--config", path))
    found = {(row["distribution"], row["kind"], row["name"]) for row in rows if row["state"] == "allowed"}
    assert found == OFFERS


@pytest.mark.parametrize("name", ALL)
def test_a_run_uses_it_once_the_config_lets_it_in(environment, pins, tmp_path, name):
    path = config_of(environment, tmp_path, pins, name)
    assert environment.townlet("config", "check", path).startswith(f"{path}: ok\n")
    environment.townlet("run", path, "--ticks", "5", "--quiet", "--out", tmp_path / "run")
    identity = json.loads((tmp_path / "run/run.json").read_text())
    used = {
        (row["kind"], row["content_sha256"]) for row in identity["plugins"] if row["distribution"] == name
    }
    assert used == {(kind, pins[name][0]["content_sha256"]) for of, kind, _ in OFFERS if of == name}


def test_the_packages_that_new_writes_are_typed_and_tidy(environment, tmp_path):
    sources = [environment.packages / name / "src" for name in NEW.values()]
    python = environment.folder / "venv/bin/python"
    checks = [
        ["mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}", f"--python-executable={python}"],
        ["ruff", "check", "--isolated", "--no-cache", "--line-length=110", "--extend-select=I,B,UP,D1"],
        ["ruff", "format", "--isolated", "--no-cache", "--line-length=110", "--check"],
    ]
    for check in checks:
        done = subprocess.run(
            [sys.executable, "-m", *check, *sources],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout + done.stderr
