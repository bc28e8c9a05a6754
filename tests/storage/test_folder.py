from datetime import UTC, datetime
from pathlib import Path

import pytest

from townlet_adapters.storage.folder import claim_folder, default_path
from townlet_core.errors import OutputError

pytestmark = pytest.mark.usefixtures("nothing_left_open")


def test_a_run_that_nobody_named_is_called_by_time_name_and_seed():
    now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert default_path("my town", 7, now) == Path("runs/20260304T050607Z-my-town-s7")


def test_two_runs_of_one_name_and_second_get_folders_of_their_own(tmp_path):
    first = claim_folder(tmp_path / "runs" / "a", named=False)
    second = claim_folder(tmp_path / "runs" / "a", named=False)
    assert first.path.name == "a"
    assert second.path.name == "a-2"
    first.release()
    second.release()


def test_a_named_folder_may_be_missing_or_empty_but_not_hold_files(tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "new" / "one"):
        folder = claim_folder(path, named=True)
        assert folder.path == path
        assert path.is_dir()
        folder.release()
    (tmp_path / "empty" / "old.txt").write_text("kept")
    with pytest.raises(OutputError, match=r"holds files already.*--out"):
        claim_folder(tmp_path / "empty", named=True)
    assert (tmp_path / "empty" / "old.txt").read_text() == "kept"


def test_a_folder_below_a_file_cannot_be_made_and_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be the run folder.*--out.*--no-out"):
        claim_folder(tmp_path / "file" / "run", named=True)


def test_a_discarded_folder_takes_everything_made_for_it_along(tmp_path):
    folder = claim_folder(tmp_path / "runs" / "a", named=False)
    folder.write_record({"run_id": "x"})
    folder.snapshots.mkdir()
    folder.discard()
    folder.release()
    assert list(tmp_path.iterdir()) == []


def test_discarding_leaves_an_empty_folder_that_was_there_before(tmp_path):
    folder = claim_folder(tmp_path, named=True)
    folder.write_record({"run_id": "x"})
    folder.discard()
    folder.release()
    assert tmp_path.is_dir()
    assert list(tmp_path.iterdir()) == []
