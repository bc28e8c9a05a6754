import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.plugins.wheels import Installed, Package
from townlet_plugins.allowlist import Allowlist
from townlet_plugins.catalogue import Catalogue, PluginRow, load_catalogue
from townlet_plugins.integrity import read_content
from townlet_plugins.listing import list_entry_points

BIN = Path(sys.executable).parent
BASE = "townlet: 1\nname: trial\nseed: 7\n"


@pytest.fixture
def package(tmp_path) -> Package:
    """A package that offers a sink and writes a file when it is imported."""
    return Package(tmp_path / "canary")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty folder at the front of the path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def config(tmp_path) -> Callable[..., str]:
    """Write a config; gives its path."""

    def write(*sections: str) -> str:
        path = tmp_path / "trial.yaml"
        path.write_text(BASE + "".join(sections))
        return str(path)

    return write


@pytest.fixture
def installed(package, site) -> Installed:
    """The package, installed."""
    return package.install(site)


@pytest.fixture
def canary(package) -> Callable[[], bool]:
    """Whether anything of the package was imported."""
    return package.canary.exists


class Process:
    """The real program, in a folder of its own, with folders in front of the path."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.more = folder, [], {}

    def __call__(self, *arguments: str, isolated: bool = False) -> tuple[int, str, str]:
        environment = {
            **os.environ,
            "NO_COLOR": "1",
            "PYTHONPATH": os.pathsep.join(map(str, self.path)),
            **self.more,
        }
        start = [sys.executable, "-I"] if isolated else [sys.executable]
        done = subprocess.run(
            [*start, BIN / "townlet", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def process(tmp_path):
    (tmp_path / "work").mkdir()
    return Process(tmp_path / "work")


def digest_of(installed: Installed) -> str:
    """What the operator pins."""
    key = installed.package.permit.key
    (listing,) = (each for each in list_entry_points() if each.key == key)
    return read_content(listing).sha256


def pin(installed: Installed):
    """The permit for exactly this content."""
    return replace(
        installed.package.permit, version=installed.package.version, content_sha256=digest_of(installed)
    )


def allow(*permits, **keys) -> str:
    """The section of a config that lets somebody in."""
    lines = [*(f"{key}: {value}" for key, value in keys.items()), "allow:"]
    lines += [f"  {permit.as_yaml()}" for permit in permits]
    return "plugins:\n" + "".join(f"  {line}\n" for line in lines)


def admit(*permits, require_pins: bool = False) -> Catalogue:
    """The catalogue for an allowlist."""
    return load_catalogue(Allowlist(permits, require_pins))


def row_of(catalogue: Catalogue, package: Package) -> PluginRow:
    """The one row of a package's plugin."""
    (found,) = (row for row in catalogue.rows if (row.distribution, row.entry_point) == package.permit.key)
    return found
