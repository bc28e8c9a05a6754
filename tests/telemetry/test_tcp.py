"""The TLS-TCP way out: every line is stored once, whatever network and collector do."""

import contextlib
import json
import logging
import select
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.faults import (
    PATIENCE,
    Fate,
    FaultProxy,
    Line,
    ScriptedPeer,
    Way,
    line,
    refusing,
)
from townlet_adapters.telemetry.transports.conversation import cut
from townlet_adapters.telemetry.transports.tcp import TcpSettings, TcpTransport
from townlet_adapters.telemetry.wire.endpoint import Endpoint
from townlet_adapters.telemetry.wire.frames import (
    MAX_DATA_BYTES,
    MAX_LINES,
    WINDOW,
    Ack,
    Bye,
    Data,
    HelloAck,
    Nack,
    Ping,
    Pong,
    encode,
)
from townlet_core.errors import ConfigError, ContractError
from townlet_core.ports.transport import Batch, TransportError

TIMEOUTS = {"connect_timeout": PATIENCE, "ack_timeout": PATIENCE}
SOURCE = "urn:townlet:run:r:p1"
TOKEN = "0123456789abcdef-not-to-be-seen"  # noqa: S105 - a test's
SHORT = 0.3  # seconds, for what never happens
IMPATIENT = {"connect_timeout": SHORT, "ack_timeout": SHORT}


def batch(*sequences, source=SOURCE, filling=0):
    return Batch(source, sequences, [line(each, filling) for each in sequences])


def numbered(count, start=0, **more):
    return batch(*range(start, start + count), **more)


@pytest.fixture
def send_to():
    """Open transports, and close them at the end."""
    opened = []

    def send_to(endpoint, tls=None, **settings):
        found = {**TIMEOUTS, **settings}
        transport = TcpTransport(TcpSettings(endpoint, tls, TOKEN, **found))
        transport.open()
        opened.append(transport)
        return transport

    yield send_to
    for transport in opened:
        transport.close()


def push(transport, whole, attempts=10):
    """Write until all is stored, as delivery does; gives the faults on the way."""
    faults = []
    done = 0
    for _ in range(attempts):
        try:
            done += transport.write(split(whole, done, None))
        except TransportError as error:
            faults.append(error)
        if done == len(whole.lines):
            return faults
    raise AssertionError(faults)


def split(whole, start, end):
    return Batch(whole.source, whole.sequences[start:end], whole.lines[start:end])


@contextlib.contextmanager
def fails(code, verdict="retry", match=None):
    with pytest.raises(TransportError, match=match) as caught:
        yield caught
    assert (caught.value.code, caught.value.verdict) == (code, verdict)


# ---- what it does ------------------------------------------------------------------------------


def test_lines_are_stored_before_they_count(certificates, send_to):
    sent = batch(0, 1, 2, 7, 8)
    with ScriptedPeer(certificates.serving()) as peer:
        transport = send_to(peer.endpoint, certificates.trusting(), software="townlet 9")
        assert not transport.condition().connected

        assert transport.write(sent) == 5

        assert peer.stored[SOURCE] == list(zip(sent.sequences, sent.lines, strict=True))
        (hello,) = peer.hellos
        assert (hello.source, hello.token, hello.software) == (SOURCE, TOKEN, "townlet 9")
        assert transport.condition().connected
        assert transport.condition().certificate_expires > 1e9


def test_a_connection_serves_many_batches(certificates, send_to):
    with ScriptedPeer(certificates.serving()) as peer:
        transport = send_to(peer.endpoint, certificates.trusting())
        for start in range(0, 50, 5):
            assert transport.write(numbered(5, start)) == 5
        assert peer.lines(SOURCE) == numbered(50).lines
        assert peer.accepted == 1


