"""Dead letters stay within their bounds, the oldest go first, and half an entry is never left."""

import json
import os

import pytest

from tests.disks import WatchedDisk
from townlet_adapters.telemetry.delivery.deadletters import DeadLetters
from townlet_core.ports.transport import TransportError


def entries(folder):
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_bytes().splitlines()]


def put(letters, n, size=10):
    letters.put(b'{"id":"%d","x":"%b"}\n' % (n, b"y" * size), "http_400", "bad", 1_767_323_045.25)


def test_an_entry_tells_what_was_refused_why_and_when(tmp_path):
    letters = DeadLetters(tmp_path / "dead", 1 << 20)
    letters.put('{"name":"Zoë"}\n'.encode(), "http_422", 'a "reason"\n', 1_767_323_045.25)
    assert entries(tmp_path / "dead") == [
        {
            "code": "http_422",
            "reason": 'a "reason"\n',
            "time": "2026-01-02T03:04:05.250+00:00",
            "line": '{"name":"Zoë"}',
        }
    ]
    assert (tmp_path / "dead").stat().st_mode & 0o077 == 0
    assert next((tmp_path / "dead").iterdir()).stat().st_mode & 0o077 == 0


def test_the_oldest_go_when_there_are_too_many_bytes_and_are_counted(tmp_path, caplog):
    letters = DeadLetters(tmp_path, 16_000, most_files=4)
    for n in range(200):
        put(letters, n, 100)
    kept = [int(json.loads(entry["line"])["id"]) for entry in entries(tmp_path)]
    assert kept == list(range(200 - len(kept), 200))
    assert letters.deleted == 200 - len(kept) > 0
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"{tmp_path}: 16000 bytes are full, so ")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 16_000
    assert len(list(tmp_path.iterdir())) <= 4


def test_the_oldest_go_when_there_are_too_many_files(tmp_path):
    for n in (3, 5, 6, 9, 11):
        (tmp_path / f"dead-{n:08d}.ndjson").write_bytes(b"{}\n")
    letters = DeadLetters(tmp_path, 1 << 20, most_files=2)
    put(letters, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dead-00000009.ndjson",
        "dead-00000011.ndjson",
    ]
    assert letters.deleted == 3


def test_a_later_run_goes_on_where_an_earlier_one_stopped(tmp_path):
    put(DeadLetters(tmp_path, 1 << 20), 1)
    (tmp_path / "notes.txt").write_text("a person's own")
    put(DeadLetters(tmp_path, 1 << 20), 2)
    (tmp_path / "notes.txt").unlink()
    assert [json.loads(entry["line"])["id"] for entry in entries(tmp_path)] == ["1", "2"]


def test_an_entry_larger_than_its_share_is_kept_alone(tmp_path):
    letters = DeadLetters(tmp_path, 1000, most_files=4)
    put(letters, 1)
    put(letters, 2, 5000)
    assert [json.loads(entry["line"])["id"] for entry in entries(tmp_path)] == ["2"]
    assert letters.deleted == 1


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path):
    target = tmp_path / "elsewhere"
    target.write_text("mine\n")
    folder = tmp_path / "dead"
    folder.mkdir()
    (folder / "dead-00000001.ndjson").symlink_to(target)
    with pytest.raises(TransportError):
        put(DeadLetters(folder, 1 << 20), 1)
    assert target.read_text() == "mine\n"


def test_a_fifo_in_place_of_a_file_is_an_error_at_once(tmp_path):
    fifo = tmp_path / "dead-00000001.ndjson"
    os.mkfifo(fifo)
    with pytest.raises(TransportError):
        put(DeadLetters(tmp_path, 1 << 20), 1)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(TransportError, match="not a regular file"):
        put(DeadLetters(tmp_path, 1 << 20), 1)
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_a_fifo_among_the_oldest_is_an_error_at_once(tmp_path):
    os.mkfifo(tmp_path / "dead-00000001.ndjson")
    (tmp_path / "dead-00000002.ndjson").write_bytes(b"{}\n" * 100)
    with pytest.raises(TransportError, match="not a regular file"):
        put(DeadLetters(tmp_path, 1 << 20, most_files=1), 1)


def test_an_entry_is_synced_before_it_counts_and_so_is_the_name_of_a_new_file(tmp_path):
    disk, folder = WatchedDisk(), tmp_path / "dead"
    letters = DeadLetters(folder, 1 << 20, disk=disk)
    file = folder / "dead-00000001.ndjson"
    put(letters, 1)
    assert disk.calls == [("sync_folder", tmp_path), ("sync", file), ("sync_folder", folder)]
    put(letters, 2)
    assert disk.calls[3:] == [("sync", file)]


@pytest.mark.parametrize("verb", ["sync", "sync_folder"])
def test_an_entry_that_the_disk_did_not_take_is_an_error_and_leaves_nothing(tmp_path, verb):
    put(DeadLetters(tmp_path, 1000, most_files=4), 1, 100)
    disk = WatchedDisk(fails=lambda call: call.verb == verb)
    # The second entry has no room in the first file.
    with pytest.raises(TransportError, match="Input/output error"):
        put(DeadLetters(tmp_path, 1000, most_files=4, disk=disk), 2, 100)
    assert [json.loads(entry["line"])["id"] for entry in entries(tmp_path)] == ["1"]
    put(DeadLetters(tmp_path, 1000, most_files=4), 3, 100)
    assert [json.loads(entry["line"])["id"] for entry in entries(tmp_path)] == ["1", "3"]
