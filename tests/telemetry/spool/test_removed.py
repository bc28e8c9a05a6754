"""Files of an outbox that another program removes, replaces or cuts while it is used."""

import os
import shutil
import struct
import zlib

import pytest

from tests.telemetry.spool.town import LIMITS, Town, line_of, read_all
from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.spool.base import OUTBOX_REMOVED, SEGMENT_DAMAGED, Row
from townlet_adapters.telemetry.spool.control import UnreadableError, read_control
from townlet_adapters.telemetry.spool.folder import CONTROL_FILE
from townlet_adapters.telemetry.spool.outbox import Outbox
from townlet_core.errors import OutputError
from townlet_core.ports.transport import TransportError

HEADER = struct.Struct("<8sIIQH")
CHECKED = struct.Struct("<IQH")


@pytest.fixture
def town(tmp_path):
    """A town in the midst of its life: several segments, nothing delivered."""
    town = Town(tmp_path / "outbox")
    town.start()
    for _ in range(3):
        town.emit(60, 600)
        assert town.commit() == ""
    yield town
    if town.outbox is not None:
        town.outbox.close()


def remove(town):
    shutil.rmtree(town.folder)


def replace(town):
    town.folder.rename(town.folder.with_name("moved"))
    town.folder.mkdir(mode=0o700)


def replace_by_a_copy(town):
    town.folder.rename(town.folder.with_name("moved"))
    shutil.copytree(town.folder.with_name("moved"), town.folder)


@pytest.mark.parametrize("how", [remove, replace])
def test_an_outbox_that_is_removed_is_noticed_at_the_next_commit_and_declared(town, how, caplog):
    how(town)
    town.emit(5)
    assert town.commit() == ""
    assert town.outbox.stats().events == 5
    losses = town.outbox.take_losses()
    assert {each.reason for each in losses} == {OUTBOX_REMOVED}
    assert sum(each.rows for each in losses) == 180
    assert "the outbox was removed or replaced while it was used" in caplog.text
    town.undeclared += losses
    town.declare()
    assert town.commit() == ""
    town.drain()
    town.check_all_accounted_for()


def test_what_is_lost_is_known_to_the_next_run_if_the_town_dies_before_it_declares_it(town):
    remove(town)
    town.emit(5)
    assert town.commit() == ""
    town.die()
    town.start()
    town.drain()
    town.check_all_accounted_for()


def test_what_is_under_way_when_the_outbox_is_removed_is_not_declared_lost(town):
    batch = town.outbox.read(10, 1 << 20)
    remove(town)
    town.emit(5)
    assert town.commit() == ""
    assert town.outbox.read(10, 1 << 20) == batch
    assert town.outbox.acknowledge(batch.source, batch.sequences[-1]) == 10
    town.received += [(batch.source, number) for number in batch.sequences]
    town.drain()
    town.check_all_accounted_for()
    assert set(town.declared[town.source]) == {(10, 179)}


@pytest.mark.parametrize("how", [remove, replace, replace_by_a_copy])
def test_what_was_under_way_when_the_outbox_was_removed_is_declared_with_that_reason_at_the_stop(
    town, how, caplog
):
    """The folder is made again meanwhile, so that by then only its files are missing."""
    town.outbox.read(10, 1 << 20)
    how(town)
    labels = {path.name: path.read_bytes() for path in town.folder.glob("*.label")}
    town.emit(5)
    assert town.commit() == ""
    town.outbox.close()
    losses = town.outbox.take_losses()
    assert {(each.reason, each.ranges) for each in losses} == {
        (OUTBOX_REMOVED, ((0, 9),)),
        (OUTBOX_REMOVED, ((10, 59),)),
        (OUTBOX_REMOVED, ((60, 119),)),
        (OUTBOX_REMOVED, ((120, 179),)),
    }
    assert town.outbox.stats().events == 5
    assert "cannot be marked as damaged" not in caplog.text
    for name, content in labels.items():
        assert (town.folder / name).read_bytes() == content
    if how is not replace_by_a_copy:
        town.start()
        assert {each.reason for each in town.found} == {OUTBOX_REMOVED}
        town.drain()
        town.check_all_accounted_for()


def test_what_was_under_way_when_the_outbox_was_removed_is_known_after_a_kill(town):
    """Two more segments have begun since, so no label that is left names the one that was being delivered."""
    town.outbox.read(10, 1 << 20)
    for _ in range(2):
        remove(town)
        town.emit(5)
        assert town.commit() == ""
    town.die()
    town.start()
    assert {each.reason for each in town.found} == {OUTBOX_REMOVED}
    town.drain()
    town.check_all_accounted_for()


