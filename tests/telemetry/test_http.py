"""Events over HTTP: whatever a receiver does, they arrive, or the fault has a name, a verdict and an end."""

import json
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from tests.forks import in_fork
from tests.telemetry.faults import Fate, FaultProxy, Way
from tests.telemetry.receivers import TAKEN, ScriptedReceiver
from townlet_adapters.telemetry.transports.http import MOST_BYTES, MOST_EVENTS, MOST_REPLY, HttpTransport
from townlet_adapters.telemetry.wire.endpoint import Endpoint, parse_url
from townlet_adapters.telemetry.wire.signing import Signatures
from townlet_adapters.telemetry.wire.tls import TlsSettings
from townlet_core.errors import ConfigError
from townlet_core.ports.transport import Batch, TransportError

KEY = b"k" * 32
SOURCE = "urn:townlet:run:r:p1"
PATIENCE = 30.0
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"


def reply(status, body=b"", *headers):
    head = b"\r\n".join([b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *headers])
    return head + b"\r\n\r\n" + body


def batch(count=3, first=0, size=0):
    numbers = range(first, first + count)
    return Batch(SOURCE, numbers, [b'{"n":%d,"x":"%b"}\n' % (n, b"y" * size) for n in numbers])


@pytest.fixture
def receiver(certificates):
    """Start receivers; ``secure=False`` for one without TLS."""
    started = []

    def start(*scripts, secure=True):
        one = ScriptedReceiver(scripts, certificates.serving() if secure else None)
        started.append(one)
        return one

    yield start
    for one in started:
        one.stop()
        for failure in one.failures:
            raise failure


@pytest.fixture
def way(certificates):
    """Make transports to a receiver, or to a proxy before it, closed at the end."""
    made = []

    def make(one, target="/v1/events", *, secure=True, timeout=PATIENCE, **others):
        port = one.endpoint.port if isinstance(one, FaultProxy) else one.port
        url = parse_url(f"{'https' if secure else 'http'}://127.0.0.1:{port}{target}")
        tls = certificates.trusting() if secure else None
        transport = HttpTransport(url, tls, Signatures([KEY]), timeout=timeout, **others)
        transport.open()
        made.append(transport)
        return transport

    yield make
    for transport in made:
        transport.close()


def fault(transport, lines=None):
    with pytest.raises(TransportError) as caught:
        transport.write(lines or batch())
    return caught.value


def test_a_batch_arrives_as_one_signed_post_of_cloudevents(receiver, way):
    seen = []

    def script(client):
        seen.append(client.read())
        client.send(TAKEN)

    one = receiver(script)
    assert way(one, "/v1/events?town=7").write(batch()) == 3
    (request,) = seen
    assert request.line == "POST /v1/events?town=7 HTTP/1.1"
    assert request["host"] == f"127.0.0.1:{one.port}"
    assert request["content-type"] == "application/cloudevents-batch+json"
    assert request["accept-encoding"] == "identity"
    assert [event["n"] for event in json.loads(request.body)] == [0, 1, 2]
    Webhook(KEY).verify(request.body, dict(request.headers))


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"200 OK"),
        reply(b"200 OK", b'{"stored":3}', b"content-type: application/json"),
        reply(b"201 Created"),
        reply(b"202 Accepted"),
        TAKEN,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + TAKEN,
        CHUNKED + b"1;x=y\r\n[\r\n1\r\n]\r\n0\r\nx-late: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{}",
        TAKEN + b"HTTP/1.1 500 Server Error\r\n\r\n",
        TAKEN + b"\x00garbage",
    ],
    ids=[
        "200",
        "json",
        "201",
        "202",
        "204",
        "hints",
        "chunked",
        "until-close",
        "two-replies",
        "garbage-after",
    ],
)
def test_a_receiver_that_took_the_events_may_say_so_in_many_ways(receiver, way, answer):
    one = receiver(*[lambda client: client.answer(answer)] * 2)
    transport = way(one)
    assert transport.write(batch()) == 3
    assert (
        transport.write(batch(first=3)) == 3
    )  # over this connection or another, whatever came behind the reply
    assert transport.condition().connected


