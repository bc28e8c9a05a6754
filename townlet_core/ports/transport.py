"""The port of a destination of events: what a delivering sink needs from its transport."""

import errno
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol, Self, TypeAlias

_NAMES: Final = {
    errno.EPIPE: "broken_pipe",
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "no_space",
    errno.EFBIG: "file_too_large",
}
_TRANSIENT: Final = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.ESTALE,
        errno.EAGAIN,
        errno.EINTR,
        errno.ENOMEM,
        errno.ENOBUFS,
    }
)

INTERRUPTED: Final = "interrupted"
"""Code of the fault that an exchange was ended by ``interrupt``."""

Verdict: TypeAlias = Literal["retry", "split", "pause", "fatal"]
"""What a sink does after a fault: ``retry`` the same lines; ``split`` the batch, since the destination will
never accept one of its lines; ``pause``: retry, and log that an operator must act; ``fatal``: stop."""


class Batch(NamedTuple):
    """Lines to deliver, in order, all of one source.

    Attributes:
        source: the ``source`` of their envelopes.
        sequences: number of each line, ascending; a gap is a line that was dropped.
        lines: the envelopes, each with its newline.
    """

    source: str
    sequences: Sequence[int]
    lines: Sequence[bytes]


class Condition(NamedTuple):
    """The condition of a transport.

    Attributes:
        connected: whether the destination could be reached when it was last tried.
        certificate_expires: when the first of the peer's and the sender's certificate expires, in seconds
            since 1970; None when there is no certificate or none was seen yet.
        unsynced: lines that ``write`` accepted and a local disk has not confirmed; 0 after a clean ``close``.
    """

    connected: bool
    certificate_expires: float | None = None
    unsynced: int = 0


class TransportError(Exception):
    """Lines could not be written.

    Attributes:
        code: what happened, as a short name (``no_space``, ``broken_pipe``); never holds a secret.
        verdict: what the sink does about it.
        retry_after: seconds that the destination asked to wait; None when it did not ask.
    """

    def __init__(
        self, code: str, message: str, *, verdict: Verdict = "retry", retry_after: float | None = None
    ) -> None:
        """Keep the attributes beside the message."""
        self.code, self.verdict, self.retry_after = code, verdict, retry_after
        super().__init__(message)

    @classmethod
    def from_os(cls, error: OSError) -> Self:
        """Return the error for an error of the operating system about a file or a pipe."""
        number = error.errno or 0
        code = _NAMES.get(number) or errno.errorcode.get(number, "unknown").lower()
        verdict: Verdict = "retry" if number in _TRANSIENT else "fatal"
        return cls(code, error.strerror or str(error), verdict=verdict)


class Transport(Protocol):
    """One destination. ``open`` comes first, on the caller's thread; ``write`` and ``close`` from one worker.

    ``write`` blocks for at most a tenth of a second while its destination accepts nothing, or until
    ``interrupt``, so that the worker can be stopped.
    """

    def open(self) -> None:
        """Open a local destination; a remote one is not connected to before the first ``write``.

        Raises:
            OutputError: when it cannot be opened.
            ConfigError: when its options cannot work.
        """
        ...

    def write(self, batch: Batch) -> int:
        """Write lines in order; return how many, from the front, the destination has stored.

        The next call begins with the lines that were not stored, so a transport may have sent a part of one.
        The number may be 0 for a slow destination; that is not a fault.

        Raises:
            TransportError: when no line could be stored, with the reason.
        """
        ...

    def interrupt(self) -> None:
        """End a waiting ``write``, and every later one, at once and for good; called from any thread."""
        ...

    def condition(self) -> Condition:
        """Return the condition; cheap, called from any thread."""
        ...

    def close(self) -> None:
        """Make durable what was written, and release the destination.

        Raises:
            TransportError: when what was written may not be durable.
        """
        ...

    def abandon(self) -> None:
        """Release the destination without using it: after a fork, the connection is the parent's."""
        ...
