"""Checks of lines before they are stored: only envelopes of Townlet are; pure functions.

A line is stored as orjson writes what was read from it, so that a key given twice or a blank cannot mean
one thing here and another to a reader of the file.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

import orjson

from townlet_adapters.telemetry.envelope import LINE_START, MAX_EVENT_BYTES, MAX_INTEGER
from townlet_adapters.telemetry.ranges import RangeSet
from townlet_core.events.schema import SCHEMA_VERSION, schema_id
from townlet_core.events.telemetry import TelemetryLoss

Reason: TypeAlias = Literal[
    "not_json",
    "not_an_envelope",
    "too_large",
    "bad_source",
    "other_source",
    "unknown_schema",
    "bad_loss",
]
"""Why a line is refused; the same line would be refused again."""

MOST_SOURCE_BYTES: Final = 256
MOST_REASONS: Final = 64
MOST_SEQUENCE: Final = 2**63 - 1

_SOURCE: Final = re.compile(r"urn:townlet:run:([A-Za-z0-9._~%-]+):p(0|[1-9][0-9]{0,9})")
_PLAIN: Final = re.compile(r"[a-z0-9_][a-z0-9_-]{0,99}")
_NUMBER: Final = re.compile(r"[0-9]{20}")
_REASON: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_KIND: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_SCHEMA: Final = re.compile(r"urn:townlet:event:(.{1,256}):([0-9]{1,9})")
_LOSS_TYPE: Final = f"townlet.{TelemetryLoss.kind}"


class LineError(Exception):
    """A line that is not stored.

    Attributes:
        reason: why, as a short name.
        detail: what was found and what is allowed; holds nothing of the payload.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        """Keep both."""
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class Loss(NamedTuple):
    """The content of a ``telemetry.loss``.

    Attributes:
        source: whose sequence has the holes.
        reason: why.
        ranges: the numbers that will never arrive.
    """

    source: str
    reason: str
    ranges: RangeSet


class Event(NamedTuple):
    """A line that may be stored.

    Attributes:
        source: its source.
        sequence: its number.
        line: the envelope, with its newline.
        loss: what it declares lost, for a ``telemetry.loss``.
    """

    source: str
    sequence: int
    line: bytes
    loss: Loss | None


def check_line(line: bytes, source: str | None = None) -> Event:
    """Check one line.

    Args:
        line: the envelope, with or without its newline.
        source: the source that it must have; None for any source.

    Raises:
        LineError: when it is not stored.
    """
    if len(line) > MAX_EVENT_BYTES + 1:
        raise LineError("too_large", f"{len(line)} bytes, where {MAX_EVENT_BYTES} are allowed")
    try:
        envelope = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise LineError("not_json", error.msg) from error
    return check_envelope(envelope, source)


def check_envelope(envelope: object, source: str | None = None) -> Event:
    """Check what was read from one line; see ``check_line``."""
    if not isinstance(envelope, dict):
        raise LineError("not_an_envelope", "not a JSON object")
    sequence = _sequence(envelope)
    found = envelope.get("source")
    if found != source or source is None:
        _require_source(found, source)
    kind = _kind(envelope)
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise LineError("not_an_envelope", "'data' is not an object")
    loss = _loss(data) if kind == _LOSS_TYPE else None
    return Event(str(found), sequence, _line(envelope), loss)


def require_source(source: str) -> None:
    """Check the name of a source.

    Raises:
        LineError: when no source of Townlet has such a name.
    """
    if len(source) > MOST_SOURCE_BYTES or not _SOURCE.fullmatch(source):
        allowed = f"urn:townlet:run:<id>:p<number> of at most {MOST_SOURCE_BYTES} characters"
        raise LineError("bad_source", f"{source[:80]!r}; {allowed} is allowed")


def file_stem(source: str) -> str:
    """Return the stem of a source's file name; never a path.

    Two sources have different stems even where a file system ignores case: a run id that is not plain lower
    case is replaced by a hash of the source. The source must have passed ``require_source``.
    """
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise ValueError(f"{source!r} is not a source")
    run, producer = match.groups()
    if not _PLAIN.fullmatch(run):
        run = "~" + hashlib.sha256(source.encode()).hexdigest()[:32]
    return f"{run}.p{producer}"


