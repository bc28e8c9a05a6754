"""Events behind a snapshot are moved away whole, whatever breaks off the move."""

import fcntl
import os
import shutil

import pytest

from tests.disks import WatchedDisk
from townlet_adapters.disk import DISK
from townlet_adapters.eventfiles import list_parts, part_path
from townlet_adapters.storage.cut import cut_events, last_fact
from townlet_adapters.telemetry.envelope import Encoder, seal
from townlet_adapters.worlds.town.events.economy import EconomyRestock
from townlet_core.errors import OutputError
from townlet_core.events.base import Diagnostic, Fact

pytestmark = pytest.mark.usefixtures("nothing_left_open")

SPELLER = Encoder("urn:townlet:run:r:p1")


def line(seq, number=0, tick=0):
    event = EconomyRestock("fridge_1", "meal", number)
    message = Diagnostic(tick, event) if seq is None else Fact(seq, seq, event)
    return seal(SPELLER.body(message, 1_767_323_045.25)[0], number)


NEWS = line(None)
"""A line without a number of a fact."""


def stream(folder, *parts):
    """Write the parts of a stream of events, the oldest first."""
    path = folder / "events.ndjson"
    for number, lines in enumerate(parts[:-1], start=1):
        part_path(path, number).write_bytes(b"".join(lines))
    path.write_bytes(b"".join(parts[-1]))
    return path


def kept(path):
    return b"".join(part.read_bytes() for part in list_parts(path))


def test_facts_from_the_first_one_on_are_moved_with_all_that_stands_behind_them(tmp_path):
    path = stream(tmp_path, [line(0), NEWS, line(1), NEWS, line(2), NEWS, line(3)])
    assert cut_events(path, 500, 2) == tmp_path / "events.cut-500.ndjson"
    assert path.read_bytes() == b"".join([line(0), NEWS, line(1), NEWS])
    assert (tmp_path / "events.cut-500.ndjson").read_bytes() == b"".join([line(2), NEWS, line(3)])
    assert last_fact(path) == 1


def test_what_ends_before_the_first_fact_is_left_as_it_is(tmp_path):
    path = stream(tmp_path, [line(0), line(1), NEWS])
    assert cut_events(path, 500, 2) is None
    assert cut_events(tmp_path / "gone.ndjson", 500, 2) is None
    assert list(tmp_path.iterdir()) == [path]
    assert kept(path) == line(0) + line(1) + NEWS


@pytest.mark.parametrize("first", range(9))
def test_the_parts_of_a_rotated_file_are_cut_as_one(tmp_path, first):
    lines = [line(number) for number in range(8)]
    path = stream(tmp_path, lines[:3], lines[3:5], [*lines[5:7], NEWS], lines[7:])
    moved = cut_events(path, 9, first)
    assert kept(path).replace(NEWS, b"") == b"".join(lines[:first])
    assert (moved.read_bytes().replace(NEWS, b"") if moved else b"") == b"".join(lines[first:])


def test_a_part_with_nothing_left_is_removed(tmp_path):
    path = stream(tmp_path, [line(0)], [line(1)], [line(2)])
    cut_events(path, 9, 1)
    assert list_parts(path) == [part_path(path, 1)]


def test_a_second_cut_at_the_same_tick_keeps_the_first(tmp_path):
    path = stream(tmp_path, [line(0), line(1)])
    cut_events(path, 9, 1)
    path.write_bytes(path.read_bytes() + line(1, 5))
    assert cut_events(path, 9, 1) == tmp_path / "events.cut-9-2.ndjson"
    assert (tmp_path / "events.cut-9.ndjson").read_bytes() == line(1)
    assert (tmp_path / "events.cut-9-2.ndjson").read_bytes() == line(1, 5)


def test_a_half_line_behind_the_cut_is_moved_and_one_alone_is_left(tmp_path):
    half = line(2)[:100]
    path = stream(tmp_path, [line(0), line(1), half])
    assert last_fact(path) == 1
    assert cut_events(path, 9, 2) is None
    assert cut_events(path, 9, 1).read_bytes() == line(1) + half
    assert path.read_bytes() == line(0)


class CrashError(Exception):
    """The process is gone."""


