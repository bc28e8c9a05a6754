"""The meaning of an HTTP reply for the posted events.

A receiver has stored them when it answers 200, 201, 202 or 204 **and** the body is empty or JSON. A page of
HTML with 200 comes from a proxy or login page in front of a receiver.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, NamedTuple

from townlet_core.ports.transport import TransportError, Verdict

LONGEST_PAUSE: Final = 300.0  # seconds that a receiver may ask to wait

_TAKEN: Final = frozenset({200, 201, 202, 204})
_LATER: Final = frozenset({408, 425, 429})
_IN_PARTS: Final = frozenset({400, 413, 415, 422})
_REDIRECTED: Final = range(300, 400)
_BROKEN: Final = range(500, 600)

_ADVICE: Final = {
    401: "; it does not accept the signature: compare the secrets and both clocks",
    403: "; it does not accept this sender: compare secrets and certificates",
    404: "; check the path of the URL",
    410: "; the receiver at this URL is gone for good",
}

_DATE: Final = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) "
    rb"([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_MONTHS: Final = (
    b"Jan",
    b"Feb",
    b"Mar",
    b"Apr",
    b"May",
    b"Jun",
    b"Jul",
    b"Aug",
    b"Sep",
    b"Oct",
    b"Nov",
    b"Dec",
)


class Reply(NamedTuple):
    """A reply, as far as it was read.

    Attributes:
        status: its status code.
        headers: names in lower case, and values.
        empty: whether it has no body.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    empty: bool

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header."""
        return next((value for each, value in self.headers if each == name), None)


def refusal(reply: Reply, receiver: str, now: float) -> TransportError | None:
    """Return why the events have not arrived; None when they have.

    Args:
        reply: the reply.
        receiver: the receiver, for messages.
        now: seconds since 1970.
    """
    status = reply.status
    if status in _TAKEN:
        if reply.empty or _is_json(reply.header(b"content-type") or b""):
            return None
        message = f"{receiver} answered {status} with a page, unlike a receiver of events; check the URL"
        return TransportError("not_a_receiver", message, verdict="pause")
    return TransportError(
        f"http_{status}",
        f"{receiver} answered {status}{_phrase(status)}{_advice(status)}",
        verdict=_verdict(status),
        retry_after=retry_after(reply.header(b"retry-after"), now),
    )


def retry_after(value: bytes | None, now: float) -> float | None:
    """Return the number of seconds that a receiver asks to wait, at most ``LONGEST_PAUSE``.

    Args:
        value: the content of the header ``retry-after``, seconds or a date; None without the header.
        now: seconds since 1970.

    Returns:
        None for a value that is neither.
    """
    if value is None:
        return None
    if value.isdigit():
        # As a float, an endless row of digits is infinite, and fast to read.
        return min(float(value), LONGEST_PAUSE)
    moment = _moment(value)
    return None if moment is None else min(max(moment - now, 0.0), LONGEST_PAUSE)


def _moment(value: bytes) -> float | None:
    """Read the only form of date that HTTP allows to send."""
    parts = _DATE.fullmatch(value)
    if parts is None or parts[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(parts[group]) for group in (1, 3, 4, 5, 6))
    try:
        # A leap second is read as the second before it.
        return datetime(
            year, _MONTHS.index(parts[2]) + 1, day, hour, minute, min(second, 59), tzinfo=UTC
        ).timestamp()
    except ValueError:
        return None


def _is_json(content_type: bytes) -> bool:
    kind = content_type.partition(b";")[0].strip().lower()
    return kind.endswith((b"/json", b"+json"))


def _verdict(status: int) -> Verdict:
    if status in _LATER or status in _BROKEN:
        return "retry"
    return "split" if status in _IN_PARTS else "pause"


def _phrase(status: int) -> str:
    # A fixed phrase: the peer's own text is not trusted in a log.
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""


def _advice(status: int) -> str:
    if status in _REDIRECTED:
        return "; redirects are not followed: set the final URL"
    return _ADVICE.get(status, "")
