"""Imports plugins: from verified bytes or, where a config allows it, from an editable install.

Once a distribution is verified, its packages are served from the verified bytes until the process ends. This
includes modules that are imported late and data that is read through ``importlib.resources``. Bytecode is
neither read nor written, the order of ``sys.path`` does not matter, and files that are not in RECORD do not
exist for the importer. Compiled modules are the exception: the system loads them from their files, which are
compared once more right before.
"""

import importlib
import importlib.util
import io
import sys
import threading
import zipfile
from collections.abc import Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.resources.abc import Traversable, TraversableResources
from operator import attrgetter
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from townlet_core.errors import PluginError
from townlet_plugins.integrity import Content
from townlet_plugins.listing import OWN_PACKAGE

DEPENDENCIES: Final = frozenset(
    {
        "_yaml",
        "annotated_types",
        "click",
        "colorama",
        "h11",
        "importlib_metadata",
        "lazy_importer",
        "llvmlite",
        "markdown_it",
        "mdurl",
        "numba",
        "numpy",
        "orjson",
        "platformdirs",
        "pluggy",
        "prometheus_client",
        "pydantic",
        "pydantic_core",
        "pygments",
        "rich",
        "structlog",
        "typing_extensions",
        "typing_inspection",
        "yaml",
        "zipp",
    }
)
"""Top-level modules of everything that Townlet needs; some are imported only when they are used."""

OPTIONAL: Final = frozenset({"better_exceptions", "coverage", "greenlet", "scipy", "snappy", "twisted"})
"""Top-level modules that those import if they are installed."""

_RESERVED: Final = frozenset(
    {
        *sys.stdlib_module_names,
        *DEPENDENCIES,
        *OPTIONAL,
        "townlet",
        "townlet_core",
        "townlet_plugins",
        OWN_PACKAGE,
    }
)


class ImportRefusedError(PluginError):
    """A plugin's module would not be imported from the place that was verified."""


def import_verified(target: str, content: Content, *, pinned: bool) -> object:
    """Import what an entry point names, from verified bytes.

    Args:
        target: ``module`` or ``module:object``.
        content: the distribution's verified content.
        pinned: whether to refuse modules that were imported before, since their files may have changed; if
            false, they stay if they were imported from the distribution's own files.

    Raises:
        ImportRefusedError: when the distribution would replace a module of another, does not contain the
            target, or when a module was imported before from another place.
        BaseException: whatever the module raises.
    """
    module, _, attribute = target.partition(":")
    if module.partition(".")[0] not in content.tops:
        raise ImportRefusedError(f"it names {module}, which it does not install")
    serve(content, pinned=pinned)
    return _object(importlib.import_module(module), attribute)


def serve(content: Content, *, pinned: bool) -> None:
    """Serve a distribution's modules from its verified bytes from now on.

    Raises:
        ImportRefusedError: as ``import_verified`` says.
    """
    _FINDER.serve(content, pinned=pinned)


def import_from(target: str, root: Path) -> object:
    """Import what an entry point names in Python's usual way, if its file is below ``root``.

    Raises:
        ImportRefusedError: when another folder comes first on the path.
        BaseException: whatever the module raises.
    """
    name, _, attribute = target.partition(":")
    # Finding the module imports the packages around it, so these are looked at first.
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        _require_below(".".join(parts[:depth]), root)
    return _object(importlib.import_module(name), attribute)


def _require_below(name: str, root: Path) -> None:
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ImportRefusedError(f"there is no module {name}")
    places = [spec.origin] if spec.origin is not None else list(spec.submodule_search_locations or ())
    for place in places:
        if not Path(place).resolve().is_relative_to(root):
            raise ImportRefusedError(
                f"{name} would be imported from {place}, not from below {root}; take that off the path"
            )


def _object(module: ModuleType, attribute: str) -> object:
    return attrgetter(attribute)(module) if attribute else module


