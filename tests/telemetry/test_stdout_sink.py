"""Standard output gets whole lines, whatever reads it, and nobody there can stop the town."""

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from townlet_adapters.telemetry.transports.stdout import StdoutTransport
from townlet_adapters.worlds.town.events.economy import EconomyRestock
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.errors import OutputError
from townlet_core.events.base import Fact
from townlet_core.ports import EmitResult
from townlet_core.ports.transport import Batch, TransportError

ROOT = Path(__file__).parents[2]


def batch(lines):
    return Batch("urn:townlet:run:r:p1", range(len(lines)), lines)


def fact(n=0):
    return Fact(n, n, EconomyRestock("fridge_1", "meal", n))


def frame(size):
    return StateFrame(0, TownFrame(0, extra={"x": "y" * size}))


@pytest.fixture
def pipe():
    """A pipe; closed again at the end, whichever ends the test closed itself."""
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(fd)


def drain(fd):
    with os.fdopen(fd, "rb", closefd=False) as stream:
        return stream.read()


def test_a_reader_gets_every_line_short_and_long(pipe, open_sink):
    reader, writer = pipe
    sink = open_sink(StdoutTransport(writer))
    read = []
    thread = threading.Thread(target=lambda: read.append(drain(reader)))
    thread.start()
    for n in range(3000):
        sink.emit(fact(n))
        if n % 300 == 0:
            sink.emit(frame(n * 100))
    status = sink.stop(60)
    os.close(writer)
    thread.join()
    lines = read[0].splitlines()
    assert status.delivered == status.emitted == 3010 == len(lines)
    assert [int(json.loads(line)["id"]) for line in lines] == list(range(3010))


@pytest.mark.parametrize("size", [10, 5000, 60_000])
def test_a_reader_that_stalls_finds_whole_lines_when_it_comes_back(pipe, open_sink, size):
    reader, writer = pipe
    sink = open_sink(StdoutTransport(writer), buffer_events=100)
    for _ in range(1000):
        sink.emit(fact())
        sink.emit(frame(size))
    status = sink.stop(0.2)
    os.close(writer)
    assert status.state == "closed"
    # What was given up is declared once the worker moves, as far as the reader lets it.
    assert 2000 <= status.emitted == status.delivered + sum(status.dropped.values())
    assert status.dropped["undelivered_at_stop"] > 0
    text = drain(reader)
    assert text.endswith(b"\n")
    assert len([json.loads(line) for line in text.splitlines()]) == status.delivered > 0


def test_a_line_longer_than_the_pipe_arrives_whole(pipe, open_sink):
    reader, writer = pipe
    sink = open_sink(StdoutTransport(writer))
    sink.emit(frame(700_000))
    sink.emit(fact())
    read = []
    thread = threading.Thread(target=lambda: read.append(drain(reader)))
    thread.start()
    assert sink.stop(60).delivered == 2
    os.close(writer)
    thread.join()
    assert [json.loads(line)["type"] for line in read[0].splitlines()] == [
        "townlet.state.frame",
        "townlet.economy.restock",
    ]


def test_a_reader_that_left_fails_the_sink_with_counts(pipe, open_sink):
    reader, writer = pipe
    os.close(reader)
    sink = open_sink(StdoutTransport(writer))
    sink.emit(fact())
    sink._couriers[0].join()
    assert sink.status().state == "failed"
    assert sink.emit(fact()) == EmitResult("dropped", "broken_pipe")
    status = sink.stop(5)
    assert dict(status.dropped) == {"broken_pipe": 2}
    assert status.last_error == "broken_pipe: Broken pipe"


def test_a_reader_that_left_lines_unread_fails_a_write_of_a_long_line(pipe):
    """What it left stays in the pipe for ever, and a long line would wait for an empty one."""
    reader, writer = pipe
    transport = StdoutTransport(writer)
    transport.open()
    assert transport.write(batch([b"x" * 100])) == 1
    os.close(reader)
    with pytest.raises(TransportError, match="Broken pipe"):
        transport.write(batch([b"y" * 6000]))
    transport.close()


