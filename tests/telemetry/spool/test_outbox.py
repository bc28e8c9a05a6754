"""The outbox by itself: limits, disks, processes, links, versions."""

import gc
import itertools
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from functools import partial

import pytest

from tests.forks import fork, in_fork
from tests.telemetry.spool.town import LIMITS, Town, line_of, read_all
from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.spool import inspect
from townlet_adapters.telemetry.spool.base import PROCESS_DIED, Loss, OutboxLimits, Row
from townlet_adapters.telemetry.spool.outbox import Outbox
from townlet_core.errors import ContractError, OutputError
from townlet_core.ports.transport import TransportError


def rows_of(first, end, size=600):
    return [Row(number, line_of("a", number, size)) for number in range(first, end)]


@pytest.fixture
def begun(tmp_path):
    """Give outboxes, begun; they are closed at the end."""
    made = []

    def make(source="a", folder=tmp_path / "outbox", limits=LIMITS):
        outbox = Outbox(folder, limits, SystemClock())
        made.append(outbox)
        outbox.open(source)
        outbox.begin([])
        return outbox

    yield make
    for outbox in made:
        outbox.close()


def test_rows_come_back_in_order_until_they_are_acknowledged(begun):
    outbox = begun()
    outbox.commit(rows_of(0, 50), ())
    batch = outbox.read(10, 1 << 20)
    assert (batch.source, list(batch.sequences)) == ("a", list(range(10)))
    assert outbox.read(10, 1 << 20) == batch
    assert list(outbox.read(3, 1 << 20).sequences) == [0, 1, 2]
    assert len(outbox.read(10, 1300).lines) == 2
    assert len(outbox.read(10, 1).lines) == 1
    assert outbox.acknowledge("a", 3) == 4
    assert list(outbox.read(10, 1 << 20).sequences) == [4, 5, 6, 7, 8, 9]
    assert outbox.acknowledge("a", 3) == 0
    assert outbox.acknowledge("b", 40) == 0
    assert outbox.acknowledge("a", 1 << 40) == 46
    assert outbox.read(10, 1 << 20) is None
    assert outbox.stats().events == 0


def test_an_acknowledgement_beyond_what_was_read_settles_what_is_stored(begun):
    outbox = begun()
    outbox.commit([*rows_of(0, 20), *rows_of(25, 200)], ())
    outbox.commit(rows_of(200, 300), ())
    outbox.read(5, 1 << 20)
    assert outbox.acknowledge("a", 22) == 20
    assert outbox.acknowledge("a", 220) == 196
    assert read_all(outbox) == [("a", number) for number in range(221, 300)]


def test_the_older_source_leaves_first_and_its_files_with_it(begun, tmp_path):
    first = begun("a")
    first.commit(rows_of(0, 40), ())
    first.close()
    second = begun("b")
    second.commit([Row(0, b"{}\n")], ())
    assert second.acknowledge("b", 0) == 0
    assert read_all(second) == [*(("a", number) for number in range(40)), ("b", 0)]
    assert len(list((tmp_path / "outbox").glob("*.rows"))) == 1


def test_a_source_comes_once(begun, tmp_path):
    begun("a").close()
    with pytest.raises(ContractError, match="has held a before"):
        Outbox(tmp_path / "outbox", LIMITS, SystemClock()).open("a")


def test_a_run_begins_once_after_it_opened_the_outbox(tmp_path):
    outbox = Outbox(tmp_path / "outbox", LIMITS, SystemClock())
    with pytest.raises(ContractError, match="begin comes after open, once"):
        outbox.begin([])
    outbox.open("a")
    outbox.begin([Row(0, b"{}\n")])
    with pytest.raises(ContractError, match="begin comes after open, once"):
        outbox.begin([Row(1, b"{}\n")])
    assert read_all(outbox) == [("a", 0)]
    outbox.close()


