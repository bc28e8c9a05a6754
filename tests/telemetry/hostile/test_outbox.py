"""The disk and memory under a sink that cannot deliver: full, damaged, taken, linked; nothing goes unsaid."""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.telemetry.delivering import assert_law, declarations
from tests.telemetry.hostile.rig import LIMIT, restock, stored
from tests.telemetry.test_fork import in_child
from townlet_adapters.telemetry.envelope import source_urn
from townlet_adapters.telemetry.spool import inspect
from townlet_adapters.worlds.town.events.economy import EconomyRestock
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.stream import StreamSettings
from townlet_core.errors import OutputError
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopFailure

LEAST = 16 << 20
LETTERS = random.Random(7)  # noqa: S311 - any letters


def frame(tick, filling=0):
    return StateFrame(tick, TownFrame(tick, {"tod": tick, "name": "x" * filling}))


def failure(tick):
    return Diagnostic(tick, LoopFailure(tick, None, None, "trial", None))


def fill(rig, sink, size=400_000):
    """Emit facts until the outbox takes nothing more; gives how many."""
    n = 0
    # Both workers tell their faults, so the latest one may be the network's.
    while not any("outbox_full" in each for each in rig.said):
        sink.emit(restock(n, size))
        rig.until(
            sink, lambda status, _: status.buffered == 0 or any("outbox_full" in each for each in rig.said)
        )
        n += 1
        assert n < 200
    return n


def test_a_network_down_for_longer_than_the_outbox_holds_sheds_by_class_and_says_what(rig, caplog):
    sink = rig.started(spool_bytes=LEAST, buffer_events=40, buffer_bytes=64 << 20)
    n = fill(rig, sink, 900_000)
    for m in range(60):
        sink.emit(frame(m))
        sink.emit(failure(m))
        sink.emit(restock(n + m))
    _, health = rig.until(sink, lambda status, _: status.dropped)
    assert health.state == "shedding"
    dropped = sink.counts().dropped
    assert {shedding for counts in dropped.values() for shedding in counts} >= {"bulk", "normal"}
    assert "outbox_full" in caplog.text
    rig.collect()
    rig.until(sink, lambda status, _: status.buffered == status.spooled == 0)
    rig.until_delivered(sink)
    events = rig.assert_complete(sink.stop(LIMIT), lost=None)
    reasons = {event["data"]["reason"] for event in events if event["type"] == "townlet.telemetry.loss"}
    assert reasons >= {"buffer_full"}
    failures = [event for event in events if event["type"] == "townlet.loop.failure"]
    # The newest of what is critical is there whatever went.
    assert failures[-1]["tick"] == 59


def test_a_patient_sink_holds_the_town_no_longer_than_it_promised_and_then_sheds(rig):
    sink = rig.started(spool_bytes=LEAST, on_full="wait", buffer_events=20)
    n = fill(rig, sink, 900_000)
    for m in range(100):
        sink.emit(restock(n + m))
    status, health = rig.look(sink)
    assert health.state == "shedding"
    assert 15 <= health.queue.events <= 20
    assert status.dropped["buffer_full"] > 50
    rig.collect()
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT), lost=None)


def test_without_an_outbox_a_network_that_is_down_costs_what_memory_does_not_hold(rig):
    sink = rig.started(durability="memory", buffer_events=30)
    for n in range(200):
        sink.emit(restock(n))
    status, health = rig.look(sink)
    assert (health.state, health.spool) == ("shedding", None)
    rig.collect()
    rig.until_delivered(sink)
    status = sink.stop(LIMIT)
    assert 160 <= status.dropped["buffer_full"] <= 200
    rig.assert_complete(status, lost=None)