def test_a_large_batch_is_sent_in_frames(send_to):
    sizes = []

    def counting(peer_line: Line) -> None:
        hello = peer_line.welcome()
        while isinstance(frame := peer_line.read(), Data):
            sizes.append(len(frame.lines))
            peer_line.send(Ack(peer_line.peer.store(hello.source, frame.lines)))

    with ScriptedPeer(None, [counting]) as peer:
        assert (
            send_to(peer.endpoint).write(numbered(WINDOW * MAX_LINES * 2 + 1)) == WINDOW * MAX_LINES * 2 + 1
        )
        assert sizes == [MAX_LINES] * WINDOW * 2 + [1]


@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=30), st.data())
def test_frames_hold_every_line_in_order_and_fit(sizes, data):
    whole = Batch(SOURCE, range(10, 10 + 3 * len(sizes), 3), [b"x" * size + b"\n" for size in sizes])
    start = data.draw(st.integers(0, len(sizes)))

    found = list(cut(whole, start))

    assert [each for frame, _ in found for each in frame.lines] == list(whole.lines[start:])
    at = start
    for frame, last in found:
        assert frame.first_seq == whole.sequences[at]
        at += len(frame.lines)
        assert last == whole.sequences[at - 1]
        assert len(frame.lines) <= MAX_LINES
        assert sum(map(len, frame.lines)) <= MAX_DATA_BYTES


def test_a_line_that_fits_into_no_frame_is_for_the_dead_letters(send_to):
    with ScriptedPeer() as peer, fails("too_large", "split", match="line 3 "):
        send_to(peer.endpoint).write(Batch(SOURCE, [3], [b"x" * (MAX_DATA_BYTES + 1)]))


def test_at_most_a_window_of_frames_is_on_its_way(send_to):
    seen = []

    def slow(peer_line: Line) -> None:
        hello = peer_line.welcome()
        frames = [peer_line.read() for _ in range(WINDOW)]
        # Nothing more comes, however long we wait.
        seen.append(select.select([peer_line.connection], [], [], SHORT)[0])
        through = peer_line.peer.store(hello.source, frames[0].lines)
        peer_line.send(Ack(through))
        frames.append(peer_line.read())
        seen.append(frames[-1].first_seq)
        for frame in frames[1:]:
            through = peer_line.peer.store(hello.source, frame.lines)
        peer_line.send(Ack(through))
        peer_line.hold()

    with ScriptedPeer(None, [slow]) as peer:
        count = (WINDOW + 1) * MAX_LINES
        assert send_to(peer.endpoint).write(numbered(count)) == count
        assert seen == [[], WINDOW * MAX_LINES]


def test_what_the_collector_has_is_not_sent_again(send_to):
    with ScriptedPeer() as peer:
        peer.store(SOURCE, numbered(4).lines)  # by a process that was killed before it heard so
        transport = send_to(peer.endpoint)
        assert transport.write(numbered(3)) == 3
        assert transport.write(numbered(7, 3)) == 7
        assert peer.lines(SOURCE) == numbered(10).lines


def test_every_source_has_its_own_connection_and_count(send_to):
    other = "urn:townlet:run:r:p2"
    with ScriptedPeer() as peer:
        transport = send_to(peer.endpoint)
        for source, start in ((SOURCE, 0), (other, 0), (other, 3), (SOURCE, 3)):
            assert transport.write(numbered(3, start, source=source)) == 3
        assert [hello.source for hello in peer.hellos] == [SOURCE, other, SOURCE]
        assert peer.lines(SOURCE) == numbered(6).lines
        assert peer.lines(other) == numbered(6).lines
        transport.close()
        peer.await_byes(3)


def test_goodbye_is_said_by_who_closes_and_not_by_who_abandons(send_to):
    with ScriptedPeer() as peer:
        for end in ("abandon", "close"):
            transport = send_to(peer.endpoint)
            transport.write(numbered(1, source=end))
            getattr(transport, end)()
            assert not transport.condition().connected
        peer.await_byes(1)


# ---- what the collector may refuse -------------------------------------------------------------


