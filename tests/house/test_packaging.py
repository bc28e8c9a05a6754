"""What is built holds what is run from a checkout."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.house.sources import PACKAGES, ROOT

SHIPPED = "townlet_adapters/config/shipped/"


def build(source: Path, kind: str, into: Path) -> Path:
    """Build one archive with the locked build backend; the network is not asked."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (archive,) = into.iterdir()
    return archive


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    with zipfile.ZipFile(build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))) as archive:
        yield archive


def test_a_wheel_ships_the_configurations_as_real_files(wheel):
    files = [path for path in (ROOT / "configs").rglob("*") if path.is_file()]
    configs = {path.relative_to(ROOT / "configs").as_posix(): path.read_bytes() for path in files}
    shipped = {
        name.removeprefix(SHIPPED): wheel.read(name) for name in wheel.namelist() if name.startswith(SHIPPED)
    }
    assert configs
    assert shipped == configs


def test_a_checkout_finds_the_configurations_in_the_same_place():
    assert sorted(path.name for path in (ROOT / SHIPPED).iterdir()) == sorted(
        path.name for path in (ROOT / "configs").iterdir()
    )


def test_a_wheel_holds_all_packages_with_their_types_and_data(wheel):
    names = set(wheel.namelist())
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
        here = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert here <= names


def test_a_wheel_offers_the_command_and_our_own_plugins(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    lines = wheel.read(name).decode().splitlines()
    assert "townlet = townlet_adapters.cli.main:main" in lines
    for plugin in ("policies", "stages", "telemetry", "town"):
        assert any(line.startswith(f"{plugin} = townlet_adapters.") for line in lines)


def test_a_wheel_built_from_the_source_archive_is_the_same(wheel, tmp_path):
    sdist = build(ROOT, "sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    with zipfile.ZipFile(build(source, "wheel", tmp_path / "again")) as again:
        assert {name: again.getinfo(name).CRC for name in again.namelist()} == {
            name: wheel.getinfo(name).CRC for name in wheel.namelist()
        }
