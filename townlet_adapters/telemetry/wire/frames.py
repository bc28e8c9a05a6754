"""Encodes and decodes the frames of TLS-TCP; for both ends, and without a socket.

A frame is a header of 28 bytes, big endian, and a payload::

    magic "TWN1" | version u8 | type u8 | flags u16 | length u32 | first_seq u64 | count u32 | crc32 u32

``length`` counts the payload's bytes, ``crc32`` covers the header before it and the payload, flags are 0.
``first_seq`` and ``count`` are the number of the first line and the number of lines in DATA, and 0 in others.
DATA has the lines as they are in a file; PING, PONG and BYE have no payload; the others have a JSON
object, in which a reader ignores unknown members.

One connection serves one source::

    client: HELLO(source, token)                 DATA DATA ...                        BYE
    server:                      HELLO_ACK(n)             ACK(n) ... or NACK(code)

Either end may send PING at any time after HELLO_ACK; the answer is PONG. A violation of these rules ends the
connection; the client opens a new one and continues after the number that HELLO_ACK reports as stored.
"""

import struct
import zlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal, TypeAlias, get_args

import orjson

from townlet_adapters.telemetry.envelope import MAX_EVENT_BYTES
from townlet_core.jsonvalue import JsonObject

VERSION: Final = 1
NOTHING: Final = -1
"""``stored_through`` of a source without stored events."""
MAX_LINES: Final = 512
"""Most lines in one DATA frame."""
MAX_DATA_BYTES: Final = MAX_EVENT_BYTES
"""Most bytes of lines in one DATA frame; room for the longest line."""
WINDOW: Final = 8
"""Most DATA frames that may be unacknowledged."""
MAX_TOKEN: Final = 4096
MAX_SOURCE: Final = 1024
MAX_SOFTWARE: Final = 128

HEADER_BYTES: Final = 28

_MAGIC: Final = b"TWN1"
_HEAD: Final = struct.Struct(">4sBBHIQI")
_CRC: Final = struct.Struct(">I")
_MAX_NUMBER: Final = 2**64 - 1
_MAX_RETRY_AFTER: Final = 86_400

NackCode: TypeAlias = Literal[
    "unauthorized", "forbidden", "version", "protocol", "poison", "overloaded", "unavailable"
]
"""Why a server refuses, in this order: the token is wrong; the token or certificate may not send this source;
there is no common version; a rule above was broken; it will never accept a line; too much at once; it cannot
store."""

FrameFault: TypeAlias = Literal["magic", "version", "type", "flags", "length", "count", "crc", "payload"]
"""Which part of a frame is wrong; ``type`` also when the frame is not allowed now."""

_NACK_CODES: Final[Mapping[str, NackCode]] = {code: code for code in get_args(NackCode)}


class FrameType(IntEnum):
    """The type byte."""

    HELLO = 1
    HELLO_ACK = 2
    DATA = 3
    ACK = 4
    NACK = 5
    PING = 6
    PONG = 7
    BYE = 8


FROM_CLIENT: Final = frozenset({FrameType.DATA, FrameType.PING, FrameType.PONG, FrameType.BYE})
"""What a client may send after HELLO_ACK; before that, only HELLO."""
FROM_SERVER: Final = frozenset(
    {
        FrameType.HELLO_ACK,
        FrameType.ACK,
        FrameType.NACK,
        FrameType.PING,
        FrameType.PONG,
        FrameType.BYE,
    }
)
"""What a server may send."""

_MOST_BYTES: Final[Mapping[FrameType, int]] = {
    FrameType.HELLO: 1 << 14,
    FrameType.HELLO_ACK: 1 << 10,
    FrameType.DATA: MAX_DATA_BYTES,
    FrameType.ACK: 1 << 10,
    FrameType.NACK: 1 << 10,
    FrameType.PING: 0,
    FrameType.PONG: 0,
    FrameType.BYE: 0,
}


class FrameError(Exception):
    """The bytes are not a frame, or the frame is not allowed now; the connection cannot be used any more.

    Attributes:
        code: which part is wrong.
    """

    def __init__(self, code: FrameFault, message: str) -> None:
        """Store code and message; the message never quotes the payload."""
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Hello:
    """The client identifies itself and its source.

    Attributes:
        source: the ``source`` of all lines of this connection.
        token: printable ASCII; empty when the certificate is enough.
        software: name and version of the sender, for people.
        oldest: oldest version of this protocol that the sender supports.
        newest: newest version that it supports.
    """

    source: str
    token: str = field(default="", repr=False)
    software: str = ""
    oldest: int = VERSION
    newest: int = VERSION


