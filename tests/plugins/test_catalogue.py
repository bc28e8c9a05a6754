import subprocess
import sys
from pathlib import Path

import pytest

from townlet_core.errors import PluginError
from townlet_plugins.catalogue import BUILTIN, REFUSED, Listing, list_entry_points, load_catalogue


def install(folder: Path, distribution: str, module: str, entry_point: str):
    """Put a distribution on disk, as an installer would; whoever imports its module ends."""
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[townlet.plugins]\n{entry_point} = {module}\n")
    (folder / f"{module}.py").write_text("raise SystemExit('imported')")


def own(target: str) -> list[Listing]:
    """A plugin that counts as one of ours."""
    return [Listing("townlet", "1.0", "trial", target, builtin=True)]


def test_our_own_world_policies_and_sinks_come_through_the_door():
    catalogue = load_catalogue()
    assert "town" in catalogue.worlds
    assert {"scripted", "random"} <= set(catalogue.policies)
    assert {"file", "stdout"} <= set(catalogue.sinks)
    assert {row.kind for row in catalogue.rows if row.state == BUILTIN} == {"world", "policy", "sink"}


def test_a_third_party_is_listed_as_refused_and_never_imported(tmp_path, monkeypatch):
    install(tmp_path, "townlet-bakery", "bakery_of_a_stranger", "bakery")
    monkeypatch.syspath_prepend(tmp_path)
    (row,) = [row for row in load_catalogue().rows if row.entry_point == "bakery"]
    assert (row.distribution, row.version, row.state) == ("townlet-bakery", "1.0", REFUSED)
    assert "bakery_of_a_stranger" not in sys.modules


def test_a_stranger_cannot_come_in_under_the_name_of_one_of_our_entry_points(tmp_path, monkeypatch):
    install(tmp_path, "not-townlet", "squatter", "town")
    monkeypatch.syspath_prepend(tmp_path)
    states = {row.distribution: row.state for row in load_catalogue().rows if row.entry_point == "town"}
    assert states == {"townlet": BUILTIN, "not-townlet": REFUSED}


def test_an_entry_point_outside_our_package_is_none_of_ours_whatever_its_distribution_is_called(
    tmp_path, monkeypatch
):
    install(tmp_path, "townlet", "squatter", "town")
    monkeypatch.syspath_prepend(tmp_path)
    assert not any(listing.builtin for listing in list_entry_points() if listing.target == "squatter")


def test_a_distribution_without_metadata_is_listed_as_unknown(tmp_path, monkeypatch):
    install(tmp_path, "broken", "broken_module", "odd")
    (tmp_path / "broken-1.0.dist-info" / "METADATA").unlink()
    monkeypatch.syspath_prepend(tmp_path)
    (listing,) = [listing for listing in list_entry_points() if listing.entry_point == "odd"]
    assert (listing.distribution, listing.version, listing.builtin) == ("unknown", "unknown", False)


def test_an_installation_without_our_own_plugins_says_how_to_install_them():
    with pytest.raises(PluginError, match=r"not installed.*make setup"):
        load_catalogue([])


HEAD = "from townlet_plugins import hookimpl\nfrom townlet_plugins.factory import Factory\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEAD + "@hookimpl\ndef townlet_sink():\n    return ()\n", "unknown hook 'townlet_sink'"),
        (HEAD + "@hookimpl\ndef townlet_sinks(config):\n    return ()\n", "config"),
        (HEAD + "@hookimpl\ndef townlet_sinks():\n    return ('file',)\n", "'file', no Factory"),
        ("import a_module_that_is_not_there\n", "a_module_that_is_not_there"),
        (
            HEAD
            + "@hookimpl\ndef townlet_sinks():\n    f = Factory('x', object, print)\n    return (f, f)\n",
            "'x' is offered twice",
        ),
    ],
    ids=["misspelt hook", "strange parameter", "no factory", "broken import", "double name"],
)
def test_a_broken_plugin_is_an_error_that_names_it(tmp_path, monkeypatch, text, complaint):
    (tmp_path / "trial_plugin.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "trial_plugin", raising=False)
    with pytest.raises(PluginError) as caught:
        load_catalogue(own("trial_plugin"))
    assert complaint in str(caught.value)
    assert "trial" in str(caught.value)


def test_loading_the_catalogue_compiles_nothing_and_brings_no_heavy_library(tmp_path):
    program = (
        "import sys; from townlet_plugins.catalogue import load_catalogue; load_catalogue();"
        "print(sorted({'numba', 'numpy', 'torch', 'rich', 'structlog'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"
