"""Posts over real sockets: whatever is signed and right is stored, and each refusal says why."""

import datetime as dt
import json
import socket
import threading
import time

import pytest
from standardwebhooks import Webhook

from tests.telemetry.collector.support import SECRET, SOURCE, Poster, line, lines, loss, stored, wait_until
from townlet_adapters.telemetry.collector.credentials import secret_of
from townlet_adapters.telemetry.collector.posts import MOST_BODY, MOST_EVENTS
from townlet_adapters.telemetry.collector.stream import PeerLimits
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings, client_context

OTHER = "urn:townlet:run:other:p1"
LONG = (
    b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/cloudevents+json\r\n"
    b"content-length: 1000\r\n\r\n"
)
HASTY = PeerLimits(handshake_seconds=0.3, message_seconds=0.3, idle_seconds=0.6, reply_seconds=0.3)


def refused(collector, reason):
    return collector.collector.figures.refused[reason]


def exchange(port, request, most=1 << 20):
    """Send bytes, and read to the end of what comes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        peer.sendall(request)
        while data := peer.recv(65536):
            answer += data
            if len(answer) > most:
                break
    return answer


def test_events_are_on_the_disk_when_a_post_is_answered(collect, folder, certificates):
    server = certificates.server
    (port,) = collect("https", tls=ServerTlsSettings(server.cert_file, server.key_file)).ports()
    with Poster(port, client_context(certificates.trusting())) as poster:
        for first in (0, 10):
            status, body, _ = poster.post(lines(first, first + 9))
            assert (status, body) == (200, {"stored": 10, "duplicates": 0})
            assert stored(folder) == {SOURCE: list(range(first + 10))}


def test_a_replay_is_answered_well_and_stored_once(collect, folder):
    collector = collect("http")
    with Poster(*collector.ports()) as poster:
        at = time.time()
        answers = [poster.post(lines(0, 4), at=at)[:2] for _ in range(2)]
    assert answers == [(200, {"stored": 5, "duplicates": 0}), (200, {"stored": 0, "duplicates": 5})]
    assert stored(folder) == {SOURCE: [0, 1, 2, 3, 4]}
    assert collector.report().sources[0].duplicates == 5


def test_posts_may_come_in_any_order_and_with_several_sources(collect, folder):
    collector = collect("http")
    with Poster(*collector.ports()) as poster:
        poster.post(lines(20, 29))
        poster.post([*lines(0, 9), *lines(0, 3, OTHER)])
        assert list(collector.report().sources[1].missing) == [(10, 19)]
        poster.post([*lines(10, 19), loss(5, [(4, 4)], OTHER, source=OTHER)])
    assert collector.report().exact
    assert sorted(stored(folder)[SOURCE]) == list(range(30))


def test_one_event_alone_may_be_posted_and_an_empty_batch_is_no_mistake(collect, folder):
    with Poster(*collect("http").ports()) as poster:
        single = {"content-type": "application/cloudevents+json; charset=utf-8"}
        assert poster.post([], body=line(0), headers=single.items())[0] == 200
        assert poster.post([])[1] == {"stored": 0, "duplicates": 0}
    assert stored(folder) == {SOURCE: [0]}


def test_whoever_signs_by_the_standards_own_library_is_understood(collect, folder):
    (port,) = collect("http").ports()
    body = b"[" + line(0) + b"]"
    now = dt.datetime.now(dt.UTC)
    signature = Webhook(SECRET).sign("msg_1", now, body.decode())
    headers = {
        "content-type": "application/cloudevents-batch+json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    with Poster(port) as poster:
        assert poster.request("POST", "/v1/events", body, headers)[0] == 200
    assert stored(folder) == {SOURCE: [0]}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"headers": [("webhook-signature", None)]}, "missing_header"),
        ({"headers": [("webhook-id", None)]}, "missing_header"),
        ({"headers": [("webhook-timestamp", None)]}, "missing_header"),
        ({"headers": [("webhook-signature", "v1,AAAA")]}, "wrong_signature"),
        ({"headers": [("webhook-signature", "nonsense")]}, "malformed_signature"),
        ({"headers": [("webhook-signature", "v9,AAAA")]}, "malformed_signature"),
        ({"headers": [("webhook-signature", "v1,\xe4\xf6\xfc")]}, "wrong_signature"),
        ({"headers": [("webhook-timestamp", "soon")]}, "malformed_timestamp"),
        ({"headers": [("webhook-timestamp", "-5")]}, "malformed_timestamp"),
        ({"headers": [("webhook-id", "another")]}, "wrong_signature"),
        ({"at": time.time() - 301}, "too_old"),
        ({"at": time.time() + 3600}, "too_new"),
        ({"secret": b"the-secret-of-another-endpoint"}, "wrong_signature"),
    ],
)
def test_a_signature_that_does_not_hold_is_refused(collect, folder, change, error):
    collector = collect("http")
    secret = change.pop("secret", SECRET)
    with Poster(*collector.ports(), secret=secret) as poster:
        status, body, headers = poster.post(lines(0, 1), **change)
    assert (status, body["error"]) == (401, error)
    assert headers["www-authenticate"]
    assert stored(folder) == {}
    assert refused(collector, error) == 1


def test_a_body_that_was_changed_on_its_way_is_refused(collect, folder):
    (port,) = collect("http").ports()
    with Poster(port) as poster:
        at, body = time.time(), b"[" + line(0) + b"]"
        signed = {
            name.decode(): value.decode() for name, value in poster.signatures.sign("m1", int(at), body)
        }
        status, told, _ = poster.post([], body=body.replace(b"fridge_1", b"fridge_2"), headers=signed.items())
    assert (status, told["error"]) == (401, "wrong_signature")
    assert stored(folder) == {}


def test_two_secrets_are_taken_while_they_are_changed(collect):
    new = b"the-new-secret-of-this-endpoint"
    (port,) = collect("http", secrets=(secret_of(SECRET), secret_of(new))).ports()
    for secret, status in ((SECRET, 200), (new, 200), (b"the-one-before-both-of-them", 401)):
        with Poster(port, secret=secret) as poster:
            assert poster.post(lines(0, 0))[0] == status


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"path": "/"}, 404, "not_found"),
        ({"path": "/v1/events/../../etc/passwd"}, 404, "not_found"),
        ({"headers": [("content-type", "text/html")]}, 415, "content_type"),
        ({"headers": [("content-type", None)]}, 415, "content_type"),
        ({"headers": [("content-encoding", "gzip")]}, 415, "encoding"),
        ({"body": b"[" + b" " * MOST_BODY + b"]"}, 413, "too_large"),
        ({"body": b"[" + b",".join([line(0)] * (MOST_EVENTS + 1)) + b"]"}, 413, "too_many_events"),
        ({"body": b"[{"}, 400, "not_json"),
        ({"body": b""}, 400, "not_json"),
        ({"body": b"[" * 2000 + b"]" * 2000}, 400, "not_json"),
        ({"body": b"{}"}, 422, "not_an_envelope"),
        ({"body": b"[1]"}, 422, "not_an_envelope"),
        (
            {"body": b"[" + line(0) + b"," + line(1).replace(b"restock:2", b"restock:9") + b"]"},
            422,
            "unknown_schema",
        ),
        ({"body": b"[" + line(0).replace(b"run-a", b"../a") + b"]"}, 422, "bad_source"),
        ({"body": b"[" + line(0, kind="telemetry.loss") + b"]"}, 422, "bad_loss"),
    ],
)
def test_whatever_cannot_be_stored_is_refused_as_a_whole_and_the_connection_harms_nobody(
    collect, folder, change, status, error
):
    collector = collect("http")
    with Poster(*collector.ports()) as poster:
        found, body, _ = poster.post(lines(0, 1), **change)
        assert (found, body["error"]) == (status, error)
        assert stored(folder) == {}
        assert refused(collector, error) == (1 if status != 404 else 0)
        poster.http.close()
        assert poster.post(lines(0, 1))[0] == 200


def test_an_unknown_schema_is_named(collect):
    with Poster(*collect("http").ports()) as poster:
        _, body, _ = poster.post([line(0).replace(b"restock:2", b"restock:9")])
    assert (
        body["detail"]
        == "urn:townlet:event:economy.restock:9; this collector knows urn:townlet:event:economy.restock:2 "
        "and the versions before it"
    )


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"TWN1" + bytes(24) + b"\r\n\r\n", b"400"),
        (b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", b"400"),
        (b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", b"400"),
        (b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 4294967296\r\n\r\n", b"413"),
        (b"POST /v1/events HTTP/1.1\r\nhost: x\r\n\r\n", b"411"),
        (b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n", b"411"),
        (b"POST /v1/events HTTP/1.1\r\ncontent-length: 0\r\n\r\n", b"400"),
        (b"GET /v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", b"405"),
        (b"DELETE /v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", b"405"),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 70_000, b"431"),
        (b"GET /" + b"y" * 70_000, b"431"),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x: y\r\n" * 20_000, b"431"),
    ],
)
def test_requests_out_of_bounds_are_answered_with_their_status_and_closed(collect, folder, request_, status):
    (port,) = collect("http").ports()
    answer = exchange(port, request_)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert len(answer) < 4096
    assert stored(folder) == {}
    with Poster(port) as poster:
        assert poster.post(lines(0, 0))[0] == 200


def test_a_client_that_waits_to_be_told_to_go_on_is_told(collect):
    (port,) = collect("http").ports()
    with Poster(port) as poster:
        body = b"[" + line(0) + b"]"
        signed = b"".join(
            b"%b: %b\r\n" % each for each in poster.signatures.sign("m", int(time.time()), body)
        )
    head = (
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\n"
        b"content-type: application/cloudevents-batch+json\r\ncontent-length: %d\r\n%b\r\n"
        % (len(body), signed)
    )
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        peer.sendall(head)
        assert peer.recv(4096).startswith(b"HTTP/1.1 100")
        peer.sendall(body)
        assert peer.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("begin", "answer"),
    [
        (b"", b""),
        (b"POST /v1/ev", b"HTTP/1.1 408"),
        (
            LONG + b"[",
            b"HTTP/1.1 408",
        ),
    ],
)
def test_a_request_that_drips_is_ended_while_others_are_served(collect, begin, answer):
    collector = collect("http", peers=HASTY)
    (port,) = collector.ports()
    found = []
    slow = threading.Thread(target=lambda: found.append(exchange(port, begin)))
    slow.start()
    with Poster(port) as poster:
        assert poster.post(lines(0, 0))[0] == 200
    slow.join()
    assert found[0].startswith(answer)
    assert bool(found[0]) == bool(answer)
    wait_until(lambda: collector.collector.figures.open_connections["http"] == 0)


def test_a_client_that_leaves_within_a_body_harms_nobody(collect, folder):
    (port,) = collect("http").ports()
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        peer.sendall(LONG + b"[{")
    with Poster(port) as poster:
        assert poster.post(lines(0, 0))[0] == 200
    assert stored(folder) == {SOURCE: [0]}


def test_a_full_disk_is_a_503_that_says_when_to_try_again(collect, small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(40 << 10))
    (port,) = collect("http", folder=small_disk / "events").ports()
    with Poster(port) as poster:
        status, body, headers = poster.post(lines(0, 199))
        assert (status, body["error"], headers["retry-after"]) == (503, "no_space", "5")
        ballast.unlink()
        for first in (0, 50):
            assert poster.post(lines(first, first + 49))[0] == 200
    assert sorted(stored(small_disk / "events")[SOURCE]) == list(range(100))


def test_a_collector_that_stops_answers_what_it_has_taken(collect, folder):
    collector = collect("http")
    answers = []

    def post():
        with Poster(*collector.ports()) as poster:
            for first in range(0, 100_000, 100):
                try:
                    answers.append((first, poster.post(lines(first, first + 99))[0]))
                except OSError:
                    return
                except Exception as error:  # noqa: BLE001 - http.client says in many ways that a peer is gone
                    assert "disconnected" in type(error).__name__.lower()  # noqa: PT017 - in a thread
                    return

    posting = threading.Thread(target=post)
    posting.start()
    wait_until(lambda: len(answers) > 3)
    collector.stop()
    posting.join()
    assert {status for _, status in answers} == {200}
    assert len(stored(folder)[SOURCE]) == 100 * len(answers)
    report = json.loads((folder / "report.json").read_text())
    assert report["totals"]["events"] == 100 * len(answers)
