"""Files that are either the old ones or the new ones, whatever happens in between."""

import json
import os
from contextlib import suppress
from pathlib import Path

from townlet_adapters.disk import DISK, Disk
from townlet_core.errors import OutputError
from townlet_core.jsonvalue import JsonValue


def write_atomically(path: Path, data: bytes, disk: Disk = DISK) -> None:
    """Put ``data`` at ``path``: written beside it, synced to disk, renamed over it.

    The folder is opened once and everything happens relative to that handle, so a folder that is moved
    or replaced by a link meanwhile leads nowhere else.

    Raises:
        OutputError: when the file cannot be written; nothing is left behind then.
    """
    temporary = f".{path.name}.{os.getpid()}.part"
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        _write_synced(temporary, data, folder, disk)
        disk.replace(temporary, path.name, folder)
        disk.sync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise _cannot_write(path, error) from error
    finally:
        os.close(folder)


def write_json(path: Path, value: JsonValue, disk: Disk = DISK) -> None:
    """Write ``value`` for people and programs alike: indented, keys in the order given, atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, f"{text}\n".encode(), disk)


def _write_synced(name: str, data: bytes, folder: int, disk: Disk) -> None:
    """Create a new file below the folder's handle and have it on disk on return."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o644, dir_fd=folder), "wb") as stream:
        stream.write(data)
        stream.flush()
        disk.sync(stream.fileno())


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written: {error.strerror or error}")
