import json

import pytest

from tests.disks import WatchedDisk
from townlet_adapters.storage.atomic import write_atomically, write_json
from townlet_core.errors import OutputError

pytestmark = pytest.mark.usefixtures("nothing_left_open")


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "summary.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_take_its_place_leaves_the_old_one_and_no_rest(tmp_path):
    path = tmp_path / "summary.json"
    path.mkdir()
    with pytest.raises(OutputError, match=r"summary\.json: cannot be written"):
        write_atomically(path, b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(OutputError, match="No such file or directory"):
        write_atomically(tmp_path / "gone" / "a.json", b"")


def test_json_keeps_its_order_and_refuses_what_json_cannot_say(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": 1, "a": [True, None]})
    assert list(json.loads(path.read_text())) == ["b", "a"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"b": 1, "a": [True, None]}


def test_a_file_is_synced_before_it_takes_its_place_and_its_folder_after(tmp_path):
    disk = WatchedDisk()
    write_atomically(tmp_path / "a.json", b"new", disk)
    verbs = [call.verb for call in disk.calls]
    assert verbs == ["sync", "replace", "sync_folder"]
    assert disk.calls[1].path == tmp_path / "a.json"
    assert disk.calls[2].path == tmp_path


@pytest.mark.parametrize("verb", ["sync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_file_and_no_rest(tmp_path, verb):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    with pytest.raises(OutputError, match=r"a\.json: cannot be written: Input/output error"):
        write_atomically(path, b"new", WatchedDisk(fails=lambda call: call.verb == verb))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_synced_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="Input/output error"):
        write_atomically(
            tmp_path / "a.json", b"new", WatchedDisk(fails=lambda call: call.verb == "sync_folder")
        )
