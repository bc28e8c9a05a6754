"""Appending to a regular file so that only whole lines stay in it."""

import os
from collections.abc import Sequence

from townlet_core.ports.transport import TransportError


class LineAppender:
    """The end of a regular file.

    A full disk takes the beginning of a write and refuses the rest. The file is then cut back to its last
    whole line at once, since the process may not live to do it later.
    """

    def __init__(self, fd: int) -> None:
        """Append through ``fd``, which the caller closes."""
        self._fd = fd
        self._torn = 0  # bytes of a half line that could not be cut off yet

    def append(self, lines: Sequence[bytes]) -> int:
        """Write lines to the end; returns how many whole ones stay in the file.

        Raises:
            TransportError: when none could be written.
        """
        self.mend()
        data = b"".join(lines)
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:] if written else data)
        except OSError as error:
            count = self._whole(lines, written)
            self.mend()
            if count == 0:
                raise TransportError.from_os(error) from error
            return count
        return len(lines)

    def mend(self) -> None:
        """Cut off the half line that a failed write left.

        Raises:
            TransportError: when it could not be cut off; the next call tries again.
        """
        if not self._torn:
            return
        try:
            end = os.fstat(self._fd).st_size
            # Another process that shares this place in the file may have written behind the half line
            # already; cutting would then remove its bytes.
            if os.lseek(self._fd, 0, os.SEEK_CUR) == end:
                os.ftruncate(self._fd, end - self._torn)
                os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            raise TransportError.from_os(error) from error
        self._torn = 0

    def _whole(self, lines: Sequence[bytes], written: int) -> int:
        kept = 0
        for count, line in enumerate(lines):
            if kept + len(line) > written:
                self._torn = written - kept
                return count
            kept += len(line)
        return len(lines)
