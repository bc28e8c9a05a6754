"""Frames over real sockets: honest peers are served, and nobody else harms them."""

import json
import socket
import ssl
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.telemetry.collector.support import (
    LIMIT,
    SOURCE,
    TOKEN,
    Peer,
    data,
    line,
    lines,
    loss,
    stored,
    wait_until,
)
from townlet_adapters.telemetry.collector.credentials import token_of
from townlet_adapters.telemetry.collector.plan import StoreLimits
from townlet_adapters.telemetry.collector.stream import PeerLimits
from townlet_adapters.telemetry.wire.frames import (
    NOTHING,
    Ack,
    Bye,
    Data,
    Hello,
    HelloAck,
    Nack,
    Ping,
    Pong,
    encode,
)
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings, client_context

OTHER = "urn:townlet:run:other:p1"
HASTY = PeerLimits(handshake_seconds=0.3, message_seconds=0.3, idle_seconds=30, reply_seconds=0.3)


@pytest.fixture
def tls(certificates):
    """Settings of a collector, and the context of a client that trusts it."""
    server = certificates.server
    return ServerTlsSettings(server.cert_file, server.key_file), client_context(certificates.trusting())


def raw(kind, members):
    """Spell a frame that ``encode`` might refuse to."""
    payload = json.dumps(members, ensure_ascii=False).encode()
    head = struct.pack(">4sBBHIQI", b"TWN1", 1, kind, 0, len(payload), 0, 0)
    return head + struct.pack(">I", zlib.crc32(payload, zlib.crc32(head))) + payload


def refused(collector, reason):
    return collector.collector.figures.refused[reason]


def test_events_are_on_the_disk_when_they_are_acknowledged(collect, folder, tls):
    settings, context = tls
    (port,) = collect("tls", tls=settings).ports()
    with Peer(port, context) as peer:
        assert peer.socket.version() == "TLSv1.3"
        assert peer.hello() == HelloAck(NOTHING)
        assert peer.deliver(lines(0, 9)) == Ack(9)
        assert stored(folder) == {SOURCE: list(range(10))}
        peer.send(data(lines(10, 11)), data(lines(12, 12)), Ping(), Bye())
        assert [peer.receive() for _ in range(5)] == [Ack(11), Ack(12), Pong(), Bye(), None]
    with Peer(port, context) as peer:
        assert peer.hello() == HelloAck(12)


def test_a_peer_that_sends_again_is_acknowledged_and_nothing_is_stored_twice(collect, folder):
    collector = collect("tcp")
    (port,) = collector.ports()
    for _ in range(2):
        with Peer(port) as peer:
            peer.hello()
            assert peer.deliver(lines(0, 9)) == Ack(9)
    assert stored(folder) == {SOURCE: list(range(10))}
    assert collector.report().sources[0].duplicates == 10


def test_a_collector_that_was_restarted_knows_what_it_has(collect, folder):
    for first in range(0, 30, 10):
        collector = collect("tcp")
        with Peer(*collector.ports()) as peer:
            assert peer.hello() == HelloAck(first - 1)
            assert peer.deliver(lines(max(0, first - 5), first + 9)) == Ack(first + 9)
        collector.stop()
    assert stored(folder) == {SOURCE: list(range(30))}


def test_a_collector_that_stops_stores_and_acknowledges_what_has_come(collect, folder):
    collector = collect("tcp")
    with Peer(*collector.ports()) as peer:
        peer.hello()
        peer.send(*(data(lines(n * 100, n * 100 + 99)) for n in range(8)))
        assert peer.receive() == Ack(99)
        stopping = threading.Thread(target=collector.stop)
        stopping.start()
        answers = []
        while (answer := peer.receive()) is not None:
            answers.append(answer)
        stopping.join()
    assert answers[-1] == Bye()
    acknowledged = [each.stored_through for each in (Ack(99), *answers[:-1])]
    assert acknowledged == sorted(acknowledged)
    assert stored(folder)[SOURCE] == list(range(acknowledged[-1] + 1))
    assert (folder / "report.json").exists()


def test_lines_in_front_of_a_bad_one_are_stored_and_acknowledged(collect, folder):
    collector = collect("tcp")
    bad = line(3).replace(b"restock:2", b"restock:9")
    with Peer(*collector.ports()) as peer:
        peer.hello()
        peer.send(data([*lines(0, 2), bad, *lines(4, 5)]))
        assert [peer.receive() for _ in range(3)] == [Ack(2), Nack("poison"), None]
    assert stored(folder) == {SOURCE: [0, 1, 2]}
    assert refused(collector, "unknown_schema") == 1


