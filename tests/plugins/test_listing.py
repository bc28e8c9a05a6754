"""What is installed is told from metadata alone, whatever strangers have made of theirs."""

import importlib
import json
import subprocess
import sys

import pytest

from tests.plugins.conftest import admit, row_of
from tests.plugins.wheels import Package
from townlet_core.errors import PluginError
from townlet_plugins.catalogue import BUILTIN, load_catalogue
from townlet_plugins.listing import OWN_ROOT, Listing


def rows(distribution: str):
    return [row for row in load_catalogue().rows if row.distribution == distribution]


def test_a_stranger_is_listed_as_refused_and_not_imported(installed, canary):
    (found,) = rows("townlet-bakery")
    assert (found.version, found.entry_point, found.state) == ("1.0", "bakery", "refused: not allowed")
    assert found.target == installed.package.module
    assert found.allow_line == '- {distribution: townlet-bakery, entry_point: bakery, version: "1.0"}'
    assert not canary()


def metadata(text: bytes):
    def spoil(installed):
        (installed.record.parent / "METADATA").write_bytes(text)

    spoil.__qualname__ = f"metadata {text!r}"
    return spoil


def entry_points(text: bytes):
    def spoil(installed):
        (installed.record.parent / "entry_points.txt").write_bytes(text)

    spoil.__qualname__ = f"entry points {text!r}"
    return spoil


def no_metadata(installed):
    (installed.record.parent / "METADATA").unlink()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (no_metadata, "its METADATA cannot be read"),
        (metadata(b"\xff\xfe\x00"), "its METADATA cannot be read"),
        (metadata(b"Name: townlet-bakery\n"), "its METADATA has no version"),
        (metadata(b"Version: 1.0\n"), "its name is not valid"),
        (metadata("Name: townlet-b\u0430kery\nVersion: 1.0\n".encode()), "its name is not valid"),
        (metadata(b"Name: town let\nVersion: 1.0\n"), "its name is not valid"),
        (metadata(b"Name: -townlet-\nVersion: 1.0\n"), "its name is not valid"),
        (metadata(b"Name: townlet\nVersion: 1.0\n"), "the name 'townlet' is reserved"),
        (metadata(b"Name: TownLet\nVersion: 1.0\n"), "the name 'townlet' is reserved"),
        (entry_points(b"\xff\xfe\x00"), "its entry points cannot be read"),
        (entry_points(b"[townlet.plugins]\nno equals sign\n"), "its entry points cannot be read"),
        (entry_points(b"[townlet.plugins]\nb\xc3\xa4cker = a\n"), "the entry point's name is not valid"),
        (entry_points(b"[townlet.plugins]\nbakery = os.system('true')\n"), "does not name a module"),
        (entry_points(b"[townlet.plugins]\nbakery = /tmp/evil.py\n"), "does not name a module"),
        (entry_points(b"[townlet.plugins]\nbakery =\n"), "does not name a module"),
        (entry_points(b"[townlet.plugins]\nbakery = a\nbakery = b\n"), "it is on the path twice"),
    ],
    ids=lambda value: value.__qualname__ if callable(value) else "",
)
def test_a_broken_distribution_is_a_row_that_says_why(installed, canary, spoil, why):
    spoil(installed)
    catalogue = admit(installed.package.permit)
    strange = [row for row in catalogue.rows if row.state != BUILTIN]
    assert strange
    assert all(row.state.startswith("broken: ") and why in row.state for row in strange)
    assert all(
        text.isascii() and text.isprintable() for row in strange for text in (row.distribution, row.state)
    )
    assert not canary()


def test_what_is_broken_but_has_nothing_to_do_with_us_is_not_our_business(installed):
    (installed.record.parent / "entry_points.txt").unlink()
    (installed.record.parent / "METADATA").unlink()
    assert [row for row in load_catalogue().rows if row.state != BUILTIN] == []


