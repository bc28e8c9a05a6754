"""Collectors and whoever stands in their place: what they answer is judged, told, and survived."""

import contextlib
import json
import socket
import ssl
import struct
from dataclasses import dataclass
from http.client import HTTPSConnection
from typing import ClassVar

import pytest

from tests.telemetry.collector.support import wait_until
from tests.telemetry.hostile.rig import LIMIT, OTHER_SECRETS, TOKEN, restock
from townlet_adapters.telemetry.collector.credentials import secret_of, token_of
from townlet_adapters.telemetry.collector.plan import StoreLimits
from townlet_adapters.telemetry.wire.frames import Ack, HelloAck, Nack, Ping, encode
from townlet_core.events.base import Event, Fact

LATER = "the sink keeps its events and tries again"
SEE_TO_IT = "this does not change by itself"
PAGE = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 14\r\n\r\n<h1>Login</h1>"


def reply(status, *headers):
    lines = [b"HTTP/1.1 %d x" % status, b"content-length: 0", *headers, b"", b""]
    return b"\r\n".join(lines)


def answering(answer):
    """Give every request on a connection the same answer."""

    def script(client):
        while True:
            client.read()
            client.send(answer)

    return script


def endless(start, more):
    """Answer a request without ever coming to an end."""

    def script(client):
        client.read()
        client.send(start)
        while True:
            client.send(more)

    return script


def recover(rig, sink, before):
    """Put an honest collector there; a stop tries at once, however long the sink was asked to stay away."""
    for n in range(before, 40):
        sink.emit(restock(n))
    rig.heal()
    status = sink.stop(LIMIT)
    assert status.state == "closed"
    assert status.delivered == 40
    rig.assert_complete(status)


ANSWERS = {
    "301": (reply(301, b"location: https://elsewhere.example/"), "http_301", SEE_TO_IT),
    "302 to this machine": (reply(302, b"location: http://127.0.0.1/"), "http_302", SEE_TO_IT),
    "308": (reply(308, b"location: /elsewhere"), "http_308", SEE_TO_IT),
    "401": (reply(401), "http_401", SEE_TO_IT),
    "403": (reply(403), "http_403", SEE_TO_IT),
    "404": (reply(404), "http_404", SEE_TO_IT),
    "410": (reply(410), "http_410", SEE_TO_IT),
    "a login page with 200": (PAGE, "not_a_receiver", SEE_TO_IT),
    "408": (reply(408), "http_408", LATER),
    "425": (reply(425), "http_425", LATER),
    "429": (reply(429, b"retry-after: 1"), "http_429", LATER),
    "500": (reply(500), "http_500", LATER),
    "502": (reply(502), "http_502", LATER),
    "503": (reply(503, b"retry-after: 0"), "http_503", LATER),
    "503 for 300 million years": (reply(503, b"retry-after: 9999999999999999"), "http_503", LATER),
    "503 for more digits than a number has": (reply(503, b"retry-after: " + b"9" * 5000), "http_503", LATER),
    "503 until the end of the calendar": (
        reply(503, b"retry-after: Fri, 31 Dec 9999 23:59:59 GMT"), "http_503", LATER,
    ),
    "503 since yesterday": (reply(503, b"retry-after: -86400"), "http_503", LATER),
    "503 for nan": (reply(503, b"retry-after: nan"), "http_503", LATER),
    "999": (reply(999), "http_999", SEE_TO_IT),
    "no HTTP": (b"hello, who are you?\r\n\r\n", "bad_reply", LATER),
    "a status that is none": (b"HTTP/1.1 2OO OK\r\n\r\n", "bad_reply", LATER),
    "two lengths": (reply(204, b"content-length: 7"), "bad_reply", LATER),
    "more hints than anybody needs": (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, "bad_reply", LATER),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS, ids=lambda name: name.replace(" ", "-"))
def test_an_answer_that_is_no_yes_is_told_with_what_it_means(make_rig, name):
    rig = make_rig("http")
    answer, code, advice = ANSWERS[name]
    rig.receiver(*[answering(answer)] * 50)
    sink = rig.started()
    sink.emit(restock(0))
    status, health = rig.until_told(sink, code)
    assert status.last_error.startswith(f"{code}: localhost:{rig.proxy.endpoint.port} ")
    assert health.state == "degraded"
    assert status.delivered == 0
    rig.until_logged(sink, advice)
    recover(rig, sink, 1)