def test_what_a_row_under_way_declares_is_known_after_the_outbox_was_removed_and_a_kill(town):
    next(town.folder.glob("*-00000001.rows")).unlink()
    assert town.commit() == ""
    town.undeclared += town.outbox.take_losses()
    town.declare()
    assert town.commit() == ""
    while town.outbox.read(200, 1 << 20).sequences[-1] != town.emitted[town.source] - 1:
        town.deliver(60, 60)
    remove(town)
    assert town.commit() == ""
    town.die()
    town.start()
    town.drain()
    town.check_all_accounted_for()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_losses_that_no_row_declares_yet_are_known_after_the_outbox_was_removed(town, end):
    for path in town.folder.glob("*.rows"):
        path.unlink()
    assert town.commit() == ""
    town.undeclared += town.outbox.take_losses()
    assert town.commit() == ""
    remove(town)
    if end == "stop":
        town.outbox.close()
    else:
        assert town.commit() == ""
        town.die()
    town.start()
    town.drain()
    town.check_all_accounted_for()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_arrived_after_the_outbox_was_removed_is_not_declared_by_the_next_run(town, end):
    batch = town.outbox.read(10, 1 << 20)
    remove(town)
    town.emit(5)
    assert town.commit() == ""
    town.outbox.acknowledge(batch.source, batch.sequences[-1])
    town.received += [(batch.source, number) for number in batch.sequences]
    if end == "stop":
        town.outbox.close()
    else:
        assert town.commit() == ""
        town.die()
    town.start()
    town.drain()
    town.check_all_accounted_for()


def test_rows_that_were_acknowledged_are_not_counted_as_lost_with_their_segment(town):
    """The next run has not opened the segment yet when its folder goes."""
    town.deliver(20, 20)
    town.outbox.close()
    town.start()
    town.undeclared += town.outbox.take_losses()
    remove(town)
    town.outbox.read(10, 1 << 20)
    assert town.outbox.stats().events == 0
    assert town.commit() == ""
    town.drain()
    town.check_all_accounted_for()


@pytest.mark.parametrize("how", [remove, replace])
def test_an_outbox_that_is_removed_is_noticed_at_the_stop_and_declared_by_the_next_run(town, how):
    how(town)
    town.outbox.close()
    assert sum(each.rows for each in town.outbox.take_losses()) == 180
    assert town.outbox.stats().events == 0
    town.start()
    town.drain()
    town.check_all_accounted_for()
    assert town.received[0][0] == town.source


def test_an_outbox_that_cannot_be_made_again_takes_nothing_and_says_so(town):
    remove(town)
    town.folder.write_bytes(b"in the way")
    town.emit(5)
    for _ in range(2):
        with pytest.raises(TransportError) as refused:
            town.outbox.commit(town.buffer, ())
        assert (refused.value.code, refused.value.verdict) == (OUTBOX_REMOVED, "retry")
    assert sum(each.rows for each in town.outbox.take_losses()) == 180
    assert town.outbox.stats().events == 0
    town.folder.unlink()
    assert town.commit() == ""
    assert town.outbox.stats().events == 5
    town.drain()


def test_an_outbox_whose_lock_was_removed_is_not_shared(town):
    (town.folder / "lock").unlink()
    other = Outbox(town.folder, LIMITS, SystemClock())
    other.open("other")
    town.emit(5)
    assert town.commit() == "outbox_removed, retry"
    other.close()
    assert town.commit() == ""


