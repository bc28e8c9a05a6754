"""The run folder: one new folder for each run, never an old one's files."""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from townlet_adapters.storage.atomic import write_json
from townlet_core.errors import OutputError
from townlet_core.jsonvalue import JsonObject

RUNS = Path("runs")
"""Parent of run folders that nobody named."""

_MOST_NAMESAKES = 1000


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run.

    Attributes:
        path: where it is.
        made: folders that were made for it, outermost first; an existing empty folder is no such.
    """

    path: Path
    made: tuple[Path, ...]

    @property
    def snapshots(self) -> Path:
        """Where snapshots go; made with the first one."""
        return self.path / "snapshots"

    @property
    def summary(self) -> Path:
        """Where the summary goes when the run has ended."""
        return self.path / "summary.json"

    def write_identity(self, identity: JsonObject) -> None:
        """Write ``run.json``: who this run is."""
        write_json(self.path / "run.json", identity)

    def discard(self) -> None:
        """Remove the folder of a run that never came to be."""
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        for folder in reversed(self.made):
            # Somebody else may have put something beside it meanwhile.
            with suppress(OSError):
                folder.rmdir()


def default_path(name: str, seed: int, now: datetime | None = None) -> Path:
    """Name the folder of a run that nobody named: ``runs/<utc>-<name>-s<seed>``."""
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    readable = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
    return RUNS / f"{stamp}-{readable}-s{seed}"


def claim_folder(path: Path, *, named: bool) -> RunFolder:
    """Make a folder that is ours alone.

    Args:
        path: where it should be.
        named: whether a person chose the path. An empty folder is taken then and one with files is
            refused; otherwise a number is put behind a name that is taken.

    Raises:
        OutputError: when it cannot be made or written to, or holds files.
    """
    try:
        made = _make_parents(path)
        folder = _take(path, made) if named else _take_free(path, made)
        _probe(folder.path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be the run folder: {reason}; name a folder that can be written with --out, "
            "or keep nothing with --no-out"
        ) from error
    return folder


def _make_parents(path: Path) -> tuple[Path, ...]:
    """Make the folders above ``path``; tells which were missing, outermost first."""
    missing = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    return tuple(reversed(missing))


def _take(path: Path, made: tuple[Path, ...]) -> RunFolder:
    if not path.exists():
        path.mkdir()
        return RunFolder(path, (*made, path))
    if any(path.iterdir()):
        raise OutputError(
            f"{path}: cannot be the run folder: it holds files already; "
            "name a new or an empty folder with --out"
        )
    return RunFolder(path, made)


def _take_free(path: Path, made: tuple[Path, ...]) -> RunFolder:
    for number in range(1, _MOST_NAMESAKES):
        candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
        # Making it is the only test that two runs starting together cannot both pass.
        with suppress(FileExistsError):
            candidate.mkdir()
            return RunFolder(candidate, (*made, candidate))
    raise OutputError(f"{path}: a thousand runs have this name already; name a folder with --out")


def _probe(path: Path) -> None:
    """Write and remove a file: what permissions say is not what a file system does."""
    probe = path / f".probe-{os.getpid()}"
    probe.write_bytes(b"")
    probe.unlink()
