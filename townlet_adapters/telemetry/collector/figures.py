"""The counters of a collector: plain numbers, written by the loop's thread alone."""

import logging
import time
from collections import Counter
from typing import Final

_log = logging.getLogger(__name__)

_LOGGED_EVERY: Final = 10.0


class Figures:
    """Counts since the start, and logs refusals at a bounded rate.

    Attributes:
        stored: events stored.
        duplicates: arrivals of events that were stored already.
        bytes_received: bytes that came in, as the transports saw them after decryption.
        connections: connections accepted, by transport.
        open_connections: connections open now, by transport.
        handshakes_rejected: connections that failed in their handshake.
        refused: what was refused, by reason: lines, requests, whole connections.
    """

    def __init__(self) -> None:
        """Begin at zero."""
        self.stored = 0
        self.duplicates = 0
        self.bytes_received = 0
        self.connections: Counter[str] = Counter()
        self.open_connections: Counter[str] = Counter()
        self.handshakes_rejected = 0
        self.refused: Counter[str] = Counter()
        self._logged: dict[str, tuple[float, int]] = {}

    def refuse(self, reason: str, peer: str, detail: str, count: int = 1) -> None:
        """Count a refusal, and log it; the same reason at most every ten seconds.

        Args:
            reason: why, as a short name; from a fixed set, since a monitor keeps each one.
            peer: address of the client that is refused.
            detail: what was found and what is allowed; nothing secret.
            count: how many things of the same sort.
        """
        self.refused[reason] += count
        now = time.monotonic()
        last, silent = self._logged.get(reason, (-_LOGGED_EVERY, 0))
        if now - last < _LOGGED_EVERY:
            self._logged[reason] = (last, silent + 1)
            return
        self._logged[reason] = (now, 0)
        more = f" ({silent} more of this since the last word of it)" if silent else ""
        _log.warning("refused %s: %s: %s%s", peer, reason, detail, more)