def test_rows_out_of_order_are_refused_and_nothing_is_stored(begun):
    outbox = begun()
    with pytest.raises(ValueError, match="ascending"):
        outbox.commit([Row(5, b"{}\n"), Row(5, b"{}\n")], ())
    outbox.commit([Row(0, b"{}\n")], ())
    assert read_all(outbox) == [("a", 0)]


def test_a_full_outbox_takes_nothing_and_goes_on_when_there_is_room(begun):
    outbox = begun(limits=OutboxLimits(bytes=1 << 19, segment_bytes=1 << 16))
    end, why = fill(outbox)
    assert why == "outbox_full, retry"
    assert outbox.stats().events == end
    assert outbox.stats().bytes <= 1 << 19
    assert len(read_all(outbox)) == end
    outbox.commit(rows_of(end, end + 20), ())
    assert len(read_all(outbox)) == 20


def test_a_delivered_segment_makes_room_even_when_it_is_the_only_one(begun):
    outbox = begun(limits=OutboxLimits(bytes=1 << 17, segment_bytes=1 << 30))
    for round_ in range(20):
        loss = [Loss.of("a", "buffer_full", [(round_ * 11 + 10, round_ * 11 + 10)])]
        outbox.commit(rows_of(round_ * 11, round_ * 11 + 10), loss)
        assert len(read_all(outbox)) == 10


def free_bytes(folder):
    left = os.statvfs(folder)
    return left.f_bavail * left.f_frsize


def fill(outbox, end=0):
    """Commit until the disk is full; gives how many rows it took."""
    try:
        while True:
            outbox.commit(rows_of(end, end + 2), ())
            end += 2
    except TransportError as error:
        return end, f"{error.code}, {error.verdict}"


def test_a_full_disk_stores_nothing_and_is_freed_by_acknowledging(begun, small_disk):
    outbox = begun(folder=small_disk / "outbox", limits=OutboxLimits(bytes=1 << 20, segment_bytes=1 << 15))
    end, why = fill(outbox)
    assert end
    assert why == "no_space, retry"
    (small_disk / "rest").write_bytes(b"")
    assert outbox.stats().events == end
    assert read_all(outbox) == [("a", number) for number in range(end)]
    more, why = fill(outbox, end)
    assert more > end
    assert why == "no_space, retry"
    assert read_all(outbox) == [("a", number) for number in range(end, more)]


def test_a_full_disk_at_the_start_is_told_and_leaves_what_was_there(small_disk):
    town = Town(small_disk / "outbox", OutboxLimits(bytes=1 << 20, segment_bytes=1 << 15))
    town.start()
    town.emit(5, 600)
    assert town.commit() == ""
    town.emit(2)
    town.outbox.close()
    rest = small_disk / "rest"
    rest.write_bytes(b"x" * free_bytes(small_disk))
    with pytest.raises(OutputError, match="make room"):
        town.start()
    town.outbox.close()
    rest.unlink()
    town.start()
    town.drain()
    town.check_all_accounted_for()
    town.outbox.close()


