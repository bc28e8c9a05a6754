"""The one decorator for compiled code, and where compiled code is kept.

numba's own cache looks at the file of the outermost function only: after an edit or an upgrade of a
callee in another module it would run stale code. So compiled code is kept in a folder named by the
digest of every source a kernel can reach (ADR 0008).
"""

import functools
import hashlib
import inspect
import logging
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.core.registry import CPUDispatcher
from platformdirs import user_cache_path

P = ParamSpec("P")
R = TypeVar("R")

_Types: TypeAlias = tuple[types.Type, ...]

INTERPRETED = bool(numba.config.DISABLE_JIT)
"""True when ``NUMBA_DISABLE_JIT=1`` runs the kernels as plain Python."""

_KERNELS = Path(__file__).resolve().parent
_HOMES: set[Path] = set()
_KEPT_GENERATIONS = 4
_COMPLETE = "complete"


def cache_root() -> Path:
    """Name the folder that compiled code is kept in; ``NUMBA_CACHE_DIR`` moves it."""
    configured = os.environ.get("NUMBA_CACHE_DIR")
    return Path(configured) if configured else user_cache_path("townlet", appauthor=False) / "kernels"


def sources_digest(home: Path) -> str:
    """Digest every Python source that kernels in a folder can reach: the folder's own and the helpers'."""
    digest = hashlib.sha256()
    for folder in (_KERNELS, home):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def _generation(home: Path) -> Path | None:
    """Find or make the folder for one family's compiled code, None when this machine keeps nothing for us.

    Older generations go, but for a few that other checkouts may still use.
    """
    path = cache_root() / f"{home.name}-{sources_digest(home)}"
    try:
        if not path.is_dir():
            path.mkdir(parents=True)
            siblings = sorted(path.parent.glob(f"{home.name}-*"), key=lambda entry: entry.stat().st_mtime)
            for old in siblings[:-_KEPT_GENERATIONS]:
                shutil.rmtree(old, ignore_errors=True)
        writable = os.access(path, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        logging.getLogger(__name__).warning(
            "compiled kernels cannot be kept in %s: every start compiles anew; "
            "set NUMBA_CACHE_DIR to a folder that can be written",
            path,
        )
        return None
    return path


class _ByType(CPUDispatcher):  # type: ignore[misc]  # numba carries no types
    """Compiles a kernel for the types of its arguments, not for the values of its literal ones.

    numba makes a version of a callee for every constant that is passed to it: forty of ``journal.write``,
    and of all its callers' callers. That doubles the time to compile and gains nothing that inlining
    does not give.
    """

    def get_call_template(self, args: _Types, kws: dict[str, types.Type]) -> object:
        """Choose or compile the version for a call from another kernel."""
        plain = {name: types.unliteral(each) for name, each in kws.items()}
        return super().get_call_template(tuple(types.unliteral(each) for each in args), plain)


class _Inner(_ByType):
    """A kernel without a way in from Python; numba itself would jump to address 0."""

    def __call__(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse a call from Python."""
        raise TypeError(f"{self.py_func.__qualname__} can only be called by kernels; make it an entry kernel")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that only other kernels call; same bytes as interpreted, no fast-math.

    It gets no way in from Python, which would be half of its time to compile, and is kept only as part of
    the entry kernels that call it.
    """
    return _compile(_Inner, function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function into every kernel that calls it.

    For what runs for every resident in every tick: the arrays of a town are handed over one by one in a
    call, which takes longer than such a function's own work.
    """
    return _compile(_Inner, function, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def entry_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that Python calls.

    It lives in the folder that holds, or whose folders hold, every kernel it calls but the helpers here:
    that folder's sources name the generation it is kept in. Interpreted, it silences numpy's overflow
    warning: the 64-bit arithmetic of the draws wraps on purpose.
    """
    if not INTERPRETED:
        return _compile(_ByType, function, no_cfunc_wrapper=True)

    def interpreted(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(over="ignore"):
            return function(*args, **kwargs)

    return interpreted


def _compile(dispatcher: type[_ByType], function: Callable[P, R], **options: bool) -> Callable[P, R]:
    """Do what ``numba.njit`` does, with a dispatcher of ours."""
    if INTERPRETED:
        return function
    targetoptions = {"nopython": True, "boundscheck": None, "error_model": "numpy", "_nrt": False, **options}
    compiled = dispatcher(py_func=function, targetoptions=targetoptions)
    if dispatcher is not _Inner:
        home = Path(inspect.getfile(function)).resolve().parent
        _HOMES.add(home)
        generation = _generation(home)
        if generation is not None:
            numba.config.CACHE_DIR = str(generation)
            compiled.enable_caching()
    return cast("Callable[P, R]", compiled)


def compiled_before() -> bool:
    """Tell whether an earlier process compiled and kept every kernel of the families imported so far."""
    kept = {home: _generation(home) for home in _HOMES}
    return all(folder is not None and _marker(home, folder).exists() for home, folder in kept.items())


def note_compiled() -> None:
    """Leave word that every kernel of the families imported so far has run once, and so is kept."""
    for home in _HOMES:
        kept = _generation(home)
        if kept is not None:
            _marker(home, kept).touch()


def _marker(home: Path, kept: Path) -> Path:
    """Name the file that says that everything was kept.

    numba finds what it kept for the very same files only, by place, time and size, and only if it is the
    same numba in the same Python: another checkout with the same sources shares the folder and compiles anew.
    """
    found = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    for path in sorted((*_KERNELS.rglob("*.py"), *home.rglob("*.py"))):
        status = path.stat()
        found.update(f"{path} {status.st_mtime_ns} {status.st_size}".encode())
    return kept / f"{_COMPLETE}-{found.hexdigest()[:16]}"
