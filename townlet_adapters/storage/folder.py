"""The run folder: a new one for each run, or that of a run that is resumed; one process at a time."""

import errno
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from townlet_adapters.disk import DISK, Disk
from townlet_adapters.files import read_regular
from townlet_adapters.storage.atomic import write_atomically, write_json
from townlet_core.errors import OutputError
from townlet_core.jsonvalue import JsonObject, canonical_json

RUNS: Final = Path("runs")
"""Parent of the run folders whose path was not chosen."""

RECORD: Final = "run.json"
PLAN: Final = "plan.json"
SNAPSHOTS: Final = "snapshots"
LOCK: Final = ".lock"

_ELSEWHERE: Final = "go on in another folder with --out"
_MOST_NAMESAKES: Final = 1000
_MOST_RECORD_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run, which no other process uses until it is released.

    Attributes:
        path: where it is.
        made: folders that were made for it, outermost first; an existing empty folder is not one of them.
        record: what ``run.json`` held when an earlier run was taken up again; None in a new folder.
        lock: descriptor of the locked file.
    """

    path: Path
    made: tuple[Path, ...]
    record: "JsonObject | None" = None
    lock: int = field(default=-1, repr=False)

    @property
    def snapshots(self) -> Path:
        """Where snapshots go; made with the first one."""
        return self.path / SNAPSHOTS

    @property
    def summary(self) -> Path:
        """Where the summary goes when the run has ended."""
        return self.path / "summary.json"

    def write_record(self, record: JsonObject, disk: Disk = DISK) -> None:
        """Write ``run.json``: what ran here, and when."""
        write_json(self.path / RECORD, record, disk)

    def write_plan(self, plan: JsonObject, disk: Disk = DISK) -> None:
        """Write ``plan.json``, what is needed to draw the run, in one line."""
        write_atomically(self.path / PLAN, canonical_json(plan) + b"\n", disk)

    def discard(self) -> None:
        """Remove the folder of a run that could not be built; one that held a run before stays as it is."""
        if self.record is not None:
            return
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        for folder in reversed(self.made):
            # Another process may have put something beside it meanwhile.
            with suppress(OSError):
                folder.rmdir()

    def release(self) -> None:
        """Release the lock, so that another process may use the folder."""
        os.close(self.lock)


def default_path(name: str, seed: int, now: datetime | None = None) -> Path:
    """Return the path of a run folder when none was chosen: ``runs/<utc>-<name>-s<seed>``."""
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    readable = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
    return RUNS / f"{stamp}-{readable}-s{seed}"


def claim_folder(path: Path, *, named: bool) -> RunFolder:
    """Make a folder for a new run.

    Args:
        path: where it should be.
        named: whether a person chose the path. An empty folder is taken then and one with files is
            refused; otherwise a number is put behind a name that is taken.

    Raises:
        OutputError: when it cannot be made or written to, or holds files.
    """
    try:
        made = _make_parents(path)
        taken, made = _take(path, made) if named else _take_free(path, made)
        return RunFolder(taken, made, lock=_lock(taken))
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be the run folder: {reason}; name a folder that can be written with --out, "
            "or keep nothing with --no-out"
        ) from error


def reopen_folder(path: Path) -> RunFolder:
    """Take up the folder of an earlier run again.

    Raises:
        OutputError: when another process uses it, it cannot be written to, or its ``run.json`` is damaged.
    """
    try:
        lock = _lock(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be continued: {error.strerror or error}; go on in another folder with --out"
        ) from error
    try:
        return RunFolder(path, (), read_record(path), lock)
    except BaseException:
        os.close(lock)
        raise


def run_folder_of(snapshot: Path) -> Path | None:
    """Return the run folder that a snapshot belongs to; None when it is in none.

    Args:
        snapshot: a snapshot file, a run folder, or its ``snapshots``.
    """
    folder = snapshot if snapshot.is_dir() else snapshot.parent
    if not (folder / RECORD).exists() and folder.absolute().name == SNAPSHOTS:
        folder = folder.absolute().parent
    return folder if (folder / RECORD).exists() else None


def read_record(path: Path, advice: str = _ELSEWHERE) -> JsonObject:
    """Read the ``run.json`` of a run folder.

    Args:
        path: the run folder.
        advice: what the message about a damaged one ends in: what to do.

    Raises:
        OutputError: when it cannot be read, or is not a JSON object.
    """
    file = path / RECORD
    try:
        record = json.loads(read_regular(file, _MOST_RECORD_BYTES, follow_links=False))
    except OSError as error:
        raise OutputError(f"{file}: cannot be read: {error.strerror or error}; {advice}") from error
    except (ValueError, RecursionError) as error:
        raise OutputError(f"{file}: damaged: not JSON ({error}); {advice}") from error
    if not isinstance(record, Mapping):
        raise OutputError(f"{file}: damaged: not a JSON object; {advice}")
    return record


def _make_parents(path: Path) -> tuple[Path, ...]:
    """Make the folders above ``path``; returns those that were missing, outermost first."""
    missing = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    return tuple(reversed(missing))


def _take(path: Path, made: tuple[Path, ...]) -> tuple[Path, tuple[Path, ...]]:
    if not path.exists():
        path.mkdir()
        return path, (*made, path)
    if any(path.iterdir()):
        raise OutputError(
            f"{path}: cannot be the run folder: it holds files already; "
            "name a new or an empty folder with --out"
        )
    return path, made


def _take_free(path: Path, made: tuple[Path, ...]) -> tuple[Path, tuple[Path, ...]]:
    for number in range(1, _MOST_NAMESAKES):
        candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
        # Making it is the only test that two runs starting together cannot both pass.
        with suppress(FileExistsError):
            candidate.mkdir()
            return candidate, (*made, candidate)
    raise OutputError(f"{path}: a thousand runs have this name already; name a folder with --out")


def _lock(path: Path) -> int:
    """Make and lock the file that one process at a time holds; a file system that cannot be written fails.

    The file stays when the run is over: removing it could remove the lock that another process just took.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    lock = os.open(path / LOCK, flags, 0o644)
    try:
        _check_regular(lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Permissions and a free inode do not say that there is room for files.
        probe = path / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except BlockingIOError as error:
        os.close(lock)
        raise OutputError(
            f"{path}: another process is running in this folder; wait until it ends, "
            "or name another folder with --out"
        ) from error
    except BaseException:
        os.close(lock)
        raise
    return lock


def _check_regular(lock: int) -> None:
    if not stat.S_ISREG(os.fstat(lock).st_mode):
        raise OSError(errno.EINVAL, f"{LOCK} is not a regular file")
