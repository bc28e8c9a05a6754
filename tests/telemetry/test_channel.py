"""Connections that keep their deadlines, whatever the other end does or does not."""

import contextlib
import os
import socket
import threading
import time

import pytest

from tests.telemetry.faults import PATIENCE, Fate, FaultProxy, Line, ScriptedPeer, Way
from townlet_adapters.telemetry.transports.channel import Interrupt
from townlet_adapters.telemetry.transports.dialing import connect, look_up
from townlet_adapters.telemetry.wire.endpoint import Endpoint
from townlet_core.ports.transport import TransportError

SHORT = 0.3  # seconds, for what never happens
MARGIN = 5.0  # seconds by which a promised deadline may be missed on a loaded machine


@pytest.fixture
def interrupt():
    interrupt = Interrupt()
    yield interrupt
    interrupt.close()


@pytest.fixture(params=["plaintext", "tls"])
def security(request, certificates):
    """What a server and a client of the same mind are given."""
    if request.param == "plaintext":
        return None, None
    return certificates.serving(), certificates.trusting()


@pytest.fixture
def open_channel(interrupt):
    with contextlib.ExitStack() as stack:

        def open_channel(endpoint, settings, patience=PATIENCE):
            channel = connect(endpoint, settings, deadline=time.monotonic() + patience, interrupt=interrupt)
            stack.callback(channel.abandon)
            return channel

        yield open_channel