BUSY = b"HTTP/1.1 503 Busy\r\n"


@pytest.mark.parametrize(
    ("code", "start", "more"),
    [
        ("http_503", BUSY + b"content-length: 99999999999\r\n\r\n", b"x" * 4096),
        ("http_503", BUSY + b"transfer-encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n"),
        ("bad_reply", BUSY, b"x-more: and more\r\n"),
        ("bad_reply", b"H", b"TTP/1.1"),
    ],
    ids=["body", "chunks", "headers", "first-line"],
)
def test_an_answer_without_end_is_not_read_to_its_end(make_rig, code, start, more):
    rig = make_rig("http")
    rig.receiver(*[endless(start, more)] * 50)
    sink = rig.started()
    sink.emit(restock(0))
    status, health = rig.until_told(sink, code)
    assert status.last_error.startswith(f"{code}: localhost:{rig.proxy.endpoint.port} ")
    assert health.state == "degraded"
    assert status.delivered == 0
    recover(rig, sink, 1)


def test_a_receiver_that_takes_nothing_for_a_while_costs_dead_letters_and_each_is_declared(make_rig):
    rig = make_rig("http")
    rig.receiver(*[answering(reply(422))] * 50)
    sink = rig.started()
    for n in range(5):
        sink.emit(restock(n))
    status, _ = rig.until(sink, lambda status, _: status.dead_lettered == 5)
    assert status.last_error.startswith("http_422: ")
    rig.until_logged(sink, "such lines are put aside, others delivered")
    for n in range(5, 40):
        sink.emit(restock(n))
    rig.heal()
    status = sink.stop(LIMIT)
    kept = [path.read_text() for path in rig.outbox().glob("dead-letters/*")]
    letters = [json.loads(line) for text in kept for line in text.splitlines()]
    facts = {json.loads(letter["line"]).get("seq") for letter in letters} - {None}
    assert facts >= set(range(5))
    assert {letter["code"] for letter in letters} == {"http_422"}
    assert len(letters) == status.dead_lettered
    rig.assert_complete(status, lost=status.dead_lettered)


def refusing(code, retry_after=None, *, late=False):
    """Refuse at the greeting, or once there are events."""

    def script(line):
        if late:
            line.welcome()
        line.read()
        line.send(Nack(code, retry_after))

    return script


def saying(*frames, data=b""):
    """Greet, hear events, then say something wrong."""

    def script(line):
        line.welcome()
        line.read()
        line.send(*frames)
        line.send_bytes(data)
        with contextlib.suppress(ConnectionError):
            while True:
                line.read()

    return script


def greeting(*frames, data=b""):
    """Answer the greeting with something wrong."""

    def script(line):
        line.read()
        line.send(*frames)
        line.send_bytes(data)
        with contextlib.suppress(ConnectionError):
            while True:
                line.read()

    return script


def pinging(line):
    """Ask for ever whether anybody is there."""
    line.welcome()
    many = encode(Ping()) * 1000
    while True:
        line.send_bytes(many)


FOUR_GIB = b"TWN1\x01\x04\x00\x00\xff\xff\xff\xff" + b"\0" * 16

CONVERSATIONS = {
    "unauthorized": (refusing("unauthorized"), ("unauthorized",), SEE_TO_IT),
    "forbidden": (refusing("forbidden"), ("forbidden",), SEE_TO_IT),
    "version": (refusing("version"), ("version",), SEE_TO_IT),
    "protocol": (refusing("protocol"), ("protocol",), LATER),
    "overloaded": (refusing("overloaded", 0.1), ("overloaded",), LATER),
    "overloaded for an hour": (refusing("overloaded", 3600, late=True), ("overloaded",), LATER),
    "overloaded for a year": (refusing("overloaded", 3e7, late=True), ("protocol",), LATER),
    "unavailable once there are events": (refusing("unavailable", late=True), ("unavailable",), LATER),
    "unauthorized once there are events": (refusing("unauthorized", late=True), ("unauthorized",), SEE_TO_IT),
    "poison before there are events": (refusing("poison"), ("protocol",), LATER),
    "acknowledges what nobody sent": (saying(Ack(10**9)), ("lie", "protocol"), LATER),
    "greets twice": (saying(HelloAck(0)), ("lie", "protocol"), LATER),
    "acknowledges before greeting": (greeting(Ack(0)), ("protocol",), LATER),
    "garbage after the greeting": (saying(data=b"\xa5" * 64), ("protocol",), LATER),
    "garbage instead of a greeting": (greeting(data=b"SSH-2.0-OpenSSH_9.6\r\n" * 3), ("protocol",), LATER),
    "a frame of 4 GiB": (saying(data=FOUR_GIB), ("protocol",), LATER),
    "a greeting of 4 GiB": (greeting(data=FOUR_GIB), ("protocol",), LATER),
}


