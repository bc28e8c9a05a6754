"""What delivery asks of a way out."""

import errno
from collections.abc import Sequence
from typing import Final, Protocol, Self

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


class TransportError(Exception):
    """Nothing could be written just now.

    Attributes:
        code: what happened, as a short name (``no_space``, ``broken_pipe``).
        transient: whether the same lines may get through later.
    """

    def __init__(self, code: str, message: str, *, transient: bool) -> None:
        """Keep the facts beside the message."""
        self.code, self.transient = code, transient
        super().__init__(message)

    @classmethod
    def from_os(cls, error: OSError) -> Self:
        """Translate what the operating system said."""
        number = error.errno or 0
        code = _NAMES.get(number) or errno.errorcode.get(number, "unknown").lower()
        return cls(code, error.strerror or str(error), transient=number in _TRANSIENT)


class Transport(Protocol):
    """One destination. ``open`` comes first, on the caller's thread; all else from one worker.

    ``write`` blocks for at most a tenth of a second while its destination does not take anything, so
    that its worker can be told to stop.
    """

    def open(self) -> None:
        """Open the destination.

        Raises:
            OutputError: when it cannot be opened.
        """
        ...

    def write(self, lines: Sequence[bytes]) -> int:
        """Hand lines over, in order; returns how many whole ones from the front were taken.

        The lines not taken come first in the next call, so a transport may have sent a part of one.

        Raises:
            TransportError: when none could be taken, and why.
        """
        ...

    def close(self) -> None:
        """Make durable what was written, and let go.

        Raises:
            TransportError: when what was written may not last.
        """
        ...