def test_an_unknown_schema_is_said_loudly_and_once(collect, caplog):
    collector = collect("tcp")
    for _ in range(5):
        with Peer(*collector.ports()) as peer:
            peer.hello()
            peer.send(data([line(0).replace(b"restock:2", b"restock:9")]))
            assert peer.receive() == Nack("poison")
    said = [each for each in caplog.messages if "unknown_schema" in each]
    assert len(said) == 1
    assert "urn:townlet:event:economy.restock:9" in said[0]
    assert "knows urn:townlet:event:economy.restock:2 and the versions before it" in said[0]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([data(lines(0, 0))], "protocol"),
        ([Bye()], "protocol"),
        ([Hello(SOURCE, "another-token-of-some-length")], "unauthorized"),
        ([Hello(SOURCE, "")], "unauthorized"),
        ([Hello(SOURCE, TOKEN[:-1])], "unauthorized"),
        ([Hello("urn:townlet:run:../x:p1", TOKEN)], "forbidden"),
        ([Hello("somebody", TOKEN)], "forbidden"),
        ([Hello(SOURCE, TOKEN, oldest=2, newest=9)], "version"),
        (
            [raw(1, {"source": SOURCE, "token": "tökèn", "software": "", "oldest": 1, "newest": 1})],
            "protocol",
        ),
        ([b"GET / HTTP/1.1\r\n\r\n"], "protocol"),
        ([b"TWN1\x02\x01\x00\x00" + bytes(20)], "version"),
        ([struct.pack(">4sBBHIQII", b"TWN1", 1, 1, 0, 2**32 - 1, 0, 0, 0)], "protocol"),
        ([struct.pack(">4sBBHIQII", b"TWN1", 1, 3, 0, 2**32 - 1, 0, 1, 0)], "protocol"),
        ([encode(Hello(SOURCE, TOKEN))[:-1] + b"!"], "protocol"),
    ],
)
def test_whoever_does_not_say_hello_as_is_due_is_told_and_left(collect, folder, frames, code):
    (port,) = collect("tcp").ports()
    with Peer(port) as peer:
        peer.send(*frames)
        assert [peer.receive(), peer.receive()] == [Nack(code), None]
    assert stored(folder) == {}
    with Peer(port) as peer:
        assert peer.hello() == HelloAck(NOTHING)


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (b"\xff" * 100, "protocol"),
        (encode(Hello(SOURCE, TOKEN)), "protocol"),
        (struct.pack(">4sBBHIQII", b"TWN1", 1, 3, 0, 2**32 - 1, 0, 1, 0), "protocol"),
        (encode(data(lines(5, 6)))[:-2] + b"??", "protocol"),
        (encode(Data(7, tuple(lines(5, 6)))), "protocol"),
        (encode(data([line(6), line(5)])), "protocol"),
        (encode(data(lines(0, 1))), "protocol"),
        (encode(Data(5, (b"nonsense\n",))), "poison"),
        (encode(Data(5, (line(5, OTHER),))), "poison"),
    ],
)
def test_whoever_breaks_the_rules_later_is_told_and_left_with_what_was_right(collect, folder, broken, code):
    (port,) = collect("tcp").ports()
    with Peer(port) as peer:
        peer.hello()
        peer.send(data(lines(0, 3)), broken)
        answers = [peer.receive(), peer.receive()]
        while answers[-1] == Ack(6):
            answers[-1] = peer.receive()
        assert answers == [Ack(3), Nack(code)]
    assert set(stored(folder)[SOURCE]) <= {0, 1, 2, 3, 6}
    assert OTHER not in stored(folder)


def test_two_tokens_are_taken_while_they_are_changed(collect):
    tokens = (token_of(b"the-old-token-of-ours"), token_of(b"the-new-token-of-ours"))
    (port,) = collect("tcp", tokens=tokens).ports()
    for token, answer in [
        ("the-old-token-of-ours", HelloAck(NOTHING)),
        ("the-new-token-of-ours", HelloAck(NOTHING)),
        ("the-one-before-those", Nack("unauthorized")),
    ]:
        with Peer(port) as peer:
            assert peer.hello(token=token) == answer


def test_no_log_and_no_answer_tells_a_token(collect, caplog):
    caplog.set_level("DEBUG")
    collector = collect("tcp")
    with Peer(*collector.ports()) as peer:
        peer.send(Hello(SOURCE, "a-wrong-token-all-the-same"))
        assert "wrong" not in repr(peer.receive())
    assert "a-wrong-token" not in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(collector.collector._settings)