@pytest.mark.parametrize(
    ("nack", "verdict", "match"),
    [
        (Nack("unauthorized"), "pause", "token_file"),
        (Nack("forbidden"), "pause", "does not allow"),
        (Nack("version"), "pause", "upgrade"),
        (Nack("protocol"), "retry", "a violation of the protocol"),
        (Nack("overloaded", 7.5), "retry", "overloaded"),
        (Nack("unavailable", 0), "retry", "cannot store"),
    ],
    ids=lambda each: each.code if isinstance(each, Nack) else None,
)
@pytest.mark.parametrize("when", ["at once", "after HELLO_ACK"])
def test_a_refusal_says_what_to_do_and_when(send_to, nack, verdict, match, when):
    def later(peer_line: Line) -> None:
        peer_line.welcome()
        peer_line.read()
        peer_line.send(nack)

    script = refusing(nack) if when == "at once" else later
    with ScriptedPeer(None, [script]) as peer:
        transport = send_to(peer.endpoint)
        with fails(nack.code, verdict, match) as caught:
            transport.write(numbered(3))
        assert caught.value.retry_after == nack.retry_after
        assert not transport.condition().connected
        assert transport.write(numbered(3)) == 3
        assert peer.lines(SOURCE) == numbered(3).lines


@pytest.mark.parametrize("secured", [False, True])
def test_a_refusal_is_heard_even_while_we_speak(certificates, send_to, secured):
    def interrupting(peer_line: Line) -> None:
        peer_line.welcome()
        peer_line.send(Nack("overloaded", 7))

    serving, trusting = (certificates.serving(), certificates.trusting()) if secured else (None, None)
    with (
        ScriptedPeer(serving, [interrupting]) as peer,
        fails("overloaded") as caught,
    ):
        send_to(peer.endpoint, trusting).write(numbered(2000, filling=4000))
    assert caught.value.retry_after == 7


def test_what_was_stored_before_a_refusal_counts(send_to):
    def limited(peer_line: Line) -> None:
        peer_line.store(peer_line.welcome())
        peer_line.send(Nack("unavailable"))

    with ScriptedPeer(None, [limited, refusing(Nack("unavailable"))]) as peer:
        transport = send_to(peer.endpoint)
        whole = numbered(3 * MAX_LINES)
        assert transport.write(whole) == MAX_LINES
        with fails("unavailable"):
            transport.write(numbered(2 * MAX_LINES, MAX_LINES))
        assert push(transport, numbered(2 * MAX_LINES, MAX_LINES)) == []
        assert peer.lines(SOURCE) == whole.lines


def test_a_line_that_the_collector_will_never_take_is_found_by_halving(send_to):
    def picky(peer_line: Line) -> None:
        hello = peer_line.welcome()
        while True:
            match peer_line.read():
                case Data(_, lines) if line(700) in lines:
                    peer_line.send(Nack("poison"))
                    return
                case Data(_, lines):
                    peer_line.send(Ack(peer_line.peer.store(hello.source, lines)))
                case _:
                    return

    with ScriptedPeer(None, [picky] * 50) as peer:
        transport = send_to(peer.endpoint)
        dead, todo = [], [numbered(2000)]
        while todo:
            part = todo.pop()
            middle = len(part.lines) // 2
            try:
                done = transport.write(part)
            except TransportError as error:
                if error.verdict != "split":
                    raise
                if middle == 0:
                    dead += part.sequences
                    continue
                todo += [split(part, middle, None), split(part, 0, middle)]
                continue
            if done < len(part.lines):
                todo.append(split(part, done, None))
        assert dead == [700]
        assert peer.lines(SOURCE) == [each for each in numbered(2000).lines if each != line(700)]


def test_lines_that_were_not_sent_cannot_be_refused(send_to):
    with ScriptedPeer(None, [refusing(Nack("poison"))]) as peer, fails("protocol"):
        send_to(peer.endpoint).write(numbered(1))


# ---- what a collector must not do --------------------------------------------------------------


def after_greeting(*frames):
    def script(peer_line: Line) -> None:
        peer_line.welcome()
        peer_line.read()
        peer_line.send(*frames)
        peer_line.hold()

    return script


