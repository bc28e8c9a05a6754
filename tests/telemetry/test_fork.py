"""The child of a fork has sinks of its own, that nobody has started; the parent's go on as if nothing was."""

import gc
import json
import re
import threading
import weakref

from tests.forks import in_fork
from tests.telemetry.delivering import assert_law, fact, sequences, sink_over
from townlet_adapters.telemetry.testing import ScriptedOutbox, ScriptedTransport
from townlet_adapters.telemetry.transports.file import FileTransport
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.stream import StreamSettings
from townlet_core.errors import OutputError


def in_child(check):
    """Fork; returns 0 when ``check`` was true in the child."""

    def work():
        assert check()

    return in_fork(work)


def test_the_childs_sink_is_new_empty_and_another_producer(started):
    transport, outbox = ScriptedTransport(), ScriptedOutbox()
    transport.hang()
    sink = started(transport, outbox=outbox)
    for n in range(5):
        sink.emit(fact(n))

    def check():
        assert (transport.abandoned, outbox.abandoned) == (1, 1)
        assert sink.emit(fact()).reason == "not_started"
        status = sink.status()
        assert (status.offered, status.emitted, status.buffered, status.spooled) == (1, 0, 0, 0)
        assert_law(status)
        assert sink.health().worker.restarts == 0
        assert sink.stop(0).state == "closed"
        return True

    assert in_child(check) == 0
    assert (transport.abandoned, outbox.abandoned) == (0, 0)
    transport.release()
    status = sink.stop(30)
    assert (status.delivered, status.offered) == (5, 5)


def test_the_child_may_start_it_again_under_a_source_of_its_own(started):
    transport = ScriptedTransport()
    sink = started(transport, stream=StreamSettings("diff"))
    sink.emit(StateFrame(0, TownFrame(0, {"tod": 0})))
    sink.emit(fact())

    def check():
        transport.lines.clear()
        sink.start()
        sink.emit(StateFrame(1, TownFrame(1, {"tod": 1})))
        sink.emit(fact(1))
        status = sink.stop(30)
        assert (status.offered, status.delivered) == (2, 2)
        first, second = map(json.loads, transport.lines)
        assert re.fullmatch(r"urn:townlet:run:r:p[0-9]+", first["source"])
        assert first["source"] == second["source"] != "urn:townlet:run:r:p1"
        assert first["type"] == "townlet.state.frame"
        assert sequences(transport) == [0, 1]
        return True

    assert in_child(check) == 0


def test_a_lock_that_another_thread_held_does_not_hold_the_child_up(started):
    sink = started(ScriptedTransport())
    held, done = threading.Event(), threading.Event()

    def hold():
        with sink._intake.lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert in_child(lambda: sink.emit(fact()).reason == "not_started" and sink.status().offered == 1) == 0
    finally:
        done.set()
        thread.join()


def test_forks_while_eight_threads_emit_harm_neither_side(started):
    transport = ScriptedTransport()
    sink = started(transport, on_full="shed", buffer_events=50)
    over = threading.Event()

    def emit():
        while not over.is_set():
            sink.emit(fact())

    threads = [threading.Thread(target=emit) for _ in range(8)]
    for thread in threads:
        thread.start()

    def check():
        sink.start()
        sink.emit(fact())
        return sink.stop(30).delivered == 1

    try:
        assert [in_child(check) for _ in range(5)] == [0] * 5
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert_law(sink.stop(30))


def test_a_file_stays_the_parents(tmp_path):
    path = tmp_path / "events.ndjson"
    sink = sink_over(FileTransport(path))
    sink.start()
    sink.emit(fact(0))

    def check():
        try:
            sink.start()
        except OutputError:
            return sink.emit(fact(7)).reason == "not_started"
        return False

    assert in_child(check) == 0
    sink.emit(fact(1))
    assert sink.stop(30).delivered == 2
    assert [json.loads(line)["seq"] for line in path.read_bytes().splitlines()] == [0, 1]


def test_sinks_that_are_gone_are_not_kept_for_a_fork():
    sink = sink_over(ScriptedTransport())
    gone = weakref.ref(sink)
    del sink
    gc.collect()
    assert gone() is None
