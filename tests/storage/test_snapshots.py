import gzip
import json
import tracemalloc
from dataclasses import replace

import pytest

from tests.disks import WatchedDisk
from townlet_adapters.storage import snapshots
from townlet_adapters.storage.snapshots import (
    digest_of,
    list_snapshots,
    newest_snapshot,
    read_snapshot,
    retain_snapshots,
    write_snapshot,
)
from townlet_core.dto.snapshot import SCHEMA_VERSION, Snapshot
from townlet_core.errors import OutputError, SnapshotError

pytestmark = pytest.mark.usefixtures("nothing_left_open")

SIMULATION = {"seed": 7, "world": {"use": "fake", "options": {"z": 1, "a": 2}}}


def snapshot(tick: int = 500) -> Snapshot:
    identity = {"sim_digest": digest_of(SIMULATION), "event_digest": "ab" * 32, "town_digest": "c"}
    return Snapshot(tick, identity, {"world": {"x": [1.5, 2]}, "loop": {"digest": "ab" * 32}})


def rewritten(path, **changes):
    """Damage a file as somebody with an editor would."""
    document = json.loads(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(json.dumps(document | changes).encode()))
    return path


def code_of(path) -> str:
    with pytest.raises(SnapshotError) as caught:
        read_snapshot(path)
    assert str(path) in str(caught.value)
    return caught.value.code


def test_what_was_written_is_read_again_with_its_identity(tmp_path):
    path = write_snapshot(tmp_path, snapshot(), SIMULATION)
    stored = read_snapshot(path)
    assert path.name == "snapshot-500.json.gz"
    assert stored.snapshot == snapshot()
    assert stored.simulation == SIMULATION
    assert list(stored.simulation["world"]["options"]) == ["z", "a"]


def test_the_same_simulation_gives_the_same_bytes(tmp_path):
    first = write_snapshot(tmp_path / "a", snapshot(), SIMULATION).read_bytes()
    assert write_snapshot(tmp_path / "b", snapshot(), SIMULATION).read_bytes() == first


def test_a_file_is_json_in_utf_8_with_the_letters_that_were_given(tmp_path):
    named = replace(snapshot(), parts={"world": {"name": "Zoë 🏠"}})
    path = write_snapshot(tmp_path, named, SIMULATION)
    assert '"Zoë 🏠"'.encode() in gzip.decompress(path.read_bytes())
    assert read_snapshot(path).snapshot == named


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_not_written(tmp_path, number):
    for parts, simulation in (({"world": number}, SIMULATION), (snapshot().parts, {"seed": number})):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_snapshot(tmp_path, replace(snapshot(), parts=parts), simulation)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_told_apart_from_a_damaged_one(tmp_path):
    assert code_of(tmp_path / "snapshot-1.json.gz") == "snapshot_missing"
    assert code_of(tmp_path) == "snapshot_missing"


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_a_truncated_file_is_corrupt(tmp_path, cut):
    path = write_snapshot(tmp_path, snapshot(), SIMULATION)
    path.write_bytes(path.read_bytes()[:cut])
    assert code_of(path) == "snapshot_corrupt"


def test_any_flipped_byte_is_corrupt(tmp_path):
    path = write_snapshot(tmp_path, snapshot(), SIMULATION)
    whole = path.read_bytes()
    # Bytes 4 to 9 of a gzip header (time, flags, system) carry nothing that is read, nor do the bits
    # that fill the last byte of the compressed data, which the checksum and the length follow.
    last = len(whole) - 9
    for position in [*range(4), *range(10, last), *range(last + 1, len(whole))]:
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        assert code_of(path) == "snapshot_corrupt", position


@pytest.mark.parametrize(
    "changes",
    [
        {"state": {"world": {"x": [1.5, 3]}}},
        {"simulation": {"seed": 8}},
        {"sim_digest": "0"},
        {"sha256": "0"},
        {"tick": -1},
        {"tick": "5"},
        {"variant": 5},
        {"schema": 0},
        {"schema": "1"},
    ],
    ids=str,
)
def test_an_edited_file_is_corrupt(tmp_path, changes):
    assert (
        code_of(rewritten(write_snapshot(tmp_path, snapshot(), SIMULATION), **changes)) == "snapshot_corrupt"
    )