def after_greeting_bytes(data):
    def script(peer_line: Line) -> None:
        peer_line.welcome()
        peer_line.read()
        peer_line.send_bytes(data)
        peer_line.hold()

    return script


def greeting_bytes(data):
    def script(peer_line: Line) -> None:
        peer_line.read()
        peer_line.send_bytes(data)
        peer_line.hold()

    return script


def endless(peer_line: Line) -> None:
    peer_line.welcome()
    while True:
        peer_line.send_bytes(encode(Ping()) * 100)


def endless_acks(peer_line: Line) -> None:
    peer_line.welcome()
    while True:
        peer_line.send_bytes(encode(Ack(-1)) * 100)


LENGTH_OF_4_GIB = encode(Ack(0))[:8] + b"\xff\xff\xff\xff" + encode(Ack(0))[12:]
LIES = {
    "an ack of what was never sent": (after_greeting(Ack(3)), "protocol"),
    "an ack of everything there is": (after_greeting(Ack(2**64 - 1)), "protocol"),
    "an ack taken back": (after_greeting(Ack(1), Ack(0)), ""),
    "a second HELLO_ACK": (after_greeting(HelloAck(2)), "protocol"),
    "lines": (after_greeting(Data(0, (b"{}\n",))), "protocol"),
    "an answer to no question": (after_greeting(Pong()), "protocol"),
    "garbage": (after_greeting_bytes(b"garbage"), "protocol"),
    "a web server": (greeting_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "protocol"),
    "4 GiB": (after_greeting_bytes(LENGTH_OF_4_GIB), "protocol"),
    "a damaged ack": (after_greeting_bytes(encode(Ack(0))[:-1] + b"]"), "protocol"),
    "an ack for HELLO": (greeting_bytes(encode(Ack(2))), "protocol"),
    "garbage for HELLO": (greeting_bytes(b"\x00" * 28), "protocol"),
    "a version we do not speak": (greeting_bytes(encode(HelloAck(-1, version=2))), "protocol"),
    "a goodbye": (after_greeting(Bye()), "closed"),
    "silence": (Line.hold, "timeout"),
    "silence after HELLO_ACK": (after_greeting(), "timeout"),
    "half an ack": (after_greeting_bytes(encode(Ack(2))[:30]), "timeout"),
    "the same ack for ever": (endless_acks, "timeout"),
    "questions without end": (endless, "timeout"),
}


@pytest.mark.parametrize("secured", [False, True], ids=["plaintext", "tls"])
@pytest.mark.parametrize("lie", LIES)
def test_a_collector_that_lies_is_left_and_nothing_is_lost_or_doubled(certificates, send_to, lie, secured):
    script, code = LIES[lie]
    serving, trusting = (certificates.serving(), certificates.trusting()) if secured else (None, None)
    with ScriptedPeer(serving, [script]) as peer:
        transport = send_to(peer.endpoint, trusting, ack_timeout=2.0, connect_timeout=2.0)
        faults = push(transport, numbered(3))
        assert [(error.code, error.verdict) for error in faults] == ([(code, "retry")] if code else [])
        stored = peer.lines(SOURCE)
        assert stored == (numbered(3).lines if code else numbered(3).lines[2:])
        assert push(transport, numbered(3, 3)) == []
        assert peer.lines(SOURCE)[-3:] == numbered(3, 3).lines


def test_a_collector_that_takes_its_word_back_is_left(send_to):
    """What it acknowledged was taken at its word, and is its own to answer for."""

    def wavering(peer_line: Line) -> None:
        hello = peer_line.welcome()
        peer_line.store(hello)
        peer_line.read()
        peer_line.send(Ack(100))
        peer_line.hold()

    with ScriptedPeer(None, [wavering]) as peer:
        transport = send_to(peer.endpoint)
        assert transport.write(numbered(2 * MAX_LINES)) == MAX_LINES
        assert not transport.condition().connected
        assert transport.write(numbered(MAX_LINES, MAX_LINES)) == MAX_LINES
        assert peer.lines(SOURCE) == numbered(2 * MAX_LINES).lines


