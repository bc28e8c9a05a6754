"""Makes written bytes survive a crash, through one seam that tests can watch and break."""

import os
from pathlib import Path
from typing import Final, Protocol


class Disk(Protocol):
    """The calls that make written bytes durable. Callable from any thread; every method may block.

    A component takes a disk as an argument, ``DISK`` by default. After a failed ``sync`` the caller treats
    the bytes as lost: the system may report success the next time without having written them.
    """

    def sync(self, file: int) -> None:
        """Write a file's bytes and size to the disk.

        Args:
            file: an open descriptor of the file.

        Raises:
            OSError: when the disk did not take them.
        """

    def sync_folder(self, folder: int) -> None:
        """Write a folder's entries to the disk; a new or renamed file survives a power cut only then.

        Args:
            folder: an open descriptor of the folder.

        Raises:
            OSError: when the disk did not take them.
        """

    def replace(self, source: str, target: str, folder: int) -> None:
        """Rename a file over another one in the same folder, in one step.

        Args:
            source: name of the new file.
            target: name to give it; a file of that name is replaced.
            folder: an open descriptor of the folder of both.

        Raises:
            OSError: when it cannot be renamed; both files stay as they were.
        """


class SystemDisk:
    """The operating system's own calls."""

    def sync(self, file: int) -> None:
        """Call ``fsync`` for a file."""
        os.fsync(file)

    def sync_folder(self, folder: int) -> None:
        """Call ``fsync`` for a folder."""
        os.fsync(folder)

    def replace(self, source: str, target: str, folder: int) -> None:
        """Call ``renameat``."""
        os.rename(source, target, src_dir_fd=folder, dst_dir_fd=folder)


DISK: Final[Disk] = SystemDisk()
"""The disk that everything uses unless it is given another one."""


def sync_folder_at(path: Path, disk: Disk = DISK) -> None:
    """Open a folder and write its entries to the disk.

    Raises:
        OSError: when it cannot be opened, or the disk did not take them.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        disk.sync_folder(folder)
    finally:
        os.close(folder)


def make_folders(path: Path, disk: Disk = DISK, mode: int = 0o777) -> None:
    """Make a folder with those above it that are missing, each of which survives a power cut.

    Args:
        path: the folder; nothing happens when it exists.
        disk: where it is made.
        mode: permissions of the new folders, before the process's mask.

    Raises:
        OSError: when one cannot be made, or the disk did not take it.
    """
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode, exist_ok=True)
        sync_folder_at(folder.parent, disk)