def test_a_newer_schema_says_so(tmp_path):
    path = rewritten(write_snapshot(tmp_path, snapshot(), SIMULATION), schema=SCHEMA_VERSION + 1)
    assert code_of(path) == "snapshot_schema"


@pytest.mark.parametrize(
    "text",
    [b"[1]", b"nonsense", b'{"schema": NaN}', b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"\xff"],
    ids=["no object", "no JSON", "no number", "open depth", "closed depth", "no text"],
)
def test_what_is_no_snapshot_at_all_is_corrupt(tmp_path, text):
    path = tmp_path / "snapshot-1.json.gz"
    path.write_bytes(gzip.compress(text))
    assert code_of(path) == "snapshot_corrupt"


def test_depth_is_limited_even_where_json_can_read_it(tmp_path):
    deep = 1
    for _ in range(100):
        deep = [deep]
    path = write_snapshot(tmp_path, replace(snapshot(), parts={"world": deep}), SIMULATION)
    assert code_of(path) == "snapshot_corrupt"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = gzip.compress(bytes(16 * 1024 * 1024))
    tracemalloc.start()
    with pytest.raises(SnapshotError, match="unpacks to more than 1024 bytes"):
        snapshots._unpack(tmp_path, bomb, most=1024)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1024 * 1024


def test_after_a_kill_the_newest_whole_snapshot_is_found(tmp_path):
    folder = tmp_path / "snapshots"
    for tick in (9, 100, 20):
        write_snapshot(folder, snapshot(tick), SIMULATION)
    newest = folder / "snapshot-100.json.gz"
    newest.write_bytes(newest.read_bytes()[:50])
    (folder / ".snapshot-200.json.gz.1.part").write_bytes(b"half")
    assert newest_snapshot(tmp_path).snapshot.tick == 20
    assert read_snapshot(tmp_path).snapshot.tick == 20


def test_a_folder_with_damaged_snapshots_only_says_what_is_wrong_with_the_newest(tmp_path):
    for tick in (1, 2):
        write_snapshot(tmp_path, snapshot(tick), SIMULATION).write_bytes(b"")
    with pytest.raises(SnapshotError, match=r"snapshot-2\.json\.gz: damaged"):
        newest_snapshot(tmp_path)


def test_only_the_newest_are_kept_and_failures_do_not_count(tmp_path):
    for tick in (9, 100, 20):
        write_snapshot(tmp_path, snapshot(tick), SIMULATION)
    failure = write_snapshot(tmp_path, snapshot(200), SIMULATION, prefix="failure")
    retain_snapshots(tmp_path, 2)
    assert [path.name for path in list_snapshots(tmp_path)] == ["snapshot-20.json.gz", "snapshot-100.json.gz"]
    assert failure.exists()


def test_a_snapshot_is_synced_before_it_takes_its_name_and_older_ones_go_after(tmp_path):
    disk, folder = WatchedDisk(), tmp_path / "snapshots"
    path = write_snapshot(folder, snapshot(1), SIMULATION, disk=disk)
    assert [call.verb for call in disk.calls] == ["sync_folder", "sync", "replace", "sync_folder"]
    assert disk.calls[2].path == path
    assert (disk.calls[0].path, disk.calls[3].path) == (tmp_path, folder)


@pytest.mark.parametrize("verb", ["sync", "replace", "sync_folder"])
def test_a_snapshot_that_the_disk_did_not_take_is_an_error_and_the_last_one_stays(tmp_path, verb):
    write_snapshot(tmp_path, snapshot(1), SIMULATION)
    disk = WatchedDisk(fails=lambda call: call.verb == verb)
    with pytest.raises(OutputError, match="Input/output error"):
        write_snapshot(tmp_path, snapshot(2), SIMULATION, disk=disk)
    if verb != "sync_folder":
        assert newest_snapshot(tmp_path).snapshot.tick == 1
    assert (tmp_path / "snapshot-1.json.gz").exists()
