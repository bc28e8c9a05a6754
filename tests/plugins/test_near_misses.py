"""What differs from what is allowed by one character, one part or one folder is something else."""

import importlib
import importlib.resources
from dataclasses import replace

import pytest
from importlib_metadata import distribution

from tests.plugins.conftest import admit, digest_of, pin, row_of
from tests.plugins.test_side_doors import python, runtime
from tests.plugins.wheels import SINK, Package
from townlet_plugins.allowlist import Permit
from townlet_plugins.importer import DEPENDENCIES, OPTIONAL, ImportRefusedError, import_from
from townlet_plugins.listing import list_entry_points


def state(catalogue, distribution, entry_point):
    """The state of the only plugin of these names, as they are listed."""
    (found,) = {
        row.state
        for row in catalogue.rows
        if (row.distribution, row.entry_point) == (distribution, entry_point)
    }
    return found


@pytest.mark.parametrize(
    ("allowed", "installed"),
    [
        ("1.0", "1.0.1"),
        ("1.0", "1.0.0"),
        ("1.0.0", "1.0"),
        ("1.0", "1.00"),
        ("1.0", "01.0"),
        ("1.0", "1"),
        ("1", "1.0"),
        ("1.0", "v1.0"),
        ("1.0", "1.0rc1"),
        ("1.0rc1", "1.0RC1"),
        ("1.0", "1.0.post1"),
        ("1.0", "1.0+local"),
        ("1.0+local", "1.0"),
        ("1.0", "11.0"),
        ("1.10", "1.1"),
    ],
)
def test_a_version_is_allowed_as_it_is_written_and_no_other(package, site, canary, allowed, installed):
    package.version = installed
    package.install(site)
    told = row_of(admit(replace(package.permit, version=allowed)), package).state
    assert told == f"refused: version {installed} is installed, and {allowed} is allowed"
    assert not canary()
    assert row_of(admit(replace(package.permit, version=installed)), package).state == "allowed"


@pytest.mark.parametrize(
    "other",
    [
        "townlet-bakery2",
        "townlet-baker",
        "townlet-bakery-x",
        "townletbakery",
        "x-townlet-bakery",
        "bakery",
        "townlet-bak-ery",
        "townlet-bakerv",
    ],
)
def test_a_distribution_of_almost_the_same_name_is_another(site, tmp_path, other):
    package = Package(tmp_path / "canary", other)
    package.install(site)
    catalogue = admit(Permit("townlet-bakery", "bakery"))
    assert state(catalogue, other, "bakery") == "refused: not allowed"
    assert [fault.number for fault in catalogue.faults] == [0]
    assert not package.canary.exists()


@pytest.mark.parametrize(
    "spelling", ["Townlet_Bakery", "townlet.bakery", "TOWNLET--BAKERY", "townlet_.-bakery"]
)
@pytest.mark.parametrize("side", ["allowed", "installed"])
def test_every_spelling_that_packaging_takes_for_the_same_is_the_same(site, tmp_path, spelling, side):
    package = Package(tmp_path / "canary", spelling if side == "installed" else "townlet-bakery")
    package.install(site)
    permit = Permit(spelling if side == "allowed" else "townlet-bakery", "bakery")
    assert state(admit(permit), "townlet-bakery", "bakery") == "allowed"


@pytest.mark.parametrize(
    ("allowed", "installed"),
    [
        ("bakery", "Bakery"),
        ("bakery", "bakery2"),
        ("bakery", "baker"),
        ("bakery", "bakery.x"),
        ("my-bakery", "my_bakery"),
        ("my.bakery", "my-bakery"),
        ("bakery", "_bakery"),
    ],
)
def test_the_name_of_an_entry_point_is_compared_exactly(package, site, canary, allowed, installed):
    package.entry_point = installed
    package.install(site)
    catalogue = admit(Permit(package.distribution, allowed))
    assert state(catalogue, "townlet-bakery", installed) == "refused: not allowed"
    assert not canary()


@pytest.mark.parametrize("place", [0, 1, 31, 62, 63])
def test_a_digest_that_differs_in_one_character_is_another(installed, canary, place):
    right = digest_of(installed)
    wrong = f"{right[:place]}{'0' if right[place] != '0' else '1'}{right[place + 1 :]}"
    told = row_of(admit(replace(installed.package.permit, content_sha256=wrong)), installed.package).state
    assert told == f"refused: its content has the digest {right}, and {wrong} is pinned"
    assert not canary()


@pytest.mark.parametrize("part", [slice(0, 63), slice(1, 64), slice(0, 8), slice(0, 0)], ids=str)
def test_a_part_of_a_digest_is_not_the_digest(installed, part):
    cut = digest_of(installed)[part]
    told = row_of(admit(replace(installed.package.permit, content_sha256=cut)), installed.package).state
    assert "is pinned" in told