def test_requests_follow_each_other_on_one_connection(receiver, way):
    one = receiver(lambda client: client.answer(TAKEN, TAKEN, TAKEN))
    transport = way(one)
    for first in (0, 3, 6):
        transport.write(batch(first=first))
    assert one.accepted == 1
    assert transport.condition().certificate_expires > time.time()


@pytest.mark.parametrize(
    ("lines", "taken"),
    [
        (batch(600), MOST_EVENTS),
        (batch(5, size=400_000), 2),
        (batch(2, size=MOST_BYTES - 100), 1),
        (batch(2, size=MOST_BYTES), 1),
    ],
    ids=["events", "bytes", "one-large", "one-too-large"],
)
def test_a_post_holds_512_events_or_a_mebibyte_and_one_event_in_any_case(receiver, way, lines, taken):
    seen = []

    def script(client):
        seen.append(client.read())
        client.send(TAKEN)

    assert way(receiver(script)).write(lines) == taken
    assert len(json.loads(seen[0].body)) == taken
    assert taken == 1 or len(seen[0].body) <= MOST_BYTES


def test_what_is_sent_again_has_the_same_id_and_a_new_time(receiver, way):
    seen = []

    def script(client):
        for answer in (reply(b"503 Busy"), TAKEN, TAKEN):
            seen.append(client.read())
            client.send(answer)

    moments = iter([1000.0, 1000.5, 1060.0, 1060.5, 1120.0, 1120.5])
    transport = way(receiver(script), wall=lambda: next(moments))
    assert fault(transport).verdict == "retry"
    transport.write(batch())
    transport.write(batch(first=3))
    assert [request["webhook-timestamp"] for request in seen] == ["1000", "1060", "1120"]
    ids = [request["webhook-id"] for request in seen]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("answer", "code", "verdict"),
    [
        (reply(b"429 Slow Down", b"", b"retry-after: 7"), "http_429", "retry"),
        (reply(b"503 Busy"), "http_503", "retry"),
        (reply(b"413 Too Large"), "http_413", "split"),
        (reply(b"401 Who?"), "http_401", "pause"),
        (reply(b"200 OK", b"<form>password</form>", b"content-type: text/html"), "not_a_receiver", "pause"),
        (reply(b"200 OK", b"x" * (MOST_REPLY + 1), b"content-type: text/html"), "not_a_receiver", "pause"),
        (b"HTTP/1.1 999\r\nx: \xff\r\n\r\n", "http_999", "pause"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "bad_reply",
            "retry",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "bad_reply", "retry"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "bad_reply", "retry"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx", "bad_reply", "retry"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, "bad_reply", "retry"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000, "bad_reply", "retry"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, "bad_reply", "retry"),
        (
            CHUNKED + b"f" * 22 + b"\r\n",
            "bad_reply",
            "retry",
        ),
        (CHUNKED + b"1;" + b"x" * 100_000, "bad_reply", "retry"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: application/json\r\n\r\n{",
            "closed",
            "retry",
        ),
    ],
    ids=[
        "later",
        "busy",
        "too-large",
        "unauthorized",
        "login-page",
        "long-page",
        "odd-status",
        "upgrade",
        "ssh",
        "negative-length",
        "two-lengths",
        "long-header",
        "many-headers",
        "endless-hints",
        "huge-chunk",
        "long-chunk-line",
        "half-a-body",
    ],
)
def test_any_other_reply_has_a_code_and_a_verdict(receiver, way, answer, code, verdict):
    one = receiver(lambda client: client.answer(answer), lambda client: client.answer(TAKEN))
    transport = way(one)
    error = fault(transport)
    assert (error.code, error.verdict) == (code, verdict)
    assert transport.condition().connected == code.startswith(("http_", "not_"))


def test_a_pause_that_is_asked_for_is_bounded_and_one_without_sense_is_ignored(receiver, way):
    values = [b"7", b"1" + b"0" * 400, b"-5", b"soon", b"\xff\xfe", b"Sun, 06 Nov 1994 08:49:37 GMT"]
    answers = [reply(b"503 Busy", b"", b"retry-after: " + value) for value in values]
    one = receiver(lambda client: client.answer(*answers))
    transport = way(one)
    assert [fault(transport).retry_after for _ in values] == [7, 300, None, None, None, 0]
    assert one.accepted == 1


def test_a_redirect_is_not_followed(receiver, way):
    other = receiver(lambda client: client.answer(TAKEN))
    for status in (b"301 Moved", b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"):
        answer = reply(status, b"", b"location: https://127.0.0.1:%d/" % other.port)
        error = fault(way(receiver(lambda client, answer=answer: client.answer(answer))))
        assert error.verdict == "pause"
        assert "redirects are not followed" in str(error)
        assert str(other.port) not in str(error)
    assert other.accepted == 0


def test_neither_proxies_nor_credentials_are_taken_from_the_environment(receiver, way, monkeypatch, tmp_path):
    proxy = receiver(lambda client: client.answer(TAKEN))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://user:word@127.0.0.1:{proxy.port}")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password word\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    seen = []

    def script(client):
        seen.append(client.read())
        client.send(TAKEN)

    for secure in (True, False):
        way(receiver(script, secure=secure), secure=secure).write(batch())
    assert proxy.accepted == 0
    names = {name for request in seen for name, _ in request.headers}
    assert not names & {"authorization", "proxy-authorization", "cookie"}


@pytest.mark.parametrize("content_type", [b"application/json", b"text/html"])
def test_an_endless_reply_is_read_no_further_than_it_matters(receiver, way, content_type):
    sent = []

    def script(client):
        client.read()
        client.send(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: " + content_type + b"\r\n\r\n"
        )
        while True:
            client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
            sent.append(1024)

    one = receiver(script, lambda client: client.answer(TAKEN))
    transport = way(one)
    if content_type == b"application/json":
        assert transport.write(batch()) == 3
    else:
        assert fault(transport).code == "not_a_receiver"
    assert transport.write(batch()) == 3  # on a new connection: the old one is closed
    assert one.accepted == 2


@pytest.mark.parametrize("where", ["handshake", "reply", "body"])
def test_a_slow_drip_ends_at_the_deadline(receiver, way, where):
    enough = threading.Event()
    answers = {
        "handshake": b"",
        "reply": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 10_000,
        "body": b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\ncontent-type: application/json\r\n\r\n"
        + b" " * 4000,
    }

    def script(client):
        if where == "handshake":
            client.wait_until_left()
            return
        client.read()
        for byte in answers[where]:
            if enough.wait(0.02):
                return
            client.send(bytes([byte]))

    one = receiver(script, secure=where != "handshake")
    transport = way(one, secure=True, timeout=0.6)
    begin = time.monotonic()
    error = fault(transport)
    elapsed = time.monotonic() - begin
    enough.set()
    assert (error.code, error.verdict) == ("timeout", "retry")
    assert elapsed < 0.6 + 0.5


def test_a_silent_receiver_can_be_left_at_once_and_for_good(receiver, way):
    reached = threading.Event()

    def script(client):
        client.read()
        reached.set()
        client.wait_until_left()

    transport = way(receiver(script))

    def stop():
        reached.wait(PATIENCE)
        transport.interrupt()

    stopper = threading.Thread(target=stop)
    stopper.start()
    begin = time.monotonic()
    assert fault(transport).code == "interrupted"
    stopper.join()
    assert fault(transport).code == "interrupted"
    assert time.monotonic() - begin < PATIENCE / 2


def test_a_receiver_that_takes_no_bytes_ends_at_the_deadline(receiver, way):
    done = threading.Event()
    transport = way(receiver(lambda _: done.wait(PATIENCE), secure=False), secure=False, timeout=0.5)
    error = fault(transport, batch(1, size=50_000_000))
    done.set()
    assert error.code == "timeout"


@pytest.mark.parametrize("then", ["stays", "hangs-up"])
def test_a_receiver_may_refuse_before_it_has_read_everything(receiver, way, then):
    done = threading.Event()

    def script(client):
        client.send(reply(b"413 Too Large"))
        if then == "stays":
            done.wait(PATIENCE)
            client.wait_until_left()

    one = receiver(script, lambda client: client.answer(TAKEN), secure=False)
    transport = way(one, secure=False, timeout=1.0)
    error = fault(transport, batch(1, size=50_000_000))
    done.set()
    assert (error.code, error.verdict) == ("http_413", "split")
    assert transport.write(batch()) == 3
    assert one.accepted == 2  # the first connection still owes the rest of the request


def test_praise_for_what_was_not_read_is_not_believed(receiver, way):
    transport = way(receiver(lambda client: client.send(TAKEN), secure=False), secure=False)
    error = fault(transport, batch(1, size=50_000_000))
    assert (error.code, error.verdict) == ("reset", "retry")


@pytest.mark.parametrize("how", ["closes", "resets", "half-closes"])
def test_a_lost_reply_is_tried_again_by_whoever_has_the_events(receiver, way, how):
    def script(client):
        client.read()
        if how == "resets":
            client.reset()
        elif how == "half-closes":
            client.connection.shutdown(1)
            client.wait_until_left()

    one = receiver(script, lambda client: client.answer(TAKEN), secure=False)
    transport = way(one, secure=False)
    error = fault(transport)
    assert error.verdict == "retry"
    assert error.code == ("reset" if how == "resets" else "closed")
    assert one.accepted == 1
    assert transport.write(batch()) == 3


@pytest.mark.parametrize("when", ["before", "after-the-request", "with-a-reset"])
def test_a_peer_that_left_a_kept_connection_costs_one_more_connection_and_no_error(receiver, way, when):
    seen, left = [], threading.Event()

    def first(client):
        client.answer(TAKEN)
        if when != "before":
            seen.append(client.read())
        if when == "with-a-reset":
            client.reset()

    def second(client):
        left.set()
        seen.append(client.read())
        client.send(TAKEN)

    secure = when != "with-a-reset"
    one = receiver(first, second, secure=secure)
    transport = way(one, secure=secure)
    transport.write(batch())
    assert transport.write(batch(first=3)) == 3
    assert one.accepted == 2
    assert len({request["webhook-id"] for request in seen}) == 1


def test_a_receiver_that_never_answers_again_is_asked_twice_and_not_for_ever(receiver, way):
    def first(client):
        client.answer(TAKEN)
        client.read()

    one = receiver(first, lambda client: client.read(), lambda client: client.answer(TAKEN))
    transport = way(one)
    transport.write(batch())
    assert fault(transport).code == "closed"
    assert one.accepted == 2
    assert not transport.condition().connected


def test_only_a_peer_that_left_is_asked_again_at_once(receiver, way):
    one = receiver(
        lambda client: client.answer(TAKEN, b"nonsense\r\n\r\n"), lambda client: client.answer(TAKEN)
    )
    transport = way(one)
    transport.write(batch())
    assert fault(transport).code == "bad_reply"
    assert one.accepted == 1


def test_what_nobody_asked_for_on_an_idle_connection_is_not_taken_for_a_reply(receiver, way):
    answered, said = threading.Event(), threading.Event()

    def first(client):
        client.answer(TAKEN)
        answered.wait(PATIENCE)
        client.send(reply(b"200 OK"))
        said.set()
        client.wait_until_left()

    one = receiver(first, lambda client: client.answer(reply(b"503 Busy")), secure=False)
    transport = way(one, secure=False)
    transport.write(batch())
    answered.set()
    said.wait(PATIENCE)
    assert fault(transport).code == "http_503"


def test_a_reply_cut_at_any_byte_is_no_success(receiver, way):
    whole = reply(b"200 OK", b'{"stored":3}', b"content-type: application/json")
    cuts = range(len(whole))
    one = receiver(*[lambda client, n=n: client.answer(whole[:n]) for n in cuts], secure=False)
    transport = way(one, secure=False)
    assert {fault(transport).code for _ in cuts} == {"closed"}
    assert one.accepted == len(whole)


@pytest.mark.parametrize("way_up", ["reset_after", "close_after"])
def test_a_request_cut_at_any_byte_is_sent_again(receiver, way, way_up):
    sent = len(b"POST /v1/events HTTP/1.1") + 700  # about a whole request
    fates = [Fate(up=Way(**{way_up: cut})) for cut in range(1, sent, 29)]
    seen = []

    def script(client):
        seen.append(client.read())
        client.send(TAKEN)

    one = receiver(*[script] * (len(fates) + 2), secure=False)
    with FaultProxy(Endpoint("127.0.0.1", one.port), fates) as proxy:
        transport = way(proxy, secure=False)
        faults = []
        while not seen:
            try:
                transport.write(batch())
            except TransportError as error:
                faults.append((error.code, error.verdict))
    assert len(faults) > 10
    assert set(faults) <= {("closed", "retry"), ("reset", "retry")}
    (request,) = seen
    assert len(json.loads(request.body)) == 3


def test_a_byte_changed_on_the_way_is_noticed_and_the_events_are_sent_again(receiver, way):
    one = receiver(*[lambda client: client.answer(TAKEN)] * 10)
    with FaultProxy(Endpoint("127.0.0.1", one.port)) as proxy:
        way(proxy).write(batch())
        up, down = proxy.passed
        shares = (0.02, 0.3, 0.6, 0.85)  # in greetings, certificates, request and reply
        proxy.fates.extend(Fate(up=Way(corrupt_at=int(up * share))) for share in shares)
        proxy.fates.extend(Fate(down=Way(corrupt_at=int(down * share))) for share in shares)
        transport = way(proxy)
        assert all(fault(transport).code for _ in range(2 * len(shares)))
        assert transport.write(batch()) == 3
        assert proxy.accepted == 2 + 2 * len(shares)


def test_a_black_hole_ends_at_the_deadline(receiver, way):
    one = receiver()
    with FaultProxy(Endpoint("127.0.0.1", one.port), [Fate(blackhole=True)]) as proxy:
        assert fault(way(proxy, timeout=0.3)).code == "timeout"


@settings(max_examples=60, deadline=None)
@given(
    answer=st.binary(max_size=200)
    | st.builds(
        lambda status, rest: b"HTTP/1.1 %03d x\r\n" % status + rest,
        st.integers(100, 699),
        st.binary(max_size=100),
    )
)
def test_whatever_bytes_come_back_they_are_taken_or_a_transport_error(answer):
    one = ScriptedReceiver([lambda client: client.answer(answer)])
    transport = HttpTransport(
        parse_url(f"http://127.0.0.1:{one.port}/"), None, Signatures([KEY]), timeout=10.0
    )
    transport.open()
    try:
        assert transport.write(batch()) == 3
        assert answer[9:12] in {b"200", b"201", b"202", b"204"} or b"\nHTTP/1.1 20" in answer
    except TransportError as error:
        assert error.verdict in {"retry", "split", "pause"}  # noqa: PT017 - either is right
    finally:
        transport.close()
        one.stop()


def test_a_receiver_that_nobody_vouches_for_hears_nothing(way, certificates):
    seen = []
    stranger = certificates.serving(certificates.untrusted)
    one = ScriptedReceiver([lambda client: seen.append(client.read())], stranger)
    error = fault(way(one))
    one.stop()
    assert (error.code, error.verdict, seen) == ("tls_untrusted", "pause", [])


def test_certificates_that_cannot_be_used_are_told_before_anything_is_sent(tmp_path):
    url = parse_url("https://collector.example/v1/events")
    transport = HttpTransport(
        url, TlsSettings(ca_file=tmp_path / "none.pem"), Signatures([KEY]), timeout=10.0
    )
    with pytest.raises(ConfigError, match=r"tls\.ca_file.*No such file"):
        transport.open()
    transport.close()


def test_nobody_there_is_a_fault_like_any_other(receiver, way):
    one = receiver()
    transport = way(one)
    one.stop()
    assert fault(transport).code == "refused"
    assert not transport.condition().connected


def test_a_forked_child_lets_go_without_a_word(receiver, way):
    one = receiver(lambda client: client.answer(TAKEN, TAKEN))
    transport = way(one)
    transport.write(batch())
    assert in_fork(transport.abandon) == 0
    assert transport.write(batch(first=3)) == 3
    assert one.accepted == 1
