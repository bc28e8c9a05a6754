"""`townlet plugins new` and `files`: what is asked for wrongly is answered, and nothing is left half-done.

That what `new` writes works is shown in tests/packages.
"""

import pytest
import yaml

from tests.plugins.conftest import site  # noqa: F401 - a fixture
from tests.plugins.wheels import Package
from townlet_adapters.cli import scaffold

KINDS = list(scaffold.KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_has_everything_and_what_comes_next_is_told(townlet, tmp_path, kind):
    code, out, err = townlet("plugins", "new", "Townlet.Fine_Bread", "--kind", kind, "--out", "a/b")
    assert (code, err) == (0, "")
    made = {
        path.relative_to(tmp_path / "a/b").as_posix()
        for path in (tmp_path / "a/b").rglob("*")
        if path.is_file()
    }
    source = "src/townlet_fine_bread"
    assert {"pyproject.toml", "README.md", f"{source}/py.typed", f"{source}/plugin.py"} <= made
    assert {"tests/test_contract.py", "tests/test_run.py"} <= made
    assert [path for path in made if path.endswith(".in") or "__module__" in path] == []
    assert 'fine_bread = "townlet_fine_bread.plugin"' in (tmp_path / "a/b/pyproject.toml").read_text()
    readme = (tmp_path / "a/b/README.md").read_text()
    section = yaml.safe_load(readme.partition("```yaml\n")[2].partition("```")[0])
    assert section["plugins"]["allow"] == [
        {"distribution": "townlet-fine-bread", "entry_point": "fine_bread"}
    ]
    assert "townlet plugins pin townlet-fine-bread" in readme
    assert [line.split()[0] for line in out.splitlines()] == ["a/b:", "cd", "pip", "pytest", "less"]


def test_without_out_a_package_has_a_folder_of_its_name(townlet, tmp_path):
    assert townlet("plugins", "new", "townlet-trial-bread")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["townlet-trial-bread"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("townlet", "is reserved"),
        ("TownLet", "is reserved"),
        ("townlet-core", "would contain a module 'townlet_core', which exists"),
        ("numpy", "would contain a module 'numpy', which exists"),
        ("json", "would contain a module 'json', which exists"),
        ("townlet-file", "would be called 'file' in configs, which is built in"),
        ("townlet-scripted", "would be called 'scripted' in configs, which is built in"),
        ("townlet-social", "would be called 'social' in configs, which is built in"),
        ("townlet-null", "would be called 'null' in configs, which YAML reads as a value"),
        ("Townlet_True", "would be called 'true' in configs, which YAML reads as a value"),
        ("false", "would be called 'false' in configs, which YAML reads as a value"),
        ("3d-view", "does not give a name for a module"),
        ("townlet-3d", "does not give a name for a module"),
        ("import", "does not give a name for a module"),
        ("bread-", "is not a name for a package"),
        ("../bread", "is not a name for a package"),
        ("bre ad", "is not a name for a package"),
        ("b\u00e4cker", "is not a name for a package"),
        ("b\u0430kery", "is not a name for a package"),
        ("bread\n", "is not a name for a package"),
        ("", "is not a name for a package"),
    ],
)
def test_a_name_that_nobody_can_have_is_refused(townlet, tmp_path, name, why):
    code, out, err = townlet("plugins", "new", name)
    assert (code, out) == (2, "")
    assert why in err
    assert "(see townlet plugins new --help)" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["folder", "file", "link"])
def test_what_is_there_is_left_alone(townlet, tmp_path, there):
    path = tmp_path / "bread"
    if there == "folder":
        path.mkdir()
    elif there == "file":
        path.write_text("mine")
    else:
        path.symlink_to("nowhere")
    code, out, err = townlet("plugins", "new", "townlet-bread", "--out", "bread")
    assert (code, out) == (2, "")
    assert err == "error: bread exists; choose another folder with --out\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["bread"]
    assert not list(path.iterdir()) if there == "folder" else True


def test_a_folder_that_cannot_be_made_leaves_nothing_behind(townlet, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = townlet("plugins", "new", "townlet-bread", "--out", "file/bread")
    assert code == 2
    assert "file/bread cannot be written: " in err
    long = "x" * 300
    code, _, err = townlet("plugins", "new", "townlet-bread", "--out", long)
    assert code == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_kind_that_there_is_not_is_answered_with_those_that_there_are(townlet):
    code, _, err = townlet("plugins", "new", "townlet-bread", "--kind", "town")
    assert code == 2
    assert all(f"'{kind}'" in err for kind in KINDS)


@pytest.fixture
def pack(tmp_path, site) -> Package:  # noqa: F811 - the fixture of that name
    """A package with YAML in it, installed."""
    package = Package(tmp_path / "canary")
    for name in ("town/map.yaml", "town/manifest.yml", "town/notes.txt"):
        package.files[f"{package.module}/{name}"] = name.encode()
    package.install(site)
    return package


def test_the_yaml_of_a_package_is_listed_and_copied_and_nothing_is_imported(townlet, tmp_path, pack):
    town = f"{pack.module}/town"
    assert townlet("plugins", "files", "Townlet.Bakery") == (0, f"{town}/map.yaml\n{town}/manifest.yml\n", "")
    code, out, err = townlet("plugins", "files", "townlet-bakery", "--out", "here")
    assert (code, out, err) == (0, "here/map.yaml\nhere/manifest.yml\n", "")
    assert (tmp_path / "here/map.yaml").read_text() == "town/map.yaml"
    assert not pack.canary.exists()
    assert townlet("plugins", "files", "townlet-bakery", "--out", "here")[0] == 2


def test_yaml_that_was_changed_since_it_was_installed_is_not_copied(townlet, tmp_path, pack, site):  # noqa: F811 - as above
    (site / pack.module / "town/map.yaml").write_text("changed")
    code, _, err = townlet("plugins", "files", "townlet-bakery", "--out", "here")
    assert code == 3
    assert "map.yaml differs from its RECORD" in err
    assert not (tmp_path / "here").exists()


def test_a_package_without_yaml_and_one_that_is_not_there_say_so(townlet, tmp_path, site):  # noqa: F811 - as above
    Package(tmp_path / "canary").install(site)
    assert townlet("plugins", "files", "townlet-bakery") == (
        2,
        "",
        "townlet-bakery contains no YAML files; see its README\n",
    )
    code, _, err = townlet("plugins", "files", "townlet-bread")
    assert code == 2
    assert "packages with plugins: townlet-bakery" in err