class CrashingDisk:
    """A disk on which a crash comes before or after one of its calls, by their number from 1."""

    def __init__(self, at, *, after):
        self.at, self.after, self.calls = at, after, 0

    def _do(self, call):
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise CrashError
        call()
        if self.calls == self.at:
            raise CrashError

    def sync(self, file):
        self._do(lambda: DISK.sync(file))

    def sync_folder(self, folder):
        self._do(lambda: DISK.sync_folder(folder))

    def replace(self, source, target, folder):
        self._do(lambda: DISK.replace(source, target, folder))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 6))
def test_after_a_crash_at_any_point_the_next_attempt_ends_in_the_same_files(tmp_path, at, after):
    lines = [line(number) for number in range(6)]
    path = stream(tmp_path, lines[:3], lines[3:5], lines[5:])
    try:
        cut_events(path, 9, 1, CrashingDisk(at, after=after))
    except CrashError:
        together = kept(path) + b"".join(each.read_bytes() for each in tmp_path.glob("events.cut*"))
        assert all(each in together for each in lines)
    cut_events(path, 9, 1)
    assert kept(path) == lines[0]
    assert [each.name for each in tmp_path.glob("events.cut*")] == ["events.cut-9.ndjson"]
    assert (tmp_path / "events.cut-9.ndjson").read_bytes() == b"".join(lines[1:])


def test_a_crash_between_two_removals_is_taken_up_where_it_was(tmp_path):
    lines = [line(number) for number in range(6)]
    path = stream(tmp_path, lines[:3], lines[3:5], lines[5:])
    shutil.copytree(tmp_path, tmp_path / "later")
    cut_events(path, 9, 1)
    later = tmp_path / "later" / "events.ndjson"
    shutil.copy(tmp_path / "events.cut-9.ndjson", later.parent)
    later.unlink()
    assert cut_events(later, 9, 1) == later.parent / "events.cut-9.ndjson"
    assert kept(later) == lines[0]
    assert (later.parent / "events.cut-9.ndjson").read_bytes() == b"".join(lines[1:])


def test_the_copy_is_synced_and_named_before_anything_is_removed(tmp_path):
    disk = WatchedDisk()
    path = stream(tmp_path, [line(0), line(1)], [line(2)])
    cut_events(path, 9, 1, disk)
    assert disk.calls == [
        ("sync", tmp_path / ".events.cut-9.ndjson.part"),
        ("replace", tmp_path / "events.cut-9.ndjson"),
        ("sync_folder", tmp_path),
        ("sync", part_path(path, 1)),
        ("sync_folder", tmp_path),
    ]


@pytest.mark.parametrize("failing", range(3))
def test_a_disk_that_does_not_take_the_copy_leaves_the_events_where_they_are(tmp_path, failing):
    path = stream(tmp_path, [line(0), line(1)], [line(2)])
    disk = WatchedDisk()
    disk.fails = lambda _call: len(disk.calls) > failing
    with pytest.raises(OutputError, match=r"cannot be continued: Input/output error"):
        cut_events(path, 9, 1, disk)
    assert kept(path) == line(0) + line(1) + line(2)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_anything_but_a_regular_file_in_the_place_of_a_part_is_an_error_at_once(tmp_path, make):
    path = stream(tmp_path, [line(0)], [line(1)])
    make(part_path(path, 2))
    for attempt in (lambda: cut_events(path, 9, 1), lambda: last_fact(stream(tmp_path, [NEWS]))):
        with pytest.raises(OutputError, match="events-000002"):
            attempt()


@pytest.mark.parametrize("text", [b'{"seq":7}\n', b"a letter\n", b"\n", b'"seq":9' * (1 << 18)])
def test_a_file_of_another_program_is_left_as_it_is(tmp_path, text):
    path = tmp_path / "events.ndjson"
    path.write_bytes(text)
    with pytest.raises(OutputError, match=r"events\.ndjson: "):
        cut_events(path, 9, 1)
    assert path.read_bytes() == text


def test_a_file_that_another_run_writes_is_left_as_it_is(tmp_path):
    path = stream(tmp_path, [line(0), line(1)])
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another run is writing to it"):
            cut_events(path, 9, 1)
    assert kept(path) == line(0) + line(1)


def test_the_last_fact_is_found_over_parts_and_behind_much_else(tmp_path):
    assert last_fact(tmp_path / "events.ndjson") is None
    path = stream(tmp_path, [line(0), line(1)], [NEWS] * 3)
    assert last_fact(path) == 1
    path.write_bytes(line(2) + NEWS * (5 * (1 << 20) // len(NEWS)))
    assert last_fact(path) == 2