@dataclass(frozen=True, slots=True)
class HelloAck:
    """The server accepts the client, which may begin to send.

    Attributes:
        stored_through: the highest number of the source that is stored for good, together with every earlier
            one that will ever come; ``NOTHING`` for a new source.
        version: the version to use.
    """

    stored_through: int
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Data:
    """Lines of the connection's source.

    Attributes:
        first_seq: number of the first line; the other lines contain their numbers, which ascend.
        lines: the envelopes, each with its newline.
    """

    first_seq: int
    lines: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Ack:
    """Every line up to a number is stored for good."""

    stored_through: int


@dataclass(frozen=True, slots=True)
class Nack:
    """The server refuses and closes the connection.

    Attributes:
        code: the reason.
        retry_after: seconds to wait before the next attempt, or None for no preference.
    """

    code: NackCode
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """The sender asks whether the other end is alive."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to PING."""


@dataclass(frozen=True, slots=True)
class Bye:
    """This end will send nothing more."""


Frame: TypeAlias = Hello | HelloAck | Data | Ack | Nack | Ping | Pong | Bye


def encode(frame: Frame) -> bytes:
    """Encode a frame.

    Raises:
        ValueError: when it is larger than a reader would take.
    """
    match frame:
        case Data():
            return _encode_data(frame)
        case Hello():
            return _encode_json(FrameType.HELLO, _hello_members(frame))
        case HelloAck(stored_through, version):
            return _encode_json(FrameType.HELLO_ACK, {"stored_through": stored_through, "version": version})
        case Ack(stored_through):
            return _encode_json(FrameType.ACK, {"stored_through": stored_through})
        case Nack(code, retry_after):
            return _encode_json(FrameType.NACK, {"code": code, "retry_after": retry_after})
        case Ping() | Pong() | Bye():
            return _encode_frame(_TYPES_OF_EMPTY[type(frame)], 0, 0, b"")


_EMPTY: Final[Mapping[FrameType, Ping | Pong | Bye]] = {
    FrameType.PING: Ping(),
    FrameType.PONG: Pong(),
    FrameType.BYE: Bye(),
}
_TYPES_OF_EMPTY: Final = {type(frame): kind for kind, frame in _EMPTY.items()}


def _encode_data(frame: Data) -> bytes:
    if not 1 <= len(frame.lines) <= MAX_LINES:
        raise ValueError(f"a frame has 1 to {MAX_LINES} lines, not {len(frame.lines)}")
    return _encode_frame(FrameType.DATA, frame.first_seq, len(frame.lines), b"".join(frame.lines))


def _hello_members(frame: Hello) -> JsonObject:
    return {
        "source": frame.source,
        "token": frame.token,
        "software": frame.software,
        "oldest": frame.oldest,
        "newest": frame.newest,
    }


def _encode_json(kind: FrameType, members: JsonObject) -> bytes:
    return _encode_frame(kind, 0, 0, orjson.dumps(members))


def _encode_frame(kind: FrameType, first_seq: int, count: int, payload: bytes) -> bytes:
    if len(payload) > _MOST_BYTES[kind]:
        raise ValueError(f"{kind.name} has at most {_MOST_BYTES[kind]} bytes, not {len(payload)}")
    head = _HEAD.pack(_MAGIC, VERSION, kind, 0, len(payload), first_seq, count)
    return b"".join((head, _CRC.pack(zlib.crc32(payload, zlib.crc32(head))), payload))


class FrameReader:
    """Splits a stream of bytes into frames; it keeps at most one incomplete frame and the bytes fed last.

    Attributes:
        accepts: the types that are allowed now. Others are refused by their header, so that an unknown client
            cannot make the server keep more than a HELLO in memory.
    """

    __slots__ = ("_buffer", "_fault", "accepts")

    def __init__(self, accepts: AbstractSet[FrameType]) -> None:
        """Start at the beginning of a stream."""
        self.accepts = accepts
        self._buffer = bytearray()
        self._fault: FrameError | None = None

    @property
    def buffered(self) -> int:
        """Number of bytes in memory: of an incomplete frame, or of frames not yet taken."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add received bytes; call ``next_frame`` until it returns None before feeding more.

        Raises:
            FrameError: when an earlier frame was wrong.
        """
        if self._fault is not None:
            raise self._fault
        self._buffer += data

    def next_frame(self) -> Frame | None:
        """Return the next frame, None when more bytes are needed.

        Raises:
            FrameError: when the bytes are not a frame that is allowed now; also on every later call.
        """
        if self._fault is not None:
            raise self._fault
        try:
            return self._next()
        except FrameError as error:
            self._fault = error
            self._buffer.clear()
            raise

    def _next(self) -> Frame | None:
        buffer = self._buffer
        # Another protocol is recognised by its first bytes, without waiting for more.
        if not _MAGIC.startswith(buffer[: len(_MAGIC)]):
            raise FrameError("magic", "this is not a frame: it does not begin with TWN1")
        if len(buffer) < HEADER_BYTES:
            return None
        _, version, type_byte, flags, length, first_seq, count = _HEAD.unpack_from(buffer)
        if version != VERSION:
            raise FrameError("version", f"a frame of version {version}; this end supports {VERSION}")
        kind = self._kind(type_byte)
        if flags:
            raise FrameError("flags", f"{kind.name} has unknown flags {flags:#06x}")
        if length > _MOST_BYTES[kind]:
            raise FrameError(
                "length", f"{kind.name} of {length} bytes; at most {_MOST_BYTES[kind]} are allowed"
            )
        end = HEADER_BYTES + length
        if len(buffer) < end:
            return None
        (crc,) = _CRC.unpack_from(buffer, _HEAD.size)
        with memoryview(buffer) as view:
            payload = bytes(view[HEADER_BYTES:end])
            found = zlib.crc32(payload, zlib.crc32(view[: _HEAD.size]))
        if found != crc:
            raise FrameError("crc", f"{kind.name} was damaged in transit")
        del buffer[:end]
        if kind is FrameType.DATA:
            return _parse_data(first_seq, count, payload)
        if first_seq or count:
            raise FrameError("count", f"{kind.name} counts lines, but has none")
        return _parse_control(kind, payload)

    def _kind(self, type_byte: int) -> FrameType:
        try:
            kind = FrameType(type_byte)
        except ValueError:
            raise FrameError("type", f"a frame of unknown type {type_byte}") from None
        if kind not in self.accepts:
            raise FrameError("type", f"{kind.name} is not allowed now")
        return kind


def _parse_data(first_seq: int, count: int, payload: bytes) -> Data:
    if not 1 <= count <= MAX_LINES:
        raise FrameError("count", f"DATA of {count} lines; 1 to {MAX_LINES} are allowed")
    lines = tuple(payload.splitlines(keepends=True))
    # splitlines also splits at a carriage return: only both counts together prove that newlines did it.
    if len(lines) != count or payload.count(b"\n") != count or b"\n" in lines:
        raise FrameError("payload", f"DATA announces {count} lines and has another number")
    return Data(first_seq, lines)


def _parse_control(kind: FrameType, payload: bytes) -> Frame:
    if kind in _EMPTY:
        return _EMPTY[kind]
    members = _Members(kind, payload)
    match kind:
        case FrameType.HELLO:
            return _parse_hello(members)
        case FrameType.HELLO_ACK:
            return HelloAck(members.number("stored_through", NOTHING), members.number("version", 1, 255))
        case FrameType.ACK:
            return Ack(members.number("stored_through", NOTHING))
        case _:
            return Nack(members.nack_code(), members.retry_after())


def _parse_hello(members: "_Members") -> Hello:
    oldest, newest = members.number("oldest", 1, 255), members.number("newest", 1, 255)
    if newest < oldest:
        raise members.fault("newest")
    source = members.text("source", MAX_SOURCE)
    if not source:
        raise members.fault("source")
    return Hello(
        source=source,
        token=members.text("token", MAX_TOKEN),
        software=members.text("software", MAX_SOFTWARE),
        oldest=oldest,
        newest=newest,
    )


class _Members:
    """Reads the members of a control frame's JSON object, each of exactly one type."""

    def __init__(self, kind: FrameType, payload: bytes) -> None:
        self._kind = kind
        try:
            found: object = orjson.loads(payload)
        except orjson.JSONDecodeError:
            # Without its cause, which quotes the payload; that may contain a token.
            raise FrameError("payload", f"the payload of {kind.name} is not JSON") from None
        if not isinstance(found, dict):
            raise FrameError("payload", f"the payload of {kind.name} is not a JSON object")
        self._found: dict[str, object] = found

    def fault(self, name: str) -> FrameError:
        return FrameError("payload", f"{self._kind.name}: '{name}' is missing or not valid")

    def number(self, name: str, least: int, most: int = _MAX_NUMBER) -> int:
        value = self._found.get(name)
        if type(value) is not int or not least <= value <= most:
            raise self.fault(name)
        return value

    def text(self, name: str, most: int) -> str:
        value = self._found.get(name)
        if not isinstance(value, str) or len(value) > most or not is_plain(value):
            raise self.fault(name)
        return value

    def nack_code(self) -> NackCode:
        code = _NACK_CODES.get(self.text("code", 32))
        if code is None:
            raise self.fault("code")
        return code

    def retry_after(self) -> float | None:
        value = self._found.get("retry_after")
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 <= value <= _MAX_RETRY_AFTER
        ):
            raise self.fault("retry_after")
        return float(value)


def is_plain(text: str) -> bool:
    """Return whether a text is printable ASCII, as source, token and software must be."""
    return text.isascii() and text.isprintable()
