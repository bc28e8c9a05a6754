"""A file of events has whole lines only, on a full disk and after a crash, too."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.disks import WatchedDisk, open_below
from townlet_adapters.telemetry.envelope import LINE_START, MAX_EVENT_BYTES, Encoder, seal
from townlet_adapters.telemetry.transports.file import FileTransport
from townlet_adapters.telemetry.transports.lines import LineAppender
from townlet_adapters.worlds.town.events.economy import EconomyRestock
from townlet_core.errors import OutputError
from townlet_core.events.base import Fact
from townlet_core.ports.transport import Batch, TransportError

ROOT = Path(__file__).parents[2]


def batch(lines):
    return Batch("urn:townlet:run:r:p1", range(len(lines)), lines)


def fact(n=0):
    return Fact(n, n, EconomyRestock("fridge_1", "meal", n))


def line(n=0):
    """A whole event line, as a sink writes it."""
    body, _ = Encoder("urn:townlet:run:r:p1").body(fact(n), 1_767_323_045.25)
    return seal(body, n)


def child_code(body):
    """Complete the program of another process."""
    return textwrap.dedent("""
        import itertools, json, sys
        from pathlib import Path
        from townlet_adapters.telemetry.delivery.limits import DeliveryLimits
        from townlet_adapters.telemetry.delivery.sink import DeliveringSink
        from townlet_adapters.telemetry.transports.file import FileTransport
        from townlet_core.events.base import Fact
        from townlet_adapters.worlds.town.events.economy import EconomyRestock

        def fact(n):
            return Fact(n, n, EconomyRestock("fridge_1", "meal", n))

        def start(path):
            sink = DeliveringSink(
                "file", FileTransport(Path(path)), source="urn:townlet:run:r:p1", limits=DeliveryLimits()
            )
            sink.start()
            return sink
    """) + textwrap.dedent(body)


def read(path):
    """Parse a file of events; fails on a half line."""
    text = path.read_bytes()
    assert text == b"" or text.endswith(b"\n")
    return [json.loads(line) for line in text.splitlines()]


def test_a_normal_stop_leaves_every_event_in_the_file(tmp_path, open_sink):
    path = tmp_path / "deep" / "down" / "events.ndjson"
    sink = open_sink(FileTransport(path))
    for n in range(20_000):
        sink.emit(fact(n))
    status = sink.stop(60)
    assert (status.delivered, dict(status.dropped)) == (20_000, {})
    assert [event["seq"] for event in read(path)] == list(range(20_000))


def test_a_resumed_run_appends(tmp_path, open_sink):
    path = tmp_path / "events.ndjson"
    for n in range(2):
        sink = open_sink(FileTransport(path))
        sink.emit(fact(n))
        sink.stop(30)
    assert [event["seq"] for event in read(path)] == [0, 1]


@pytest.mark.parametrize("length", [1, len(LINE_START), 200, 300_000])
def test_a_half_line_of_an_earlier_run_is_dropped_and_said(tmp_path, open_sink, caplog, length):
    path = tmp_path / "events.ndjson"
    whole = line()
    path.write_bytes(whole + (LINE_START + b'"x":"' + b"z" * 400_000)[:length])
    sink = open_sink(FileTransport(path))
    sink.stop(30)
    assert path.read_bytes() == whole
    assert f"cut off {length} bytes" in caplog.text


def test_a_first_line_that_a_crash_left_unfinished_is_cut_off(tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_bytes(line()[:150])
    transport = FileTransport(path)
    transport.open()
    transport.close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "text",
    [
        line() + b'{"specversion":"2',
        line() + b"a letter",
        line() + LINE_START + b"y" * MAX_EVENT_BYTES,
        line() + LINE_START + b"y" * 2 * MAX_EVENT_BYTES,
    ],
    ids=["other-version", "letter", "too-long", "far-too-long"],
)
def test_a_file_whose_last_line_is_not_an_event_is_left_as_it_is(tmp_path, text):
    path = tmp_path / "letter.txt"
    path.write_bytes(text)
    with pytest.raises(OutputError, match="ends in something that is not an event line"):
        FileTransport(path).open()
    assert path.read_bytes() == text


@pytest.mark.parametrize(
    "text",
    [
        b"Dear,\na letter to my mother\n",
        b"a letter of one line",
        b"\n" + line(),
        b"{",
        LINE_START,
        LINE_START + b'"id":"1","source":"https://example.org"}\n',
        line().replace(b"urn:townlet:run:r:p1", b"https://example.org/r"),
        line().replace(b"townlet.economy", b"org.example.economy"),
        line().replace(b'"sequence":"0', b'"sequence":"1'),
        line().replace(b'"specversion":"1.0"', b'"specversion":"0.3"'),
        line().replace(b'"data":{', b'"data":3,"other":{'),
        line().removesuffix(b"}\n") + b"\n",
        b"\xef\xbb\xbf" + line(),
        b"[" * 100_000 + b"\n",
        line()[:-1] + b" " * MAX_EVENT_BYTES + b"\n",
        b"\0" * 4096 + b"\n",
    ],
    ids=[
        "letter",
        "one-line",
        "empty-first-line",
        "a-brace",
        "a-start",
        "other-cloudevent",
        "other-source",
        "other-type",
        "two-numbers",
        "other-version",
        "no-data",
        "half-json",
        "byte-order-mark",
        "deep",
        "too-long",
        "zeros",
    ],
)
def test_nothing_is_appended_to_a_file_that_does_not_begin_with_an_event(tmp_path, text):
    path = tmp_path / "letter.txt"
    path.write_bytes(text)
    with pytest.raises(OutputError, match="does not begin with an event line"):
        FileTransport(path).open()
    assert path.read_bytes() == text


def test_an_empty_file_is_taken(tmp_path):
    path = tmp_path / "events.ndjson"
    path.touch()
    transport = FileTransport(path)
    transport.open()
    assert transport.write(batch([line()])) == 1
    transport.close()
    assert path.read_bytes() == line()


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_bytes(line())
    (tmp_path / "events.ndjson").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        OutputError, match=r"events\.ndjson: cannot be opened for events: it is a symbolic link"
    ):
        FileTransport(tmp_path / "events.ndjson").open()
    assert (tmp_path / "elsewhere").read_bytes() == line()


def test_two_runs_do_not_write_to_one_file(tmp_path):
    first = FileTransport(tmp_path / "events.ndjson")
    first.open()
    with pytest.raises(OutputError, match="another run"):
        FileTransport(tmp_path / "events.ndjson").open()
    first.close()
    second = FileTransport(tmp_path / "events.ndjson")
    second.open()
    second.close()


def test_what_cannot_be_opened_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    device = Path("/dev/null")
    for path in (tmp_path, tmp_path / "file" / "below", tmp_path / "pipe", device):
        with pytest.raises(OutputError, match=str(path)):
            FileTransport(path).open()


def broken_folder(path):
    return FileTransport(path, disk=WatchedDisk(fails=lambda call: call.verb == "sync_folder"))


def folder_for_a_file(path):
    path.mkdir()
    return FileTransport(path)


def pipe_for_a_file(path):
    os.mkfifo(path)
    return FileTransport(path)


def text_of_another_program(path):
    path.write_text("hello\n")
    return FileTransport(path)


def unfinished_line_of_another_program(path):
    path.write_bytes(line() + b"hello")
    return FileTransport(path)


def file_that_is_removed_meanwhile(path):
    class Thief(WatchedDisk):
        def sync_folder(self, folder):
            super().sync_folder(folder)
            path.unlink()

    return FileTransport(path, disk=Thief())


@pytest.mark.parametrize(
    "spoil",
    [
        broken_folder,
        file_that_is_removed_meanwhile,
        folder_for_a_file,
        pipe_for_a_file,
        text_of_another_program,
        unfinished_line_of_another_program,
    ],
    ids=lambda spoil: spoil.__name__.replace("_", "-"),
)
def test_a_file_that_cannot_be_opened_is_not_held_open(tmp_path, spoil):
    transport = spoil(tmp_path / "events.ndjson")
    with pytest.raises(OutputError):
        transport.open()
    assert open_below(tmp_path) == []
    assert not transport.condition().connected


def test_a_file_that_another_run_writes_is_held_open_by_that_run_alone(tmp_path):
    path = tmp_path / "events.ndjson"
    first = FileTransport(path)
    first.open()
    with pytest.raises(OutputError, match="another run is writing"):
        FileTransport(path).open()
    assert open_below(tmp_path) == [tmp_path, path]
    first.close()
    assert open_below(tmp_path) == []


def test_a_full_disk_keeps_whole_lines_counts_the_rest_and_goes_on_when_there_is_room(small_disk, open_sink):
    path, ballast = small_disk / "events.ndjson", small_disk / "ballast"
    ballast.write_bytes(b"x" * 40_000)
    sink = open_sink(FileTransport(path))
    for n in range(150):
        sink.emit(fact(n))
    while sink.status().last_error is None:
        pass
    status = sink.status()
    assert status.state == "degraded"
    assert status.last_error == "no_space: No space left on device"
    assert len(read(path)) == status.delivered < 150
    ballast.unlink()
    status = sink.stop(30)
    assert (status.delivered, dict(status.dropped)) == (150, {})
    assert [event["seq"] for event in read(path)] == list(range(150))


def test_a_disk_that_stays_full_is_reported_with_counts(small_disk, open_sink):
    path = small_disk / "events.ndjson"
    sink = open_sink(FileTransport(path), buffer_events=100)
    for n in range(2000):
        sink.emit(fact(n))
    status = sink.stop(0.2)
    assert 2000 <= status.emitted == status.delivered + sum(status.dropped.values())
    assert status.dropped["undelivered_at_stop"] > 0
    assert status.dropped["buffer_full"] > 0
    assert len(read(path)) == status.delivered


def test_a_file_size_limit_leaves_whole_lines(tmp_path):
    path = tmp_path / "events.ndjson"
    # The limit is the process's, so another process has to live with it.
    code = child_code("""
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        sink = start(sys.argv[1])
        for n in range(100):
            sink.emit(fact(n))
        status = sink.stop(30)
        print(json.dumps([status.delivered, status.dropped, status.last_error]))
    """)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    delivered, dropped, error = json.loads(done.stdout)
    assert dropped == {"file_too_large": 100 - delivered}
    assert error == "file_too_large: File too large"
    assert len(read(path)) == delivered > 0


def test_after_a_kill_at_most_one_half_line_is_left_and_the_next_run_drops_it(tmp_path, open_sink):
    path = tmp_path / "events.ndjson"
    code = child_code("""
        sink = start(sys.argv[1])
        for n in itertools.count():
            sink.emit(fact(n))
            if n == 20_000:
                print("under way", flush=True)
    """)
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"under way\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    whole = path.read_bytes().rpartition(b"\n")[0].count(b"\n") + 1
    sink = open_sink(FileTransport(path))
    sink.emit(fact())
    sink.stop(30)
    events = read(path)
    assert len(events) == whole + 1
    assert [event["seq"] for event in events[:-1]] == list(range(whole))


def test_a_line_torn_by_a_failed_write_is_cut_off_before_the_next(small_disk):
    (small_disk / "ballast").write_bytes(b"x" * (15 * 4096))
    transport = FileTransport(small_disk / "events.ndjson")
    transport.open()
    assert transport.write(batch([b"a" * 2999 + b"\n", b"b" * 2999 + b"\n"])) == 1
    with pytest.raises(TransportError) as caught:
        transport.write(batch([b"b" * 2999 + b"\n"]))
    assert (caught.value.code, caught.value.verdict) == ("no_space", "retry")
    assert (small_disk / "events.ndjson").read_bytes() == b"a" * 2999 + b"\n"
    assert transport.write(batch([b"c" * 99 + b"\n"])) == 1
    transport.close()
    assert (small_disk / "events.ndjson").stat().st_size == 3100


def test_what_somebody_wrote_behind_a_torn_line_is_not_cut(tmp_path):
    path = tmp_path / "shared.ndjson"
    with path.open("ab", buffering=0) as ours, path.open("ab", buffering=0) as theirs:
        appender = LineAppender(ours.fileno())
        ours.write(b"whole\nhal")
        appender._torn = 3
        theirs.write(b"f, and a word from stderr\n")
        appender.append([b"next\n"])
    assert path.read_bytes() == b"whole\nhalf, and a word from stderr\nnext\n"


def test_a_file_is_synced_when_it_is_closed_and_its_name_when_it_is_opened(tmp_path):
    disk, path = WatchedDisk(), tmp_path / "new" / "events.ndjson"
    transport = FileTransport(path, disk=disk)
    transport.open()
    assert [call for call in disk.calls if call.verb == "sync_folder"] == [
        ("sync_folder", tmp_path),
        ("sync_folder", path.parent),
    ]
    transport.write(batch([line()]))
    assert transport.condition().unsynced == 1
    assert disk.verbs(path) == []
    transport.close()
    assert disk.verbs(path) == ["sync"]
    assert transport.condition().unsynced == 0


def test_events_that_the_disk_did_not_confirm_are_not_reported_as_delivered(tmp_path, open_sink, caplog):
    path = tmp_path / "events.ndjson"
    disk = WatchedDisk(fails=lambda call: call.verb == "sync")
    sink = open_sink(FileTransport(path, disk=disk))
    for n in range(5):
        sink.emit(fact(n))
    status = sink.stop(30)
    assert (status.delivered, dict(status.dropped)) == (0, {"not_synced": 5})
    assert status.last_error == "close: Input/output error"
    assert "the disk did not confirm 5 events" in caplog.text


def test_a_folder_that_is_not_synced_is_an_error_before_the_first_event(tmp_path):
    disk = WatchedDisk(fails=lambda call: call.verb == "sync_folder")
    with pytest.raises(OutputError, match=r"events\.ndjson: cannot be opened for events: Input/output error"):
        FileTransport(tmp_path / "events.ndjson", disk=disk).open()