def _sequence(envelope: Mapping[str, object]) -> int:
    number = envelope.get("sequence")
    if envelope.get("specversion") != "1.0":
        raise LineError("not_an_envelope", "'specversion' is not \"1.0\"")
    if not isinstance(number, str) or not _NUMBER.fullmatch(number) or envelope.get("id") != number:
        raise LineError("not_an_envelope", "'id' and 'sequence' are not the same 20 digits")
    sequence = int(number)
    if sequence > MOST_SEQUENCE:
        raise LineError("not_an_envelope", f"'sequence' is beyond {MOST_SEQUENCE}")
    return sequence


def _require_source(found: object, source: str | None) -> None:
    if not isinstance(found, str):
        raise LineError("bad_source", "'source' is not a text")
    require_source(found)
    if source is not None:
        raise LineError("other_source", f"it is from {found}, and {source} is sending")


def _kind(envelope: Mapping[str, object]) -> str:
    kind, schema = envelope.get("type"), envelope.get("dataschema")
    if not isinstance(kind, str) or not kind.startswith("townlet."):
        raise LineError("not_an_envelope", "'type' does not begin with 'townlet.'")
    name = kind.removeprefix("townlet.")
    if schema != schema_id(name) or not _KIND.fullmatch(name):
        _require_known(name, schema)
    tick = envelope.get("tick")
    if type(tick) is not int or not 0 <= tick <= MAX_INTEGER:
        raise LineError("not_an_envelope", "'tick' is not a whole number from 0 to 2**53 - 1")
    if envelope.get("datacontenttype") != "application/json" or not isinstance(envelope.get("time"), str):
        raise LineError("not_an_envelope", "'datacontenttype' or 'time' is missing or wrong")
    return kind


def _require_known(name: str, schema: object) -> None:
    """Accept every version so far: an outbox may hold lines of the version before an update."""
    match = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if match is None or match[1] != name or not _KIND.fullmatch(name):
        raise LineError("not_an_envelope", f"'dataschema' does not name a schema of '{name[:80]}'")
    if not 1 <= int(match[2]) <= SCHEMA_VERSION:
        knows = f"{schema_id(name)} and the versions before it"
        raise LineError("unknown_schema", f"{match[0]}; this collector knows {knows}")


def _loss(data: Mapping[str, object]) -> Loss:
    source, reason, ranges = data.get("source"), data.get("reason"), data.get("ranges")
    if not isinstance(source, str) or len(source) > MOST_SOURCE_BYTES or not _SOURCE.fullmatch(source):
        raise LineError("bad_loss", "'data.source' is not a source")
    if not isinstance(reason, str) or not _REASON.fullmatch(reason):
        raise LineError("bad_loss", "'data.reason' is not a short name")
    if not isinstance(ranges, list) or not all(map(_is_range, ranges)):
        raise LineError("bad_loss", "'data.ranges' is not a list of pairs of a first and a last number")
    return Loss(source, reason, RangeSet(ranges))


def _is_range(value: object) -> bool:
    if not isinstance(value, list) or [type(number) for number in value] != [int, int]:
        return False
    first, last = value
    return bool(0 <= first <= last <= MOST_SEQUENCE)


def _line(envelope: Mapping[str, object]) -> bytes:
    try:
        line = orjson.dumps(envelope, option=orjson.OPT_APPEND_NEWLINE)
        # What a crash leaves of a line is recognised by how every line begins.
        if not line.startswith(LINE_START):
            line = orjson.dumps(
                {
                    "specversion": "1.0",
                    **{key: value for key, value in envelope.items() if key != "specversion"},
                },
                option=orjson.OPT_APPEND_NEWLINE,
            )
    except (TypeError, RecursionError) as error:
        raise LineError("not_json", "it is nested too deeply") from error
    if len(line) > MAX_EVENT_BYTES + 1:
        raise LineError("too_large", f"{len(line)} bytes, where {MAX_EVENT_BYTES} are allowed")
    return line
