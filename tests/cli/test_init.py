"""`townlet init`: the town of the folder is the default town until somebody edits a file of it."""

import json
import os

import pytest
import yaml

from townlet_adapters.config.source import SHIPPED

FILES = ["manifest.yaml", "map.yaml", "town.yaml", "vocabulary.yaml"]
DAY = ("--ticks", "1440", "--digest", "--quiet")


@pytest.fixture
def mine(townlet, tmp_path):
    assert townlet("init", "mine")[0] == 0
    return tmp_path / "mine"


def replace(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def resolved(townlet):
    code, out, err = townlet("config", "show", "mine/town.yaml")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_the_folder_has_four_files_and_what_comes_next_is_said(townlet, tmp_path):
    code, out, err = townlet("init", "a/my town")
    assert (code, err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "a/my town").iterdir()) == FILES
    assert "\n  townlet run 'a/my town/town.yaml'\n" in out


def test_an_empty_folder_is_filled_in_place(townlet, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert townlet("init", ".")[0] == 0
    assert sorted(os.listdir(".")) == FILES  # noqa: PTH208 - asks for the folder of the process


@pytest.mark.parametrize("taken", ["folder", "file", "link"])
def test_what_exists_is_not_touched(townlet, tmp_path, taken):
    place = tmp_path / "mine"
    if taken == "folder":
        place.mkdir()
        (place / "notes.txt").write_text("keep")
    elif taken == "file":
        place.write_text("keep")
    else:
        place.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    assert townlet("init", "mine") == (2, "", "error: mine exists; choose a folder that is new or empty\n")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("mine")
def test_its_town_lives_exactly_as_the_default_town(townlet):
    code, ours, _ = townlet("run", "configs/town.yaml", "--no-out", *DAY)
    assert code == 0
    assert townlet("run", "mine/town.yaml", "--no-out", *DAY)[1] == ours


def test_its_config_says_all_that_the_default_config_says(mine):
    ours = yaml.safe_load((SHIPPED / "town.yaml").read_text())
    theirs = yaml.safe_load((mine / "town.yaml").read_text())
    ours["world"]["options"] = theirs["world"]["options"]
    assert theirs == ours


EDITS = {
    "vocabulary.yaml": ("hunger: {decay: 0.0010,", "hunger: {decay: 0.0020,"),
    "map.yaml": ("agents: 8", "agents: 7"),
    "manifest.yaml": ("duration: 15", "duration: 16"),
}


def test_an_edit_of_any_file_takes_effect(townlet, mine):
    digests = [resolved(townlet)["sim_digest"]]
    for file, (old, new) in EDITS.items():
        replace(mine / file, old, new)
        digests.append(resolved(townlet)["sim_digest"])
    assert len(set(digests)) == len(digests)
    options = resolved(townlet)["config"]["world"]["options"]
    assert options["vocabulary"]["extend"]["needs"]["hunger"]["decay"] == 0.002
    assert options["town"]["agents"] == 7
    assert options["affordances"]["add"][0]["duration"] == 16


def test_a_mistake_in_any_file_is_named_with_its_line(townlet, mine):
    replace(mine / "vocabulary.yaml", "  home.shower: 200", "  hoem.shower: 200")
    code, out, _ = townlet("config", "check", "mine/town.yaml")
    above = (mine / "vocabulary.yaml").read_text().partition("hoem")[0]
    assert code == 2
    assert out.startswith(
        f'{mine}/vocabulary.yaml:{above.count(chr(10)) + 1}: prices["hoem.shower"]: unknown kind of place'
    )
    assert "did you mean 'home'?" in out
    replace(mine / "vocabulary.yaml", "needs:\n", "neeeds:\n")
    code, out, _ = townlet("config", "check", "mine/town.yaml")
    assert code == 2
    assert "vocabulary.yaml:4: neeeds: unknown key; did you mean 'needs'? " in out


def test_a_snapshot_holds_the_content_of_the_files(townlet, mine):
    run = ("run", "mine/town.yaml", "--out", "one", "--ticks", "20", "--quiet")
    assert townlet(*run)[0] == 0
    for name in FILES:
        (mine / name).unlink()
    assert townlet("run", "--resume", "one", "--ticks", "20", "--quiet")[0] == 0
    summary = json.loads((mine.parent / "one/summary.json").read_text())
    assert (summary["first_tick"], summary["ticks"]) == (20, 20)


def test_a_config_may_not_read_a_vocabulary_outside_of_its_folder(townlet, tmp_path, mine):
    (mine / "vocabulary.yaml").rename(tmp_path / "vocabulary.yaml")
    replace(mine / "town.yaml", "extend: vocabulary.yaml", "extend: ../vocabulary.yaml")
    code, out, _ = townlet("config", "check", "mine/town.yaml")
    assert code == 2
    assert "world.options.vocabulary.extend: a config may not read '../vocabulary.yaml'" in out
    assert townlet("config", "check", "mine/town.yaml", "--allow-path", str(tmp_path))[0] == 0


def test_a_vocabulary_that_is_nowhere_is_answered_with_the_shipped_one(townlet, mine):
    (mine / "vocabulary.yaml").unlink()
    code, out, _ = townlet("config", "check", "mine/town.yaml")
    assert code == 2
    assert "'vocabulary.yaml' is neither a shipped name nor a file" in out
    assert "known: town" in out
