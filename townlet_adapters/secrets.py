"""Secrets from where a config says they are: a variable or a private file; never in a message."""

import os
import stat
from pathlib import Path
from typing import Final

from townlet_adapters.files import open_regular, read_open
from townlet_core.errors import ConfigError, Problem

LEAST_BYTES: Final = 16
MOST_BYTES: Final = 4096


def read_secret(name: str, env: str | None, file: str | None, folder: Path) -> bytes:
    """Read the secret that ``<name>_env`` or ``<name>_file`` names; line ends around it do not count.

    Args:
        name: what the config's keys begin with, such as ``key``.
        env: name of a variable, or None.
        file: path of a file, relative to ``folder``, or None.
        folder: where relative paths start.

    Raises:
        ConfigError: when it is not there, too short or too long, or a file that others can read.
    """
    if env is not None:
        key, found, secret = f"{name}_env", f"the variable {env}", os.environb.get(env.encode())
        if secret is None:
            raise ConfigError(Problem(key, f"{found} is not set", "set it before the run"))
    else:
        key, found = f"{name}_file", f"the file '{file}'"
        secret = read_private(key, folder / str(file), found, MOST_BYTES + len(b"\r\n"))
    secret = secret.strip(b"\r\n")
    if not LEAST_BYTES <= len(secret) <= MOST_BYTES:
        allowed = f"a secret of {LEAST_BYTES} to {MOST_BYTES} bytes, such as 64 random hex digits"
        raise ConfigError(Problem(key, f"{found} holds {len(secret)} bytes", allowed))
    return secret


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
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid():
                raise ConfigError(Problem(key, f"{found} belongs to another user", "a file that you own"))
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                allowed = "a file that only you can read: chmod 600"
                raise ConfigError(Problem(key, f"{found} can be read by others", allowed))
            return read_open(descriptor, limit)
    except OSError as error:
        problem = Problem(key, f"{found} cannot be read: {error.strerror}", "a file with the secret")
        raise ConfigError(problem) from error
