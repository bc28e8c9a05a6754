"""Standard Webhooks: signatures that prove to a receiver who sent a body, and that it is whole and fresh.

What is signed is ``id.timestamp.body``. No id has a full stop and no timestamp anything but digits, so that
the three cannot be cut in another way. Both ends of HTTP delivery use this module.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

ID: Final = b"webhook-id"
TIMESTAMP: Final = b"webhook-timestamp"
SIGNATURE: Final = b"webhook-signature"

TOLERANCE: Final = 300  # seconds that the two clocks may differ, either way
LEAST_KEY: Final = 24
MOST_KEY: Final = 64

Header: TypeAlias = tuple[bytes, bytes]
"""Name and value."""

Reason: TypeAlias = Literal[
    "missing_header",
    "repeated_header",
    "malformed_id",
    "malformed_timestamp",
    "malformed_signature",
    "too_old",
    "too_new",
    "wrong_signature",
]

_PREFIX: Final = b"whsec_"
_ID_TEXT: Final = re.compile(rb"[!-\-/-~]{1,256}")  # visible ASCII but the full stop
_TIMESTAMP_TEXT: Final = re.compile(rb"[0-9]{1,12}")
_SCHEME: Final = b"v1,"
_MOST_SIGNATURES: Final = 16


class SignatureError(Exception):
    """A body that nobody may act upon.

    Attributes:
        reason: what is wrong, as a short name.
    """

    def __init__(self, reason: Reason) -> None:
        """Say why, and nothing of what was sent."""
        self.reason: Final = reason
        super().__init__(f"the signature does not hold: {reason}")


def parse_key(secret: bytes) -> bytes:
    """Read a key: ``whsec_`` and base64, or else the very bytes.

    Raises:
        ValueError: when it is no base64, or not of 24 to 64 bytes; the message says nothing of its content.
    """
    key = secret
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError("what follows whsec_ is not base64") from None
    if not LEAST_KEY <= len(key) <= MOST_KEY:
        raise ValueError(f"a key of {len(key)} bytes, where {LEAST_KEY} to {MOST_KEY} are allowed")
    return key


class Signatures:
    """The keys of one endpoint: one, or the old and the new one while they are changed. Immutable."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Use these keys, as ``parse_key`` gives them."""
        if not keys:
            raise ValueError("signing needs at least one key")
        self._keys: Final = tuple(keys)

    def sign(self, message_id: str, timestamp: int, body: bytes) -> tuple[Header, Header, Header]:
        """Give the three headers of a body, with one signature for each key.

        Args:
            message_id: what stays the same when the body is sent again; visible ASCII without a full stop.
            timestamp: now, in whole seconds since 1970.
            body: the body, as it is sent.
        """
        identity, moment = message_id.encode("ascii"), b"%d" % timestamp
        signatures = b" ".join(_SCHEME + each for each in self._of(identity, moment, body))
        return (ID, identity), (TIMESTAMP, moment), (SIGNATURE, signatures)

    def verify(self, headers: Iterable[Header], body: bytes, now: float) -> str:
        """Check the headers of a body.

        Args:
            headers: all headers of the request, their names in lower case.
            body: the body, as it came.
            now: seconds since 1970.

        Returns:
            The message's id.

        Raises:
            SignatureError: when a header is missing, repeated or malformed, when the time lies more than
                ``TOLERANCE`` before or after ``now``, or when no signature is by one of the keys.
        """
        identity, moment, given = _pick(headers)
        if not _ID_TEXT.fullmatch(identity):
            raise SignatureError("malformed_id")
        if not _TIMESTAMP_TEXT.fullmatch(moment):
            raise SignatureError("malformed_timestamp")
        # Other schemes than ours may stand beside it; so says the standard.
        candidates = [part[len(_SCHEME) :] for part in given.split(b" ") if part.startswith(_SCHEME)]
        if not 1 <= len(candidates) <= _MOST_SIGNATURES:
            raise SignatureError("malformed_signature")
        age = now - int(moment)
        if abs(age) > TOLERANCE:
            raise SignatureError("too_old" if age > 0 else "too_new")
        # Every pair is compared, so that the time taken does not tell which key or signature came close.
        expected = self._of(identity, moment, body)
        matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in candidates]
        if not any(matches):
            raise SignatureError("wrong_signature")
        return identity.decode("ascii")

    def _of(self, identity: bytes, moment: bytes, body: bytes) -> list[bytes]:
        signed = b"%b.%b.%b" % (identity, moment, body)
        return [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in self._keys]


def _pick(headers: Iterable[Header]) -> tuple[bytes, bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in (ID, TIMESTAMP, SIGNATURE):
            continue
        if name in found:
            raise SignatureError("repeated_header")
        found[name] = value
    try:
        return found[ID], found[TIMESTAMP], found[SIGNATURE]
    except KeyError:
        raise SignatureError("missing_header") from None