@pytest.mark.parametrize("name", CONVERSATIONS, ids=lambda name: name.replace(" ", "-"))
def test_a_collector_that_refuses_or_lies_is_told_of_and_left(make_rig, name):
    rig = make_rig("tcp")
    script, codes, advice = CONVERSATIONS[name]
    rig.peer(*[script] * 200)
    sink = rig.started()
    sink.emit(restock(0))
    status, health = rig.until_told(sink, *codes)
    assert f"localhost:{rig.proxy.endpoint.port}" in status.last_error
    assert health.state == "degraded"
    assert status.delivered == 0
    rig.until_logged(sink, advice)
    recover(rig, sink, 1)


def test_a_collector_that_asks_for_ever_and_never_acknowledges_is_left(make_rig):
    rig = make_rig("tcp")
    rig.peer(*[pinging] * 200)
    sink = rig.started(timeout_seconds=0.5)
    sink.emit(restock(0))
    status, health = rig.until_told(sink, "timeout")
    assert f"localhost:{rig.proxy.endpoint.port}" in status.last_error
    assert health.state == "degraded"
    assert status.delivered == 0
    recover(rig, sink, 1)


# ---- by honest collectors


@dataclass(frozen=True, slots=True)
class Poison(Event):
    """What no collector takes: its kind is spelled as none is."""

    kind: ClassVar[str] = "trial.Poison"


def test_an_event_that_the_collector_never_takes_is_put_aside_alone_and_declared(rig, caplog):
    rig.collect()
    sink = rig.started()
    for n in range(200):
        sink.emit(Fact(n, n, Poison()) if n in (0, 70, 199) else restock(n))
    _, health = rig.until(sink, lambda status, _: status.dead_lettered == 3 and not status.spooled)
    assert health.last_error.code == {"tcp": "poison", "http": "http_422"}[rig.kind]
    assert "such lines are put aside, others delivered" in caplog.text
    assert "not_an_envelope" in caplog.text
    rig.until_delivered(sink)
    events = rig.assert_complete(sink.stop(LIMIT), lost=3)
    losses = [event["data"] for event in events if event["type"] == "townlet.telemetry.loss"]
    assert {loss["reason"] for loss in losses} == {"dead_lettered"}
    assert {first for loss in losses for first, _ in loss["ranges"]} == {0, 70, 199}
    letters = [path.read_text() for path in rig.outbox().glob("dead-letters/*")]
    assert "".join(letters).count("trial.Poison") == 3 * 2


def test_a_secret_that_the_collector_does_not_know_is_told_and_taken_once_it_does(rig):
    ours, theirs = OTHER_SECRETS
    rig.keep_secret("token", ours)
    rig.keep_secret("secret", theirs)
    rig.collect()
    sink = rig.started()
    sink.emit(restock(0))
    status, _ = rig.until_told(sink, "unauthorized", "http_401")
    assert {"tcp": "token_file", "http": "compare the secrets"}[rig.kind] in status.last_error
    rig.until_logged(sink, SEE_TO_IT, {"tcp": "wrong_token", "http": "wrong_signature"}[rig.kind])
    tokens = (token_of(TOKEN.encode()), token_of(ours.encode()))
    rig.heal(tokens=tokens, secrets=(secret_of(theirs.encode()),))
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))


