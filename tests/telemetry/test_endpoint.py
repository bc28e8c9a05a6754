"""Addresses from a config: one reading, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townlet_adapters.telemetry.wire.endpoint import (
    Endpoint,
    Url,
    is_loopback,
    parse_endpoint,
    parse_url,
    require_local,
)
from townlet_core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "host", "port", "authority"),
    [
        ("collector.example:7443", "collector.example", 7443, "collector.example:7443"),
        ("Collector.Example:1", "collector.example", 1, "collector.example:1"),
        ("localhost:65535", "localhost", 65535, "localhost:65535"),
        ("127.0.0.1:7443", "127.0.0.1", 7443, "127.0.0.1:7443"),
        ("[2001:DB8::0:1]:7443", "2001:db8::1", 7443, "[2001:db8::1]:7443"),
        ("xn--bcher-kva.example:7443", "xn--bcher-kva.example", 7443, "xn--bcher-kva.example:7443"),
        ("a-1.b2:7443", "a-1.b2", 7443, "a-1.b2:7443"),
    ],
)
def test_an_endpoint_is_a_host_and_a_port(text, host, port, authority):
    found = parse_endpoint(text)

    assert found == Endpoint(host, port)
    assert found.authority == authority
    assert parse_endpoint(found.authority) == found


NO_ENDPOINTS = [
    "",
    "collector.example",
    "collector.example:",
    ":7443",
    "collector.example:0",
    "collector.example:65536",
    "collector.example:007443",
    "collector.example:+7443",
    "collector.example:7443 ",
    " collector.example:7443",
    "collector.example: 7443",
    "collector.example:7443\n",
    "collector\t.example:7443",
    "collector.example:7_443",
    "collector.example:\uff17\uff14\uff14\uff13",
    "collector.example:7443:7443",
    "collector.example:7443/path",
    "https://collector.example:7443",
    "user@collector.example:7443",
    "user:password@collector.example:7443",
    "collector.example.:7443",
    "collector..example:7443",
    ".collector.example:7443",
    "-collector.example:7443",
    "collector-.example:7443",
    "collector_1.example:7443",
    "colleсtor.example:7443",  # noqa: RUF001 - a Cyrillic letter is the point
    "collector。example:7443",
    "ⓒollector.example:7443",
    "col\u200blector.example:7443",
    "col\u00adlector.example:7443",
    "a" * 64 + ".example:7443",
    "a." * 127 + "ab:7443",
    "a" * 3000 + ":7443",
    "127.1:7443",
    "127.0.0.1.:7443",
    "127.0.0.01:7443",
    "127.0.0.256:7443",
    "0x7f.0.0.1:7443",
    "127.0.0.0x1:7443",
    "2130706433:7443",
    "0x7f000001:7443",
    "1.2.3.4.5:7443",
    "collector.example.1:7443",
    "2001:db8::1:7443",
    "[2001:db8::1]7443",
    "[2001:db8::1]",
    "[2001:db8::1:7443",
    "2001:db8::1]:7443",
    "[[::1]]:7443",
    "[::1%eth0]:7443",
    "[::1%25eth0]:7443",
    "[collector.example]:7443",
    "[127.0.0.1]:7443",
    "[]:7443",
    "collector.example\\:7443",
    "collector.example%00:7443",
    "*.example:7443",
    "unix:/tmp/socket",
]


@pytest.mark.parametrize("text", NO_ENDPOINTS)
def test_what_could_be_read_in_two_ways_is_no_endpoint(text):
    with pytest.raises(ConfigError) as caught:
        parse_endpoint(text, "sinks.0.options.endpoint")

    (problem,) = caught.value.problems
    assert problem.key == "sinks.0.options.endpoint"
    assert "HOST:PORT" in problem.allowed


@pytest.mark.parametrize(
    ("text", "url", "header"),
    [
        (
            "https://collector.example/v1/events",
            Url(Endpoint("collector.example", 443), secure=True, target="/v1/events"),
            "collector.example",
        ),
        (
            "https://collector.example",
            Url(Endpoint("collector.example", 443), secure=True, target="/"),
            "collector.example",
        ),
        (
            "https://c.example:8443/?a=b&c=%2F",
            Url(Endpoint("c.example", 8443), secure=True, target="/?a=b&c=%2F"),
            "c.example:8443",
        ),
        (
            "https://c.example?a=b",
            Url(Endpoint("c.example", 443), secure=True, target="/?a=b"),
            "c.example",
        ),
        ("http://127.0.0.1:80/x", Url(Endpoint("127.0.0.1", 80), secure=False, target="/x"), "127.0.0.1"),
        ("https://[::1]:80/x", Url(Endpoint("::1", 80), secure=True, target="/x"), "[::1]:80"),
        ("https://[::1]/x@y:z", Url(Endpoint("::1", 443), secure=True, target="/x@y:z"), "[::1]"),
    ],
)
def test_a_url_is_taken_apart_once(text, url, header):
    assert parse_url(text) == url
    assert parse_url(text).host_header == header


@pytest.mark.parametrize(
    "text",
    [
        "",
        "collector.example/v1",
        "//collector.example/v1",
        "ftp://collector.example/v1",
        "HTTPS://collector.example/v1",
        "https:collector.example",
        "https:/collector.example",
        "https:///v1",
        "https://",
        "https://:443/",
        "https://user@collector.example/",
        "https://user:password@collector.example/",
        "https://collector.example@evil.example/",
        "https://collector.example\\@evil.example/",
        "https://collector.example/v1#top",
        "https://collector.example/v1#",
        "https://collector.example/a b",
        "https://collector.example/a\r\nHost: evil.example",
        "https://collector.example/a\tb",
        "https://collector.example/%",
        "https://collector.example/%zz",
        "https://collector.example/{x}",
        'https://collector.example/"',
        "https://collector.example/a\\b",
        "https://collector.example/ä",
        "https://collector.example:/",
        "https://collector.example:99999/",
        "https://collector.example./",
        "https://127.1/",
        "https://2001:db8::1/",
        "https://collector.example/" + "a" * 2048,
    ],
)
def test_what_could_be_read_in_two_ways_is_no_url(text):
    with pytest.raises(ConfigError) as caught:
        parse_url(text)

    (problem,) = caught.value.problems
    assert problem.key == "url"
    assert "https://" in problem.allowed


@pytest.mark.parametrize("text", ["https://user:pa55word@host/", "https://host/pa55word#", "pa55word@host:1"])
def test_a_password_in_the_wrong_place_is_not_repeated(text):
    for parse in (parse_url, parse_endpoint):
        with pytest.raises(ConfigError) as caught:
            parse(text)
        assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.255.254", "::1"])
def test_loopback_is_this_machine(address):
    assert is_loopback(address)
    require_local(Endpoint(address, 1), "endpoint")


@pytest.mark.parametrize(
    "address",
    [
        "128.0.0.1",
        "0.0.0.0",  # noqa: S104 - refused here
        "10.0.0.1",
        "::",
        "::2",
        "::ffff:127.0.0.1",
        "::1%lo",
        "127.1",
        "localhost.example",
        "localhost.",
        "localhos",
        "",
    ],
)
def test_nothing_else_is_this_machine(address):
    assert not is_loopback(address)
    with pytest.raises(ConfigError, match="plaintext"):
        require_local(Endpoint(address, 1), "endpoint")


def test_localhost_is_local_by_its_name():
    assert Endpoint("localhost", 1).is_local
    assert not is_loopback("localhost")
    require_local(Endpoint("localhost", 1), "endpoint")


@given(st.text(max_size=60) | st.text("[]:.%@/\\?#0123456789abcdefx- \n", max_size=40))
def test_any_text_is_an_endpoint_and_spells_itself_or_is_refused(text):
    for candidate in (text, f"{text}:7443", f"host{text}:1", f"[{text}]:1"):
        try:
            found = parse_endpoint(candidate)
        except ConfigError:
            continue
        assert found.authority.lower() == candidate.lower() or candidate.startswith("[")
        assert parse_endpoint(found.authority) == found


@given(st.text(max_size=60) | st.text("[]:.%@/\\?#0123456789abcdefx- \n", max_size=40))
def test_any_text_is_a_url_with_a_harmless_target_or_is_refused(text):
    for candidate in (text, f"https://{text}", f"https://host{text}", f"https://host/{text}"):
        try:
            found = parse_url(candidate)
        except ConfigError:
            continue
        assert found.target.startswith("/")
        assert found.target.isascii()
        assert not {" ", "\r", "\n", "#", "\\"} & set(found.target)
