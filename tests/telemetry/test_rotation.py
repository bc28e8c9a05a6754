"""A file that is rotated keeps every line, in order, over all of its parts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disks import WatchedDisk
from townlet_adapters.eventfiles import list_parts, part_path
from townlet_adapters.telemetry.envelope import Encoder, seal
from townlet_adapters.telemetry.transports.file import FileTransport
from townlet_adapters.worlds.town.events.economy import EconomyRestock
from townlet_core.errors import OutputError
from townlet_core.events.base import Fact
from townlet_core.ports.transport import Batch, TransportError

ROOT = Path(__file__).parents[2]
SOURCE = "urn:townlet:run:r:p1"


def line(n):
    number = 1000 + n  # so that all lines are of one length
    event = Fact(number, number, EconomyRestock("fridge_1", "meal", number))
    body, _ = Encoder(SOURCE).body(event, 1_767_323_045.25)
    return seal(body, number)


MOST = 5 * len(line(0))
"""Room for five lines."""


def write_all(transport, lines):
    """Write as a courier does: what was not taken comes first in the next batch."""
    while lines:
        lines = lines[transport.write(Batch(SOURCE, range(len(lines)), lines)) :]


def opened(path, **more):
    transport = FileTransport(path, rotate_bytes=MOST, **more)
    transport.open()
    return transport


def kept(path):
    """Every line of a stream of events."""
    return [each for part in list_parts(path) for each in part.read_bytes().splitlines(keepends=True)]


def test_every_line_is_kept_in_order_and_no_part_exceeds_the_size(tmp_path):
    path = tmp_path / "events.ndjson"
    transport = opened(path)
    write_all(transport, [line(n) for n in range(23)])
    transport.close()
    assert [part.name for part in list_parts(path)] == [
        *(f"events-00000{number}.ndjson" for number in range(1, 5)),
        "events.ndjson",
    ]
    assert kept(path) == [line(n) for n in range(23)]
    assert max(part.stat().st_size for part in list_parts(path)) <= MOST


def test_a_line_larger_than_the_size_has_a_part_of_its_own(tmp_path):
    path, long = tmp_path / "events.ndjson", line(1).replace(b"fridge_1", b"f" * MOST)
    transport = opened(path)
    write_all(transport, [line(0)])
    assert transport.write(Batch(SOURCE, (1,), [long])) == 1
    transport.close()
    assert kept(path) == [line(0), long]


def test_a_later_run_goes_on_in_the_newest_part(tmp_path):
    path = tmp_path / "events.ndjson"
    for first in (0, 7):
        transport = opened(path)
        write_all(transport, [line(n) for n in range(first, first + 7)])
        transport.close()
    assert kept(path) == [line(n) for n in range(14)]
    assert len(list_parts(path)) == 3


def test_without_a_size_nothing_is_rotated(tmp_path):
    path = tmp_path / "events.ndjson"
    transport = FileTransport(path)
    transport.open()
    write_all(transport, [line(n) for n in range(100)])
    transport.close()
    assert list_parts(path) == [path]


def test_parts_are_listed_by_number_and_files_of_other_names_are_not(tmp_path):
    path = tmp_path / "events.ndjson"
    for name in (
        "events-1000000.ndjson",
        "events-000002.ndjson",
        "events-000010.ndjson",
        "events.cut-500.ndjson",
        "events-12.ndjson",
        "events-000003.ndjson.gz",
        "events-00000x.ndjson",
    ):
        (tmp_path / name).write_bytes(b"")
    names = ["events-000002.ndjson", "events-000010.ndjson", "events-1000000.ndjson"]
    assert [part.name for part in list_parts(path)] == names
    path.write_bytes(b"")
    assert [part.name for part in list_parts(path)] == [*names, "events.ndjson"]
    assert part_path(path, 1_000_001).name == "events-1000001.ndjson"
    assert list_parts(tmp_path / "gone" / "events.ndjson") == []


def test_a_part_is_synced_before_it_gets_its_name_and_the_folder_after(tmp_path):
    path, disk = tmp_path / "events.ndjson", WatchedDisk()
    transport = opened(path, disk=disk)
    before = len(disk.calls)
    write_all(transport, [line(n) for n in range(6)])
    assert disk.calls[before:] == [
        ("sync", path),
        ("replace", tmp_path / "events-000001.ndjson"),
        ("sync_folder", tmp_path),
    ]
    assert transport.condition().unsynced == 1
    transport.close()


@pytest.mark.parametrize("verb", ["sync", "replace", "sync_folder"])
def test_a_rotation_that_fails_is_reported_and_tried_again(tmp_path, verb):
    path = tmp_path / "events.ndjson"
    broken = []
    disk = WatchedDisk(fails=lambda call: call.verb == verb and bool(broken))
    transport = opened(path, disk=disk)
    write_all(transport, [line(n) for n in range(5)])
    broken.append(True)
    with pytest.raises(TransportError) as caught:
        write_all(transport, [line(5)])
    assert (caught.value.code, caught.value.verdict) == ("eio", "retry")
    broken.clear()
    write_all(transport, [line(n) for n in range(5, 12)])
    transport.close()
    assert kept(path) == [line(n) for n in range(12)]
    assert len(list_parts(path)) == 3
    # A sync that failed is never made good by one that succeeds later.
    assert transport.condition().unsynced == (5 if verb == "sync" else 0)


def test_a_crash_between_two_steps_of_a_rotation_leaves_every_line_to_the_next_run(tmp_path):
    path = tmp_path / "events.ndjson"
    transport = opened(path)
    write_all(transport, [line(n) for n in range(5)])
    transport.close()
    path.rename(part_path(path, 1))
    assert kept(path) == [line(n) for n in range(5)]
    transport = opened(path)
    write_all(transport, [line(5)])
    transport.close()
    assert kept(path) == [line(n) for n in range(6)]


def test_while_a_file_is_rotated_no_other_run_gets_hold_of_it(tmp_path):
    path = tmp_path / "events.ndjson"
    transport = opened(path)
    write_all(transport, [line(n) for n in range(6)])
    for taken in list_parts(path)[1:]:
        with pytest.raises(OutputError, match="another run is writing to it"):
            FileTransport(taken).open()
    transport.close()


def test_a_file_that_another_process_made_in_the_midst_of_a_rotation_is_left_alone(tmp_path):
    path = tmp_path / "events.ndjson"

    class Intruder(WatchedDisk):
        def replace(self, source, target, folder):
            super().replace(source, target, folder)
            path.write_bytes(b"another process's\n")

    transport = opened(path, disk=Intruder())
    write_all(transport, [line(n) for n in range(5)])
    with pytest.raises(TransportError) as caught:
        write_all(transport, [line(5)])
    assert caught.value.verdict == "fatal"
    transport.close()
    assert path.read_bytes() == b"another process's\n"
    assert part_path(path, 1).read_bytes() == b"".join(line(n) for n in range(5))


def test_after_a_kill_at_any_moment_the_parts_hold_every_line_from_the_first_on(tmp_path):
    path = tmp_path / "events.ndjson"
    code = """
import itertools, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from tests.telemetry.test_rotation import line, opened, write_all
transport = opened(Path(sys.argv[1]))
for n in itertools.count():
    write_all(transport, [line(n)])
    if n == 300:
        print("under way", flush=True)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(ROOT)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert child.stdout.readline() == b"under way\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    transport = opened(path)
    transport.close()
    lines = kept(path)
    assert len(lines) >= 300
    assert lines == [line(n) for n in range(len(lines))]
