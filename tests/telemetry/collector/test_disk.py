"""A disk that fails or forgets: what it did not take is neither kept nor acknowledged."""

import errno
import json
import logging

import pytest

from tests.disks import WatchedDisk
from tests.telemetry.collector.support import (
    SOURCE,
    Peer,
    Poster,
    data,
    line,
    lines,
    loss,
    stored,
    wait_until,
)
from townlet_adapters.telemetry.collector.checking import check_line
from townlet_adapters.telemetry.collector.owners import OWNERS_FILE
from townlet_adapters.telemetry.collector.store import Lane, Store, Submission, read_report
from townlet_adapters.telemetry.wire.frames import NOTHING, Ack, HelloAck, Nack
from townlet_core.errors import OutputError

OTHER = "urn:townlet:run:other:p1"
FILE = "run-a.p1.ndjson"


def broken(verb, name, error=errno.EIO):
    """A disk on which one call for one file or folder fails, until it is mended."""
    return WatchedDisk(fails=lambda call: (call.verb, call.path.name) == (verb, name), error=error)


def mend(disk):
    disk.fails = lambda _call: False


@pytest.fixture
def open_store(folder):
    """Open a store on a disk; it is closed at the end."""
    opened = []

    def start(disk):
        store = Store(folder, disk=disk)
        store.open()
        opened.append(store)
        return store

    yield start
    for store in opened:
        store.close()


def put(store, *batches):
    """Store batches of lines as one group."""
    events = [[check_line(each) for each in batch] for batch in batches]
    return store.store([Submission(Lane(), "us", batch[0].source, batch) for batch in events])


def test_everything_is_on_the_disk_in_the_right_order_when_the_first_event_is_acknowledged(collect, folder):
    """First the owner, then the file's name, then its content."""
    disk = WatchedDisk()
    (port,) = collect("tcp", disk=disk, folder=folder / "a" / "b").ports()
    where = folder / "a" / "b"
    with Peer(port) as peer:
        peer.hello()
        disk.calls.clear()
        assert peer.deliver(lines(0, 1)) == Ack(1)
        asked = [(call.verb, call.path) for call in disk.calls if call.verb != "replace"]
    assert asked == [
        ("sync", where / OWNERS_FILE),
        ("sync_folder", where),
        ("sync", where / FILE),
    ]


def test_a_new_folder_is_on_the_disk_before_anything_is_in_it(folder, tmp_path):
    disk = WatchedDisk()
    Store(folder / "a", disk=disk).open()
    assert [call.path for call in disk.calls] == [tmp_path, folder, folder / "a" / OWNERS_FILE, folder / "a"]
    with pytest.raises(OutputError, match="cannot be used: Input/output error"):
        Store(folder / "b" / "c", disk=broken("sync_folder", "b")).open()


BREAKS = {
    "the file": ("sync", FILE),
    "its name": ("sync_folder", "events"),
    "its owner": ("sync", OWNERS_FILE),
}