def test_an_ack_that_says_the_same_again_is_no_lie(send_to):
    def stammering(peer_line: Line) -> None:
        hello = peer_line.welcome()
        for _ in range(2):
            peer_line.store(hello)
            peer_line.send(Ack(peer_line.peer.stored_through(hello.source)))
        peer_line.hold()

    with ScriptedPeer(None, [stammering]) as peer:
        transport = send_to(peer.endpoint)
        assert transport.write(numbered(3)) == 3
        assert transport.write(numbered(3, 3)) == 3
        assert peer.accepted == 1


def test_a_collector_that_says_it_has_what_nobody_sent_costs_one_batch_at_most(send_to):
    """An earlier process may have sent more than we know of, so its word counts for the first batch."""

    def boasting(peer_line: Line) -> None:
        hello = peer_line.read()
        peer_line.send(HelloAck(10**9))
        while True:
            frame = peer_line.read()
            peer_line.peer.store(hello.source, frame.lines)
            peer_line.send(Ack(10**9))

    with ScriptedPeer(None, [boasting]) as peer:
        transport = send_to(peer.endpoint)
        assert transport.write(numbered(3)) == 3
        assert transport.write(numbered(3, 3)) == 3
        assert peer.lines(SOURCE) == numbered(3, 3).lines


def test_on_a_second_connection_too_a_wrong_number_settles_nothing_that_was_not_sent(send_to):
    def boasting(peer_line: Line) -> None:
        peer_line.read()
        peer_line.send(HelloAck(10**9))
        peer_line.read()  # closing with bytes unread would reset the connection

    with ScriptedPeer(None, [lambda peer_line: peer_line.store(peer_line.welcome()), boasting]) as peer:
        transport = send_to(peer.endpoint)
        assert transport.write(numbered(3)) == 3
        peer.drop_connections()
        with fails("closed"):
            transport.write(numbered(3, 3))
        assert transport.write(numbered(3, 3)) == 3
        assert peer.lines(SOURCE) == numbered(6).lines


def test_a_collector_that_has_more_than_the_batch_may_acknowledge_less_than_it_greeted_with(send_to):
    """An earlier process may have sent what is sent again now, batch by batch."""

    def ahead(peer_line: Line) -> None:
        peer_line.read()
        peer_line.send(HelloAck(8))
        while True:
            peer_line.send(Ack(int(json.loads(peer_line.read().lines[-1])["sequence"])))

    with ScriptedPeer(None, [ahead]) as peer:
        transport = send_to(peer.endpoint)
        for first in (0, 3, 6, 9):
            assert transport.write(numbered(3, first)) == 3
        assert peer.accepted == 1


def greeting_with(claim):
    def script(peer_line: Line) -> None:
        hello = peer_line.read()
        peer_line.send(HelloAck(claim))
        while True:
            peer_line.store(hello)

    return script


@pytest.mark.parametrize(("batches", "warned"), [([(3, 0), (3, 3)], True), ([(3, 0), (3, 5)], False)])
def test_a_greeting_below_what_was_acknowledged_is_a_loss_only_where_every_number_was_sent(
    send_to, caplog, batches, warned
):
    with ScriptedPeer(None, [greeting_with(-1), greeting_with(2)]) as peer:
        transport = send_to(peer.endpoint)
        for count, first in batches:
            assert transport.write(numbered(count, first)) == count
        peer.drop_connections()
        assert transport.write(numbered(3, 20)) == 3
    assert ("has lost lines" in caplog.text) == warned


def test_a_collector_that_lost_what_it_had_is_reported_and_goes_on(send_to, caplog):
    with ScriptedPeer() as peer:
        transport = send_to(peer.endpoint)
        transport.write(numbered(3))
        peer.stored.clear()
        peer.drop_connections()
        assert transport.write(numbered(3, 3)) == 3
        assert peer.lines(SOURCE) == numbered(3, 3).lines
    assert "has lost lines" in caplog.text


# ---- what the network may do -------------------------------------------------------------------


