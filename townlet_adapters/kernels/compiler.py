"""The one decorator for compiled code, and where compiled code is kept.

numba's own cache checks the file of the outermost function only, and would run stale code after an edit of
a callee in another module. So compiled code is kept in a folder named by the digest of every source that a
kernel can reach (ADR 0008).
"""

import functools
import hashlib
import inspect
import logging
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeAlias, TypeVar, TypeVarTuple, cast

import numba
import numpy as np
from numba import types
from numba.core.registry import CPUDispatcher
from platformdirs import user_cache_path

from townlet_adapters.kernels.linking import EntryCompiler, PartCompiler
from townlet_adapters.kernels.private import complaint, make_private

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

_Types: TypeAlias = tuple[types.Type, ...]

# numba reads this file again at each compilation; ``townlet_adapters.guards`` looked for it only once.
numba.config._config_fname = os.devnull  # noqa: SLF001 - numba has no switch for it

INTERPRETED = bool(numba.config.DISABLE_JIT)
"""True when ``NUMBA_DISABLE_JIT=1`` runs the kernels as plain Python."""

_KERNELS = Path(__file__).resolve().parent
_HOMES: set[Path] = set()
_KERNEL_NAMES: set[str] = set()
_KEPT_GENERATIONS = 4
_COMPLETE = "complete"


def cache_root() -> Path:
    """Return the folder in which compiled code is kept; ``NUMBA_CACHE_DIR`` overrides the default."""
    configured = os.environ.get("NUMBA_CACHE_DIR")
    return Path(configured) if configured else user_cache_path("townlet", appauthor=False) / "kernels"


def family_of(module: Path) -> Path:
    """Return the folder whose sources the kernels of a module can reach.

    A family of this package is a folder such as ``worlds/town``, with all folders in it: its entry kernels
    call kernels of other folders of the family. Elsewhere it is the module's own folder.
    """
    package = _KERNELS.parent
    if not module.is_relative_to(package):
        return module.parent
    return package.joinpath(*module.relative_to(package).parent.parts[:2])


def sources_digest(home: Path) -> str:
    """Return a digest of every source that kernels in a folder can reach: the folder's and the helpers'."""
    digest = hashlib.sha256()
    for folder in (_KERNELS, home):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def _generation(home: Path) -> Path | None:
    """Find or make the folder for one family's compiled code; return None when nothing may be kept.

    numba keeps compiled code as pickles, and reading a pickle runs code. So a folder that another user could
    write to is neither read nor written. Older generations are removed, except for a few that other checkouts
    may still use.
    """
    path = cache_root() / f"{home.name}-{sources_digest(home)}"
    try:
        if not path.is_dir():
            make_private(path)
            _remove_old(path.parent, home.name)
        trouble = complaint(path)
    except OSError as error:
        trouble = f"{path} cannot be used ({error.strerror or error})"
    if not trouble and not os.access(path, os.W_OK):
        trouble = f"{path} cannot be written"
    if trouble:
        logging.getLogger(__name__).warning(
            "compiled kernels are not kept, and every start compiles them anew: %s; set NUMBA_CACHE_DIR to a "
            "folder to which you alone can write, and which is below folders that belong to you or to root",
            trouble,
        )
        return None
    return path


def _remove_old(root: Path, name: str) -> None:
    """Remove all but the latest generations of a family."""
    siblings = sorted(root.glob(f"{name}-*"), key=lambda entry: entry.stat().st_mtime)
    for old in siblings[:-_KEPT_GENERATIONS]:
        shutil.rmtree(old, ignore_errors=True)


class _ByType(CPUDispatcher):  # type: ignore[misc]  # numba carries no types
    """Compiles a kernel for the types of its arguments, not for the values of its literal ones.

    numba compiles a version of a callee for every constant that is passed to it: forty of ``journal.write``,
    and forty of everything that calls it. That doubles the time to compile and gains nothing that inlining
    does not give.
    """

    def get_call_template(self, args: _Types, kws: dict[str, types.Type]) -> object:
        """Choose or compile the version for a call from another kernel."""
        plain = {name: types.unliteral(each) for name, each in kws.items()}
        return super().get_call_template(tuple(types.unliteral(each) for each in args), plain)