def test_a_client_without_a_certificate_gets_nowhere(collect, certificates, folder):
    server = certificates.server
    settings = ServerTlsSettings(server.cert_file, server.key_file, client_ca_file=certificates.ca_file)
    collector = collect("tls", tls=settings, tokens=())
    (port,) = collector.ports()

    def connect(**files):
        with Peer(port, client_context(certificates.trusting(**files))) as peer:
            return peer.hello(token="")

    for files in (
        {},
        {"cert_file": certificates.other_client.cert_file, "key_file": certificates.other_client.key_file},
    ):
        with pytest.raises(ssl.SSLError, match=r"(?i)certificate.required|unknown.ca"):
            connect(**files)
    wait_until(lambda: collector.collector.figures.handshakes_rejected == 2)
    with_one = {"cert_file": certificates.client.cert_file, "key_file": certificates.client.key_file}
    assert connect(**with_one) == HelloAck(NOTHING)
    assert stored(folder) == {}


@pytest.mark.parametrize(
    "banner", [b"SSH-2.0-x\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 300, b""]
)
def test_whoever_does_not_speak_tls_is_let_go(collect, tls, banner):
    settings, context = tls
    collector = collect("tls", tls=settings, peers=HASTY)
    (port,) = collector.ports()
    with socket.create_connection(("127.0.0.1", port), 20) as stranger:
        stranger.sendall(banner)
        while stranger.recv(4096):
            pass
    wait_until(lambda: collector.collector.figures.handshakes_rejected == 1)
    with Peer(port, context) as peer:
        assert peer.hello() == HelloAck(NOTHING)


def test_an_old_tls_is_refused(collect, tls):
    settings, context = tls
    (port,) = collect("tls", tls=settings).ports()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"(?i)version"):
        Peer(port, context)


def test_a_certificate_that_is_replaced_is_shown_to_the_next_client(collect, certificates, tmp_path):
    cert, key = tmp_path / "server.pem", tmp_path / "server.key"

    def show(pair):
        for source, target in ((pair.cert_file, cert), (pair.key_file, key)):
            target.touch(0o600)
            target.write_bytes(source.read_bytes())

    def shown():
        with Peer(port, client_context(certificates.trusting())) as peer:
            return peer.socket.getpeercert(binary_form=True)

    show(certificates.server)
    (port,) = collect("tls", tls=ServerTlsSettings(cert, key)).ports()
    before = shown()
    show(certificates.renewed)
    renewed = shown()
    assert renewed != before
    cert.write_text("half a certificate")
    assert shown() == renewed


def drip(peer, frame, stop):
    for index in range(len(frame)):
        if stop.wait(0.02):
            return
        try:
            peer.socket.sendall(frame[index : index + 1])
        except OSError:
            return


@pytest.mark.parametrize("stage", ["silent", "hello", "data"])
def test_a_peer_that_drips_is_let_go_while_others_are_served(collect, stage):
    collector = collect("tcp", peers=HASTY)
    (port,) = collector.ports()
    stop = threading.Event()
    with Peer(port) as slow, Peer(port) as honest:
        if stage == "data":
            slow.hello()
        honest.hello(OTHER)
        frame = {"silent": b"", "hello": encode(Hello(SOURCE, TOKEN)), "data": encode(data(lines(0, 9)))}[
            stage
        ]
        dripping = threading.Thread(target=drip, args=(slow, frame, stop))
        dripping.start()
        assert honest.deliver(lines(0, 9, OTHER)) == Ack(9)
        answer = slow.receive()
        stop.set()
        dripping.join()
        assert answer == (Bye() if stage == "data" else None)
        assert honest.deliver(lines(10, 19, OTHER)) == Ack(19)
    assert refused(collector, "slow") == 1


def send_for_ever(peer, data):
    while True:
        peer.socket.sendall(data)


def test_a_peer_that_reads_no_answers_is_let_go(collect):
    collector = collect("tcp", peers=HASTY)
    with Peer(*collector.ports()) as deaf:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.hello()
        with pytest.raises(OSError, match=r"(?i)reset|broken"):
            send_for_ever(deaf, encode(Ping()) * 4096)
    wait_until(lambda: collector.collector.figures.open_connections["tcp"] == 0)