@pytest.mark.parametrize(
    "spelling", ["townlet-bakery", "Townlet_Bakery", "townlet.bakery", "townlet--bakery"]
)
def test_all_spellings_of_a_name_that_packaging_takes_for_one_are_one(installed, spelling):
    permit = Package(installed.package.canary, distribution=spelling).permit
    assert row_of(admit(permit), installed.package).state == "allowed"


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")], ids=["before", "behind"])
def test_the_same_entry_point_name_of_another_distribution_stays_outside(tmp_path, monkeypatch, order):
    bakery, thief = Package(tmp_path / "bakery"), Package(tmp_path / "thief", "thief")
    bakery.install(tmp_path / "a")
    thief.install(tmp_path / "b")
    for folder in order:
        monkeypatch.syspath_prepend(tmp_path / folder)
    catalogue = admit(bakery.permit)
    assert row_of(catalogue, bakery).state == "allowed"
    assert row_of(catalogue, thief).state == "refused: not allowed"
    assert bakery.canary.exists()
    assert not thief.canary.exists()


def test_two_allowed_plugins_of_one_name_cannot_both_be_had(tmp_path, site):
    bakery, other = Package(tmp_path / "bakery"), Package(tmp_path / "other", "other")
    bakery.install(site)
    other.install(site)
    catalogue = admit(bakery.permit, other.permit)
    assert (
        "other offers a plugin 'bakery', too"
        in row_of(catalogue, bakery).state + row_of(catalogue, other).state
    )
    assert len(catalogue.faults) == 1
    assert bakery.canary.exists() != other.canary.exists()


@pytest.mark.parametrize("name", ["town", "policies", "stages", "telemetry"])
def test_a_plugin_that_is_called_like_one_of_ours_stays_outside(tmp_path, site, name):
    squatter = Package(tmp_path / "canary", entry_point=name)
    squatter.install(site)
    assert f"townlet offers a plugin '{name}', too" in row_of(admit(squatter.permit), squatter).state
    assert not squatter.canary.exists()


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")], ids=["before", "behind"])
def test_a_distribution_that_is_on_the_path_twice_stays_outside(tmp_path, monkeypatch, order):
    one, two = Package(tmp_path / "one"), Package(tmp_path / "two")
    one.install(tmp_path / "a")
    two.install(tmp_path / "b")
    for folder in order:
        monkeypatch.syspath_prepend(tmp_path / folder)
    catalogue = admit(one.permit)
    found = rows("townlet-bakery")
    assert len(found) == 2
    assert all("it is on the path twice" in row.state for row in found)
    assert [fault.number for fault in catalogue.faults] == [0]
    assert not one.canary.exists()
    assert not two.canary.exists()


def test_a_folder_that_is_on_the_path_twice_has_its_plugins_once(installed, monkeypatch):
    (installed.site.parent / "link").symlink_to(installed.site)
    monkeypatch.syspath_prepend(installed.site.parent / "link")
    monkeypatch.syspath_prepend(installed.site)
    assert len(rows("townlet-bakery")) == 1


def test_a_namesake_of_ours_adds_and_replaces_nothing(tmp_path, site):
    ours = [row for row in load_catalogue().rows if row.state == BUILTIN]
    fake = Package(tmp_path / "canary", "townlet", "9.9", "town", target="townlet_adapters.policies.plugin")
    fake.install(site)
    second = Package(tmp_path / "canary", "townlet", "9.8", "more")
    second.install(site)
    catalogue = load_catalogue()
    assert [row for row in catalogue.rows if row.state == BUILTIN] == ours
    assert {row.state for row in catalogue.refused} == {"broken: the name 'townlet' is reserved"}
    assert {row.state for row in admit(fake.permit, second.permit).refused} == {
        "broken: the name 'townlet' is reserved"
    }
    assert not fake.canary.exists()


