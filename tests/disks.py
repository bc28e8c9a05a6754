"""A disk that tests watch and break: does what the real one does, remembers each call, fails on request."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from townlet_adapters.disk import DISK

Verb = Literal["sync", "sync_folder", "replace"]


class Call(NamedTuple):
    """One call: what was asked, and the path of the file or folder it was asked for."""

    verb: Verb
    path: Path


@dataclass
class WatchedDisk:
    """The system's disk with a memory.

    Attributes:
        calls: every call in order, the failed ones included.
        fails: whether a call fails, and with nothing done; none does by default.
        error: ``errno`` of the failures.
    """

    calls: list[Call] = field(default_factory=list)
    fails: Callable[[Call], bool] = lambda _call: False
    error: int = errno.EIO

    def sync(self, file: int) -> None:
        """Note the file, and sync it."""
        self._note("sync", path_of(file))
        DISK.sync(file)

    def sync_folder(self, folder: int) -> None:
        """Note the folder, and sync it."""
        self._note("sync_folder", path_of(folder))
        DISK.sync_folder(folder)

    def replace(self, source: str, target: str, folder: int) -> None:
        """Note the target, and rename over it."""
        self._note("replace", path_of(folder) / target)
        DISK.replace(source, target, folder)

    def verbs(self, path: Path) -> list[Verb]:
        """Return what was asked for one path, in order."""
        return [call.verb for call in self.calls if call.path == path]

    def _note(self, verb: Verb, path: Path) -> None:
        call = Call(verb, path)
        self.calls.append(call)
        if self.fails(call):
            raise OSError(self.error, os.strerror(self.error))


def path_of(descriptor: int) -> Path:
    """Return the path that a descriptor was opened at."""
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def open_below(folder: Path) -> list[Path]:
    """Return the paths of the folder and of what is in it that this process has open."""
    links = [Path(entry.path) for entry in os.scandir("/proc/self/fd")]
    targets = [link.readlink() for link in links if os.path.lexists(link)]
    return sorted(target for target in targets if target.is_relative_to(folder))
