"""A signature proves sender, content and freshness; whatever else arrives is refused with a reason."""

import base64
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from townlet_adapters.telemetry.wire.signing import (
    ID,
    SIGNATURE,
    TIMESTAMP,
    TOLERANCE,
    SignatureError,
    Signatures,
    parse_key,
)

KEY, OTHER = b"k" * 32, b"o" * 24
NOW = 1_800_000_000
BODY = '[{"name":"Zoë"}]'.encode()
ID_TEXT = "urn:townlet:run:r:p1:00000000000000000000-00000000000000000511"


def signed(keys=(KEY,), moment=NOW, body=BODY):
    return list(Signatures(keys).sign(ID_TEXT, moment, body))


def reason(headers, body=BODY, *, keys=(KEY,), now=NOW):
    with pytest.raises(SignatureError) as caught:
        Signatures(keys).verify(headers, body, now)
    return caught.value.reason


def with_header(name, value):
    return [(each, value if each == name else old) for each, old in signed()]


def text(headers):
    return {name.decode(): value.decode() for name, value in headers}


def test_what_was_signed_verifies_and_gives_the_id_back():
    assert Signatures([KEY]).verify(signed(), BODY, NOW) == ID_TEXT


@given(body=st.text(), key=st.binary(min_size=24, max_size=64))
def test_somebody_elses_code_verifies_what_we_sign(body, key):
    now = int(datetime.now(tz=UTC).timestamp())
    headers = Signatures([key]).sign(ID_TEXT, now, body.encode())
    Webhook(key).verify(body, text(headers), json_parse=False)
    Webhook("whsec_" + base64.b64encode(key).decode()).verify(body, text(headers), json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(key).verify(body + "x", text(headers), json_parse=False)


@given(body=st.text(), key=st.binary(min_size=24, max_size=64))
def test_we_verify_what_somebody_elses_code_signs(body, key):
    theirs = Webhook(key).sign("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", datetime.fromtimestamp(NOW, tz=UTC), body)
    headers = [(ID, b"msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"), (TIMESTAMP, b"%d" % NOW)]
    headers.append((SIGNATURE, theirs.encode()))
    Signatures([key]).verify(headers, body.encode(), NOW)
    assert reason(headers, body.encode() + b"x", keys=[key]) == "wrong_signature"


def test_a_changed_body_id_time_or_key_is_refused():
    assert reason(signed(), BODY + b" ") == "wrong_signature"
    assert reason(with_header(ID, b"another")) == "wrong_signature"
    assert reason(with_header(TIMESTAMP, b"%d" % (NOW + 1))) == "wrong_signature"
    assert reason(signed(), keys=[OTHER]) == "wrong_signature"


def test_while_keys_change_either_side_may_have_both_or_one_of_them():
    for ours, theirs in ([(KEY, OTHER), (OTHER,)], [(KEY, OTHER), (KEY,)], [(KEY,), (OTHER, KEY)]):
        assert Signatures(theirs).verify(signed(ours), BODY, NOW) == ID_TEXT
    assert len(signed((KEY, OTHER))[2][1].split(b" ")) == 2


@pytest.mark.parametrize("drift", [TOLERANCE, -TOLERANCE])
def test_clocks_may_differ_by_five_minutes_either_way_and_no_more(drift):
    assert Signatures([KEY]).verify(signed(), BODY, NOW + drift)
    late = drift + 1 if drift > 0 else drift - 1
    assert reason(signed(), now=NOW + late) == ("too_old" if late > 0 else "too_new")


@pytest.mark.parametrize("name", [ID, TIMESTAMP, SIGNATURE])
def test_each_header_is_needed_once(name):
    assert reason([each for each in signed() if each[0] != name]) == "missing_header"
    assert reason([*signed(), (name, b"1")]) == "repeated_header"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (ID, b"", "malformed_id"),
        (ID, b"with.stop", "malformed_id"),
        (ID, b"with space", "malformed_id"),
        (ID, b"x" * 257, "malformed_id"),
        (ID, "ümlaut".encode(), "malformed_id"),
        (TIMESTAMP, b"", "malformed_timestamp"),
        (TIMESTAMP, b"-1", "malformed_timestamp"),
        (TIMESTAMP, b"1_0", "malformed_timestamp"),
        (TIMESTAMP, b"1800000000.0", "malformed_timestamp"),
        (TIMESTAMP, b"1800000000\n", "malformed_timestamp"),
        (TIMESTAMP, "१२३".encode(), "malformed_timestamp"),
        (TIMESTAMP, b"9" * 5000, "malformed_timestamp"),
        (TIMESTAMP, b"9" * 12, "too_new"),
        (TIMESTAMP, b"0", "too_old"),
        (SIGNATURE, b"", "malformed_signature"),
        (SIGNATURE, b"v2,abc", "malformed_signature"),
        (SIGNATURE, b" ".join([b"v1,abc"] * 17), "malformed_signature"),
        (SIGNATURE, b"v1,", "wrong_signature"),
        (SIGNATURE, "v1,ümlaut".encode(), "wrong_signature"),
    ],
)
def test_a_malformed_header_has_its_reason(name, value, said):
    assert reason(with_header(name, value)) == said


def test_signatures_of_other_schemes_may_stand_beside_ours():
    headers = with_header(SIGNATURE, b"v1a,zzz " + signed()[2][1] + b" v1,YWJj")
    assert Signatures([KEY]).verify(headers, BODY, NOW) == ID_TEXT


_NAMES = st.sampled_from([ID, TIMESTAMP, SIGNATURE]) | st.binary(max_size=20)
_VALUES = st.binary(max_size=80) | st.sampled_from([value for _, value in signed()])


@given(
    headers=st.lists(st.tuples(_NAMES, _VALUES), max_size=6),
    body=st.binary(max_size=50) | st.just(BODY),
    now=st.floats(0, 1e12),
)
def test_nothing_but_a_signature_error_comes_of_any_headers(headers, body, now):
    accepted = False
    with suppress(SignatureError):
        Signatures([KEY, OTHER]).verify(headers, body, now)
        accepted = True
    if accepted:
        assert set(signed()) <= set(headers)
        assert body == BODY


def test_a_key_is_text_of_24_to_64_bytes_or_base64_of_as_many():
    assert parse_key(KEY) == parse_key(b"whsec_" + base64.b64encode(KEY)) == KEY
    for size, fits in ((23, False), (24, True), (64, True), (65, False)):
        for secret in (b"k" * size, b"whsec_" + base64.b64encode(b"k" * size)):
            if fits:
                assert parse_key(secret) == b"k" * size
            else:
                with pytest.raises(ValueError, match=f"of {size} bytes, where 24 to 64"):
                    parse_key(secret)


@pytest.mark.parametrize("secret", [b"whsec_a%b" * 9, b"whsec_YWJ", "whsec_ümlaut".encode()])
def test_what_is_not_base64_is_refused_without_being_told(secret):
    with pytest.raises(ValueError, match="not base64") as caught:
        parse_key(secret)
    assert secret.decode() not in repr(caught.value)


def test_no_representation_shows_a_key():
    assert KEY.decode() not in repr(Signatures([KEY]))


def test_signing_without_a_key_is_a_mistake():
    with pytest.raises(ValueError, match="at least one key"):
        Signatures([])