@pytest.mark.parametrize(("verb", "name"), BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize("failure", [(errno.EIO, "storage_failed"), (errno.ENOSPC, "no_space")])
def test_events_that_the_disk_did_not_take_are_neither_kept_nor_acknowledged(
    collect, folder, verb, name, failure
):
    error, trouble = failure
    disk = WatchedDisk(error=error)
    collector = collect("tcp", "http", disk=disk)
    frames, posts = collector.ports()
    disk.fails = broken(verb, name).fails
    with Peer(frames) as peer:
        assert peer.hello() == HelloAck(NOTHING)
        peer.send(data(lines(0, 2)))
        assert [peer.receive(), peer.receive()] == [Nack("unavailable", 5), None]
    with Poster(posts) as poster:
        status, answer, headers = poster.post(lines(0, 2))
    assert (status, answer["error"], headers["retry-after"]) == (503, trouble, "5")
    assert read_report(folder).totals.events == 0
    assert collector.report().totals.events == 0
    assert not (folder / FILE).exists() or (folder / FILE).read_bytes() == b""
    mend(disk)
    with Peer(frames) as peer:
        assert peer.hello() == HelloAck(NOTHING)
        assert peer.deliver(lines(0, 2)) == Ack(2)
    assert stored(folder) == {SOURCE: [0, 1, 2]}
    assert collector.report().sources[0].duplicates == 0


def test_what_was_acknowledged_before_stays_when_the_disk_fails_later(collect, folder):
    disk = WatchedDisk()
    frames, _ = collect("tcp", "http", disk=disk).ports()
    with Peer(frames) as peer:
        peer.hello()
        assert peer.deliver(lines(0, 9)) == Ack(9)
        disk.fails = broken("sync", FILE).fails
        peer.send(data(lines(10, 19)))
        assert peer.receive() == Nack("unavailable", 5)
    assert (folder / FILE).read_bytes() == b"".join(lines(0, 9))
    mend(disk)
    with Peer(frames) as peer:
        assert peer.hello() == HelloAck(9)
        assert peer.deliver(lines(5, 14)) == Ack(14)
    assert stored(folder) == {SOURCE: list(range(15))}


def test_a_collector_that_was_killed_after_the_disk_failed_does_not_take_the_lines_for_stored(
    open_store, folder
):
    """The system reports success for bytes that it dropped before; another process cannot know that."""
    disk = broken("sync", FILE)
    assert put(open_store(disk), lines(0, 2))[0] == (0, 0, "storage_failed")
    assert (folder / FILE).read_bytes() == b""


def test_one_source_that_cannot_be_written_harms_no_other_one(open_store, folder):
    store = open_store(broken("sync", FILE))
    outcomes = put(store, lines(0, 1), lines(0, 1, OTHER))
    assert [each.trouble for each in outcomes] == ["storage_failed", None]
    assert stored_of(folder, OTHER) == [0, 1]


def stored_of(folder, source):
    name = source.split(":")[3] + ".p1.ndjson"
    return [int(json.loads(each)["sequence"]) for each in (folder / name).read_bytes().splitlines()]


def test_a_loss_record_is_not_believed_before_the_disk_has_it(open_store):
    disk = broken("sync", FILE)
    store = open_store(disk)
    put(store, [loss(9, [(0, 8)])])
    assert store.report().totals.declared == 0
    assert store.standing(SOURCE) == ("us", -1)
    mend(disk)
    put(store, [loss(9, [(0, 8)])])
    assert store.standing(SOURCE) == ("us", 9)


def test_an_owner_that_the_disk_did_not_take_owns_nothing(open_store, folder):
    disk = broken("sync", OWNERS_FILE)
    disk.fails, failing = (lambda _call: False), disk.fails
    store = open_store(disk)
    disk.fails = failing
    put(store, lines(0, 1))
    assert store.standing(SOURCE) == (None, -1)
    assert (folder / OWNERS_FILE).read_bytes() == b""
    assert not (folder / FILE).exists()


def test_lines_that_a_killed_collector_left_are_on_the_disk_before_they_count(folder):
    """It may have been killed between writing and syncing: what is sent again must not be acknowledged."""
    folder.mkdir()
    (folder / FILE).write_bytes(b"".join(lines(0, 2)) + line(3)[:40])
    disk = WatchedDisk()
    store = Store(folder, disk=disk)
    store.open()
    assert disk.verbs(folder / FILE) == ["sync"]
    assert [call.verb for call in disk.calls][-1] == "sync_folder"
    assert (folder / FILE).read_bytes() == b"".join(lines(0, 2))
    store.close()
    (folder / "run-a.p1.index.json").unlink()
    with pytest.raises(OutputError, match="cannot be used: Input/output error"):
        Store(folder, disk=broken("sync", FILE)).open()


def test_what_an_index_vouches_for_is_not_synced_again(folder):
    for disk in (WatchedDisk(), again := WatchedDisk()):
        store = Store(folder, disk=disk)
        store.open()
        put(store, lines(0, 2)) if disk is not again else None
        store.close()
    assert again.verbs(folder / FILE) == []


@pytest.mark.parametrize("name", ["report.json", "run-a.p1.index.json"])
def test_a_report_and_an_index_are_replaced_as_a_whole_or_not_at_all(open_store, folder, caplog, name):
    disk = WatchedDisk()
    store = open_store(disk)
    put(store, lines(0, 1))
    store.write_report()
    store.close()
    assert "replace" in disk.verbs(folder / name)
    before = (folder / name).read_bytes()
    disk = broken("replace", name)
    store = Store(folder, disk=disk)
    store.open()
    assert put(store, lines(2, 3))[0].trouble is None
    with caplog.at_level(logging.WARNING):
        store.write_report()
        store.close()
    assert (folder / name).read_bytes() == before
    assert f"{name}: cannot be written: Input/output error" in caplog.text
    assert [path.name for path in folder.iterdir() if path.name.endswith(".part")] == []
    assert stored(folder) == {SOURCE: [0, 1, 2, 3]}
    reopened = Store(folder)
    reopened.open()
    assert reopened.standing(SOURCE).settled_through == 3
    reopened.close()


def test_a_disk_that_fails_is_logged_with_the_file(collect, caplog, folder):
    disk = WatchedDisk()
    collector = collect("tcp", disk=disk)
    disk.fails = broken("sync", FILE).fails
    with Peer(*collector.ports()) as peer:
        peer.hello()
        peer.send(data(lines(0, 2)))
        peer.receive()
    assert f"{folder / FILE}: cannot be written: Input/output error" in caplog.text
    wait_until(lambda: collector.collector.figures.refused["storage_failed"] == 1)


def test_a_collector_that_stops_on_a_broken_disk_acknowledges_nothing(collect, folder):
    disk = WatchedDisk()
    collector = collect("tcp", disk=disk)
    disk.fails = lambda call: call.verb == "sync"
    with Peer(*collector.ports()) as peer:
        peer.hello()
        peer.send(data(lines(0, 99)))
        assert peer.receive() == Nack("unavailable", 5)
        collector.stop()
    assert read_report(folder).totals.events == 0