def test_a_limit_on_the_size_of_files_stores_nothing(begun):
    outbox = begun()
    outbox.commit(rows_of(0, 10), ())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        end, why = fill(outbox, 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert why == "io_error, retry"
    outbox.commit(rows_of(end, end + 10), ())
    assert read_all(outbox) == [("a", number) for number in range(end + 10)]


def test_a_second_process_is_kept_out(begun, tmp_path):
    begun()
    with pytest.raises(OutputError, match="another process uses this outbox; wait until it ends"):
        Outbox(tmp_path / "outbox", LIMITS, SystemClock()).open("b")
    code = (
        "import sys; from pathlib import Path\n"
        "from townlet_adapters.telemetry.clock import SystemClock\n"
        "from townlet_adapters.telemetry.spool.base import OutboxLimits\n"
        "from townlet_adapters.telemetry.spool.outbox import Outbox\n"
        "Outbox(Path(sys.argv[1]), OutboxLimits(), SystemClock()).open('c')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "outbox")], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "another process uses this outbox" in done.stderr


@pytest.mark.parametrize(
    "name", ["", "control", "lock", "segment-00000001.rows", "segment-00000001.label", "quarantine"]
)
def test_links_are_refused_and_what_they_lead_to_is_left_alone(tmp_path, name):
    real = tmp_path / "elsewhere"
    if name in {"", "quarantine"}:
        real.mkdir()
    else:
        real.write_bytes(b"precious")
    folder = tmp_path / "outbox"
    if name:
        folder.mkdir()
    (folder / name if name else folder).symlink_to(real)
    with pytest.raises(OutputError, match="link"):
        Outbox(folder, LIMITS, SystemClock()).open("a")
    assert real.is_dir() or real.read_bytes() == b"precious"


def test_foreign_files_are_left_alone(begun, tmp_path):
    folder = tmp_path / "outbox"
    folder.mkdir()
    names = ["README", "segment-1.db", "events.ndjson", "control.bak"]
    for name in names:
        (folder / name).write_text("mine")
    (folder / "link").symlink_to("/nowhere")
    outbox = begun()
    outbox.commit(rows_of(0, 5), ())
    assert len(read_all(outbox)) == 5
    assert [(folder / name).read_text() for name in names] == ["mine"] * 4
    assert (folder / "link").is_symlink()


def test_a_control_page_of_somebody_else_is_no_reason_not_to_start(tmp_path, begun, caplog):
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "control").write_bytes(b"GIF89a" * 700)
    begun().commit(rows_of(0, 3), ())
    assert "is not a control page" in caplog.text


def with_version(page, version):
    _, _, _, base, length = struct.unpack_from("<8sIIQH", page)
    source = page[26 : 26 + length]
    crc = zlib.crc32(struct.pack("<IQH", version, base, length) + source)
    return struct.pack("<8sIIQH", b"TWNOUTBX", version, crc, base, length) + page[26:]


def test_an_outbox_of_a_newer_version_is_refused_and_left_as_it_is(begun, tmp_path):
    begun().close()
    control = tmp_path / "outbox" / "control"
    control.write_bytes(with_version(control.read_bytes(), 3))
    before = {path.name: path.read_bytes() for path in (tmp_path / "outbox").iterdir()}
    with pytest.raises(OutputError, match="holds an outbox of format 3"):
        Outbox(tmp_path / "outbox", LIMITS, SystemClock()).open("b")
    assert {path.name: path.read_bytes() for path in (tmp_path / "outbox").iterdir()} == before


def test_a_segment_of_a_newer_version_is_refused(begun, tmp_path):
    outbox = begun()
    outbox.commit(rows_of(0, 1), ())
    outbox.close()
    path = tmp_path / "outbox" / "segment-00000001.label"
    body = b"9 " + path.read_bytes().split(b" ", 3)[3].removesuffix(b"\n")
    path.write_bytes(b"townlet-outbox %08x %s\n" % (zlib.crc32(body), body))
    with pytest.raises(OutputError, match="format 9"):
        Outbox(tmp_path / "outbox", LIMITS, SystemClock()).open("b")


def test_a_control_page_of_an_older_version_is_unknown(begun, tmp_path, caplog):
    outbox = begun()
    outbox.commit(rows_of(0, 4), ())
    outbox.close()
    control = tmp_path / "outbox" / "control"
    control.write_bytes(with_version(control.read_bytes(), 0))
    assert read_all(begun("b")) == [("a", number) for number in range(4)]
    assert "has the format 0; known: 1 to 2" in caplog.text


def test_a_child_of_a_fork_touches_nothing(begun, tmp_path):
    outbox = begun()
    outbox.commit(rows_of(0, 10), ())

    def touch():
        nonlocal outbox
        outbox.abandon()
        outbox.note_emitted(99)
        del outbox
        # What an interpreter does at its end, short of running the parent's tests again.
        gc.collect()

    assert in_fork(touch) == 0
    with pytest.raises(OutputError, match="another process uses"):
        Outbox(tmp_path / "outbox", LIMITS, SystemClock()).open("b")
    outbox.note_emitted(20)
    outbox.commit(rows_of(10, 20), ())
    assert len(read_all(outbox)) == 20
    outbox.close()
    again = Outbox(tmp_path / "outbox", LIMITS, SystemClock())
    assert again.open("b") == ()
    again.close()


def test_threads_emit_commit_deliver_and_watch_at_once(begun):  # noqa: C901 - three threads stand in it
    outbox = begun(limits=OutboxLimits(bytes=1 << 26, segment_bytes=1 << 17))
    total, received, problems = 6000, [], []
    done = threading.Event()

    def guarded(work):
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a thread's error must reach the test
            problems.append(error)
            done.set()

    def commit():
        for first in range(0, total, 60):
            outbox.note_emitted(first + 60)
            outbox.commit(rows_of(first, first + 60), ())

    def deliver():
        while len(received) < total and not done.is_set():
            batch = outbox.read(100, 1 << 20)
            if batch is not None:
                received.extend(batch.sequences)
                outbox.acknowledge(batch.source, batch.sequences[-1])

    def watch():
        while not done.is_set():
            assert 0 <= outbox.stats().events <= total
            done.wait(0.001)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (commit, deliver, watch)]
    for thread in threads:
        thread.start()
    for thread in threads[:2]:
        thread.join(60)
    done.set()
    threads[2].join(60)
    assert problems == []
    assert received == list(range(total))