@pytest.fixture
def full_port():
    """A port whose queue of connections is full, so that further ones are not answered."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - the parameter has no name
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def soon(seconds=SHORT):
    return time.monotonic() + seconds


def late():
    return time.monotonic() + PATIENCE


@contextlib.contextmanager
def fails(code, match=None, within=None):
    """The block ends with a fault of that name, and if it promised to, in time."""
    start = time.monotonic()
    with pytest.raises(TransportError, match=match) as caught:
        yield
    assert caught.value.code == code
    if within is not None:
        assert time.monotonic() - start < within + MARGIN


def echo(line: Line) -> None:
    while data := line.connection.recv(1 << 16):
        line.connection.sendall(data)


def say(data: bytes):
    """Send something, end without waiting, and take nothing."""

    def script(line: Line) -> None:
        line.connection.sendall(data)
        line.hold()

    return script


def test_bytes_go_both_ways(open_channel, security):
    serving, trusting = security
    with ScriptedPeer(serving, [echo]) as peer:
        channel = open_channel(peer.endpoint, trusting)
        sent = os.urandom(1 << 20)
        heard = b""

        for start in range(0, len(sent), 1 << 16):
            piece = sent[start : start + (1 << 16)]
            channel.send_all(piece, late())
            while len(heard) < start + len(piece):
                heard += channel.receive(1 << 16, late())

        assert heard == sent
        assert channel.receive_ready(100) is None


def test_no_more_is_given_than_was_asked_for(open_channel, security):
    serving, trusting = security
    with ScriptedPeer(serving, [say(b"abcdef")]) as peer:
        channel = open_channel(peer.endpoint, trusting)
        assert [channel.receive(2, late()) for _ in range(3)] == [b"ab", b"cd", b"ef"]


def test_an_orderly_end_is_empty(open_channel, security):
    def script(line: Line) -> None:
        line.connection.recv(1)
        if serving is not None:
            line.connection.unwrap()

    serving, trusting = security
    with ScriptedPeer(serving, [script]) as peer:
        channel = open_channel(peer.endpoint, trusting)
        channel.send_all(b"x", late())
        assert channel.receive(100, late()) == b""
        assert channel.receive_ready(100) == b""


def test_an_end_without_a_goodbye_may_be_a_cut(certificates, open_channel):
    with ScriptedPeer(certificates.serving(), [lambda line: line.connection.recv(1)]) as peer:
        channel = open_channel(peer.endpoint, certificates.trusting())
        channel.send_all(b"x", late())
        with fails("closed", match="closed the connection"):
            channel.receive(100, late())


def test_a_reset_is_told(open_channel, security):
    serving, trusting = security
    with ScriptedPeer(serving, [Line.hold]) as peer, FaultProxy(peer.endpoint) as proxy:
        channel = open_channel(proxy.endpoint, trusting)
        proxy.reset()
        with pytest.raises(TransportError, match="see the collector's log") as caught:
            channel.receive(100, late())
        # Under TLS, Python before 3.13 makes no difference between a reset and an end without a goodbye.
        assert caught.value.code in ({"reset"} if serving is None else {"reset", "closed"})


def test_a_silent_peer_costs_the_deadline_and_no_more(open_channel, security):
    serving, trusting = security
    with ScriptedPeer(serving, [Line.hold]) as peer:
        channel = open_channel(peer.endpoint, trusting)
        with fails("timeout", match="waiting for its answer", within=SHORT):
            channel.receive(100, soon())


def test_a_peer_that_takes_nothing_costs_the_deadline_and_no_more(open_channel, security):
    serving, trusting = security
    with ScriptedPeer(serving, [Line.hold]) as peer:
        channel = open_channel(peer.endpoint, trusting)
        with fails("timeout", match="sending", within=SHORT):
            channel.send_all(bytes(64 << 20), soon())


def test_a_peer_that_never_ends_costs_the_deadline_and_no_more(open_channel, security):
    def flood(line: Line) -> None:
        while True:
            line.connection.sendall(bytes(1 << 16))

    serving, trusting = security
    with ScriptedPeer(serving, [flood]) as peer:
        channel = open_channel(peer.endpoint, trusting)
        deadline = soon()
        with fails("timeout", within=SHORT):
            while True:
                channel.receive(1 << 10, deadline)


def test_a_peer_that_drips_costs_the_deadline_and_no_more(open_channel, security):
    serving, trusting = security
    with (
        ScriptedPeer(serving, [say(b"x" * 5000)]) as peer,
        FaultProxy(
            peer.endpoint, [Fate(down=Way(drip=0.02, drip_from=0 if serving is None else 2000))]
        ) as proxy,
    ):
        channel = open_channel(proxy.endpoint, trusting)
        deadline, heard = soon(), b""
        with fails("timeout", within=SHORT):
            while len(heard) < 5000:
                heard += channel.receive(5000, deadline)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (Line.hold, "timeout"),
        (say(b"220 mail.example ESMTP\r\n"), "tls_protocol"),
        (say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "tls_protocol"),
        (say(bytes(100)), "tls_protocol"),
        (say(b"\x16\x03\x03\xff\xff"), "tls_protocol"),
        (lambda line: line.connection.recv(1 << 16), "closed"),
        (Line.reset, "reset"),
    ],
    ids=["silence", "mail", "http", "zeros", "oversized", "closed", "reset"],
)
def test_who_does_not_speak_tls_is_not_waited_for(certificates, open_channel, script, code):
    with ScriptedPeer(None, [script]) as peer, fails(code, within=SHORT):
        open_channel(peer.endpoint, certificates.trusting(), SHORT)


def test_a_handshake_that_drips_ends_with_the_deadline(certificates, open_channel):
    with (
        ScriptedPeer(certificates.serving(), [Line.hold]) as peer,
        FaultProxy(peer.endpoint, [Fate(down=Way(drip=0.02))]) as proxy,
        fails("timeout", match="shaking hands", within=SHORT),
    ):
        open_channel(proxy.endpoint, certificates.trusting(), SHORT)


@pytest.mark.parametrize("after", [0, 1, 5, 100, 500])
def test_a_handshake_that_breaks_off_is_told(certificates, open_channel, after):
    for way, codes in (
        (Way(reset_after=after), {"reset", "closed"}),
        (Way(close_after=after), {"closed"}),
        (Way(hold_after=after), {"timeout"}),
        (Way(corrupt_at=after), {"tls_protocol", "timeout", "closed"}),
    ):
        with (
            ScriptedPeer(certificates.serving(), [Line.hold]) as peer,
            FaultProxy(peer.endpoint, [Fate(down=way)]) as proxy,
            pytest.raises(TransportError) as caught,
        ):
            open_channel(proxy.endpoint, certificates.trusting(), SHORT)
        assert caught.value.code in codes


def test_a_port_that_nobody_listens_on_is_told(open_channel, security):
    _, trusting = security
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with fails("refused", match="nothing listens"):
        open_channel(Endpoint("127.0.0.1", port), trusting)


def test_a_connection_that_is_not_answered_ends_with_the_deadline(open_channel, full_port):
    with fails("timeout", match="connecting", within=SHORT):
        open_channel(Endpoint("127.0.0.2", full_port), None, SHORT)


def test_small_pieces_are_sent_at_once(open_channel, security):
    serving, trusting = security
    with ScriptedPeer(serving, [Line.hold]) as peer:
        connection = open_channel(peer.endpoint, trusting)._socket
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


# ---- names -------------------------------------------------------------------------------------


def test_every_address_of_a_name_is_tried(interrupt):
    with ScriptedPeer(None, [echo]) as peer:
        name = Endpoint("collector.example", peer.endpoint.port)
        channel = connect(
            name,
            None,
            deadline=late(),
            interrupt=interrupt,
            lookup=lambda _host, _port: ["::1", "127.0.0.2", "127.0.0.1"],
        )
        channel.send_all(b"x", late())
        assert channel.receive(1, late()) == b"x"
        channel.close()


def test_an_address_that_does_not_answer_leaves_time_for_the_next(interrupt, full_port):
    deadline = soon(2)
    with socket.create_server(("127.0.0.1", full_port)):
        channel = connect(
            Endpoint("collector.example", full_port),
            None,
            deadline=deadline,
            interrupt=interrupt,
            lookup=lambda _host, _port: ["127.0.0.2", "127.0.0.1"],
        )
        channel.close()
    assert time.monotonic() < deadline


def test_a_name_is_looked_up_by_the_operating_system():
    assert "127.0.0.1" in look_up("localhost", 1)


@pytest.mark.parametrize("found", [OSError(-2, "Name or service not known"), []])
def test_a_name_that_nobody_knows_is_told(interrupt, found):
    def lookup(_host, _port):
        if isinstance(found, OSError):
            raise found
        return found

    with fails("dns", match=r"collector\.example cannot be resolved"):
        connect(Endpoint("collector.example", 1), None, deadline=late(), interrupt=interrupt, lookup=lookup)


def test_a_resolver_that_hangs_ends_with_the_deadline(interrupt):
    answer = threading.Event()
    try:
        with fails("timeout", match="resolving its name", within=SHORT):
            connect(
                Endpoint("collector.example", 1),
                None,
                deadline=soon(),
                interrupt=interrupt,
                lookup=lambda _host, _port: answer.wait(PATIENCE) and [],
            )
    finally:
        answer.set()


def test_plaintext_stays_on_this_machine_whatever_a_name_resolves_to(interrupt):
    with pytest.raises(TransportError, match="plaintext") as caught:
        connect(
            Endpoint("localhost", 1),
            None,
            deadline=late(),
            interrupt=interrupt,
            lookup=lambda _host, _port: ["192.0.2.1", "::ffff:127.0.0.1", "2001:db8::1"],
        )
    assert (caught.value.code, caught.value.verdict) == ("plaintext", "pause")


# ---- interrupts --------------------------------------------------------------------------------


@pytest.fixture
def interrupted(interrupt):
    """Run something on a thread, see it wait, and interrupt it."""

    def interrupted(action):
        caught = []

        def run():
            try:
                action()
            except TransportError as error:
                caught.append(error.code)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        interrupt.set()
        thread.join(MARGIN)
        assert not thread.is_alive()
        assert caught == ["interrupted"]

    return interrupted


def test_a_lookup_can_be_interrupted(interrupt, interrupted):
    answer = threading.Event()
    interrupted(
        lambda: connect(
            Endpoint("collector.example", 1),
            None,
            deadline=late(),
            interrupt=interrupt,
            lookup=lambda _host, _port: answer.wait(PATIENCE) and [],
        )
    )
    answer.set()


def test_a_connection_attempt_can_be_interrupted(open_channel, interrupted, full_port):
    interrupted(lambda: open_channel(Endpoint("127.0.0.2", full_port), None))


def test_a_handshake_can_be_interrupted(certificates, open_channel, interrupted):
    with ScriptedPeer(None, [Line.hold]) as peer:
        interrupted(lambda: open_channel(peer.endpoint, certificates.trusting()))


@pytest.mark.parametrize("action", ["send", "receive"])
def test_a_transfer_can_be_interrupted_and_so_is_every_later_one(open_channel, interrupted, security, action):
    serving, trusting = security
    with ScriptedPeer(serving, [Line.hold]) as peer:
        channel = open_channel(peer.endpoint, trusting)
        if action == "send":
            interrupted(lambda: channel.send_all(bytes(64 << 20), late()))
        else:
            interrupted(lambda: channel.receive(1, late()))
        with fails("interrupted"):
            channel.send_all(b"x", late())
        with fails("interrupted"):
            channel.receive(1, late())
        with fails("interrupted"):
            open_channel(peer.endpoint, trusting)


def test_an_interrupt_does_not_need_the_last_copy_of_its_socket(interrupt, open_channel, interrupted):
    """A forked child has one, too."""
    copy = interrupt._theirs.dup()
    with ScriptedPeer(None, [Line.hold]) as peer, copy:
        channel = open_channel(peer.endpoint, None)
        interrupted(lambda: channel.receive(1, late()))


def test_an_interrupt_may_come_after_everything_is_over():
    interrupt = Interrupt()
    interrupt.close()
    interrupt.set()
    assert interrupt.is_set()


# ---- ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("end", "said"), [("close", True), ("abandon", False)])
def test_only_who_closes_says_goodbye(certificates, open_channel, end, said):
    """After a fork, the child abandons a connection that its parent goes on with."""
    with (
        ScriptedPeer(certificates.serving(), [echo]) as peer,
        FaultProxy(peer.endpoint) as proxy,
    ):
        channel = open_channel(proxy.endpoint, certificates.trusting())
        channel.send_all(b"x", late())
        assert channel.receive(1, late()) == b"x"
        before = proxy.passed[0]
        with socket.socket(fileno=os.dup(channel._socket.fileno())) as of_parent:
            getattr(channel, end)()
            of_parent.settimeout(PATIENCE)
            of_parent.shutdown(socket.SHUT_WR)
            while of_parent.recv(1 << 10):
                pass
        assert (proxy.passed[0] > before) is said


def test_closing_waits_for_nobody(open_channel, security):
    serving, trusting = security
    with ScriptedPeer(serving, [Line.hold]) as peer:
        channel = open_channel(peer.endpoint, trusting)
        with fails("timeout"):
            channel.send_all(bytes(64 << 20), soon())
        channel.close()
        channel.close()
