"""Reads what ``ssl`` does not offer from a certificate: its expiry time and the digest of its key.

A certificate consists of nested (tag, length, value) triples (DER). Nothing is verified here: the TLS
handshake has done that, or the peer does it.
"""

import hashlib
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from townlet_adapters.files import read_regular

MOST_PEM_BYTES: Final = 16 * 1024 * 1024
"""Most bytes of a PEM file: certificates, a key, or lists of revoked certificates."""

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0  # explicit tag 0, absent in certificates of version 1
_TIME_FORMATS: Final = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
_HEAD_BYTES: Final = 2  # tag and length
_LONG: Final = 0x80  # the length itself has several bytes
_MOST_LENGTH_BYTES: Final = 4


class Leaf(NamedTuple):
    """Properties of the certificate at the end of a chain.

    Attributes:
        expires: seconds since 1970.
        key_sha256: SHA-256 of its public key (the DER of SubjectPublicKeyInfo) in hex. It stays the
            same when a certificate is renewed with its key.
    """

    expires: float
    key_sha256: str


def read_leaf(der: bytes) -> Leaf:
    """Read a certificate.

    Raises:
        ValueError: when it is not a certificate.
    """
    _, certificate, _ = _element(der, _SEQUENCE)
    _, body, _ = _element(certificate, _SEQUENCE)
    if body[:1] == bytes([_VERSION]):
        _, _, body = _element(body)
    for _ in range(3):  # serial number, signature algorithm, issuer
        _, _, body = _element(body)
    _, validity, body = _element(body, _SEQUENCE)
    _, _, body = _element(body)  # subject
    _, _, rest = _element(body, _SEQUENCE)
    _, _, until = _element(validity)
    key = body[: len(body) - len(rest)]
    return Leaf(_time(until), hashlib.sha256(key).hexdigest())


def read_leaf_file(path: Path) -> Leaf:
    """Read the first certificate of a PEM file.

    Raises:
        ValueError: when it has no certificate.
        OSError: when it cannot be read, is not a regular file, or is larger than ``MOST_PEM_BYTES``.
    """
    text = read_regular(path, MOST_PEM_BYTES).decode("ascii", "replace")
    _, begin, rest = text.partition(ssl.PEM_HEADER)
    body, end, _ = rest.partition(ssl.PEM_FOOTER)
    return read_leaf(ssl.PEM_cert_to_DER_cert(begin + body + end))


def _element(data: bytes, expected: int | None = None) -> tuple[int, bytes, bytes]:
    """Split off the first element: its tag, its value, and the rest."""
    if len(data) < _HEAD_BYTES or (expected is not None and data[0] != expected):
        raise ValueError("this is not a certificate")
    length, start = data[1], _HEAD_BYTES
    if length & _LONG:
        size = length ^ _LONG
        start += size
        if not 1 <= size <= _MOST_LENGTH_BYTES or len(data) < start:
            raise ValueError("this is not a certificate")
        length = int.from_bytes(data[_HEAD_BYTES:start], "big")
    if len(data) < start + length:
        raise ValueError("the certificate ends too early")
    return data[0], data[start : start + length], data[start + length :]


def _time(data: bytes) -> float:
    tag, value, _ = _element(data)
    if tag not in _TIME_FORMATS:
        raise ValueError("the certificate's time is in an unknown format")
    found = datetime.strptime(value.decode("ascii"), _TIME_FORMATS[tag]).replace(tzinfo=UTC)
    return found.timestamp()