def test_the_age_is_that_of_the_oldest_that_waits(begun):
    outbox = begun()
    assert outbox.stats().oldest_age_s == 0
    outbox.commit(rows_of(0, 2), ())
    assert 0 <= outbox.stats().oldest_age_s < 60
    read_all(outbox)
    assert outbox.stats().oldest_age_s == 0


def test_what_power_keeps_is_there_as_well(begun):
    outbox = begun(limits=OutboxLimits(durability="power"))
    outbox.commit(rows_of(0, 5), ())
    assert outbox.stats().durability == "power"
    assert len(read_all(outbox)) == 5


def backlog(folder):
    """A town that ended with events that nobody took."""
    town = Town(folder)
    town.start()
    town.emit(20)
    town.shed(3)
    assert town.commit() == ""
    town.outbox.close()
    return town


def test_runs_that_do_nothing_behind_a_backlog_leave_nothing(tmp_path):
    town = backlog(tmp_path / "outbox")
    town.start()  # declares what was shed
    kept = set()
    for _ in range(30):
        town.outbox.close()
        town.start()
        assert town.outbox.stats().segments == 2
        kept.add(len(list(town.folder.iterdir())))
    assert len(kept) == 1
    town.drain()
    town.check_all_accounted_for()
    town.outbox.close()


@pytest.mark.parametrize("emitted", [0, 4], ids=["nothing emitted", "nothing committed"])
def test_a_kill_at_each_step_of_a_start_loses_nothing_and_leaves_nothing(tmp_path, emitted, caplog):
    town = backlog(tmp_path / "outbox")
    steps = 0
    while True:
        town.start()
        town.emit(emitted)
        town.die()
        if not town.die_starting(steps):
            break
        assert inspect.verify(town.folder) == []
        steps += 1
    # A page is unlinked, opened and renamed; with something to declare, so is a label, and rows are opened.
    assert steps >= (5 if emitted else 2)
    assert inspect.verify(town.folder) == []
    town.start()
    town.outbox.close()
    town.start()
    with_rows = 2 + (steps + 1 if emitted else 0)
    assert town.outbox.stats().segments <= with_rows + 1
    town.drain()
    town.check_all_accounted_for()
    assert "quarantine" not in caplog.text
    assert town.outbox.stats().quarantined == 0
    town.outbox.close()


def test_a_segment_that_was_left_out_and_not_removed_is_removed_without_a_word(tmp_path, caplog):
    """Killed before the first row of a second segment, then at the next start, which had left it out."""
    town = Town(tmp_path / "outbox")
    town.start()
    town.emit(200)
    assert town.commit() == ""
    town.emit(3)
    assert town.commit() == ""
    town.emit(4)
    town.die()
    rows = town.folder / "segment-00000002.rows"
    rows.write_bytes(b"")
    left = {path: path.read_bytes() for path in town.folder.glob("segment-00000002.*")}
    assert len(left) == 2
    town.start()
    town.die()
    assert not rows.exists()
    for path, content in left.items():
        path.write_bytes(content)
    caplog.clear()
    town.start()
    assert caplog.text == ""
    assert not rows.exists()
    town.drain()
    town.check_all_accounted_for()
    town.outbox.close()


@pytest.mark.parametrize("ending", ["rows", "label"])
def test_what_those_without_rows_told_of_is_told_by_the_next_one(tmp_path, ending):
    town = backlog(tmp_path / "outbox")
    for _ in range(3):
        town.start()
        town.outbox.close()
    for path in town.folder.glob(f"segment-00000001.{ending}*"):
        path.unlink()
    town.start()
    town.drain()
    town.check_all_accounted_for()
    assert len(town.declared.get("urn:town:1", ())) == 1
    town.outbox.close()


KILLS = 20


def test_a_kill_at_any_moment_loses_nothing_silently(tmp_path):
    """A child commits and acknowledges as fast as it can, and writes down what it does, as its peer would."""
    town = Town(tmp_path / "outbox", OutboxLimits(bytes=1 << 24, segment_bytes=1 << 15))
    bounds = {}
    for number in range(KILLS):
        town.generation = number
        diary = tmp_path / f"diary-{number}"
        readable, writable = os.pipe()
        child = fork(partial(_live_until_killed, town, diary, writable))
        os.close(writable)
        with os.fdopen(readable, "rb") as told:
            assert told.read(1) == b"!"
            time.sleep(0.003 * (number % 10))  # so that each kill meets another moment
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        bounds[f"urn:town:{number + 1}"] = _take_down(town, diary)
    assert sum(high for _, high in bounds.values()) > KILLS * 10
    town.generation = KILLS
    town.start()
    town.drain()
    town.outbox.close()
    for source, (low, high) in bounds.items():
        got = {number for sender, number in town.received if sender == source}
        lost = {n for first, last in town.declared.get(source, ()) for n in range(first, last + 1)}
        assert not got & lost, source
        assert got | lost == set(range(len(got | lost))), source
        assert low <= len(got | lost) <= high, source


def _live_until_killed(town, diary, pipe):
    fd = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    town.start()
    # A kill may come between what is written down and what is noted, so there are two bounds.
    os.write(fd, b"%d %d\n" % ((town.emitted[town.source],) * 2))
    os.write(pipe, b"!")
    for turn in itertools.count():
        os.write(fd, b"%d %d\n" % (town.emitted[town.source], town.emitted[town.source] + 7))
        town.emit(7, 300)
        if turn % 5 == 0:
            town.shed(turn)
        if turn % 7 == 0:
            os.write(fd, b"%d %d\n" % (town.emitted[town.source], town.emitted[town.source] + 1))
            town.declare()
        assert town.commit() == ""
        batch = town.outbox.read(5, 1 << 20)
        for sequence, line in zip(batch.sequences, batch.lines, strict=True):
            os.write(fd, f"{batch.source} {sequence} ".encode() + line)
        town.outbox.acknowledge(batch.source, batch.sequences[-1])


def _take_down(town, diary):
    """Give the least and the most that a child emitted; note what its peer had received."""
    low = high = 0
    for line in diary.read_bytes().split(b"\n")[:-1]:
        if line.startswith(b"urn"):
            source, sequence, body = line.split(b" ", 2)
            town.receive(source.decode(), int(sequence), body)
        else:
            low, high = map(int, line.split())
    return low, high


def test_a_loss_says_its_source_and_reason():
    loss = Loss.of("a", PROCESS_DIED, [(5, 6), (1, 2), (3, 3)])
    assert (loss.ranges, loss.count) == (((1, 3), (5, 6)), 5)
