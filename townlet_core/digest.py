"""The chain of hashes over a run's facts: equal digests mean equal runs, fact by fact."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from townlet_core.errors import SnapshotError
from townlet_core.events.base import Fact
from townlet_core.events.schema import event_json
from townlet_core.jsonvalue import canonical_json

_EMPTY: Final = bytes(32)


class FactDigest:
    """d(0) = 32 zero bytes; d(n+1) = SHA-256(d(n) + canonical JSON of ``[seq, tick, kind, data]``)."""

    def __init__(self, hex_digest: str = _EMPTY.hex()) -> None:
        """Continue a chain from its last link.

        Raises:
            SnapshotError: when the text is not a link of a chain.
        """
        try:
            link = bytes.fromhex(hex_digest)
        except ValueError:
            link = b""
        if len(link) != len(_EMPTY):
            raise SnapshotError("snapshot_corrupt", f"'{hex_digest}' is not a digest of 64 hex digits")
        self._link = link
        self._kinds: dict[str, bytes] = {}

    def update(self, facts: Iterable[Fact]) -> None:
        """Add facts in the order of their ``seq``.

        Raises:
            ValueError: when an event holds NaN or infinity.
            TypeError: when an event holds a value that is not JSON.
        """
        link = self._link
        for fact in facts:
            event = fact.event
            place = b"[%d,%d,%b," % (fact.seq, fact.tick, self._kind(event.kind))
            link = sha256(b"%b%b%b]" % (link, place, event_json(event))).digest()
        self._link = link

    def _kind(self, kind: str) -> bytes:
        """Return a kind as JSON."""
        encoded = self._kinds.get(kind)
        if encoded is None:
            encoded = self._kinds[kind] = canonical_json(kind)
        return encoded

    def hexdigest(self) -> str:
        """Return the last link in hex."""
        return self._link.hex()
