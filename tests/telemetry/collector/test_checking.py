"""Only envelopes of ours are kept, and no name of a source leads anywhere but into a file of the folder."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.collector.support import SOURCE, line, loss
from townlet_adapters.telemetry.collector.checking import (
    LineError,
    check_envelope,
    check_line,
    file_stem,
    require_source,
)
from townlet_adapters.telemetry.envelope import LINE_START, MAX_EVENT_BYTES

GOOD = orjson.loads(line(7))


def test_a_line_of_ours_is_kept_as_it_is():
    event = check_line(line(7), SOURCE)
    assert (event.source, event.sequence, event.line, event.loss) == (SOURCE, 7, line(7), None)


def test_a_line_in_another_spelling_is_kept_in_ours():
    text = orjson.dumps(dict(reversed(GOOD.items())), option=orjson.OPT_INDENT_2)
    kept = check_line(text, SOURCE).line
    assert kept.startswith(LINE_START)
    assert kept.count(b"\n") == 1
    assert orjson.loads(kept) == GOOD


def test_a_line_of_the_version_before_an_update_is_kept():
    """An outbox may hold it; the collector is updated first."""
    before = line(7).replace(b"restock:2", b"restock:1")
    assert check_line(before, SOURCE).line == before


def test_a_key_given_twice_means_one_thing_only():
    text = line(7).replace(b'"tick":0', b'"tick":0,"source":"urn:townlet:run:other:p1"')
    with pytest.raises(LineError, match="other_source"):
        check_line(text, SOURCE)


def test_a_loss_record_tells_what_is_lost():
    lost = check_line(loss(9, [(3, 4), (6, 6)], reason="process_died"), SOURCE).loss
    assert (lost.source, lost.reason, list(lost.ranges)) == (SOURCE, "process_died", [(3, 4), (6, 6)])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"specversion": "0.3"}, "not_an_envelope"),
        ({"id": "00000000000000000008"}, "not_an_envelope"),
        ({"id": 7, "sequence": 7}, "not_an_envelope"),
        ({"id": "7", "sequence": "7"}, "not_an_envelope"),
        ({"id": "\u0660" * 20, "sequence": "\u0660" * 20}, "not_an_envelope"),
        ({"id": "9" * 20, "sequence": "9" * 20}, "not_an_envelope"),
        ({"type": "town.loop.tick"}, "not_an_envelope"),
        ({"type": None}, "not_an_envelope"),
        ({"dataschema": "urn:townlet:event:economy.rent:1"}, "not_an_envelope"),
        ({"dataschema": "urn:townlet:event:economy.restock:3"}, "unknown_schema"),
        ({"dataschema": "urn:townlet:event:economy.restock:0"}, "unknown_schema"),
        ({"dataschema": None}, "not_an_envelope"),
        ({"type": "townlet.Bad Kind", "dataschema": "urn:townlet:event:Bad Kind:1"}, "not_an_envelope"),
        ({"datacontenttype": "text/plain"}, "not_an_envelope"),
        ({"time": None}, "not_an_envelope"),
        ({"tick": -1}, "not_an_envelope"),
        ({"tick": True}, "not_an_envelope"),
        ({"tick": 2**53}, "not_an_envelope"),
        ({"data": [1]}, "not_an_envelope"),
        ({"source": "urn:townlet:run:other:p1"}, "other_source"),
        ({"source": "/etc/passwd"}, "bad_source"),
        ({"source": 5}, "bad_source"),
        ({"data": {"deep": orjson.loads("[" * 100 + "]" * 100)}}, None),
        ({"data": {"big": "x" * MAX_EVENT_BYTES}}, "too_large"),
    ],
)
def test_whatever_is_no_envelope_of_the_source_is_refused_with_the_reason(change, reason):
    if reason is None:
        assert check_envelope({**GOOD, **change}, SOURCE).sequence == 7
        return
    with pytest.raises(LineError) as refused:
        check_envelope({**GOOD, **change}, SOURCE)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"\n", "not_json"),
        (b"GET / HTTP/1.1\n", "not_json"),
        (b'{"specversion":"1.0"', "not_json"),
        (b"[]\n", "not_an_envelope"),
        (b"null\n", "not_an_envelope"),
        (b"[" * 2000 + b"]" * 2000, "not_json"),
        (line(1).replace(b'"n":1', b'"n":' + b"[" * 600 + b"]" * 600), "not_json"),
        (line(1).replace(b"fridge_1", rb"\ud800"), "not_json"),
        (line(1).replace(b"fridge_1", b"\xff\xfe"), "not_json"),
        (line(1).replace(b'"n":1', b'"n":NaN'), "not_json"),
        (b" " * (MAX_EVENT_BYTES + 2), "too_large"),
    ],
)
def test_whatever_is_no_json_or_too_much_is_refused(text, reason):
    with pytest.raises(LineError) as refused:
        check_line(text, SOURCE)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "data",
    [
        {"source": "../../etc", "ranges": [], "count": 0, "reason": "x"},
        {"source": SOURCE, "ranges": [[2, 1]], "count": 0, "reason": "x"},
        {"source": SOURCE, "ranges": [[-1, 1]], "count": 0, "reason": "x"},
        {"source": SOURCE, "ranges": [[0, 2**63]], "count": 0, "reason": "x"},
        {"source": SOURCE, "ranges": [[True, 1]], "count": 0, "reason": "x"},
        {"source": SOURCE, "ranges": [[0, 1, 2]], "count": 0, "reason": "x"},
        {"source": SOURCE, "ranges": {"0": 1}, "count": 0, "reason": "x"},
        {"source": SOURCE, "ranges": [[0, 1]], "count": 0, "reason": "X" * 65},
        {"source": SOURCE, "ranges": [[0, 1]], "count": 0, "reason": "a\nb"},
        {},
    ],
)
def test_a_loss_record_that_makes_no_sense_is_refused(data):
    with pytest.raises(LineError, match="bad_loss"):
        check_line(line(1, kind="telemetry.loss", data=data), SOURCE)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "urn:townlet:run:a",
        "urn:townlet:run:a:p",
        "urn:townlet:run:a:p01",
        "urn:townlet:run:a:p-1",
        "urn:townlet:run:a:p1\n",
        "urn:townlet:run::p1",
        "urn:townlet:run:../../x:p1",
        "urn:townlet:run:a/b:p1",
        "urn:townlet:run:a\\b:p1",
        "urn:townlet:run:a\0b:p1",
        "urn:townlet:run:ä:p1",
        "urn:townlet:run:" + "a" * 300 + ":p1",
        "urn:townlet:run:a:p" + "1" * 11,
    ],
)
def test_names_that_are_no_source_are_refused(source):
    with pytest.raises(LineError, match="bad_source"):
        require_source(source)


@given(st.from_regex(r"[A-Za-z0-9._~%-]{1,120}", fullmatch=True), st.integers(0, 9_999_999_999))
def test_the_file_of_any_source_lies_in_the_folder_under_a_harmless_name(run, producer):
    source = f"urn:townlet:run:{run}:p{producer}"
    require_source(source)
    stem = file_stem(source)
    assert len(stem) < 200
    assert not set(stem) - set("abcdefghijklmnopqrstuvwxyz0123456789_-~.")
    assert not stem.startswith((".", "-"))


def test_sources_that_differ_in_case_alone_have_files_that_differ_in_more():
    stems = {
        file_stem(f"urn:townlet:run:{run}:p1").lower() for run in ("abc", "ABC", "Abc", "..", "a.b", "a%2e")
    }
    assert len(stems) == 6


@given(
    st.binary(max_size=300) | st.builds(lambda cut, n: line(n)[:cut], st.integers(0, 300), st.integers(0, 9))
)
def test_any_bytes_are_either_kept_or_refused(data):
    try:
        event = check_line(data, SOURCE)
    except LineError:
        return
    assert event.source == SOURCE


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_value_in_the_place_of_any_attribute_is_kept_or_refused(value):
    for name in GOOD:
        changed = {**GOOD, name: value}
        try:
            event = check_envelope(changed, SOURCE)
        except LineError:
            continue
        assert event.source == SOURCE
        assert orjson.loads(event.line) == changed