@pytest.fixture
def disk(tmp_path):
    """A file system of 16 MiB."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(mounted)]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("mounting a small disk needs root; a full outbox is tested without")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)  # noqa: S607 - found wherever mount is


def test_a_full_disk_under_the_outbox_is_told_and_costs_nothing_once_there_is_room(rig, disk):
    rig.spool = disk / "spool"
    sink = rig.started()
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (15 << 20))
    for n in range(100):
        sink.emit(restock(n, 20_000))
    status, health = rig.until_told(sink, "no_space")
    assert health.state == "degraded"
    assert status.dropped == {}
    rig.until_logged(sink, "(no_space); the sink keeps its events and tries again")
    ballast.unlink()
    rig.until_spooled(sink)
    rig.collect()
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))


def test_what_a_run_leaves_on_a_full_disk_is_set_free_by_1_mib_and_the_rest_is_declared(rig, disk):
    rig.spool = disk / "spool"
    sink = rig.started()
    for n in range(150):
        sink.emit(restock(n, 20_000))
    rig.until_spooled(sink)
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize))
    for n in range(150, 250):
        sink.emit(restock(n, 20_000))
    rig.until_told(sink, "no_space")
    status = sink.stop(1)
    lost = status.dropped["undelivered_at_stop"]
    assert status.spooled + lost == status.emitted

    with pytest.raises(OutputError, match=r"cannot be begun: .*; make room, or name another folder"):
        rig.started("s")
    os.truncate(ballast, ballast.stat().st_size - (1 << 20))
    rig.collect()
    next_one = rig.started("s")
    rig.until_delivered(next_one)
    rig.assert_complete(next_one.stop(LIMIT), "s")
    rig.assert_complete(status, lost=lost)
    lines = [json.dumps(event) for event in stored(rig.events)[source_urn("s", 1)]]
    assert [(reason, len(numbers)) for _, reason, numbers in declarations(lines)] == [("process_died", lost)]


def test_a_full_disk_under_the_outbox_with_a_network_that_is_there_sheds_and_recovers(rig, disk):
    rig.spool = disk / "spool"
    rig.collect()
    sink = rig.started(buffer_events=50)
    sink.emit(restock(0))
    rig.until_delivered(sink)
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize))
    for n in range(1, 200):
        sink.emit(restock(n, 20_000))
    rig.until_told(sink, "no_space")
    ballast.unlink()
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT), lost=None)


def test_a_disk_without_room_at_the_start_ends_the_run_before_its_first_tick(rig, disk):
    rig.spool = disk / "spool"
    free = os.statvfs(disk)
    (disk / "ballast").write_bytes(b"x" * (free.f_bavail * free.f_frsize))
    sink = rig.sink()
    with pytest.raises(OutputError, match=r"make room|No space left"):
        sink.start()
    sink.stop(0)


@pytest.mark.parametrize("segment", [0, 1, -1], ids=["oldest", "second", "newest"])
@pytest.mark.parametrize("how", ["garbage", "gone", "a flipped bit", "half"])
def test_a_segment_that_is_damaged_while_the_town_runs_is_declared_and_the_rest_arrives(
    make_rig, segment, how, caplog
):
    rig = make_rig("tcp")
    sink = rig.started(spool_bytes=LEAST)
    for n in range(60):
        sink.emit(restock(n, 100_000))
    rig.until_spooled(sink)
    path = sorted(rig.outbox().glob("segment-*.rows"))[segment]
    content = path.read_bytes()
    match how:
        case "garbage":
            path.write_bytes(b"\xa5" * len(content))
        case "gone":
            path.unlink()
        case "half":
            path.write_bytes(content[: len(content) // 2])
        case _:
            middle = len(content) // 2
            path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    rig.collect()
    for n in range(60, 80):
        sink.emit(restock(n))
    rig.until_delivered(sink)
    status = sink.stop(LIMIT)
    events = rig.assert_complete(status, lost=None)
    assert set(status.dropped) <= {"segment_damaged"}
    lost = sum(status.dropped.values())
    assert lost <= 31  # a segment of 2 MiB, and a commit
    if how == "a flipped bit":
        assert lost <= 1
    elif segment == 1:  # of the oldest, rows may have been read before
        assert lost > 0
    if lost:
        assert "are declared lost" in caplog.text
        reasons = {event["data"]["reason"] for event in events if event["type"] == "townlet.telemetry.loss"}
        assert reasons == {"segment_damaged"}


def test_a_thousand_events_of_an_older_run_are_delivered_before_our_own(rig):
    first = rig.started("first")
    for n in range(1000):
        first.emit(restock(n))
    older = first.stop(0.2)
    assert older.spooled == 1000
    second = rig.started("second")
    for n in range(50):
        second.emit(restock(n))
    _, health = rig.until_spooled(second)
    assert health.spool.events == 1050
    assert health.spool.oldest_age_s > 0
    rig.collect()
    rig.until_delivered(second)
    ours = second.stop(LIMIT)
    rig.assert_complete(older, "first")
    rig.assert_complete(ours, "second")


def test_a_second_sink_on_one_outbox_does_not_start_and_harms_nobody(rig):
    rig.collect()
    sink = rig.started()
    sink.emit(restock(0))

    def second():
        other = rig.sink("other")
        with pytest.raises(OutputError, match="another process") as caught:
            other.start()
        assert str(rig.outbox()) in str(caught.value)
        return True

    assert in_child(second) == 0
    assert second()
    sink.emit(restock(1))
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))


def test_an_outbox_that_is_a_link_is_refused_and_what_it_leads_to_is_left_alone(rig):
    elsewhere = rig.folder / "elsewhere"
    elsewhere.mkdir()
    rig.spool.mkdir()
    rig.outbox().symlink_to(elsewhere)
    sink = rig.sink()
    with pytest.raises(OutputError, match="link"):
        sink.start()
    sink.stop(0)
    assert list(elsewhere.iterdir()) == []


def test_a_fork_in_the_middle_leaves_connection_and_outbox_to_the_parent(rig):
    rig.collect()
    sink = rig.started()
    for n in range(100):
        sink.emit(restock(n))
        if n % 20 == 10:

            def child():
                assert sink.emit(restock(0)).reason == "not_started"
                assert sink.status().emitted == 0
                assert sink.stop(0).state == "closed"
                return True

            assert in_child(child) == 0
    rig.until_delivered(sink)
    status = sink.stop(LIMIT)
    assert status.delivered == 100
    rig.assert_complete(status)
    assert list(stored(rig.events)) == [source_urn("r", 1)]


def test_two_sinks_of_one_run_keep_apart(make_rig):
    """One collector each; what is wrong with one is nothing to the other."""
    tcp, http = make_rig("tcp"), make_rig("http")
    tcp.events, http.events = tcp.folder / "tcp-events", tcp.folder / "http-events"
    tcp.collect()
    over_tcp, over_http = tcp.started(), http.started()
    for n in range(50):
        over_tcp.emit(restock(n))
        over_http.emit(restock(n))
    tcp.until_delivered(over_tcp)
    assert http.look(over_http)[0].delivered == 0
    http.collect()
    http.until_delivered(over_http)
    tcp.assert_complete(over_tcp.stop(LIMIT))
    http.assert_complete(over_http.stop(LIMIT))


def test_state_and_facts_of_any_size_come_through_a_bad_line_whole(rig):
    """One of every size up to the largest that may be sent, in diff mode, while the line breaks."""
    rig.collect()
    sink = rig.started(stream=StreamSettings("diff", keyframe_every=50))
    sizes = [0, 1, 4095, 65_535, 65_536, 200_000, 1_000_000]
    for n, size in enumerate(sizes):
        sink.emit(Fact(n, n, EconomyRestock("fridge_1", "".join(LETTERS.choices("aä\n", k=size // 2)), n)))
        sink.emit(frame(n, size // 2))
        if n % 2:
            rig.proxy.reset()
    rig.until_delivered(sink)
    assert rig.look(sink)[0].rejected == {}
    rig.assert_complete(sink.stop(LIMIT))
    assert Path(rig.events).is_dir()


def test_an_outbox_that_is_removed_while_nobody_listens_is_reported_and_declared(rig, caplog):
    sink = rig.started()
    for n in range(300):
        sink.emit(restock(n, 10_000))
    rig.until_spooled(sink)
    shutil.rmtree(rig.outbox())
    sink.emit(restock(300))
    status, health = rig.until(sink, lambda status, _: status.dropped and not status.buffered)
    # One batch is in memory, on its way.
    assert list(status.dropped) == ["outbox_removed"]
    assert 150 < status.dropped["outbox_removed"] <= 300
    assert health.spool.events == status.spooled
    # The sink's latest error may be that nobody listens by now.
    assert "the outbox was removed or replaced while it was used" in caplog.text
    assert "are declared lost" in caplog.text
    rig.collect()
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT), lost=status.dropped["outbox_removed"])


def test_a_run_that_ends_after_its_outbox_was_removed_counts_as_spooled_what_is_on_the_disk(rig):
    sink = rig.started("first")
    for n in range(300):
        sink.emit(restock(n, 10_000))
    rig.until_spooled(sink)
    shutil.rmtree(rig.outbox())
    status = sink.stop(0.3)
    assert_law(status)
    assert status.dropped == {"outbox_removed": 300}
    assert len(list(inspect.export(rig.outbox(), [], everything=False))) == status.spooled <= 1
    rig.collect()
    second = rig.started_next("second")
    rig.until_delivered(second)
    second.stop(LIMIT)
    rig.assert_complete(status, "first", lost=300)