def test_a_source_that_another_sender_owns_is_refused_and_its_events_wait(rig):
    rig.events.mkdir()
    owners = rig.events / "owners.txt"
    owners.write_text("urn:townlet:run:r:p1 another-town\n")
    rig.collect()
    sink = rig.started()
    sink.emit(restock(0))
    status, _ = rig.until_told(sink, "forbidden", "http_403")
    assert status.dead_lettered == 0
    rig.until_logged(sink, SEE_TO_IT, "other_owner")
    rig.leave()
    owners.unlink()
    rig.heal()
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))


def test_a_post_that_somebody_heard_and_posts_again_is_stored_once(make_rig, certificates):
    rig = make_rig("http")
    heard = []

    def script(client):
        heard.append(client.read())
        client.send(reply(503))

    rig.receiver(*[script] * 50)
    sink = rig.started()
    sink.emit(restock(0))
    rig.until_told(sink, "http_503")
    rig.heal()
    rig.until_delivered(sink)
    trust = ssl.create_default_context(cafile=certificates.ca_file)
    for _ in range(3):
        http = HTTPSConnection("localhost", rig.proxy.endpoint.port, context=trust, timeout=LIMIT)
        http.request("POST", "/v1/events", heard[0].body, dict(heard[0].headers))
        with http.getresponse() as answer:
            count = len(json.loads(heard[0].body))
            assert (answer.status, json.loads(answer.read())) == (200, {"stored": 0, "duplicates": count})
        http.close()
    rig.assert_complete(sink.stop(LIMIT))


def test_a_collector_that_comes_and_goes_has_everything_once(rig, caplog):
    sink = rig.started()
    for n in range(5):
        rig.collect()
        for m in range(20):
            sink.emit(restock(40 * n + m))
        rig.until_delivered(sink)
        rig.leave()
        for m in range(20, 40):
            sink.emit(restock(40 * n + m))
        rig.until(sink, lambda _, health: health.consecutive_failures > 0)
    rig.collect()
    rig.until_delivered(sink)
    status = sink.stop(LIMIT)
    assert status.delivered == 200
    assert caplog.text.count(f"sink {rig.kind}: delivers again after") == 5
    rig.assert_complete(status)


def test_a_collector_without_room_is_told_and_gets_the_rest_when_there_is_some(rig, small_disk):
    rig.events = small_disk / "events"
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 40_000)
    rig.collect()
    sink = rig.started()
    for n in range(40):
        sink.emit(restock(n, 600))
    status, _ = rig.until_told(sink, "unavailable", "http_503")
    rig.until_logged(sink, LATER, "no_space")
    ballast.unlink()
    status = sink.stop(LIMIT)
    rig.leave()
    rig.assert_complete(status)


def test_a_collector_whose_folder_is_as_large_as_it_may_be_gets_the_rest_when_it_may_grow(rig):
    rig.collect(store=StoreLimits(folder_bytes=20_000))
    sink = rig.started()
    for n in range(40):
        sink.emit(restock(n, 600))
    rig.until_told(sink, "unavailable", "http_503")
    rig.until_logged(sink, LATER, "folder_full")
    rig.heal()
    status = sink.stop(LIMIT)
    rig.assert_complete(status)


def test_nobody_who_shouts_at_the_collector_meanwhile_harms_the_town(rig):
    rig.collect()
    sink = rig.started()
    strangers = []
    for n in range(40):
        strangers.append(socket.create_connection(("127.0.0.1", rig.proxy.target.port)))
        strangers[-1].sendall([b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff", b"\0" * 5000][n % 4])
        sink.emit(restock(n))
    rig.until_delivered(sink)
    for each in strangers:
        each.close()
    rig.assert_complete(sink.stop(LIMIT))


def test_whoever_knocks_and_runs_away_costs_the_collector_no_connection_for_good(rig):
    collector = rig.collect()
    port = rig.proxy.target.port
    for _ in range(300):
        stranger = socket.create_connection(("127.0.0.1", port))
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stranger.close()
    sink = rig.started()
    sink.emit(restock(0))
    rig.until_delivered(sink)
    rig.assert_complete(sink.stop(LIMIT))
    wait_until(lambda: sum(collector.collector.figures.open_connections.values()) == 0)
    assert "Traceback" not in rig.caplog.text