def test_a_lost_ack_costs_no_line_and_doubles_none(send_to):
    def forgetful(peer_line: Line) -> None:
        peer_line.store(peer_line.welcome(), answer=False)

    with ScriptedPeer(None, [forgetful, forgetful]) as peer:
        faults = push(send_to(peer.endpoint), numbered(3))
        assert [error.code for error in faults] == ["closed"]
        assert peer.lines(SOURCE) == numbered(3).lines


def exchange_sizes(peer, send_to, tls=None):
    """Bytes of one faultless exchange, up and down."""
    with FaultProxy(peer.endpoint) as proxy:
        transport = send_to(proxy.endpoint, tls)
        assert push(transport, two_frames("urn:measure")) == []
        transport.close()
    return proxy.passed


def two_frames(source):
    """Lines that take a frame each, since the second is written on its own."""
    return Batch(source, [5, 6], [line(5), line(6)])


FAULTS = {
    "reset": lambda at: Way(reset_after=at),
    "end": lambda at: Way(close_after=at),
    "corrupt": lambda at: Way(corrupt_at=at),
    "garbage": lambda at: Way(insert_at=at, garbage=b"TWN1\xff\xff"),
}


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_byte_of_an_exchange_loses_and_doubles_nothing(send_to, fault, direction):
    with ScriptedPeer() as peer:
        total = exchange_sizes(peer, send_to)[direction == "down"]
        assert total > 100
        with FaultProxy(peer.endpoint) as proxy:
            for at in range(total):
                source = f"urn:{fault}:{direction}:{at}"
                proxy.fates.append(Fate(**{direction: FAULTS[fault](at)}))
                transport = send_to(proxy.endpoint, ack_timeout=SHORT, connect_timeout=SHORT)
                for whole in (batch(5, source=source), batch(6, source=source)):
                    push(transport, whole)
                transport.abandon()
                assert peer.lines(source) == two_frames(source).lines, at


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("fault", ["reset", "corrupt"])
def test_a_fault_anywhere_under_tls_loses_and_doubles_nothing(certificates, send_to, fault, direction):
    with ScriptedPeer(certificates.serving()) as peer:
        total = exchange_sizes(peer, send_to, certificates.trusting())[direction == "down"]
        with FaultProxy(peer.endpoint) as proxy:
            for at in range(0, total, 11):
                source = f"urn:{fault}:{direction}:{at}"
                proxy.fates.append(Fate(**{direction: FAULTS[fault](at)}))
                transport = send_to(proxy.endpoint, certificates.trusting(), ack_timeout=1, connect_timeout=1)
                push(transport, two_frames(source))
                transport.abandon()
                assert peer.lines(source) == two_frames(source).lines, at


@pytest.mark.parametrize(
    ("fate", "code"),
    [
        (Fate(blackhole=True), "timeout"),
        (Fate(refuse=True), "reset"),
        (Fate(up=Way(hold_after=0)), "timeout"),
        (Fate(up=Way(hold_after=300)), "timeout"),
        (Fate(down=Way(hold_after=100)), "timeout"),
        (Fate(down=Way(drip=0.05)), "timeout"),
        (Fate(up=Way(drip=0.05)), "timeout"),
        (Fate(down=Way(close_after=20)), "closed"),
    ],
    ids=["blackhole", "refused", "silent", "held up", "held down", "drip down", "drip up", "half closed"],
)
def test_a_hostile_network_costs_the_deadline_and_is_survived(send_to, fate, code):
    with ScriptedPeer() as peer, FaultProxy(peer.endpoint, [fate]) as proxy:
        transport = send_to(proxy.endpoint, **IMPATIENT)
        faults = [error.code for error in push(transport, numbered(3))]
        # On a busy machine the deadline may be too short for an honest connection, too.
        assert faults == [code, *["timeout"] * (proxy.accepted - 2)]
        assert peer.lines(SOURCE) == numbered(3).lines


