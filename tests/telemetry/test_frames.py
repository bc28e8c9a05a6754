"""The frames of TLS-TCP: what comes in as bytes is a frame or a FrameError, and nothing else."""

import contextlib
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.faults import line
from townlet_adapters.telemetry.wire.frames import (
    HEADER_BYTES,
    MAX_DATA_BYTES,
    MAX_LINES,
    NOTHING,
    Ack,
    Bye,
    Data,
    FrameError,
    FrameReader,
    FrameType,
    Hello,
    HelloAck,
    Nack,
    Ping,
    Pong,
    encode,
)

ALL = frozenset(FrameType)
ONE_OF_EACH = [
    Hello("urn:townlet:run:r:p1", "secret-token", "townlet 1", oldest=1, newest=3),
    HelloAck(NOTHING),
    HelloAck(2**64 - 1, version=2),
    Data(7, (line(7), line(9, 300))),
    Ack(0),
    Nack("overloaded", 2.5),
    Nack("poison"),
    Ping(),
    Pong(),
    Bye(),
]

plain = st.text(st.characters(min_codepoint=32, max_codepoint=126))
numbers = st.integers(0, 2**64 - 1)
frames = st.one_of(
    st.builds(Hello, source=plain.filter(bool), token=plain, software=plain.map(lambda text: text[:128])),
    st.builds(HelloAck, st.integers(NOTHING, 2**64 - 1)),
    st.builds(
        Data,
        numbers,
        st.lists(st.binary(min_size=1).filter(lambda each: not {10, 13} & set(each)), min_size=1).map(
            lambda found: tuple(each + b"\n" for each in found)
        ),
    ),
    st.builds(Ack, numbers),
    st.builds(Nack, st.sampled_from(["unauthorized", "poison"]), st.none() | st.floats(0, 86_400)),
    st.sampled_from([Ping(), Pong(), Bye()]),
)


def read(data, accepts=ALL, pieces=1 << 16):
    reader = FrameReader(accepts)
    found = []
    for start in range(0, len(data), pieces):
        reader.feed(data[start : start + pieces])
        while (frame := reader.next_frame()) is not None:
            found.append(frame)
    return found


def fault(data, accepts=ALL):
    with pytest.raises(FrameError) as caught:
        read(data, accepts)
    return caught.value.code


def spell(  # noqa: PLR0913 - one argument for each part of a frame
    kind, payload=b"", *, magic=b"TWN1", version=1, flags=0, length=None, first_seq=0, count=0, crc=None
):
    """A frame with any part of it wrong, and a checksum that is right unless told."""
    length = len(payload) if length is None else length
    head = struct.pack(">4sBBHIQI", magic, version, kind, flags, length, first_seq, count)
    crc = zlib.crc32(payload, zlib.crc32(head)) if crc is None else crc
    return head + struct.pack(">I", crc) + payload


def test_a_frame_looks_as_documented():
    assert encode(Data(7, (b"{}\n",))) == spell(3, b"{}\n", first_seq=7, count=1)
    assert encode(Ping()) == spell(6)
    assert encode(Ack(-1)) == spell(4, b'{"stored_through":-1}')
    assert len(encode(Bye())) == HEADER_BYTES == 28


def test_every_frame_survives_the_way_in_pieces_of_any_size():
    stream = b"".join(encode(frame) for frame in ONE_OF_EACH)

    for pieces in (1, 2, 3, 27, 28, 29, len(stream)):
        assert read(stream, pieces=pieces) == ONE_OF_EACH


def test_a_token_is_not_in_the_representation():
    assert "secret-token" not in repr(ONE_OF_EACH[0])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (spell(6, magic=b"TWN2"), "magic"),
        (b"HTT", "magic"),
        (b"\x16\x03\x01\x02\x00", "magic"),
        (spell(6, version=2), "version"),
        (spell(6, version=0), "version"),
        (spell(0), "type"),
        (spell(9), "type"),
        (spell(255), "type"),
        (spell(6, flags=1), "flags"),
        (spell(6, b"x"), "length"),
        (spell(3, length=2**32 - 1, count=1), "length"),
        (spell(3, length=MAX_DATA_BYTES + 1, count=1), "length"),
        (spell(1, length=1 << 15), "length"),
        (spell(4, length=1025), "length"),
        (spell(6, crc=1), "crc"),
        (spell(4, b'{"stored_through":1}', crc=1), "crc"),
        (spell(3, b"{}\n", count=0), "count"),
        (spell(3, b"{}\n" * 513, count=513), "count"),
        (spell(3, b"{}\n", count=2**32 - 1), "count"),
        (spell(6, count=1), "count"),
        (spell(4, b'{"stored_through":1}', first_seq=1), "count"),
        (spell(3, b"{}\n", count=2), "payload"),
        (spell(3, b"{}\n{}\n", count=1), "payload"),
        (spell(3, b"{}", count=1), "payload"),
        (spell(3, b"{}\n{}", count=2), "payload"),
        (spell(3, b"\n", count=1), "payload"),
        (spell(3, b"{}\n\n", count=2), "payload"),
        (spell(3, b"{\r}\n", count=1), "payload"),
        (spell(3, b"{\r}\n", count=2), "payload"),
        (spell(3, b"", count=1), "payload"),
        (spell(4, b""), "payload"),
        (spell(4, b"[]"), "payload"),
        (spell(4, b"{}"), "payload"),
        (spell(4, b"[" * 1000), "payload"),
        (spell(4, b'{"stored_through":\xff}'), "payload"),
        (spell(4, b'{"stored_through":-2}'), "payload"),
        (spell(4, b'{"stored_through":1.0}'), "payload"),
        (spell(4, b'{"stored_through":true}'), "payload"),
        (spell(4, b'{"stored_through":"1"}'), "payload"),
        (spell(4, b'{"stored_through":18446744073709551616}'), "payload"),
        (spell(2, b'{"stored_through":1}'), "payload"),
        (spell(2, b'{"stored_through":1,"version":256}'), "payload"),
        (spell(5, b'{"code":"whatever"}'), "payload"),
        (spell(5, b'{"code":["poison"]}'), "payload"),
        (spell(5, b'{"code":"poison","retry_after":-1}'), "payload"),
        (spell(5, b'{"code":"poison","retry_after":1e999}'), "payload"),
        (spell(5, b'{"code":"poison","retry_after":NaN}'), "payload"),
        (spell(5, b'{"code":"poison","retry_after":true}'), "payload"),
        (spell(5, b'{"code":"poison","retry_after":"9"}'), "payload"),
        (spell(1, b'{"source":"","token":"","software":"","oldest":1,"newest":1}'), "payload"),
        (spell(1, b'{"source":"s","token":"","software":"","oldest":2,"newest":1}'), "payload"),
        (spell(1, b'{"source":"s","token":"","software":"","oldest":0,"newest":1}'), "payload"),
        (spell(1, b'{"source":"s\\n","token":"","software":"","oldest":1,"newest":1}'), "payload"),
        (spell(1, '{"source":"s","token":"\xe9","software":"","oldest":1,"newest":1}'.encode()), "payload"),
        (
            spell(1, b'{"source":"%b","token":"","software":"","oldest":1,"newest":1}' % (b"s" * 1025)),
            "payload",
        ),
        (spell(1, b'{"source":"s","software":"","oldest":1,"newest":1}'), "payload"),
    ],
)
def test_what_is_no_frame_is_refused_by_name(data, code):
    assert fault(data) == code


