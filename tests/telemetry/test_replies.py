"""What a reply means: taken, later, in parts, or a person must act; and nothing that it says can hurt."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from townlet_adapters.telemetry.transports.replies import LONGEST_PAUSE, Reply, refusal, retry_after

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT
JSON = (b"content-type", b"application/json")


def verdict(status, *headers, empty=True):
    error = refusal(Reply(status, headers, empty), "collector.example", NOW)
    return "taken" if error is None else error.verdict


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        ("taken", [200, 201, 202, 204]),
        ("retry", [408, 425, 429, 500, 502, 503, 504, 507, 599]),
        ("split", [400, 413, 415, 422]),
        ("pause", [203, 205, 206, 300, 301, 302, 303, 304, 307, 308, 401, 403, 404, 405, 407, 410, 451, 600]),
    ],
)
def test_each_status_has_one_verdict(said, statuses):
    assert {status: verdict(status) for status in statuses} == dict.fromkeys(statuses, said)


@pytest.mark.parametrize(
    ("content_type", "said"),
    [
        (b"application/json", "taken"),
        (b"Application/Problem+JSON; charset=utf-8", "taken"),
        (b"text/html", "pause"),
        (b"text/html; was=application/json", "pause"),
        (b"", "pause"),
        (b"\xff\xfe", "pause"),
    ],
)
def test_a_body_must_be_json(content_type, said):
    assert verdict(200, (b"content-type", content_type), empty=False) == said


def test_a_login_page_is_told_as_one():
    error = refusal(Reply(200, [(b"content-type", b"text/html")], empty=False), "collector.example:443", NOW)
    assert (error.code, str(error)) == (
        "not_a_receiver",
        "collector.example:443 answered 200 with a page, unlike a receiver of events; check the URL",
    )


def test_a_refusal_tells_code_meaning_and_advice_and_nothing_that_the_peer_wrote():
    error = refusal(Reply(301, [(b"location", b"http://evil.example")], empty=True), "c.test", NOW)
    assert (error.code, str(error)) == (
        "http_301",
        "c.test answered 301 (Moved Permanently); redirects are not followed: set the final URL",
    )
    assert str(refusal(Reply(799, [], empty=True), "c.test", NOW)) == "c.test answered 799"


def test_every_refusal_may_ask_for_a_pause():
    for status in (301, 401, 413, 429, 503):
        error = refusal(Reply(status, [(b"retry-after", b"7")], empty=True), "c.test", NOW)
        assert error.retry_after == 7


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        (b"0", 0),
        (b"007", 7),
        (b"120", 120),
        (b"301", 300),
        (b"1000", 300),
        (b"1" + b"0" * 400, 300),
        (b"-1", None),
        (b"+1", None),
        (b"1.5", None),
        (b"1e3", None),
        (b"1_0", None),
        (b" 1", None),
        (b"", None),
        (b"inf", None),
        ("٣".encode(), None),
        (b"\xff\x00", None),
        (b"Sun, 06 Nov 1994 08:49:37 GMT", 0),
        (b"Sun, 06 Nov 1994 08:49:47 GMT", 10),
        (b"Sun, 06 Nov 1994 08:49:27 GMT", 0),
        (b"Sun, 06 Nov 9994 08:49:37 GMT", 300),
        (b"Sun, 06 Nov 0000 08:49:37 GMT", None),
        (b"Sun, 31 Feb 1994 08:49:37 GMT", None),
        (b"Sun, 06 Foo 1994 08:49:37 GMT", None),
        (b"Sun, 06 Nov 1994 99:49:37 GMT", None),
        (b"Sun, 06 Nov 1994 08:49:60 GMT", 22),
        (b"Sun, 06 Nov 1994 08:49:37 +0000", None),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", None),
    ],
)
def test_a_pause_is_read_strictly_and_never_long(value, seconds):
    assert retry_after(value, NOW) == seconds


_DATES = st.from_regex(
    rb"\A(Mon|Sun), [0-9]{2} (Jan|Feb|Dec|Xyz) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\Z", fullmatch=True
)


@given(value=st.binary(max_size=64) | st.integers().map(lambda n: b"%d" % n) | _DATES, now=st.floats(0, 4e9))
@example(value=b"9" * 100_000, now=0.0)
def test_whatever_a_pause_says_it_is_none_or_between_nothing_and_five_minutes(value, now):
    seconds = retry_after(value, now)
    assert seconds is None or 0 <= seconds <= LONGEST_PAUSE
