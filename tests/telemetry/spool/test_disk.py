"""What makes rows durable: each sync, sync of a folder and rename, in order; and what a failure leads to."""

import pytest

from tests.disks import Call, WatchedDisk
from tests.telemetry.spool.town import line_of, read_all
from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.spool.base import Loss, OutboxLimits, Row
from townlet_adapters.telemetry.spool.outbox import Outbox
from townlet_core.errors import OutputError
from townlet_core.ports.transport import TransportError

POWER = OutboxLimits(durability="power")
ROWS, LABEL = "segment-00000001.rows", "segment-00000001.label"


@pytest.fixture
def disk():
    return WatchedDisk()


@pytest.fixture
def outbox(tmp_path, disk):
    """An outbox that survives a power cut, begun."""
    outbox = Outbox(tmp_path / "outbox", POWER, SystemClock(), disk)
    outbox.open("a")
    outbox.begin([])
    yield outbox
    outbox.close()


def rows_of(first, end):
    return [Row(number, line_of("a", number)) for number in range(first, end)]


def told(disk, folder):
    """What was asked of the disk since the last look: (verb, name of the file)."""
    calls, disk.calls = disk.calls, []
    return [(call.verb, "" if call.path == folder else call.path.name) for call in calls]


@pytest.mark.usefixtures("outbox")
def test_a_control_page_is_synced_renamed_and_its_folder_synced(disk, tmp_path):
    expected = [("sync", "control.new"), ("replace", "control"), ("sync_folder", "")]
    assert told(disk, tmp_path / "outbox") == expected


def test_a_first_commit_syncs_file_label_and_folder_before_its_rows(outbox, disk, tmp_path):
    told(disk, tmp_path / "outbox")
    outbox.commit(rows_of(0, 3), ())
    assert told(disk, tmp_path / "outbox") == [
        ("sync", ROWS),
        ("sync", f"{LABEL}.new"),
        ("replace", LABEL),
        ("sync_folder", ""),
        ("sync", ROWS),
    ]
    outbox.commit(rows_of(3, 6), ())
    assert told(disk, tmp_path / "outbox") == [("sync", ROWS)]


def test_a_loss_is_in_the_label_on_the_disk_before_the_commit_that_carries_it(outbox, disk, tmp_path):
    outbox.commit(rows_of(0, 3), ())
    told(disk, tmp_path / "outbox")
    outbox.commit(rows_of(4, 6), [Loss.of("a", "buffer_full", [(3, 3)])])
    assert told(disk, tmp_path / "outbox") == [("sync", LABEL), ("sync", ROWS)]


def test_the_control_page_is_synced_before_an_acknowledged_segment_is_removed(tmp_path, disk):
    """Were the segment gone and the page old after a power cut, its rows would be declared lost."""
    folder = tmp_path / "outbox"
    there = []

    def look(_call):
        there.append((folder / ROWS).exists())
        return False

    disk.fails = look
    outbox = Outbox(folder, OutboxLimits(1 << 20, 1 << 10, "power"), SystemClock(), disk)
    outbox.open("a")
    outbox.begin([])
    for first in range(0, 30, 10):
        outbox.commit(rows_of(first, first + 10), ())
    told(disk, folder)
    there.clear()
    assert len(read_all(outbox, 10)) == 30
    assert not (folder / ROWS).exists()
    assert told(disk, folder)[0] == ("sync", "control")
    assert there[0]
    outbox.close()


def test_with_process_durability_nothing_is_synced(tmp_path, disk):
    outbox = Outbox(tmp_path / "outbox", OutboxLimits(), SystemClock(), disk)
    outbox.open("a")
    outbox.begin([])
    outbox.commit(rows_of(0, 5), [Loss.of("a", "buffer_full", [(7, 7)])])
    assert len(read_all(outbox)) == 5
    outbox.close()
    assert {verb for verb, _ in told(disk, tmp_path / "outbox")} == {"replace"}


def test_rows_whose_sync_failed_are_written_again_into_another_segment(outbox, disk, tmp_path):
    """A second sync of the same file may succeed without having written them."""
    outbox.commit(rows_of(0, 3), ())
    failed = []

    def fails_once(call):
        if call == Call("sync", tmp_path / "outbox" / ROWS) and not failed:
            failed.append(call)
            return True
        return False

    disk.fails = fails_once
    with pytest.raises(TransportError) as refused:
        outbox.commit(rows_of(3, 6), ())
    assert (refused.value.code, refused.value.verdict) == ("io_error", "retry")
    assert outbox.stats().events == 3
    told(disk, tmp_path / "outbox")
    outbox.commit(rows_of(3, 6), ())
    assert ("sync", ROWS) not in told(disk, tmp_path / "outbox")
    assert b'"sequence": 4' not in (tmp_path / "outbox" / ROWS).read_bytes()
    assert read_all(outbox) == [("a", number) for number in range(6)]


@pytest.mark.parametrize("verb", ["sync", "sync_folder", "replace"])
@pytest.mark.parametrize("name", ["control", LABEL, ROWS])
def test_a_start_whose_disk_fails_is_refused_and_can_be_tried_again(tmp_path, disk, verb, name):
    folder = tmp_path / "outbox"
    first = Outbox(folder, POWER, SystemClock(), disk)
    first.open("a")
    first.begin([])
    first.note_emitted(2)
    first.close()
    outbox = Outbox(folder, POWER, SystemClock(), disk)
    (lost,) = outbox.open("b")
    hits = []

    def fails(call):
        hit = call.verb == verb and (verb == "sync_folder" or call.path.name.removesuffix(".new") == name)
        hits.append(hit)
        return hit

    disk.fails = fails
    row = [Row(0, line_of("b", 0))]
    if not (verb != "sync" and name == ROWS and verb != "sync_folder"):
        with pytest.raises(OutputError, match=r"cannot be begun: .*; make room, or name another folder"):
            outbox.begin(row)
        assert any(hits)
    outbox.close()
    disk.fails = lambda _: False
    again = Outbox(folder, POWER, SystemClock(), disk)
    assert again.open("c") == (lost,)
    again.begin([Row(0, line_of("c", 0))])
    assert read_all(again) == [("c", 0)]
    again.close()


def test_a_failed_sync_of_the_folder_stores_nothing(outbox, disk):
    disk.fails = lambda call: call.verb == "sync_folder"
    with pytest.raises(TransportError):
        outbox.commit(rows_of(0, 3), ())
    assert outbox.stats().events == 0
    disk.fails = lambda _: False
    outbox.commit(rows_of(0, 3), ())
    assert read_all(outbox) == [("a", number) for number in range(3)]
