"""Checks that other users can neither change what is in a folder nor put another folder in its place."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

_MAX_LINKS = 40
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_private(folder: Path) -> None:
    """Make a folder and every missing one above it, each for this user alone.

    Raises:
        OSError: when one of them cannot be made.
    """
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def complaint(folder: Path) -> str:
    """Return why other users could change what is in a folder; empty when they cannot.

    Every folder above it counts, and every link on the way. A folder above it that any user can write to is
    accepted if it is sticky, as ``/tmp`` is: there users cannot rename what belongs to another.

    Args:
        folder: an existing folder.

    Raises:
        OSError: when a folder on the way cannot be looked at.
    """
    status = folder.stat()
    if status.st_uid != os.geteuid():
        return f"{folder} belongs to another user"
    if status.st_mode & _OTHERS_WRITE:
        return f"other users can write to {folder} (to change that: chmod go-w {folder})"
    for place in _way(folder):
        status = place.lstat()
        if status.st_uid not in {0, os.geteuid()}:
            return f"{place}, above {folder}, belongs to another user"
        is_open = status.st_mode & _OTHERS_WRITE and not status.st_mode & stat.S_ISVTX
        if is_open and not stat.S_ISLNK(status.st_mode):
            return f"other users can write to {place}, above {folder} (to change that: chmod go-w {place})"
    return _complaint_inside(folder)


def _complaint_inside(folder: Path) -> str:
    """Return why other users could change a file below a folder; empty when they cannot."""
    reachable = folder.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)
    for place in folder.rglob("*"):
        try:
            status = place.lstat()
        except FileNotFoundError:  # another process of this user has renamed or removed it
            continue
        if status.st_uid not in {0, os.geteuid()}:
            return f"{place} belongs to another user"
        if stat.S_ISLNK(status.st_mode):
            return f"{place} is a link"
        if reachable and status.st_mode & _OTHERS_WRITE:
            return f"other users can write to {place} (to change that: chmod -R go-w {folder})"
    return ""


def _way(folder: Path) -> Iterator[Path]:
    """Yield every folder and link that leads to a folder, from the root; the folder itself is left out."""
    place, waiting = Path("/"), [*reversed(folder.absolute().parts[1:])]
    links = 0
    while waiting:
        yield place
        name = waiting.pop()
        if name == "..":
            place = place.parent
            continue
        if not (place / name).is_symlink():
            place /= name
            continue
        yield place / name
        links += 1
        if links > _MAX_LINKS:
            raise OSError(f"too many links on the way to {folder}")
        target = (place / name).readlink()
        place = Path("/") if target.is_absolute() else place
        waiting += reversed([part for part in target.parts if part != "/"])
