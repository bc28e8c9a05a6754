"""Replaces files in one step: whatever happens, a file is the old one or the new one."""

import json
import os
from contextlib import suppress
from pathlib import Path

from townlet_adapters.disk import DISK, Disk
from townlet_core.errors import OutputError
from townlet_core.jsonvalue import JsonValue


def write_atomically(path: Path, data: bytes, disk: Disk = DISK) -> None:
    """Write ``data`` beside ``path``, sync it to the disk, and rename it to ``path``.

    The folder is opened once and everything is done relative to that descriptor. A folder that is moved, or
    replaced by a link, in the meantime does not change where the file goes.

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
    """Write ``value`` as indented JSON, with its keys in the order given, as ``write_atomically`` does."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, f"{text}\n".encode(), disk)


def _write_synced(name: str, data: bytes, folder: int, disk: Disk) -> None:
    """Create a new file in an open folder; it is on the disk on return."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o644, dir_fd=folder), "wb") as stream:
        stream.write(data)
        stream.flush()
        disk.sync(stream.fileno())


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written: {error.strerror or error}")