def test_a_connection_that_breaks_within_a_frame_harms_nobody(collect, folder):
    (port,) = collect("tcp").ports()
    frame = encode(data(lines(1, 3)))
    for cut in (1, 27, 28, 29, len(frame) - 1):
        with Peer(port) as peer:
            peer.hello()
            peer.deliver(lines(0, 0))
            peer.socket.sendall(frame[:cut])
    with Peer(port) as peer:
        assert peer.hello() == HelloAck(0)
    assert stored(folder) == {SOURCE: [0]}


def test_two_hundred_peers_are_served_side_by_side(collect, folder, tls):
    settings, context = tls
    collector = collect("tls", tls=settings)
    (port,) = collector.ports()
    ready = threading.Barrier(200)

    def send(number):
        source = f"urn:townlet:run:town{number}:p1"
        with Peer(port, context) as peer:
            peer.hello(source)
            ready.wait(60)
            answers = [peer.deliver(lines(first, first + 4, source)) for first in (0, 5)]
        return source, answers

    with ThreadPoolExecutor(200) as threads:
        for _, answers in threads.map(send, range(200)):
            assert answers == [Ack(4), Ack(9)]
    assert stored(folder) == {f"urn:townlet:run:town{number}:p1": list(range(10)) for number in range(200)}
    assert collector.report().exact


def test_more_connections_than_allowed_are_turned_away_and_those_there_stay(collect):
    collector = collect("tcp", peers=PeerLimits(connections=2))
    (port,) = collector.ports()
    with Peer(port) as first, Peer(port) as second:
        first.hello()
        second.hello(OTHER)
        with Peer(port) as third:
            assert third.socket.recv(1) == b""
        assert first.deliver(lines(0, 1)) == Ack(1)
    wait_until(lambda: collector.collector.figures.open_connections["tcp"] == 0)
    with Peer(port) as fourth:
        assert fourth.hello() == HelloAck(1)
    assert refused(collector, "too_many_connections") == 1


def test_a_full_disk_is_told_and_nothing_is_acknowledged_until_there_is_room(collect, small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(40 << 10))
    (port,) = collect("tcp", folder=small_disk / "events").ports()
    with Peer(port) as peer:
        peer.hello()
        peer.send(*(data(lines(n * 30, n * 30 + 29)) for n in range(4)))
        answers = []
        while (answer := peer.receive()) is not None:
            answers.append(answer)
    assert answers[-1] == Nack("unavailable", 5)
    kept = answers[-2].stored_through
    assert stored(small_disk / "events") == {SOURCE: list(range(kept + 1))}
    ballast.unlink()
    with Peer(port) as peer:
        assert peer.hello() == HelloAck(kept)
        assert peer.deliver(lines(kept + 1, 119)) == Ack(119)
    assert stored(small_disk / "events") == {SOURCE: list(range(120))}


def test_more_gaps_than_are_kept_in_mind_are_refused_as_too_much(collect):
    (port,) = collect("tcp", store=StoreLimits(ranges=4)).ports()
    with Peer(port) as peer:
        peer.hello()
        assert peer.deliver([line(n) for n in (0, 2, 4, 6)]) == Ack(6)
        assert peer.deliver([line(8)]) == Nack("overloaded", 60)


def test_loss_records_of_an_older_source_are_entered_there(collect):
    collector = collect("tcp")
    with Peer(*collector.ports()) as peer:
        peer.hello()
        peer.deliver([loss(0, [(7, 9)], about=OTHER, reason="process_died"), loss(1, [(2, 3)]), line(4)])
    found = {each.source: each for each in collector.report().sources}
    assert list(found[OTHER].missing) == [(0, 6)]
    assert list(found[OTHER].declared["process_died"]) == [(7, 9)]
    assert list(found[SOURCE].missing) == []
    assert collector.report().totals.declared == 5


def test_whoever_parts_first_under_tls_is_parted_with_in_good_order(collect, tls, caplog):
    settings, context = tls
    collector = collect("tls", tls=settings)
    (port,) = collector.ports()
    with socket.create_connection(("127.0.0.1", port), LIMIT) as stranger, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(stranger, server_hostname="localhost")
    with Peer(port, context) as peer:
        peer.hello()
        with suppress(ssl.SSLError):
            peer.socket.unwrap()  # says goodbye, and leaves the connection open
        wait_until(lambda: collector.collector.figures.open_connections["tls"] == 0)
    with Peer(port, context) as peer:
        peer.send(bytes(64))
        while peer.receive() is not None:
            pass
        wait_until(lambda: collector.collector.figures.open_connections["tls"] == 0)
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []
