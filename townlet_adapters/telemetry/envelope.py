"""Messages as CloudEvents 1.0 in structured JSON, one line each; pure functions.

An envelope is made in two steps, because its number is known only once it has a place in the buffer: an
``Encoder`` does all the work, ``seal`` adds the number in front.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import quote

import orjson

from townlet_adapters.telemetry.streams import STATE_FRAME, frame_data
from townlet_core.dto.frame import StateFrame
from townlet_core.dto.plan import PLAN_KIND, PlanMessage
from townlet_core.dto.seen import OBSERVATION_BATCH, ObservationMessage
from townlet_core.events.base import Event, Fact
from townlet_core.events.schema import event_data, event_json, schema_id
from townlet_core.jsonvalue import JsonObject, JsonValue, canonical_json
from townlet_core.ports.telemetry import Message
from townlet_core.records import record_to_json


class Shedding(IntEnum):
    """The class of a message; without room for everything, the highest number is dropped first."""

    CRITICAL = 0
    NORMAL = 1
    BULK = 2


MAX_EVENT_BYTES: Final = 1 << 20
SOFT_EVENT_BYTES: Final = 64 << 10
"""A longer line is sent all the same, and counted: it takes the room of many others."""
MAX_DEPTH: Final = 32
MAX_INTEGER: Final = 2**53 - 1
LINE_START: Final = b'{"specversion":"1.0",'
"""The beginning of every line; it identifies whole lines after a crash."""

Refusal: TypeAlias = Literal[
    "not_finite", "integer_range", "not_unicode", "too_deep", "too_large", "not_json"
]
"""Why a message is rejected: a NaN or infinity; an integer beyond 2**53 - 1; text with a lone surrogate; more
than 32 levels; more than 1 MiB; anything else that is not JSON."""

_OPTIONS = orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_ROOM = MAX_DEPTH - 1  # levels of the data; the envelope is one
_MOST_HEADS = 4096
_LONG_NUMBER: Final = re.compile(rb"[:,\[-][0-9]{16}")
"""A number of so many digits before the point may be beyond ``MAX_INTEGER``. Canonical JSON has no spaces."""
_NULL = re.compile(b"null")  # faster than `in` by a quarter
_LONG = 2048  # from this size on, counting brackets first is not worthwhile
_BRACES = bytes.maketrans(b"[]", b"{}")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_REFUSALS: Final[tuple[tuple[str, Refusal], ...]] = (
    ("53-bit", "integer_range"),
    ("64-bit", "integer_range"),
    ("surrogates", "not_unicode"),
    ("Recursion", "too_deep"),
    ("recursion", "too_deep"),
)


class EnvelopeError(Exception):
    """A message must be rejected.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: Refusal) -> None:
        """Keep the reason."""
        self.reason = reason
        super().__init__(reason)


class Record(NamedTuple):
    """A message that is not a fact, as the envelope needs it.

    Attributes:
        kind: its kind.
        tick: the executed tick.
        data: the payload.
        baseseq: number of the message that ``data`` is a patch of, None when it is whole.
        state: the consumer's state after the message, whose hash the envelope carries; None for no hash.
        planhash: hash of the plan that the envelope carries, empty for none.
    """

    kind: str
    tick: int
    data: JsonObject
    baseseq: int | None = None
    state: "JsonObject | None" = None
    planhash: str = ""


def source_urn(run_id: str, producer: int) -> str:
    """Return the source of the producer number ``producer`` of a run; one sequence belongs to one source."""
    return f"urn:townlet:run:{quote(run_id, safe='')}:p{producer}"


class Encoder:
    """Encodes the envelopes of one source, without their numbers; safe to use from several threads."""

    def __init__(self, source: str) -> None:
        """Encode for ``source``, from ``source_urn``."""
        self._source = source
        self._heads: dict[str, tuple[bytes, Shedding]] = {}
        self._shapes: dict[str, bytes] = {}
        self._stamp = -1, b""

    def body(self, message: Message, wall: float) -> tuple[bytes, Shedding]:
        """Encode a message; ``data`` of a fact is exactly the value that the run's digest covers.

        Args:
            message: the message; a ``StateFrame`` is sent whole.
            wall: seconds since 1970, for people.

        Returns:
            The argument of ``seal``, and the message's class.

        Raises:
            EnvelopeError: when the message must be rejected.
        """
        # Almost all are facts.
        if isinstance(message, Fact):
            seq = b',"seq":%d' % message.seq
        elif isinstance(message, StateFrame):
            record = Record(STATE_FRAME, message.tick, frame_data(message.frame), planhash=message.planhash)
            return self.state_body(record, wall), Shedding.BULK
        elif isinstance(message, PlanMessage):
            record = Record(PLAN_KIND, message.tick, record_to_json(message.plan), planhash=message.planhash)
            return self.state_body(record, wall), Shedding.NORMAL
        elif isinstance(message, ObservationMessage):
            record = Record(OBSERVATION_BATCH, message.tick, record_to_json(message.seen))
            return self.state_body(record, wall), Shedding.BULK
        else:
            seq = b""
        event = message.event
        head, shedding = self._heads.get(event.kind) or self._head(event.kind)
        data = _event_data(event)
        if _may_be_deep(data):
            _require_levels(_shape_of(data))
        body = b'%b%b","tick":%d%b,"data":%b}\n' % (head, self._time(wall), message.tick, seq, data)
        if len(body) > _MOST_BODY:
            raise EnvelopeError("too_large")
        return body, shedding

    def state_body(self, record: Record, wall: float) -> bytes:
        """Encode a message that is not a fact.

        Raises:
            EnvelopeError: when it must be rejected.
        """
        head, _ = self._heads.get(record.kind) or self._head(record.kind)
        data = _encode(record.data)
        if _may_be_deep(data):
            # Most frames have the same brackets as the frame before, so nothing is left to count.
            shape = _shape_of(data)
            if shape != self._shapes.get(record.kind):
                _require_levels(shape)
                self._shapes[record.kind] = shape
        body = b'%b%b","tick":%d%b,"data":%b}\n' % (
            head, self._time(wall), record.tick, _place(record), data,
        )  # fmt: skip
        if len(body) > _MOST_BODY:
            raise EnvelopeError("too_large")
        return body

    def _head(self, kind: str) -> tuple[bytes, Shedding]:
        fields = {
            "source": self._source,
            "type": event_type(kind),
            "datacontenttype": "application/json",
            "dataschema": schema_id(kind),
        }
        head = orjson.dumps(fields)[1:-1] + b',"time":"', _shedding(kind)
        # A plugin may use a new kind for every event, but the memory for kinds is limited.
        if len(self._heads) < _MOST_HEADS:
            self._heads[kind] = head
        return head

    def _time(self, wall: float) -> bytes:
        """Format the time to the millisecond; many messages share one."""
        moment = int(wall * 1000)
        last, text = self._stamp
        if last != moment:
            seconds, rest = divmod(moment, 1000)
            text = b"%b.%03dZ" % (_second(seconds), rest)
            self._stamp = moment, text
        return text


def _place(record: Record) -> bytes:
    """Format the base and the hashes of a state message; its data is known to be JSON at this point."""
    place = b"" if record.baseseq is None else b',"baseseq":"%020d"' % record.baseseq
    if record.state is not None:
        place += b',"statehash":"%b"' % state_hash(record.state).encode("ascii")
    return place + b',"planhash":"%b"' % record.planhash.encode("ascii") if record.planhash else place


def state_hash(state: JsonObject) -> str:
    """Return the SHA-256 of the canonical JSON of a state, in hex."""
    return hashlib.sha256(canonical_json(state)).hexdigest()


def seal(body: bytes, sequence: int) -> bytes:
    """Add the number in front of a body from an ``Encoder``: the result is a whole line with its newline."""
    number = b"%020d" % sequence
    return b"".join((b'{"specversion":"1.0","id":"', number, b'","sequence":"', number, b'",', body))


SEAL_BYTES: Final = len(seal(b"", 0))
"""The bytes that ``seal`` adds to a body."""
_MOST_BODY: Final = MAX_EVENT_BYTES - SEAL_BYTES


def _event_data(event: Event) -> bytes:
    """Return an event's data as the digest covers it; what is out of range is refused with its reason."""
    try:
        encoded = event_json(event)
    except (ValueError, TypeError, RecursionError):
        return _encode(event_data(event))
    return _encode(event_data(event)) if _LONG_NUMBER.search(encoded) else encoded


def _encode(data: JsonObject) -> bytes:
    try:
        encoded = orjson.dumps(data, default=_plain, option=_OPTIONS)
    except TypeError as error:
        raise EnvelopeError(_reason(str(error))) from error
    except RecursionError as error:
        raise EnvelopeError("too_deep") from error
    # orjson writes NaN and infinity as null. In most events the number of nulls equals the number of fields
    # that are None, so NaN is impossible; otherwise every value is checked.
    if _NULL.search(encoded) and encoded.count(b"null") != [*data.values()].count(None):
        _require_finite(data)
    return encoded


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _reason(message: str) -> Refusal:
    return next((reason for sign, reason in _REFUSALS if sign in message), "not_json")


def _require_finite(value: JsonValue) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EnvelopeError("not_finite")
    elif not isinstance(value, str | int | None):
        for member in value.values() if isinstance(value, Mapping) else value:
            _require_finite(member)


def _may_be_deep(encoded: bytes) -> bool:
    """Return whether levels must be counted, as orjson allows more; most events have too few brackets."""
    return len(encoded) > _LONG or encoded.count(b"{") + encoded.count(b"[") > _ROOM


def _shape_of(encoded: bytes) -> bytes:
    """Reduce a JSON text to its brackets, as braces, and the quotes of texts."""
    # Without escaped quotes and backslashes, every quote begins or ends a text.
    if b"\\" in encoded:
        encoded = encoded.replace(rb"\\", b"").replace(rb"\"", b"")
    return encoded.translate(_BRACES, _NO_BRACKETS)


def _require_levels(shape: bytes) -> None:
    """Count levels: remove the innermost brackets until few enough are left."""
    bare = shape.translate(None, b'"')
    # After the reduction, a text without brackets is two adjacent quotes. Before the first bracket within
    # a text there is an odd number of quotes, so not all of them are in pairs.
    if 2 * shape.count(b'""') != len(shape) - len(bare):
        bare = b"".join(shape.split(b'"')[::2])
    for levels_left in range(_ROOM, -1, -1):
        if len(bare) <= 2 * levels_left:
            return
        bare = bare.replace(b"{}", b"")
    raise EnvelopeError("too_deep")


@lru_cache(maxsize=8)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode("ascii")


def _shedding(kind: str) -> Shedding:
    family = kind.partition(".")[0]
    critical = kind in {"loop.health", "loop.failure"} or family in {"telemetry", "stability", "promotion"}
    return Shedding.CRITICAL if critical else Shedding.NORMAL


def event_type(kind: str) -> str:
    """Return the ``type`` of an envelope."""
    return f"townlet.{kind}"


def envelope_schema() -> JsonObject:
    """Return the JSON Schema (2020-12) of one line of a file.

    The payload is left open, and so are further attributes: a later version of the same major may add some.
    """
    properties: dict[str, JsonValue] = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "pattern": "^[0-9]{20}$", "description": "unique within its source"},
        "sequence": {"type": "string", "pattern": "^[0-9]{20}$", "description": "contiguous within a source"},
        "source": {"type": "string", "format": "uri", "pattern": "^urn:townlet:run:.+:p[0-9]+$"},
        "type": {"type": "string", "pattern": "^townlet\\."},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"type": "string", "format": "uri", "pattern": "^urn:townlet:event:.+:[0-9]+$"},
        "time": {"type": "string", "format": "date-time", "description": "wall clock, for people only"},
        "tick": {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER},
        "seq": {
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_INTEGER,
            "description": "run-wide number of a fact; absent on other messages",
        },
        "baseseq": {
            "type": "string",
            "pattern": "^[0-9]{20}$",
            "description": "sequence of the message that the data is a patch of; absent on a whole message",
        },
        "statehash": {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "SHA-256 of the canonical JSON of the state after a state message",
        },
        "planhash": {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "SHA-256 of the canonical JSON of the plan that a whole frame belongs to, and on "
            "the plan itself",
        },
        "data": {"type": "object"},
    }
    optional = {"seq", "baseseq", "statehash", "planhash"}
    required: Sequence[str] = tuple(name for name in properties if name not in optional)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:townlet:envelope:1",
        "title": "CloudEvents 1.0 envelope of a Townlet message",
        "type": "object",
        "properties": properties,
        "required": required,
    }
