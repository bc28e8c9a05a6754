"""What a config may read: which environment variables and which files.

A config can come from another person than the operator who runs it. It names the variables and files with its
secrets and also the destination that they are sent to; without a limit, its author could take any secret of
the operator.
"""

import errno
import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from townlet_core.errors import ConfigError, Problem

PREFIX: Final = "TOWNLET_"
"""Every config may read variables whose names start with this."""

VARIABLE: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
"""The name of a variable."""

CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""Variable that names a folder which counts as allowed; systemd sets it for the credentials of a service."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator allows a config to read in addition.

    Attributes:
        env: names of variables.
        path: folders; every file below one of them is allowed.
    """

    env: tuple[str, ...] = ()
    path: tuple[Path, ...] = ()


NOTHING_ELSE: Final = Allowed()
"""The operator allows no further variable and no further folder."""


class Input(NamedTuple):
    """One thing that a config reads.

    Attributes:
        kind: what it is.
        name: name of the variable, or absolute path of the file with all links resolved.
    """

    kind: Literal["variable", "file"]
    name: str


class Access:
    """The limit of one config, and the record of what was read within it.

    Variables may be read when their name starts with ``TOWNLET_``, files when they are below the config's
    folder after all links are resolved; ``Allowed`` and ``$CREDENTIALS_DIRECTORY`` add to that.
    """

    def __init__(self, folder: Path, allowed: Allowed = NOTHING_ELSE) -> None:
        """Set the limit.

        Args:
            folder: folder of the config; relative paths of what it reads start there.
            allowed: what it may read in addition.
        """
        self.folder: Final = folder
        self._variables: Final = frozenset(allowed.env)
        self._folders: Final = tuple(map(_resolved, (folder, *allowed.path, *_credentials())))
        self._inputs: dict[Input, None] = {}

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What was read or allowed to be read so far, in order, each once."""
        return tuple(self._inputs)

    def variable(self, name: str, key: str) -> str | None:
        """Return the value of an environment variable, None when it is not set.

        Args:
            name: name of the variable.
            key: key of the options that names it, for the message.

        Raises:
            ConfigError: when the config may not read it, whether it is set or not.
        """
        if not name.startswith(PREFIX) and name not in self._variables:
            found = f"a config may not read the variable {name}"
            allowed = f"variables named {PREFIX}*; to allow this one, add --allow-env {shlex.quote(name)}"
            raise ConfigError(Problem(key, found, allowed))
        self._inputs.setdefault(Input("variable", name))
        return os.environ.get(name)

    def file(self, path: str, key: str) -> Path:
        """Return the place of a file, with all links resolved; it need not exist.

        Args:
            path: the file as the config names it; a relative path starts in the config's folder.
            key: key of the options that names it, for the message.

        Raises:
            ConfigError: when the config may not read it, whether it exists or not.
        """
        try:
            real = _resolved(self.folder / path)
        except ValueError as error:  # a NUL character, or half a surrogate pair
            raise ConfigError(Problem(key, f"{path!r} is not a path", "the path of a file")) from error
        if not any(real.is_relative_to(folder) for folder in self._folders):
            found = f"a config may not read '{path}', which is {real}"
            allowed = (
                f"files below its own folder, {self._folders[0]}; "
                f"to allow this one, add --allow-path {shlex.quote(str(real.parent))}"
            )
            raise ConfigError(Problem(key, found, allowed))
        if _is_too_long(real):
            raise ConfigError(Problem(key, "the path is too long for the file system", "a shorter path"))
        self._inputs.setdefault(Input("file", str(real)))
        return real


def _resolved(path: Path) -> Path:
    # Path.resolve raises for a loop of links in some versions of Python; opening the file finds it, too.
    return Path(os.path.realpath(path))


def _is_too_long(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def _credentials() -> Iterable[Path]:
    folder = Path(os.environ.get(CREDENTIALS, ""))
    return (folder,) if folder.is_absolute() else ()