def test_a_member_that_a_later_version_adds_is_skipped():
    assert read(spell(4, b'{"stored_through":1,"mood":"good"}')) == [Ack(1)]


def test_a_frame_that_has_no_place_here_is_refused_by_its_header():
    head = spell(3, length=MAX_DATA_BYTES, count=1)

    assert fault(head, accepts={FrameType.HELLO}) == "type"
    assert read(head) == []


def test_what_a_reader_accepts_may_change_between_two_frames():
    reader = FrameReader({FrameType.HELLO})
    reader.feed(encode(ONE_OF_EACH[0]) + encode(Bye()))
    assert reader.next_frame() == ONE_OF_EACH[0]

    reader.accepts = {FrameType.BYE}

    assert reader.next_frame() == Bye()


def test_a_broken_stream_stays_broken_and_is_not_collected_any_more():
    reader = FrameReader(ALL)
    reader.feed(b"garbage")
    with pytest.raises(FrameError, match="TWN1"):
        reader.next_frame()

    with pytest.raises(FrameError, match="TWN1"):
        reader.feed(encode(Ping()))
    with pytest.raises(FrameError, match="TWN1"):
        reader.next_frame()
    assert reader.buffered == 0


def test_no_error_quotes_what_was_sent():
    hostile = [
        spell(1, b'{"source":"s","token":"secret-token\\u0000"}'),
        spell(1, b'{"token":"secret-token",'),
        spell(1, b"secret-token", crc=0),
    ]
    for data in hostile:
        with pytest.raises(FrameError) as caught:
            read(data)
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_length_of_4_gib_allocates_nothing():
    tracemalloc.start()
    try:
        for kind in range(256):
            fault(spell(kind, length=2**32 - 1, count=1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "frame",
    [
        Data(0, ()),
        Data(0, (b"{}\n",) * (MAX_LINES + 1)),
        Data(0, (b"x" * MAX_DATA_BYTES, b"\n")),
        Hello(source="s" * 20_000),
    ],
)
def test_what_no_reader_would_take_is_not_spelled(frame):
    with pytest.raises(ValueError, match=r"has (at most|1 to)"):
        encode(frame)


def test_the_largest_frame_is_taken():
    lines = (b"x" * (MAX_DATA_BYTES - 1) + b"\n",)

    assert read(encode(Data(0, lines)), pieces=1000) == [Data(0, lines)]


@given(st.lists(frames, max_size=6), st.integers(1, 200))
def test_any_frames_come_back_as_they_were(sent, pieces):
    assert read(b"".join(encode(frame) for frame in sent), pieces=pieces) == sent


@given(st.binary(max_size=200), st.sampled_from([b"", b"TWN1", b"TWN1\x01", b"TWN1\x01\x03\x00\x00"]))
def test_arbitrary_bytes_give_an_error_or_wait_for_more(garbage, beginning):
    with contextlib.suppress(FrameError):
        assert read(beginning + garbage) == []


@given(st.lists(frames, min_size=1, max_size=4), st.data())
def test_a_changed_byte_gives_an_error_or_waits_for_more(sent, data):
    """A checksum covers every byte but its own; a changed length may also make the reader wait."""
    stream = bytearray(b"".join(encode(frame) for frame in sent))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(stream))
    except FrameError:
        return
    assert found == sent[: len(found)]
    assert len(found) < len(sent)


@given(st.sampled_from(sorted(ALL)), st.binary(max_size=100), numbers, st.integers(0, 600))
def test_any_payload_under_a_right_checksum_gives_a_frame_or_an_error(kind, payload, first_seq, count):
    try:
        (frame,) = read(spell(kind, payload, first_seq=first_seq, count=count))
    except FrameError:
        return
    assert read(encode(frame)) == [frame]