def test_a_collector_that_takes_nothing_costs_the_deadline(send_to):
    def full(peer_line: Line) -> None:
        peer_line.welcome()
        peer_line.hold()

    with ScriptedPeer(None, [full]) as peer:
        transport = send_to(peer.endpoint, ack_timeout=SHORT)
        with fails("timeout", match="sending"):
            transport.write(numbered(4000, filling=4000))
        push(transport, numbered(3))
        assert peer.lines(SOURCE) == numbered(3).lines


def test_a_collector_that_is_slow_but_moves_is_not_given_up(send_to):
    """Each ack that brings something gives it the whole time again."""

    def slow(peer_line: Line) -> None:
        hello = peer_line.welcome()
        while True:
            peer_line.peer.stopped.wait(0.4)
            peer_line.store(hello)

    with ScriptedPeer(None, [slow]) as peer:
        # All four take longer than the time for one, which leaves each more than half a second to spare.
        assert send_to(peer.endpoint, ack_timeout=1.0).write(numbered(4 * MAX_LINES)) == 4 * MAX_LINES
        assert peer.accepted == 1


def test_a_connection_that_ended_while_idle_is_replaced_without_a_fault(send_to):
    with ScriptedPeer() as peer:
        transport = send_to(peer.endpoint)
        transport.write(numbered(3))
        peer.drop_connections()
        assert transport.write(numbered(3, 3)) == 3
        assert (peer.accepted, peer.lines(SOURCE)) == (2, numbered(6).lines)


def test_a_connection_that_is_silent_after_an_idle_time_is_replaced_without_a_fault(send_to):
    def vanishing(peer_line: Line) -> None:
        peer_line.store(peer_line.welcome())
        peer_line.hold()

    with ScriptedPeer(None, [vanishing]) as peer:
        transport = send_to(peer.endpoint, idle=0.0, connect_timeout=SHORT)
        transport.write(numbered(3))
        assert transport.write(numbered(3, 3)) == 3
        assert (peer.accepted, peer.lines(SOURCE)) == (2, numbered(6).lines)


def test_a_collector_that_answers_after_an_idle_time_keeps_its_connection(send_to):
    with ScriptedPeer() as peer:
        transport = send_to(peer.endpoint, idle=0.0)
        transport.write(numbered(3))
        assert transport.write(numbered(3, 3)) == 3
        assert (peer.accepted, peer.pings) == (1, 1)


def test_a_collector_may_ask_whether_we_are_there(send_to):
    answers = []

    def asking(peer_line: Line) -> None:
        hello = peer_line.welcome()
        peer_line.send(Ping())
        frame = peer_line.read()
        while isinstance(frame, Data):
            through = peer_line.peer.store(hello.source, frame.lines)
            frame = peer_line.read()
        answers.append(frame)
        peer_line.send(Ack(through))
        peer_line.hold()

    with ScriptedPeer(None, [asking]) as peer:
        assert send_to(peer.endpoint).write(numbered(3)) == 3
        assert answers == [Pong()]


# ---- certificates ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "code"),
    [
        ("expired", "tls_expired"),
        ("not_yet_valid", "tls_not_yet_valid"),
        ("wrong_host", "tls_hostname"),
        ("common_name_only", "tls_hostname"),
        ("untrusted", "tls_untrusted"),
        ("revoked", "tls_revoked"),
    ],
)
def test_a_server_that_is_not_verified_never_sees_the_token(certificates, send_to, server, code):
    with ScriptedPeer(certificates.serving(getattr(certificates, server))) as peer:
        transport = send_to(
            Endpoint("localhost", peer.endpoint.port), certificates.trusting(crl_file=certificates.crl_file)
        )
        with fails(code, "pause"):
            transport.write(numbered(3))
        assert peer.hellos == []

        peer.context = certificates.serving()  # rotated
        assert transport.write(numbered(3)) == 3
        assert peer.lines(SOURCE) == numbered(3).lines


