"""Whatever stands in the files of an outbox at a start: it starts, and every number is accounted for."""

import shutil
import struct
import zlib

import pytest

from tests.telemetry.spool.town import Town
from townlet_adapters.telemetry.spool.base import PROCESS_DIED, SEGMENT_DAMAGED, Loss, OutboxLimits, Row
from townlet_adapters.telemetry.spool.control import UnreadableError
from townlet_adapters.telemetry.spool.frames import frames_of as frames_of_commit
from townlet_adapters.telemetry.spool.label import label_from_bytes
from townlet_core.errors import OutputError


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A town that was killed: three segments or more, the first half delivered, a log, a hole, a tail."""
    town = Town(tmp_path_factory.mktemp("killed") / "outbox")
    town.start()
    for _ in range(12):
        town.emit(10, 600)
        assert town.commit() == ""
    town.deliver(5, 5)
    town.emit(3)
    town.shed(1)
    assert town.commit() == ""
    town.emit(4)
    town.die()
    return town


@pytest.fixture
def town(killed, tmp_path):
    """The same in a folder of its own."""
    return copy_of(killed, tmp_path / "outbox")


def last(town, ending):
    return max(town.folder.glob(f"segment-*.{ending}"))


def finish(town):
    town.start()
    town.drain()
    town.outbox.close()
    town.check_all_accounted_for()


def overwrite(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_a_kill_alone_loses_what_was_not_committed_and_no_more(town):
    town.open()
    source = "urn:town:1"
    assert town.found == (
        Loss.of(source, "buffer_full", [(121, 121)]),
        Loss.of(source, PROCESS_DIED, [(123, 126)]),
    )
    town.begin()
    town.drain()
    town.check_all_accounted_for()
    town.outbox.close()


@pytest.mark.parametrize(
    ("ending", "segment"),
    [("rows", 0), ("rows", 1), ("rows", -1), ("label", 0), ("label", 1), ("label", -1)],
)
@pytest.mark.parametrize("how", ["garbage", "half", "empty", "gone", "first byte", "folder"])
def test_a_damaged_segment_is_declared_and_the_rest_is_delivered(town, ending, segment, how):
    path = sorted(town.folder.glob(f"segment-*.{ending}"))[segment]
    size = path.stat().st_size
    match how:
        case "garbage":
            path.write_bytes(b"\xa5" * size)
        case "half":
            path.write_bytes(path.read_bytes()[: size // 2])
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "first byte":
            overwrite(path, 0, bytes([path.read_bytes()[0] ^ 0x10]))
        case "folder":
            path.unlink()
            path.mkdir()
            with pytest.raises(OutputError, match="is not a regular file"):
                town.start()
            return
    finish(town)
    if ending == "label":
        assert not (town.folder / "quarantine").exists()


def test_a_label_with_a_flipped_bit_is_unreadable(killed):
    line, _, _ = last(killed, "label").read_bytes().partition(b"\n")
    assert label_from_bytes(line).source == killed.source
    for spot in range(len(line)):
        for bit in range(8):
            with pytest.raises(UnreadableError):
                label_from_bytes(line[:spot] + bytes([line[spot] ^ 1 << bit]) + line[spot + 1 :])


def copy_of(killed, folder):
    """The town that was killed, in another folder."""
    shutil.copytree(killed.folder, folder)
    town = Town(folder)
    town.generation = killed.generation
    town.emitted, town.committed = dict(killed.emitted), dict(killed.committed)
    town.received = list(killed.received)
    return town


LOST_BY_THE_KILL = {121, 123, 124, 125, 126}


@pytest.mark.parametrize("segment", [1, -1], ids=["in the middle", "the newest"])
def test_a_flipped_bit_anywhere_costs_one_row_at_most(killed, tmp_path, segment):
    """One bit at a time, in steps through the file, so that every field of a frame is hit."""
    path = sorted(killed.folder.glob("segment-*.rows"))[segment]
    name, content = path.name, path.read_bytes()
    spots = [*range(0, 700, 11), *range(700, len(content), len(content) // 40), len(content) - 1]
    for number, spot in enumerate(spots):
        town = copy_of(killed, tmp_path / str(number))
        overwrite(town.folder / name, spot, bytes([content[spot] ^ 1 << number % 8]))
        finish(town)
        lost = {n for first, last in town.declared["urn:town:1"] for n in range(first, last + 1)}
        assert len(lost - LOST_BY_THE_KILL) <= 1, spot


def frames_of(path):
    """The frames of a segment: (kind, sequence, first byte, byte behind it)."""
    content, found, at = path.read_bytes(), [], 0
    while at < len(content):
        kind, length, sequence = struct.unpack_from("<4sIQ", content, at)
        found.append((kind[2:3], sequence, at, at + 36 + length))
        at = found[-1][3]
    return found


def test_a_changed_row_is_declared_alone_and_its_segment_is_kept(town, caplog):
    path = min(town.folder.glob("segment-*.rows"))
    ((_, _, start, _),) = [each for each in frames_of(path) if each[:2] == (b"R", 8)]
    overwrite(path, start + 50, b"\xff\xff")
    town.start()
    town.drain()
    town.check_all_accounted_for()
    assert set(town.declared["urn:town:1"]) == {(8, 8), (121, 121), (123, 126)}
    assert ("urn:town:1", 9) in town.received
    assert town.outbox.stats().quarantined == 1
    assert "numbers 8 to 8 of urn:town:1 are declared lost" in caplog.text
    assert (town.folder / "quarantine" / path.name).exists()
    town.outbox.close()


def test_a_segment_that_no_file_describes_is_reported_and_goes_into_quarantine(town, caplog):
    path = last(town, "rows")
    last(town, "label").unlink()
    overwrite(path, 0, bytes(8))
    town.start()
    assert f"{path}: no file says what it held" in caplog.text
    assert not path.exists()
    assert (town.folder / "quarantine" / path.name).exists()
    town.outbox.close()


def test_damage_is_declared_once_however_often_the_town_dies_before_it_is_committed(town):
    path = min(town.folder.glob("segment-*.rows"))
    ((_, _, start, _),) = [each for each in frames_of(path) if each[:2] == (b"R", 8)]
    overwrite(path, start + 50, b"\xff\xff")
    for _ in range(3):
        town.start()
        town.deliver(9, 9)  # finds it, and is killed before anything is committed
        town.die()
    town.start()
    assert town.outbox.read(1, 1 << 20).sequences[0] > 8
    town.drain()
    town.check_all_accounted_for()
    town.outbox.close()


def cut(content, frames, first, last):
    return content[: frames[first][2]] + content[frames[last][3] :]


VANISHED = {
    "a row": lambda content, frames: cut(content, frames, 8, 8),
    "several rows and a mark": lambda content, frames: cut(content, frames, 8, 14),
    "the first row": lambda content, frames: cut(content, frames, 1, 1),
    "the copy of the label": lambda content, frames: cut(content, frames, 0, 0),
    "the latest row": lambda content, frames: cut(content, frames, -2, -2),
    "the latest mark": lambda content, frames: cut(content, frames, -1, -1),
    "the latest commit": lambda content, frames: cut(content, frames, -11, -1),
    "nothing, but a row comes twice": lambda content, frames: (
        content[: frames[8][3]] + content[frames[8][2] :]
    ),
    "the order of two rows": lambda content, frames: (
        content[: frames[8][2]]
        + content[frames[9][2] : frames[9][3]]
        + content[frames[8][2] : frames[8][3]]
        + content[frames[9][3] :]
    ),
    "a row, with a row of another segment in its place": lambda content, frames: (
        content[: frames[8][2]] + foreign_row() + content[frames[8][3] :]
    ),
    "a row, with one that is longer than the file in its place": lambda content, frames: (
        content[: frames[8][2]] + huge_row() + content[frames[8][3] :]
    ),
}


def foreign_row(salt=99):
    return frames_of_commit([Row(8, b"not ours\n")], (7, 8), 0, b"[]", salt)[:45]


def huge_row():
    head = struct.pack("<4sIQIIII", b"\xffTR\x02", 1 << 31, 8, 0, 8, 0, 0)
    return head + struct.pack("<I", zlib.crc32(head, 1))


COST = {
    "a row": [7],
    "several rows and a mark": [7, 8, 9, 10, 11, 12],
    "the first row": [0],
    "the latest row": [59],
    "the latest commit": [50, 51, 52, 53, 54, 55, 56, 57, 58, 59],
    "the order of two rows": [7],
    "a row, with a row of another segment in its place": [7],
    "a row, with one that is longer than the file in its place": [7],
}
"""What is declared lost, as numbers from the first of the segment; nothing else costs a row."""


@pytest.mark.parametrize("what", VANISHED)
@pytest.mark.parametrize("segment", [0, 1], ids=["the oldest", "the second"])
def test_a_row_that_vanished_is_found(town, what, segment):
    path = sorted(town.folder.glob("segment-*.rows"))[segment]
    frames = frames_of(path)
    path.write_bytes(VANISHED[what](path.read_bytes(), frames))
    delivered = {number for _, number in town.received}
    finish(town)
    lost = {n for first, last in town.declared["urn:town:1"] for n in range(first, last + 1)}
    vanished = {frames[1][1] + number for number in COST.get(what, ())}
    assert lost - LOST_BY_THE_KILL == vanished - delivered


@pytest.mark.parametrize("spot", [0, 8, 12, 16, 24, 26, 33], ids=lambda spot: f"byte{spot}")
def test_a_flipped_bit_in_the_head_of_the_control_page_makes_it_unknown(town, spot, caplog):
    control = town.folder / "control"
    overwrite(control, spot, bytes([control.read_bytes()[spot] ^ 4]))
    town.forgetful.add("urn:town:1")
    finish(town)
    assert "the next start uses what the segments know" in caplog.text


@pytest.mark.parametrize("cell", [0, 1], ids=["emitted", "settled"])
@pytest.mark.parametrize("bit", [0, 1, 20, 47, 48, 63])
def test_a_flipped_bit_in_a_counter_makes_that_counter_unknown(town, cell, bit, caplog):
    control = town.folder / "control"
    spot = 2048 + cell * 8 + bit // 8
    overwrite(control, spot, bytes([control.read_bytes()[spot] ^ 1 << bit % 8]))
    town.forgetful.add("urn:town:1")
    finish(town)
    assert "a counter is damaged" in caplog.text


@pytest.mark.parametrize("size", [0, 10, 2050, 4095, 5000])
def test_a_control_page_of_another_size_is_unknown(town, size, caplog):
    control = town.folder / "control"
    control.write_bytes(control.read_bytes().ljust(5000, b"\0")[:size])
    town.forgetful.add("urn:town:1")
    finish(town)
    assert "the next start uses what the segments know" in caplog.text


def test_quarantine_keeps_the_newest_and_says_what_it_lets_go(tmp_path, caplog):
    town = Town(tmp_path / "outbox")
    for _ in range(10):
        town.start()
        town.emit(3)
        assert town.commit() == ""
        town.die()
        last(town, "rows").write_bytes(b"x" * 8192)
    town.start()
    town.drain()
    town.check_all_accounted_for()
    assert town.outbox.stats().quarantined == 8
    kept = sorted(path.name for path in (town.folder / "quarantine").glob("*.rows"))
    assert kept == [f"segment-{number:08d}.rows" for number in range(3, 11)]
    assert "removed segment 2, the oldest in quarantine" in caplog.text
    town.outbox.close()


def test_segment_damage_found_while_running_is_counted_by_rows(tmp_path):
    town = Town(tmp_path / "outbox")
    town.start()
    town.emit(30, 600)
    town.shed(7)
    assert town.commit() == ""
    town.outbox.close()
    town.outbox = None
    path = last(town, "rows")
    path.write_bytes(path.read_bytes()[:8192] + b"\xff" * 40000)
    town.start()
    town.emit(5)
    assert town.commit() == ""
    while town.deliver():
        pass
    losses = town.outbox.take_losses()
    assert {each.reason for each in losses} <= {SEGMENT_DAMAGED, "buffer_full"}
    assert [each.rows for each in losses] == [0] * len(losses)  # not of this run
    town.undeclared += losses
    town.declare()
    assert town.commit() == ""
    town.drain()
    town.check_all_accounted_for()
    town.outbox.close()


@pytest.mark.parametrize("declared", [False, True], ids=["undeclared", "declared in the same commit"])
def test_a_hole_before_what_was_delivered_is_known_without_the_database(tmp_path, declared):
    town = Town(tmp_path / "outbox")
    town.start()
    town.emit(5)
    town.shed(1)
    if declared:
        town.declare()
    assert town.commit() == ""
    town.deliver(3, 3)
    town.die()
    for path in town.folder.glob("*.rows"):
        path.write_bytes(b"x" * 9000)
    finish(town)
    assert 1 in town.declared["urn:town:1"]


def test_what_declares_the_loss_of_a_segment_may_be_lost_with_its_own(tmp_path):
    town = Town(tmp_path / "outbox")
    town.start()
    for _ in range(2):
        town.emit(14, 3000)
        assert town.commit() == ""
    town.outbox.close()
    min(town.folder.glob("*.rows")).write_bytes(b"x" * 9000)
    town.limits = OutboxLimits()  # so that a segment is not full after a commit or two
    town.start()
    town.emit(3)
    assert town.commit() == ""
    while town.deliver(14, 14):
        pass
    town.undeclared += town.outbox.take_losses()
    town.declare()
    assert town.commit() == ""
    town.die()
    for path in town.folder.glob("*.rows"):
        path.write_bytes(b"x" * 9000)
    town.start()
    town.drain()
    assert set(town.declared["urn:town:1"]) == {(0, 13)}
    town.outbox.close()


def test_a_segment_damaged_under_a_running_town_gives_way_to_another(tmp_path, caplog):
    town = Town(tmp_path / "outbox")
    town.start()
    town.emit(40, 600)
    assert town.commit() == ""
    town.deliver(5, 5)
    for path in town.folder.glob("*.rows"):
        path.write_bytes(b"x" * 9000)
    for _ in range(5):
        town.emit(20, 600)
        assert town.commit() == ""
    town.drain()
    lost = sum(last - first + 1 for first, last in town.declared.get("urn:town:1", ()))
    town.outbox.close()
    town.check_all_accounted_for()
    assert lost <= 40
    if lost:
        assert "are declared lost" in caplog.text


def test_what_was_delivered_is_not_declared_lost_when_the_log_with_it_is_gone(tmp_path):
    town = Town(tmp_path / "outbox")
    town.start()
    town.emit(10)
    assert town.commit() == ""
    assert town.deliver(10, 10)
    town.emit(5)
    town.die()
    last(town, "rows").unlink()
    finish(town)
    assert set(town.declared["urn:town:1"]) == {(10, 14)}


def test_what_is_delivered_after_a_damaged_segment_is_not_declared_with_it(tmp_path):
    town = Town(tmp_path / "outbox")
    town.start()
    for _ in range(3):
        town.emit(14, 3000)
        assert town.commit() == ""
    town.outbox.close()
    sorted(town.folder.glob("*.rows"))[1].unlink()
    town.start()
    while town.deliver(20, 20):
        pass
    town.die()
    finish(town)
    assert set(town.declared["urn:town:1"]) == {(14, 27)}