class _VerifiedFinder(MetaPathFinder):
    """Finds modules of verified distributions; it comes before all other finders."""

    def __init__(self) -> None:
        self._served: dict[str, Content] = {}
        self._imported_before: set[str] = set()
        self._lock = threading.Lock()

    def serve(self, content: Content, *, pinned: bool) -> None:
        """Serve a distribution's modules from now on."""
        with self._lock:
            for top in content.tops:
                self._require_free(top, content, pinned=pinned)
            self._served.update(dict.fromkeys(content.tops, content))
            # Move to the front again, in case another finder was added there.
            if sys.meta_path[0] is not self:
                sys.meta_path[:] = [self, *(finder for finder in sys.meta_path if finder is not self)]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module in verified bytes; other files on the disk are ignored."""
        del path, target
        content = self._served.get(fullname.partition(".")[0])
        if content is None:
            return None
        spec = _spec(fullname, content)
        if spec is None:
            message = f"No module named {fullname!r} in {content.distribution}"
            raise ModuleNotFoundError(message, name=fullname)
        return spec

    def _require_free(self, top: str, content: Content, *, pinned: bool) -> None:
        """Refuse to serve a module that belongs to another distribution."""
        if top in _RESERVED:
            raise ImportRefusedError(f"it contains a module {top}, which would replace another of that name")
        served = self._served.get(top)
        if served is not None and (served.root, served.sha256) != (content.root, content.sha256):
            raise ImportRefusedError(
                f"{top} was loaded before from {served.distribution}, with another content; restart"
            )
        if served is None and top in sys.modules:
            self._imported_before.add(top)
        if top not in self._imported_before:
            return
        if pinned:
            raise ImportRefusedError(f"{top} was imported before it was verified; do not import it yourself")
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == top and not _is_of(module, content):
                raise ImportRefusedError(f"{name} was imported before, and not from its files")


def _is_of(module: ModuleType, content: Content) -> bool:
    """Return whether a module was imported from a distribution's files."""
    origin = module.__spec__.origin if module.__spec__ is not None else None
    return origin is not None and any(origin == str(content.root / path) for path in content.files)


class _VerifiedLoader(InspectLoader):
    """Loads modules of one distribution from verified bytes."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def is_package(self, fullname: str) -> bool:
        """Return whether a module is a package."""
        return _file(fullname, self._content).endswith("/__init__.py")

    def get_source(self, fullname: str) -> str:
        """Return the source text of a module."""
        return importlib.util.decode_source(self._source(fullname))

    def get_code(self, fullname: str) -> CodeType:
        """Compile a module; bytecode is neither read nor written."""
        place = self._content.root / _file(fullname, self._content)
        return self.source_to_code(self._source(fullname), str(place))

    def get_data(self, path: str) -> bytes:
        """Return the content of a file by its path, for ``pkgutil.get_data``.

        Raises:
            OSError: when the distribution has no such file.
        """
        place = Path(path)
        relative = place.relative_to(self._content.root).as_posix() if place.is_absolute() else path
        data = self._content.files.get(relative)
        if data is None:
            raise FileNotFoundError(f"{path} is not among the files of {self._content.distribution}")
        return data

    def get_resource_reader(self, fullname: str) -> "_Resources":
        """Return the reader that ``importlib.resources`` uses for a package's data."""
        return _Resources(self._content, fullname)

    def _source(self, fullname: str) -> bytes:
        """Return the bytes of a module; those of a folder without ``__init__.py`` are empty."""
        return self._content.files.get(_file(fullname, self._content), b"")


class _Resources(TraversableResources):
    """The data of one package as an archive in memory, which the standard library can traverse."""

    def __init__(self, content: Content, package: str) -> None:
        self._content, self._folder = content, f"{package.replace('.', '/')}/"

    def files(self) -> Traversable:
        """Return the package's folder."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, data in self._content.files.items():
                if path.startswith(self._folder):
                    archive.writestr(path, data)
        return zipfile.Path(zipfile.ZipFile(buffer), self._folder)


def _spec(fullname: str, content: Content) -> ModuleSpec | None:
    base = fullname.replace(".", "/")
    is_folder = any(path.startswith(f"{base}/") for path in content.files)
    if not is_folder and f"{base}.py" not in content.files:
        return _native_spec(fullname, content)
    return importlib.util.spec_from_file_location(
        fullname,
        content.root / _file(fullname, content),
        loader=_VerifiedLoader(content),
        submodule_search_locations=[str(content.root / base)] if is_folder else None,
    )


def _native_spec(fullname: str, content: Content) -> ModuleSpec | None:
    for suffix in EXTENSION_SUFFIXES:
        path = f"{fullname.replace('.', '/')}{suffix}"
        if path in content.files:
            file = content.root / path
            if file.is_symlink() or file.read_bytes() != content.files[path]:
                raise ImportError(f"{file} changed after it was verified", name=fullname)
            loader = ExtensionFileLoader(fullname, str(file))
            return importlib.util.spec_from_file_location(fullname, file, loader=loader)
    return None


def _file(fullname: str, content: Content) -> str:
    """Return the path of a module's file; as always in Python, a package precedes a module of its name."""
    base = fullname.replace(".", "/")
    package = f"{base}/__init__.py"
    return package if package in content.files or f"{base}.py" not in content.files else f"{base}.py"


_FINDER: Final = _VerifiedFinder()
"""One for the process, like ``sys.meta_path`` and ``sys.modules``."""
