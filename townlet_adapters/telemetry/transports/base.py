"""What delivery asks of a way out."""

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
"""Code of the fault that an exchange was broken off from here."""

Verdict: TypeAlias = Literal["retry", "split", "pause", "fatal"]
"""What is to be done about a fault: try the same lines again; halve the batch, for one line in it is what
the destination will never take; try again, but tell a person, for it will not change by itself; give up."""


class Batch(NamedTuple):
    """Lines on their way, in order, all of one source.

    Attributes:
        source: the ``source`` of their envelopes.
        sequences: number of each line, ascending; gaps are lines that were shed.
        lines: the envelopes, each with its newline.
    """

    source: str
    sequences: Sequence[int]
    lines: Sequence[bytes]


class Condition(NamedTuple):
    """How a way out stands.

    Attributes:
        connected: whether the destination could be reached when it was last tried.
        certificate_expires: when the peer's or the sender's own certificate expires, whichever comes first,
            in seconds since 1970; None where there is none or none was seen yet.
        unsynced: lines that ``write`` took and a local disk has not confirmed; a clean ``close`` leaves 0.
    """

    connected: bool
    certificate_expires: float | None = None
    unsynced: int = 0


class TransportError(Exception):
    """Nothing could be written just now.

    Attributes:
        code: what happened, as a short name (``no_space``, ``broken_pipe``); never holds a secret.
        verdict: what is to be done about it.
        retry_after: seconds that the destination asked to be left alone for; None when it did not.
    """

    def __init__(
        self, code: str, message: str, *, verdict: Verdict = "retry", retry_after: float | None = None
    ) -> None:
        """Keep the facts beside the message."""
        self.code, self.verdict, self.retry_after = code, verdict, retry_after
        super().__init__(message)

    @classmethod
    def from_os(cls, error: OSError) -> Self:
        """Translate what the operating system said of a file or a pipe."""
        number = error.errno or 0
        code = _NAMES.get(number) or errno.errorcode.get(number, "unknown").lower()
        verdict: Verdict = "retry" if number in _TRANSIENT else "fatal"
        return cls(code, error.strerror or str(error), verdict=verdict)


class Transport(Protocol):
    """One destination. ``open`` comes first, on the caller's thread; ``write`` and ``close`` from one worker.

    ``write`` blocks for at most a tenth of a second while its destination does not take anything, or until
    ``interrupt``, so that its worker can be told to stop.
    """

    def open(self) -> None:
        """Open a local destination; a distant one is not reached for before the first ``write``.

        Raises:
            OutputError: when it cannot be opened.
            ConfigError: when what it was told cannot work.
        """
        ...

    def write(self, batch: Batch) -> int:
        """Hand lines over, in order; returns how many from the front the destination has for good.

        The lines not taken come first in the next call, so a transport may have sent a part of one. It may
        be 0 for a destination that is slow, which is no fault.

        Raises:
            TransportError: when none could be taken, and why.
        """
        ...

    def interrupt(self) -> None:
        """Make a ``write`` that waits give up at once, and every later one; from any thread, for ever."""
        ...

    def condition(self) -> Condition:
        """Tell how it stands; cheap, from any thread."""
        ...

    def close(self) -> None:
        """Make durable what was written, say goodbye, and let go.

        Raises:
            TransportError: when what was written may not last.
        """
        ...

    def abandon(self) -> None:
        """Let go without a word: a fork took place, and the connection is the parent's."""
        ...
