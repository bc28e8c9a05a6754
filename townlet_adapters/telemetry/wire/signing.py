"""Standard Webhooks: signatures that prove the sender of a body, that it is unchanged, and that it is recent.

The signed bytes are ``id.timestamp.body``. An id has no full stop and a timestamp only digits, so that the
three parts cannot be split in another way. Both ends of HTTP delivery use this module.
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
    """A body without a valid signature, which must not be processed.

    Attributes:
        reason: short name of what is wrong.
    """

    def __init__(self, reason: Reason) -> None:
        """Store the reason; the message contains nothing of what was sent."""
        self.reason: Final = reason
        super().__init__(f"the signature is not valid: {reason}")


def parse_key(secret: bytes) -> bytes:
    """Parse a key: ``whsec_`` and base64, or else the bytes as they are.

    Raises:
        ValueError: when it is not base64, or not 24 to 64 bytes long; the message does not quote it.
    """
    key = secret
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError("the text after whsec_ is not base64") from None
    if not LEAST_KEY <= len(key) <= MOST_KEY:
        raise ValueError(f"a key of {len(key)} bytes, where {LEAST_KEY} to {MOST_KEY} are allowed")
    return key


class Signatures:
    """The keys of one endpoint: one, or the old and the new one during a change. Immutable."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Use these keys, as ``parse_key`` returns them."""
        if not keys:
            raise ValueError("signing needs at least one key")
        self._keys: Final = tuple(keys)

    def sign(self, message_id: str, timestamp: int, body: bytes) -> tuple[Header, Header, Header]:
        """Build the three headers of a body, with one signature for each key.

        Args:
            message_id: the same when the body is sent again; visible ASCII without a full stop.
            timestamp: the current time in whole seconds since 1970.
            body: the body as sent.
        """
        identity, moment = message_id.encode("ascii"), b"%d" % timestamp
        signatures = b" ".join(_SCHEME + each for each in self._of(identity, moment, body))
        return (ID, identity), (TIMESTAMP, moment), (SIGNATURE, signatures)

    def verify(self, headers: Iterable[Header], body: bytes, now: float) -> str:
        """Check the headers of a body.

        Args:
            headers: all headers of the request, with names in lower case.
            body: the body as received.
            now: the current time in seconds since 1970.

        Returns:
            The message's id.

        Raises:
            SignatureError: when a header is missing, repeated or malformed, when the time is more than
                ``TOLERANCE`` before or after ``now``, or when no signature was made with one of the keys.
        """
        identity, moment, given = _pick(headers)
        if not _ID_TEXT.fullmatch(identity):
            raise SignatureError("malformed_id")
        if not _TIMESTAMP_TEXT.fullmatch(moment):
            raise SignatureError("malformed_timestamp")
        # The standard allows signatures of other schemes in the same header.
        candidates = [part[len(_SCHEME) :] for part in given.split(b" ") if part.startswith(_SCHEME)]
        if not 1 <= len(candidates) <= _MOST_SIGNATURES:
            raise SignatureError("malformed_signature")
        age = now - int(moment)
        if abs(age) > TOLERANCE:
            raise SignatureError("too_old" if age > 0 else "too_new")
        # Every pair is compared, so that the time taken does not reveal which key or signature came close.
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
