"""Closes the ways in which dependencies load code by themselves.

``townlet_adapters`` runs ``close_side_doors`` before anything else of it is imported. pydantic, numba and
pygments ask every installed distribution for entry points and import what these name, whatever the allowlist
says.

- pydantic has a switch in the environment, ``PYDANTIC_DISABLE_PLUGINS``. Child processes inherit it.
- numba and pygments have no switch. Their modules that look entry points up are replaced, when they are
  imported, by modules that find none. A spawned child process imports ``townlet_adapters`` for itself and
  so replaces them again.

This holds for the whole process, and only for what is imported after Townlet.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final

from townlet_core.errors import EnvironmentRefusedError

NUMBA_FILE: Final = ".numba_config.yaml"
"""A file in the working directory that numba takes settings from, names of modules to import among them."""

NUMBA_VARIABLES: Final = frozenset(
    {
        "NUMBA_CACHE_DIR",
        "NUMBA_CPU_FEATURES",
        "NUMBA_CPU_NAME",
        "NUMBA_DISABLE_JIT",
        "NUMBA_NUM_THREADS",
    }
)
"""Settings of numba that choose no code to import and change no result."""


def _find_none() -> tuple[()]:
    """Find no plugins; what numba and pygments call instead of their own look-up."""
    return ()


_REPLACED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "numba.core.entrypoints": ("init_all",),
        "pygments.plugin": (
            "find_plugin_filters",
            "find_plugin_formatters",
            "find_plugin_lexers",
            "find_plugin_styles",
        ),
    }
)
"""Modules that look entry points up, and the functions that their packages call."""


class _Closed(MetaPathFinder, Loader):
    """Finder and loader of the replaced modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for a replaced module, None for any other."""
        del path, target
        return ModuleSpec(fullname, self, origin=__file__) if fullname in _REPLACED else None

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module with functions that find nothing."""
        functions: dict[str, Callable[[], tuple[()]]] = dict.fromkeys(_REPLACED[module.__name__], _find_none)
        vars(module).update(functions)


def close_side_doors() -> None:
    """Turn off every look-up of entry points in our dependencies."""
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    sys.meta_path.insert(0, _Closed())


def require_plain_numba() -> None:
    """Check that nothing but harmless settings reaches numba.

    Raises:
        EnvironmentRefusedError: when the working directory has a settings file of numba, or a variable sets
            what is not in ``NUMBA_VARIABLES``.
    """
    if os.path.lexists(NUMBA_FILE):
        raise EnvironmentRefusedError(
            f"{Path.cwd() / NUMBA_FILE} is refused: numba reads it, and it can name modules to import; "
            "remove it, or start in another folder"
        )
    unknown = sorted(name for name in os.environ if name.startswith("NUMBA_") and name not in NUMBA_VARIABLES)
    if unknown:
        raise EnvironmentRefusedError(
            f"the environment variable {ascii(unknown[0])[1:-1]} is refused: settings of numba can name "
            f"modules to import or change results; unset it; allowed: {', '.join(sorted(NUMBA_VARIABLES))}"
        )
