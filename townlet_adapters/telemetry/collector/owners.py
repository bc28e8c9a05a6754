"""The owner of each source, kept on the disk: the first sender that stores something of it, for good."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from townlet_adapters.disk import DISK, Disk, sync_folder_at
from townlet_adapters.files import open_regular
from townlet_adapters.telemetry.collector.checking import LineError, require_source
from townlet_core.errors import OutputError

OWNERS_FILE: Final = "owners.txt"

_BLOCK: Final = 1 << 20
_LONGEST_LINE: Final = 1024


class OwnersFile:
    """A line ``SOURCE OWNER`` for each source, in the order in which they were taken. From one thread.

    Attributes:
        path: where the file is.
        size: bytes of its whole lines, all of them on the disk.
    """

    def __init__(self, folder: Path, disk: Disk = DISK) -> None:
        """Prepare; nothing is opened before ``open``."""
        self.path = folder / OWNERS_FILE
        self.size = 0
        self._folder, self._disk = folder, disk
        self._fd = -1

    def open(self) -> dict[str, str]:
        """Read the file, cut off a line that a crash left unfinished, and bring the rest to the disk.

        Returns:
            The owner of each source.

        Raises:
            OutputError: when it has a line that no collector wrote.
            OSError: when it cannot be read or written.
        """
        owners, self.size = read_owners(self._folder)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self.path, flags, 0o644)
        os.ftruncate(self._fd, self.size)
        self._disk.sync(self._fd)
        if not owners:
            sync_folder_at(self._folder, self._disk)
        return owners

    def append(self, claims: Mapping[str, str]) -> None:
        """Write owners of new sources, and wait until the disk has them.

        Raises:
            OSError: when that failed; none of them is in the file then.
        """
        data = "".join(f"{source} {owner}\n" for source, owner in claims.items()).encode()
        try:
            os.ftruncate(self._fd, self.size)
            written = 0
            while written < len(data):
                written += os.write(self._fd, data[written:])
            self._disk.sync(self._fd)
        except OSError:
            # The next start must not take what the disk may not have for what it has.
            with suppress(OSError):
                os.ftruncate(self._fd, self.size)
            raise
        self.size += len(data)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_owners(folder: Path) -> tuple[dict[str, str], int]:
    """Read the owner of each source without changing anything.

    Returns:
        The owners, and the number of bytes of whole lines.

    Raises:
        OutputError: when the file has a line that no collector wrote.
        OSError: when it cannot be read.
    """
    path, owners, size = folder / OWNERS_FILE, dict[str, str](), 0
    try:
        with open_regular(path, follow_links=False) as descriptor:
            for number, line in enumerate(_lines(descriptor), start=1):
                if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                    break
                source, owner = _split(path, number, line)
                if owners.setdefault(source, owner) != owner:
                    raise _foreign(path, number, "the source has another owner above")
                size += len(line)
    except FileNotFoundError:
        pass
    return owners, size


def _lines(descriptor: int) -> Iterator[bytes]:
    rest = b""
    while block := os.read(descriptor, _BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if len(rest) > _LONGEST_LINE:
            break
    if rest:
        yield rest


def _split(path: Path, number: int, line: bytes) -> tuple[str, str]:
    source, _, owner = line.decode("utf-8", "replace").removesuffix("\n").partition(" ")
    try:
        require_source(source)
    except LineError as error:
        raise _foreign(path, number, "it does not begin with a source") from error
    if not owner or not owner.isprintable() or len(line) > _LONGEST_LINE:
        raise _foreign(path, number, "it does not end with the name of an owner")
    return source, owner


def _foreign(path: Path, number: int, found: str) -> OutputError:
    allowed = "correct the line, or remove it: the next sender of the source becomes its owner then"
    return OutputError(f"{path}:{number}: {found}; nothing was changed: {allowed}")
