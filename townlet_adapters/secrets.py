"""Reads secrets from a variable or a private file; no message contains one."""

import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

from townlet_adapters.files import open_regular, read_open
from townlet_core.errors import ConfigError, Problem
from townlet_plugins.access import CREDENTIALS, Access

LEAST_BYTES: Final = 16
MOST_BYTES: Final = 4096


def configured_secret(name: str, env: str | None, file: str | None, access: Access) -> bytes:
    """Read the secret that ``<name>_env`` or ``<name>_file`` of a config names.

    Args:
        name: what the config's keys begin with, such as ``key``.
        env: name of a variable, or None.
        file: path of a file as the config names it, or None.
        access: what the config may read.

    Raises:
        ConfigError: when the config may not read it, or ``read_secret`` refuses it.
    """
    if env is not None:
        access.variable(env, f"{name}_env")
    place = access.file(file, f"{name}_file") if file is not None else None
    return read_secret(name, env, place)


def read_secret(name: str, env: str | None, file: Path | None) -> bytes:
    """Read a secret from a variable or from a private file; line ends around it do not count.

    Args:
        name: what the keys that name it begin with, such as ``key`` for ``key_env`` and ``key_file``.
        env: name of a variable, or None for the file.
        file: the file; not used when there is a variable.

    Raises:
        ConfigError: when it is missing, too short or too long, or in a file that other users can read.
    """
    if env is not None:
        key, found, secret = f"{name}_env", f"the variable {env}", os.environb.get(os.fsencode(env))
        if secret is None:
            allowed = f"set it, or name another variable with {key} or a private file with {name}_file"
            raise ConfigError(Problem(key, f"{found} is not set", allowed))
    elif file is not None:
        key, found = f"{name}_file", f"the file '{file}'"
        secret = read_private(key, file, found, MOST_BYTES + len(b"\r\n"))
    else:
        allowed = f"name a variable with {name}_env or a private file with {name}_file"
        raise ConfigError(Problem(f"{name}_env", "this key is missing", allowed))
    secret = secret.strip(b"\r\n")
    if not LEAST_BYTES <= len(secret) <= MOST_BYTES:
        allowed = f"a secret of {LEAST_BYTES} to {MOST_BYTES} bytes, such as 64 random hex digits"
        raise ConfigError(Problem(key, f"{found} has {len(secret)} bytes", allowed))
    return secret


class Exposure(NamedTuple):
    """The way in which a file is not private.

    Attributes:
        found: the fault, as the end of a sentence about the file.
        allowed: what to do.
    """

    found: str
    allowed: str


def exposure_of(path: Path, status: os.stat_result) -> Exposure | None:
    """Return the way in which a file is not private to this user; None when it is.

    A service manager may keep ownership of the credentials that it passes in ``$CREDENTIALS_DIRECTORY``, and
    let the service read them by an access list, which shows as a group that may read.

    Args:
        path: the file.
        status: its status, from an open descriptor.
    """
    passed = _is_credential(path)
    if status.st_uid != os.geteuid() and not (passed and status.st_uid == 0):
        return Exposure("belongs to another user", "a file that you own: chown")
    if status.st_mode & (stat.S_IRWXO | (stat.S_IWGRP if passed else stat.S_IRWXG)):
        return Exposure("can be read by others", "a file that only you can read: chmod 600")
    return None


def _is_credential(path: Path) -> bool:
    folder = Path(os.environ.get(CREDENTIALS, ""))
    return folder.is_absolute() and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def read_private(key: str, path: Path, found: str, limit: int) -> bytes:
    """Read a file that belongs to this user and that no other user can read.

    Args:
        key: what messages call it.
        path: the file.
        found: the file in words, for messages.
        limit: most bytes that it may have.

    Raises:
        ConfigError: when it cannot be read, is larger, belongs to another user or can be read by others.
    """
    try:
        with open_regular(path) as descriptor:
            exposure = exposure_of(path, os.fstat(descriptor))
            if exposure is not None:
                raise ConfigError(Problem(key, f"{found} {exposure.found}", exposure.allowed))
            return read_open(descriptor, limit)
    except OSError as error:
        problem = Problem(key, f"{found} cannot be read: {error.strerror}", "a file with the secret")
        raise ConfigError(problem) from error