@pytest.mark.parametrize("segment", [0, 1, -1], ids=["oldest", "second", "newest"])
@pytest.mark.parametrize("how", ["gone", "cut to nothing", "cut in the middle", "replaced"])
def test_a_segment_that_is_removed_or_cut_is_noticed_at_the_next_commit(town, segment, how):
    path = sorted(town.folder.glob("*.rows"))[segment]
    if how == "gone":
        path.unlink()
    elif how == "replaced":
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[: len(content) // 2])
    else:
        os.truncate(path, 0 if how == "cut to nothing" else path.stat().st_size // 2)
    town.emit(5)
    assert town.commit() == ""
    losses = town.outbox.take_losses()
    assert {each.reason for each in losses} == {SEGMENT_DAMAGED}
    rows = sum(each.rows for each in losses)
    assert (rows == 60) == (how in {"gone", "cut to nothing"})
    assert town.outbox.stats().events == 185 - rows
    town.undeclared += losses
    town.declare()
    town.drain()
    town.check_all_accounted_for()
    assert town.outbox.stats().events == 0


@pytest.mark.parametrize("size", [0, 100, 2048, 2052, 5000])
def test_a_control_page_that_is_cut_is_written_again_and_nobody_dies(town, size, caplog):
    """A process that had mapped it would be killed by SIGBUS."""
    os.truncate(town.folder / "control", size)
    town.emit(5)
    assert town.commit() == ""
    assert "the control page was changed by another program; it is written again" in caplog.text
    town.deliver(7, 7)
    town.emit(3)
    town.die()
    town.start()
    town.drain()
    town.check_all_accounted_for()


@pytest.mark.parametrize("spot", [0, 9, 30, 2048, 2055, 2060, 2064, 2079])
def test_a_control_page_that_is_written_by_another_program_is_written_again(town, spot):
    path = town.folder / "control"
    content = bytearray(path.read_bytes())
    content[spot] ^= 0x41
    with path.open("r+b") as file:
        file.write(content)
    town.emit(5)
    assert town.commit() == ("")
    town.emit(3)
    town.die()
    town.start()
    town.drain()
    town.check_all_accounted_for()


@pytest.mark.parametrize("how", ["gone", "replaced"])
def test_a_control_page_that_is_removed_or_replaced_comes_back(town, how, caplog):
    path = town.folder / "control"
    page = path.read_bytes()
    path.unlink()
    if how == "replaced":
        path.write_bytes(page)
    town.emit(5)
    assert town.commit() == ""
    assert "the control page was removed or replaced; it is written again" in caplog.text
    town.emit(3)
    town.die()
    town.start()
    town.drain()
    town.check_all_accounted_for()


def test_nothing_is_noticed_when_nothing_was_done(town, caplog):
    for _ in range(5):
        town.emit(5)
        assert town.commit() == ""
        town.deliver(3, 3)
    assert town.outbox.take_losses() == ()
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["", "control", "segment-00000001.rows", "segment-00000001.label", "lock"])
def test_an_outbox_that_others_can_write_to_is_refused(town, name):
    town.outbox.close()
    path = town.folder / name
    for mode in (0o020, 0o002):
        before = path.stat().st_mode
        path.chmod(before | mode)
        with pytest.raises(OutputError, match="other users can write to it; run chmod go-w"):
            Outbox(town.folder, LIMITS, SystemClock()).open("x")
        path.chmod(before)


@pytest.mark.parametrize("name", ["", "control", "segment-00000001.rows"])
def test_an_outbox_of_another_user_is_refused(town, name):
    if os.geteuid() != 0:
        pytest.skip("giving a file away needs root")
    town.outbox.close()
    os.chown(town.folder / name, 12345, -1)
    with pytest.raises(OutputError, match="belongs to another user"):
        Outbox(town.folder, LIMITS, SystemClock()).open("x")
    os.chown(town.folder / name, 0, -1)


def give_away(path):
    if os.geteuid() != 0:
        pytest.skip("giving a file away needs root")
    os.chown(path, 12345, -1)


def open_to_all(path):
    path.chmod(0o666)


@pytest.mark.parametrize("how", [give_away, open_to_all])
def test_a_segment_that_others_own_or_can_write_to_is_refused_when_a_run_opens_it(town, how):
    """A run reads what earlier runs left long after its start has looked at the owners."""
    path = next(town.folder.glob("*-00000001.rows"))
    how(path)
    with pytest.raises(
        TransportError, match=r"belongs to another user|other users can write to it"
    ) as refused:
        town.outbox.read(10, 1 << 20)
    assert (refused.value.code, refused.value.verdict) == ("io_error", "retry")
    os.chown(path, os.geteuid(), -1)
    path.chmod(0o600)
    town.drain()
    town.check_all_accounted_for()
    assert town.declared == {}


def test_a_fifo_in_place_of_a_segment_stops_neither_commits_nor_the_end(town):
    path = next(town.folder.glob("*-00000001.rows"))
    path.unlink()
    os.mkfifo(path, 0o600)
    town.emit(5)
    assert town.commit() == "io_error, retry"
    with pytest.raises(TransportError, match="is not a regular file"):
        town.outbox.read(10, 1 << 20)
    path.unlink()
    town.drain()
    town.check_all_accounted_for()
    assert set(town.declared[town.source]) == {(0, 59)}


def test_a_copy_put_in_place_of_an_outbox_in_use_is_not_written_over(town):
    replace_by_a_copy(town)
    before = {path.name: path.read_bytes() for path in town.folder.glob("*.rows")}
    town.emit(5)
    assert town.commit() == ""
    for name, content in before.items():
        assert (town.folder / name).read_bytes() == content
    assert Row(0, line_of("a", 0)) not in town.buffer
    assert len(read_all(town.outbox)) == 5


def test_the_control_page_counts_what_waits_after_a_loss(town):
    remove(town)
    town.outbox.close()
    control = read_control(town.folder)
    assert control is not None
    assert control.waiting == town.outbox.stats().events


@pytest.mark.parametrize("content", [b"7", b"[]", b'["urn:a", 1]', b"["])
def test_a_control_page_with_a_right_checksum_and_wrong_content_is_unreadable(town, content):
    town.outbox.close()
    path = town.folder / CONTROL_FILE
    page = path.read_bytes()
    path.write_bytes(with_content(page, content))
    with pytest.raises(UnreadableError, match="does not name a source"):
        read_control(town.folder)


def with_content(page, content):
    """Return a control page with other content, and the checksum that goes with it."""
    magic, version, _, base, _ = HEADER.unpack_from(page)
    crc = zlib.crc32(CHECKED.pack(version, base, len(content)) + content)
    new = HEADER.pack(magic, version, crc, base, len(content)) + content
    return new + page[len(new) :]