@pytest.mark.parametrize("name", ["INSTALLER", "RECORD", "direct_url.json", "uv_cache.json"])
def test_what_an_installer_notes_is_left_out_in_the_metadata_folder_only(package, site, name):
    package.files = {f"{package.module}/{name}": b"1"}
    installed = package.install(site)
    before = digest_of(installed)
    installed.path(name).write_bytes(b"2")
    assert f"{name} differs from its RECORD" in row_of(admit(package.permit), package).state
    installed.update_record()
    assert digest_of(installed) != before


def test_the_modules_of_a_package_are_those_of_its_files_and_not_of_names_that_begin_alike(package, site):
    name = package.module = "storehouse"
    package.files = {
        f"{name}/data2/word.txt": b"another",
        f"{name}/part.py": b"",
        f"{name}2.py": b"SAID = 2\n",
    }
    installed = package.install(site)
    assert row_of(admit(pin(installed)), package).state == "allowed"
    for missing in ("dat", "lat", "par", "part2", "data.wor"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"{name}.{missing}")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name[:-1])
    found = [each.name for each in importlib.resources.files(f"{name}.data").iterdir()]
    assert found == ["word.txt"]
    (site / f"{name}2.py").write_text("SAID = 'something else'\n")
    assert importlib.import_module(f"{name}2").SAID == 2


def test_a_folder_beside_a_project_whose_name_begins_alike_is_not_the_project(package, tmp_path, monkeypatch):
    evil = tmp_path / "project-evil" / package.module
    evil.mkdir(parents=True)
    (evil / "__init__.py").write_bytes(package.crying(SINK))
    (tmp_path / "project").mkdir()
    monkeypatch.syspath_prepend(evil.parent)
    with pytest.raises(ImportRefusedError, match="not from below"):
        import_from(package.module, tmp_path / "project")
    assert not package.canary.exists()
    assert import_from(f"{package.module}:NAME", tmp_path / "project-evil") == package.module


def test_a_module_from_a_folder_whose_name_begins_alike_is_not_of_the_package(package, site, monkeypatch):
    package.install(site)
    twin = site.parent / f"{site.name}-evil" / package.module
    twin.mkdir(parents=True)
    (twin / "__init__.py").write_text("NAME = 'evil'\n")
    with monkeypatch.context() as path:
        path.syspath_prepend(twin.parent)
        importlib.invalidate_caches()
        importlib.import_module(package.module)
    told = row_of(admit(package.permit), package).state
    assert "was imported before, and not from its files" in told


@pytest.mark.parametrize("name", ["townlet2", "townlets", "town-let", "xtownlet"])
def test_a_distribution_called_almost_like_ours_is_somebody_elses(site, tmp_path, name):
    package = Package(tmp_path / "canary", name, entry_point="town", target="townlet_adapters.worlds.plugin")
    package.install(site)
    assert state(admit(), name, "town") == "refused: not allowed"
    (ours,) = (each for each in list_entry_points() if each.builtin and each.entry_point == "town")
    assert ours.distribution == "townlet"


@pytest.mark.parametrize("name", ["h11", "yaml", "scipy", "townlet", "numpy"])
def test_a_package_that_brings_a_module_of_our_dependencies_is_kept_out(package, site, canary, name):
    package.files = {f"{name}/__init__.py": package.crying()}
    package.install(site)
    assert f"it contains a module {name}, which would replace" in row_of(admit(package.permit), package).state
    assert not canary()


def test_a_module_called_almost_like_one_of_our_dependencies_is_served(package, site):
    package.files = {"h11_extra.py": b"SAID = 'h11_extra'\n"}
    package.install(site)
    assert row_of(admit(package.permit), package).state == "allowed"
    assert importlib.import_module("h11_extra").SAID == "h11_extra"


def test_every_module_of_our_dependencies_is_reserved():
    found = {
        path.parts[0].partition(".")[0]
        for name in runtime()
        for path in distribution(name).files or ()
        if path.suffix in {".py", ".so"} and ".." not in path.parts and not path.parts[0].endswith(".libs")
    }
    assert found - {"__pycache__"} <= DEPENDENCIES
    assert DEPENDENCIES - found == {"colorama"}  # needed on Windows only


LOG_IMPORTS = """\
import os, sys
os.environ["NUMBA_DISABLE_JIT"] = "1"
missing = set()
class Log:
    def find_spec(self, name, path=None, target=None):
        if path is None:
            missing.add(name)
sys.meta_path.append(Log())
from townlet_adapters.cli.main import main
main(["run", "--ticks", "1", "--no-out", "--quiet"])
main(["collect", "--help"])
from prometheus_client import exposition
print(sorted(missing - set(sys.stdlib_module_names)))
"""


def test_the_modules_that_our_dependencies_import_if_they_are_there_are_known(tmp_path):
    done = python(tmp_path, LOG_IMPORTS, tmp_path)
    found = set(done.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert found - {"org", "colorama"} <= OPTIONAL  # of Java and of Windows
