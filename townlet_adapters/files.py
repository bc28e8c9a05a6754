"""Reads files whose paths come from a config: regular files only, without waiting, up to a stated size.

A FIFO would block its reader until a writer comes, a device may never end, and a file may be larger than
memory. Every failure is an ``OSError`` whose ``strerror`` says what is wrong with the file.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_CHUNK: Final = 1024 * 1024


@contextmanager
def open_regular(path: Path, *, follow_links: bool = True) -> Iterator[int]:
    """Open a regular file for reading; the descriptor is closed on leaving.

    Args:
        path: the file.
        follow_links: whether the last part of the path may be a symbolic link.

    Yields:
        The descriptor.

    Raises:
        OSError: when it cannot be opened or is not a regular file.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags if follow_links else flags | os.O_NOFOLLOW)
    except ValueError as error:  # a NUL character, or half a surrogate pair
        raise OSError(errno.EINVAL, "Is not a valid path", str(path)) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, "Is a directory", str(path))
        if not stat.S_ISREG(mode):
            what = "FIFO" if stat.S_ISFIFO(mode) else "device"
            raise OSError(errno.EINVAL, f"Is a {what}, not a regular file", str(path))
        yield descriptor
    finally:
        os.close(descriptor)


def read_open(descriptor: int, limit: int) -> bytes:
    """Read an open file from its position to its end.

    Args:
        descriptor: as ``open_regular`` yields it.
        limit: most bytes that it may have.

    Raises:
        OSError: when it has more, with ``EFBIG``, or cannot be read.
    """
    parts: list[bytes] = []
    missing = limit + 1
    while missing and (part := os.read(descriptor, min(missing, _CHUNK))):
        parts.append(part)
        missing -= len(part)
    if not missing:
        raise OSError(errno.EFBIG, f"Is larger than {limit} bytes")
    return b"".join(parts)


def read_regular(path: Path, limit: int, *, follow_links: bool = True) -> bytes:
    """Read a regular file as a whole.

    Args:
        path: the file.
        limit: most bytes that it may have.
        follow_links: whether the last part of the path may be a symbolic link.

    Raises:
        OSError: when it cannot be read, is not a regular file, or is larger than ``limit`` bytes.
    """
    with open_regular(path, follow_links=follow_links) as descriptor:
        return read_open(descriptor, limit)