def test_a_refused_client_certificate_is_told_though_our_handshake_succeeded(certificates, send_to):
    context = certificates.serving(client_ca_file=certificates.ca_file)
    own = certificates.other_client
    with ScriptedPeer(context) as peer:
        settings = certificates.trusting(cert_file=own.cert_file, key_file=own.key_file)
        with fails("tls_client_certificate", "pause", match="cert_file"):
            send_to(peer.endpoint, settings).write(numbered(2000, filling=4000))
        assert peer.hellos == []

        good = certificates.client
        settings = replace(settings, cert_file=good.cert_file, key_file=good.key_file)
        assert send_to(peer.endpoint, settings).write(numbered(3)) == 3


# ---- the rest ----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [Line.hold, after_greeting()], ids=["in HELLO", "in DATA"])
def test_a_write_can_be_interrupted_and_so_is_every_later_one(send_to, script):
    caught = []
    with ScriptedPeer(None, [script]) as peer:
        transport = send_to(peer.endpoint)

        def write():
            with fails("interrupted") as found:
                transport.write(numbered(3))
            caught.append(found.value)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        transport.interrupt()
        thread.join(PATIENCE)
        assert len(caught) == 1
        with fails("interrupted"):
            transport.write(numbered(3))
        assert peer.accepted == 1


def test_the_token_is_nowhere_to_be_seen(certificates, send_to, caplog):
    caplog.set_level(logging.DEBUG)
    told = []
    scripts = [refusing(Nack("unauthorized")), *(script for script, _ in LIES.values())]
    for serving, trusting in ((None, None), (certificates.serving(), certificates.trusting())):
        with ScriptedPeer(serving, scripts) as peer:
            transport = send_to(peer.endpoint, trusting, **IMPATIENT)
            told += [repr(transport._settings)]
            for _ in scripts:
                try:
                    transport.write(numbered(3))
                except TransportError as error:
                    told += [str(error), repr(error), repr(error.__cause__), repr(error.__context__)]
                transport._hang_up()
    assert TOKEN not in caplog.text + "".join(told)
    assert len(told) > 20


@pytest.mark.parametrize("host", ["collector.example", "192.0.2.1", "0.0.0.0", "::"])  # noqa: S104 - refused
def test_plaintext_to_anywhere_else_is_refused_before_anything_is_sent(host):
    with pytest.raises(ConfigError, match="plaintext"):
        TcpTransport(TcpSettings(Endpoint(host, 1), None, **TIMEOUTS)).open()


def test_plaintext_is_warned_of(send_to, caplog):
    send_to(Endpoint("localhost", 1))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "plaintext" in record.message
    assert TOKEN not in record.message


@pytest.mark.parametrize("token", ["secret\n", "secret\x00", "s\xe9cret", "s" * 4097], ids=range(4))
def test_a_token_that_cannot_be_sent_is_refused_and_not_repeated(token):
    with pytest.raises(ConfigError, match="token") as caught:
        TcpTransport(TcpSettings(Endpoint("localhost", 1), None, token, **TIMEOUTS)).open()
    assert token not in str(caught.value)
    assert token not in repr(TcpSettings(Endpoint("localhost", 1), None, token, **TIMEOUTS))


def test_files_that_cannot_work_are_found_when_it_is_opened(certificates, tmp_path):
    settings = certificates.trusting(ca_file=tmp_path / "missing.pem")
    with pytest.raises(ConfigError, match=r"tls\.ca_file"):
        TcpTransport(TcpSettings(Endpoint("localhost", 1), settings, **TIMEOUTS)).open()


def test_the_own_certificate_expires_though_nobody_is_connected_to(certificates, send_to):
    own = certificates.common_name_only
    settings = certificates.trusting(cert_file=own.cert_file, key_file=own.key_file)
    condition = send_to(Endpoint("localhost", 1), settings).condition()
    assert not condition.connected
    assert condition.certificate_expires is not None


def test_writing_comes_after_opening():
    transport = TcpTransport(TcpSettings(Endpoint("localhost", 1), None, **TIMEOUTS))
    with pytest.raises(ContractError, match="before open"):
        transport.write(numbered(1))
    transport.interrupt()
    transport.abandon()
    transport.close()
