"""The folder of one outbox: what in it is ours, who may use it, and what is put aside.

control                      what was emitted and what is settled
lock                         held by the process that uses the outbox
segment-00000007.db          rows (and its -wal beside it)
segment-00000007.label       what that segment is
segment-00000006.lost-5-90   label of a damaged one; its rows 5 to 89 are still to be declared lost
quarantine/                  damaged segments, declared
"""

import fcntl
import logging
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from townlet_adapters.telemetry.spool.control import CONTROL_FILE
from townlet_adapters.telemetry.spool.segment import Segment
from townlet_core.errors import OutputError

_log = logging.getLogger(__name__)

LOCK_FILE: Final = "lock"
QUARANTINE: Final = "quarantine"
MOST_QUARANTINED: Final = 8
LONGEST_PATH: Final = 512 - len("/segment-00000001.db-journal")
"""Most bytes of the path of an outbox: SQLite opens no file with a path of more than 512."""

_SEGMENT: Final = re.compile(r"segment-(\d{8})\.(?:db(?:-(?:wal|shm|journal))?|(label)|lost-(\d+)-(\d+))")
_UNFINISHED: Final = re.compile(r"(?:control|segment-\d{8}\.label)\.new")


class Files(NamedTuple):
    """The files of one segment.

    Attributes:
        number: the segment's number.
        label: its label, None when there is none.
        lost: number of the first row that is lost and of the one after the last; None when it is not known to
            be damaged.
    """

    number: int
    label: Path | None
    lost: tuple[int, int] | None


def check_length(folder: Path) -> None:
    """Refuse a path of which SQLite could not open what lies below it; links count as what they lead to.

    Raises:
        OutputError: when it is longer than ``LONGEST_PATH``.
    """
    size = max(len(os.fsencode(path)) for path in (folder.absolute(), os.path.realpath(folder)))
    if size > LONGEST_PATH:
        raise OutputError(
            f"{folder}: the path is too long for an outbox: it has {size} bytes, and SQLite can open what "
            f"lies in one of at most {LONGEST_PATH}; name another spool_dir, with a shorter path"
        )


def check(folder: Path) -> None:
    """Refuse a folder that is not a folder, and links among the files that are ours.

    Raises:
        OutputError: naming what is in the way.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise OutputError(f"{folder}: is a link or no folder; an outbox is kept in a folder of its own")
    for path in ours(folder):
        mode = path.lstat().st_mode
        if not (stat.S_ISDIR(mode) if path.name == QUARANTINE else stat.S_ISREG(mode)):
            raise OutputError(
                f"{path}: is not a regular file, and an outbox follows no links; "
                "move it away, or name another folder"
            )


def ours(folder: Path) -> Iterator[Path]:
    """Give every entry whose name is one that an outbox gives; leaves the rest alone."""
    for path in sorted(folder.iterdir()):
        if path.name in {CONTROL_FILE, LOCK_FILE, QUARANTINE} or (
            _SEGMENT.fullmatch(path.name) or _UNFINISHED.fullmatch(path.name)
        ):
            yield path


def segment_files(folder: Path) -> list[Files]:
    """List the segments by number, whatever is left of each."""
    found: dict[int, Files] = {}
    for path in ours(folder):
        match = _SEGMENT.fullmatch(path.name)
        if match is None:
            continue
        number, label, lost = int(match[1]), match[2], match[3] and (int(match[3]), int(match[4]))
        known = found.get(number, Files(number, None, None))
        if lost:
            known = Files(number, path, lost)
        elif label is not None and known.lost is None:
            known = Files(number, path, None)
        found[number] = known
    return [found[number] for number in sorted(found)]


def drop_unfinished(folder: Path) -> None:
    """Remove what a kill left of files that were never put in force."""
    for path in ours(folder):
        if _UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)


def take_lock(folder: Path, *, shared: bool = False) -> int:
    """Keep other processes out; returns the handle that holds the lock until it is closed.

    Raises:
        BlockingIOError: when another process uses the folder.
        OSError: when there is no lock to take.
    """
    flags = os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT
    fd = os.open(folder / LOCK_FILE, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def quarantined(folder: Path) -> dict[int, int]:
    """Give the number of each segment put aside, and its bytes."""
    sizes: dict[int, int] = {}
    aside = folder / QUARANTINE
    if not aside.is_dir():
        return sizes
    for path in sorted(aside.iterdir()):
        match = _SEGMENT.fullmatch(path.name)
        if match is not None:
            sizes[int(match[1])] = sizes.get(int(match[1]), 0) + path.lstat().st_size
    return sizes


def put_aside(folder: Path, segment: Segment, most_bytes: int) -> None:
    """Move a damaged segment into quarantine, and let the oldest there go when that is more than is kept.

    Raises:
        OSError: when it cannot be moved.
    """
    aside = folder / QUARANTINE
    aside.mkdir(mode=0o700, exist_ok=True)
    with segment.lock:
        segment.move_to(aside)
    sizes = quarantined(folder)
    while len(sizes) > 1 and (len(sizes) > MOST_QUARANTINED or sum(sizes.values()) > most_bytes):
        oldest = min(sizes)
        del sizes[oldest]
        _log.warning("%s: removed segment %d, the oldest in quarantine, to stay within bounds", aside, oldest)
        for path in aside.glob(f"segment-{oldest:08d}.*"):
            path.unlink(missing_ok=True)