def beside_ours(package: Package, site) -> None:
    """Plant metadata that claims to belong to the very code that runs, as any wheel can beside ours."""
    installed = package.install(site)
    origin = {"url": OWN_ROOT.as_uri(), "dir_info": {"editable": True}}
    (installed.record.parent / "direct_url.json").write_text(json.dumps(origin))


@pytest.mark.parametrize(
    ("entry_point", "target"),
    [
        ("town", "townlet_adapters.planted"),
        ("extra", "townlet_adapters.planted"),
        ("extra", "townlet_adapters.policies.plugin"),
        ("policies", "townlet_adapters.policies.plugin:planted"),
    ],
)
def test_metadata_that_is_planted_beside_ours_makes_nobody_ours(tmp_path, site, entry_point, target):
    ours = [row for row in load_catalogue().rows if row.state == BUILTIN]
    planted = Package(tmp_path / "canary", "townlet", "9.9", entry_point, target=target)
    beside_ours(planted, site)
    catalogue = admit(planted.permit)
    assert [row for row in catalogue.rows if row.state == BUILTIN] == ours
    assert {row.state for row in catalogue.refused} == {"broken: the name 'townlet' is reserved"}


def test_a_second_townlet_in_one_place_is_told_with_both_places(tmp_path, site, townlet):
    again = Package(tmp_path / "canary", "townlet", "9.9", "town", target="townlet_adapters.worlds.plugin")
    beside_ours(again, site)
    code, out, err = townlet("plugins", "list")
    assert (code, out) == (3, "")
    (line,) = err.splitlines()
    assert line.startswith("error: townlet is installed twice: ")
    assert str(site / "townlet-9.9.dist-info") in line
    assert line.count(".dist-info") == 2
    assert line.endswith("; uninstall it until it is gone, then install it once")


def test_a_namesake_of_a_plugins_package_earlier_on_the_path_changes_nothing(
    installed, tmp_path, monkeypatch
):
    shadow = tmp_path / "shadow"
    (shadow / installed.package.module).mkdir(parents=True)
    for name in ("__init__.py", "late.py"):
        (shadow / installed.package.module / name).write_text("raise SystemExit('the shadow')")
    monkeypatch.syspath_prepend(shadow)
    assert row_of(admit(installed.package.permit), installed.package).state == "allowed"
    assert importlib.import_module(f"{installed.package.module}.late").SAID == "as it was"


def test_an_installation_without_our_own_plugins_says_how_to_install_them():
    with pytest.raises(PluginError, match=r"not installed.*make setup"):
        load_catalogue(listings=[])


def test_a_broken_plugin_of_ours_is_an_error():
    own = Listing("townlet", "1.0", "trial", "townlet_adapters.cli.main", builtin=True)
    with pytest.raises(PluginError, match=r"the built-in plugin 'trial' .* is broken: it offers nothing"):
        load_catalogue(listings=[own])


def test_a_plugin_of_ours_comes_from_where_we_are(site):
    (site / "trial_of_ours.py").write_text("raise SystemExit('imported')")
    own = Listing("townlet", "1.0", "trial", "trial_of_ours", builtin=True)
    with pytest.raises(PluginError, match="trial_of_ours would be imported from"):
        load_catalogue(listings=[own])


def test_our_own_world_policies_and_sinks_come_through_the_door():
    catalogue = load_catalogue()
    assert "town" in catalogue.worlds
    assert {"scripted", "random"} <= set(catalogue.policies)
    assert {"file", "stdout"} <= set(catalogue.sinks)
    assert {"guardrail", "possession"} == set(catalogue.stages)
    assert {row.kind for row in catalogue.rows if row.state == BUILTIN} == {
        "world", "policy", "stage", "sink", "observer", "event",
    }  # fmt: skip


def test_loading_the_catalogue_compiles_nothing_and_brings_no_heavy_library(tmp_path):
    program = (
        "import sys; from townlet_plugins.catalogue import load_catalogue; load_catalogue();"
        "print(sorted({'numba', 'numpy', 'torch', 'rich', 'structlog', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"