def test_a_reader_that_leaves_after_three_lines_ends_no_process_and_logs_nothing():
    code = textwrap.dedent("""
        import json, sys
        from townlet_adapters.telemetry.delivery.limits import DeliveryLimits
        from townlet_adapters.telemetry.delivery.sink import DeliveringSink
        from townlet_adapters.telemetry.transports.stdout import StdoutTransport
        from townlet_core.events.base import Fact
        from townlet_adapters.worlds.town.events.economy import EconomyRestock

        sink = DeliveringSink(
            "stdout", StdoutTransport(), source="urn:townlet:run:r:p1", limits=DeliveryLimits()
        )
        sink.start()
        while sink.status().state != "failed":
            sink.emit(Fact(0, 0, EconomyRestock("fridge_1", "meal", 1)))
        status = sink.stop(5)
        print(json.dumps([status.emitted, status.delivered, status.dropped]), file=sys.stderr)
    """)
    town = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for _ in range(3):
        json.loads(town.stdout.readline())
    town.stdout.close()
    said = town.stderr.read().splitlines()
    town.stderr.close()
    assert town.wait() == 0
    # What runs the town reports that a reader left, so the sink logs nothing.
    (counts,) = said
    emitted, delivered, dropped = json.loads(counts)
    assert list(dropped) == ["broken_pipe"]
    assert emitted == delivered + dropped["broken_pipe"]


def test_a_full_device_keeps_the_events_and_says_so(open_sink):
    with Path("/dev/full").open("wb", buffering=0) as device:
        sink = open_sink(StdoutTransport(device.fileno()))
        sink.emit(fact())
        status = sink.stop(0.2)
    assert dict(status.dropped) == {"undelivered_at_stop": 1}
    assert status.last_error == "no_space: No space left on device"
    assert status.retries > 0


def test_a_file_behind_standard_output_keeps_whole_lines_on_a_full_disk(small_disk, open_sink):
    path = small_disk / "redirected.ndjson"
    with path.open("wb", buffering=0) as file:
        file.write(b"# written by somebody before us\n")
        sink = open_sink(StdoutTransport(file.fileno()))
        for n in range(1000):
            sink.emit(fact(n))
        status = sink.stop(0.2)
    first, *lines = path.read_bytes().split(b"\n")
    assert first == b"# written by somebody before us"
    assert lines.pop() == b""
    assert len([json.loads(line) for line in lines]) == status.delivered
    assert 0 < status.delivered < 1000


def test_a_torn_line_in_a_file_is_cut_before_anybody_else_writes(small_disk):
    path = small_disk / "redirected.ndjson"
    (small_disk / "ballast").write_bytes(b"x" * (15 * 4096))
    with path.open("ab", buffering=0) as file:
        transport = StdoutTransport(file.fileno())
        transport.open()
        assert transport.write(batch([b"a" * 99 + b"\n", b"b" * 9999 + b"\n"])) == 1
        assert path.stat().st_size == 100
        with path.open("ab", buffering=0) as other:
            other.write(b"a word from stderr\n")
        assert transport.write(batch([b"c" * 99 + b"\n"])) == 1
        transport.close()
    assert path.read_bytes() == b"a" * 99 + b"\na word from stderr\n" + b"c" * 99 + b"\n"


def test_a_closed_standard_output_is_an_output_error(pipe):
    _, writer = pipe
    os.close(writer)
    with pytest.raises(OutputError, match="standard output"):
        StdoutTransport(writer).open()


def test_the_callers_descriptor_stays_open_and_blocking(pipe):
    _, writer = pipe
    transport = StdoutTransport(writer)
    transport.open()
    assert transport.write(batch([b"x\n"])) == 1
    transport.close()
    assert os.get_blocking(writer)
    assert os.write(writer, b"y\n") == 2


def test_a_part_of_a_line_is_not_sent_twice(pipe):
    reader, writer = pipe
    transport = StdoutTransport(writer)
    transport.open()
    # No pipe holds this line, so it goes in pieces between which the worker calls again.
    line = b"z" * 3_000_000 + b"\n"
    read = []
    thread = threading.Thread(target=lambda: read.append(drain(reader)))
    thread.start()
    while transport.write(batch([line, b"next\n"])) == 0:
        pass
    os.close(writer)
    transport.close()
    thread.join()
    assert read[0].startswith(line)
    assert read[0][len(line) :] in {b"", b"next\n"}


def test_an_unexpected_error_names_itself(pipe):
    _, writer = pipe
    transport = StdoutTransport(writer)
    transport.open()
    os.close(transport._fd)
    with pytest.raises(TransportError) as caught:
        transport.write(batch([b"x\n"]))
    assert (caught.value.code, caught.value.verdict) == ("ebadf", "fatal")