class _Inner(_ByType):
    """A kernel that Python cannot call; without this check, numba would jump to address 0."""

    def __call__(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse a call from Python."""
        raise TypeError(f"{self.py_func.__qualname__} can only be called by kernels; make it an entry kernel")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that only other kernels call; same bytes as interpreted, no fast-math.

    It gets no wrapper for calls from Python, which would be half of its time to compile. It is kept only as
    part of the entry kernels that call it.
    """
    return _compile(_Inner, function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function into every kernel that calls it.

    Use it for what runs for every resident in every tick. A call passes the arrays of a town one by one,
    which takes longer than such a function's own work.
    """
    return _compile(_Inner, function, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def entry_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that Python calls.

    The folder of its family must contain, directly or in folders below it, every kernel that it calls and
    every constant that they use, except for the helpers here: the sources in that folder determine the
    generation in which it is kept. When it is interpreted, numpy's overflow warning is off, because the
    64-bit arithmetic of the draws wraps on purpose.
    """
    if not INTERPRETED:
        return _compile(_ByType, function, no_cfunc_wrapper=True)

    def interpreted(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(over="ignore"):
            return function(*args, **kwargs)

    return interpreted


def bound(entry: Callable[[*Ts], R], *args: *Ts) -> Callable[[], R]:
    """Return a call of an entry kernel with these arguments, compiled for them if necessary.

    For a kernel that is called in every tick with the same arrays. numba looks up the types of all arguments
    at every call, which for the sixty arrays of a town takes longer than the town's tick; here it does so
    once. The call holds the arguments.
    """
    if INTERPRETED:
        return functools.partial(entry, *args)
    dispatcher = cast("CPUDispatcher", entry)
    return functools.partial(dispatcher.compile(tuple(map(numba.typeof, args))), *args)


def _compile(dispatcher: type[_ByType], function: Callable[P, R], **options: bool) -> Callable[P, R]:
    """Do what ``numba.njit`` does, with the given dispatcher."""
    if INTERPRETED:
        return function
    targetoptions = {"nopython": True, "boundscheck": None, "error_model": "numpy", "_nrt": False, **options}
    pipeline = PartCompiler if dispatcher is _Inner else EntryCompiler
    compiled = dispatcher(py_func=function, targetoptions=targetoptions, pipeline_class=pipeline)
    _KERNEL_NAMES.add(f"{function.__module__}.{function.__qualname__}")
    if dispatcher is not _Inner:
        home = family_of(Path(inspect.getfile(function)).resolve())
        _HOMES.add(home)
        generation = _generation(home)
        if generation is not None:
            numba.config.CACHE_DIR = str(generation)
            compiled.enable_caching()
    return cast("Callable[P, R]", compiled)


def kernel_names() -> frozenset[str]:
    """Return the qualified names of the kernels in the families imported so far."""
    return frozenset(_KERNEL_NAMES)


def compiled_before() -> bool:
    """Return whether an earlier process compiled and kept every kernel of the families imported so far."""
    kept = {home: _generation(home) for home in _HOMES}
    return all(folder is not None and _marker(home, folder).exists() for home, folder in kept.items())


def note_compiled() -> None:
    """Record that every kernel of the families imported so far has run once, and so is kept."""
    for home in _HOMES:
        kept = _generation(home)
        if kept is not None:
            # Processes with other versions of the sources keep theirs here, too, and may have removed this
            # generation as the oldest one: then nothing is kept, and the next start compiles again.
            with suppress(FileNotFoundError):
                _marker(home, kept).touch()


def _marker(home: Path, kept: Path) -> Path:
    """Return the path of the file that records that everything was kept.

    numba finds what it kept only for the same files (by path, time and size) and only with the same numba and
    Python. Another checkout with the same sources shares the folder and compiles anew.
    """
    found = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    for path in sorted((*_KERNELS.rglob("*.py"), *home.rglob("*.py"))):
        status = path.stat()
        found.update(f"{path} {status.st_mtime_ns} {status.st_size}".encode())
    return kept / f"{_COMPLETE}-{found.hexdigest()[:16]}"
