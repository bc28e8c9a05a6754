"""Reads and verifies the content of a distribution: every file that its RECORD names, and a digest of them.

The digest is the SHA-256 of the text that ``sha256sum`` writes for the files, sorted by path: one line
``<sha256 in hex>  <path>`` for each row of RECORD, except for rows that an installer adds or that differ
between environments. These are RECORD itself and its signatures, INSTALLER, REQUESTED, direct_url.json,
provenance_url.json and the notes of uv in the ``.dist-info`` folder; bytecode in ``__pycache__``; and scripts
for the distribution's entry points, if their path leads out of the folder of modules. The same wheel has the
same digest in every environment and with every installer.
"""

import csv
import hashlib
import os
import re
import stat
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final

from importlib_metadata import Distribution, EntryPoint

from townlet_core.errors import PluginError
from townlet_plugins.allowlist import normalised
from townlet_plugins.listing import GROUP, Listing, editable_project, printable, root_of

MAX_FILES: Final = 20_000
MAX_BYTES: Final = 512 << 20
MAX_DEPTH: Final = 64

_INSTALLERS_NOTES: Final = frozenset(
    {
        "INSTALLER",
        "RECORD",
        "RECORD.jws",
        "RECORD.p7s",
        "REQUESTED",
        "direct_url.json",
        "provenance_url.json",
        "uv_build.json",
        "uv_cache.json",
    }
)
_HASHES: Final = frozenset({"sha256", "sha384", "sha512"})
_NATIVE: Final = re.compile(r".*\.(so|pyd|dylib|dll)(\.[0-9]+)*", re.IGNORECASE)
_NATIVE_STARTS: Final = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_MODULE_ENDS: Final = (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)
"""What ``import`` removes from a file's name, the longest matching one first."""

_SCRIPT_FOLDERS: Final = frozenset({"bin", "Scripts"})
_READ_ONCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class IntegrityError(PluginError):
    """A distribution differs from its RECORD, or cannot be verified."""


@dataclass(frozen=True, slots=True)
class Content:
    """The verified content of one distribution.

    Attributes:
        distribution: its normalised name.
        root: the folder to which the paths are relative.
        files: the bytes of every file in the digest, by path.
        native: paths of compiled modules and libraries among them.
        sha256: the content digest.
    """

    distribution: str
    root: Path
    files: Mapping[str, bytes]
    native: tuple[str, ...]
    sha256: str

    @property
    def tops(self) -> frozenset[str]:
        """Names of the modules and packages that can be imported from it."""
        return frozenset(filter(None, map(_top_of, self.files)))


def read_content(listing: Listing) -> Content:
    """Read and verify the distribution of an entry point; nothing of it is imported.

    Raises:
        IntegrityError: when a file is missing, differs from its row of RECORD, is a link, is in another
            place, or has no row; when there is no RECORD, or only a zip or an editable install; when a file
            cannot be read.
    """
    try:
        return _read(listing)
    except OSError as error:
        where = printable(str(error.filename))
        raise IntegrityError(f"{where} cannot be read: {error.strerror or error}") from error


def names_native(source: Distribution) -> bool:
    """Return whether RECORD names compiled modules; files are neither read nor verified."""
    try:
        return any(_NATIVE.fullmatch(row[0]) for row in _table(source) if row)
    except IntegrityError:
        return False


def _read(listing: Listing) -> Content:
    source = listing.source
    root = root_of(source) if source is not None else None
    if source is None or root is None:
        raise IntegrityError("it is in a zip, not in a folder: install it with an installer")
    if editable_project(source) is not None:
        raise IntegrityError("it is an editable install, which has no content to verify")
    rows, info = _rows(source, listing.distribution)
    disk = _Disk(root)
    files = {path: disk.read(path, declared) for path, declared in rows.items()}
    _require_no_more(root, rows, info)
    _require_as_listed(listing, _Verified(files, info))
    return Content(
        listing.distribution,
        root,
        MappingProxyType(files),
        tuple(path for path, data in files.items() if _is_native(path, data)),
        _digest(files),
    )


def _digest(files: Mapping[str, bytes]) -> str:
    """Return the digest of files by path and content."""
    lines = sorted((path.encode(), hashlib.sha256(data).hexdigest().encode()) for path, data in files.items())
    return hashlib.sha256(b"".join(b"%b  %b\n" % (digest, path) for path, digest in lines)).hexdigest()


def _rows(source: Distribution, name: str) -> tuple[dict[str, str], str]:
    """Read the rows of RECORD that are in the digest (path, hash), and the name of the metadata folder."""
    rows: dict[str, str] = {}
    scripts = _scripts(source)
    for number, row in enumerate(_table(source), start=1):
        if len(row) != 3:  # noqa: PLR2004 - path, hash, size
            raise IntegrityError(f"row {number} of its RECORD is not valid; allowed: path, hash, size")
        path, declared, _size = row
        if _is_script(path, scripts) or _is_bytecode(path):
            continue
        _require_inside(path)
        if path in rows:
            raise IntegrityError(f"its RECORD names {printable(path)} twice")
        rows[path] = declared
    info = _info_folder(rows, name)
    counted = {path: declared for path, declared in rows.items() if not _is_note(path, info)}
    for path in counted:
        _require_no_bypass(path)
    return counted, info


def _table(source: Distribution) -> list[list[str]]:
    """Read RECORD as a table."""
    try:
        text = source.read_text("RECORD")
        if text is None:
            raise IntegrityError("its installer left no RECORD of its files; install it with pip or uv")
        table = list(csv.reader(text.splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise IntegrityError(f"its RECORD cannot be read: {printable(str(error))}") from error
    if len(table) > MAX_FILES:
        raise IntegrityError(f"its RECORD has {len(table)} rows; at most {MAX_FILES} are read")
    return table


def _scripts(source: Distribution) -> frozenset[str]:
    """Return the names of the scripts that an installer creates for the distribution's entry points."""
    groups = ("console_scripts", "gui_scripts")
    names = {entry.name for group in groups for entry in source.entry_points.select(group=group)}
    return frozenset({f"{name}{end}" for name in names for end in ("", ".exe", "-script.py", "-script.pyw")})


def _is_script(path: str, scripts: frozenset[str]) -> bool:
    """Return whether a row is a script that an installer put beside the folder of modules, not into it."""
    _, outside, inside = path.rpartition("../")
    folder, _, name = inside.partition("/")
    leads_out = bool(outside) and set(path[: -len(inside)].split("/")) == {"..", ""}
    return leads_out and folder in _SCRIPT_FOLDERS and name in scripts


def _is_bytecode(path: str) -> bool:
    """Return whether a file is a cache of compiled source; bytecode elsewhere can be imported like source."""
    folders = path.split("/")[:-1]
    return path.endswith(".pyc") and folders[-1:] == ["__pycache__"] and ".." not in folders


def _is_note(path: str, info: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder == info and name in _INSTALLERS_NOTES


def _require_inside(path: str) -> None:
    """Refuse a path that is not the canonical name of a file below the root."""
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        found = f"its RECORD names a file below {len(parts) - 1} folders"
        raise IntegrityError(f"{found}; at most {MAX_DEPTH - 1} are read")
    if any(part in {"", ".", ".."} for part in parts) or "\\" in path or not path.isprintable():
        raise IntegrityError(
            f"its RECORD names {printable(path)}, which is not a plain path inside its own folder"
        )


def _require_no_bypass(path: str) -> None:
    """Refuse files that Python would run or import from the disk instead of from the verified bytes."""
    suffix = PurePosixPath(path).suffix
    if suffix == ".pth":
        raise IntegrityError(f"it installs {printable(path)}, whose lines Python runs at every start")
    if suffix in BYTECODE_SUFFIXES:
        raise IntegrityError(
            f"it installs {printable(path)}, compiled code that Python imports without its source; "
            "only a cache in a folder __pycache__ is allowed"
        )


def _info_folder(rows: Mapping[str, str], name: str) -> str:
    """Find the one metadata folder among the rows; its name begins with that of the distribution."""
    found = {path.partition("/")[0] for path in rows if path.partition("/")[0].endswith(".dist-info")}
    called = {folder for folder in found if normalised(folder.partition("-")[0]) == name}
    if len(found) != 1 or not called:
        told = ", ".join(sorted(map(printable, found))) or "none"
        raise IntegrityError(f"its RECORD names {told}, not one folder {name}-<version>.dist-info")
    return found.pop()


def _require_no_more(root: Path, rows: Mapping[str, str], info: str) -> None:
    """Refuse files without a row in the distribution's packages and in its metadata."""
    folders = {path.partition("/")[0] for path in rows if "/" in path}
    for folder in sorted(folders):
        # Several distributions may add files to such a folder, so the rest of it cannot be verified.
        if folder != info and f"{folder}/__init__.py" not in rows:
            shared = f"its folder {printable(folder)} has no __init__.py, so other packages may fill it, too"
            raise IntegrityError(
                f"{shared}: install it without --target" if folder in _SCRIPT_FOLDERS else shared
            )
        for path in _walk(root, folder):
            if path not in rows and not _is_bytecode(path) and not _is_note(path, info):
                raise IntegrityError(f"{printable(path)} is not in its RECORD")


def _walk(root: Path, folder: str) -> Iterator[str]:
    """Yield every file and every link below a folder."""
    with os.scandir(root / folder) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}"
            if path.count("/") >= MAX_DEPTH:
                raise IntegrityError(
                    f"it has a file below {MAX_DEPTH} folders; at most {MAX_DEPTH - 1} are read"
                )
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, path)
            else:
                yield path


def _top_of(path: str) -> str:
    """Return the module that ``import`` can find by this file; empty when there is none."""
    top, slash, _ = path.partition("/")
    ends = (end for end in _MODULE_ENDS if top.endswith(end))
    name = top if slash else top.removesuffix(next(ends, top))
    return "" if "." in name else name


def _require_as_listed(listing: Listing, verified: Distribution) -> None:
    """Compare version and entry point with the verified files, which may have changed since the listing."""
    wanted = EntryPoint(listing.entry_point, listing.target, GROUP)
    if verified.metadata.get("Version") != listing.version or wanted not in verified.entry_points:
        raise IntegrityError("its metadata changed while it was read; try again")


class _Verified(Distribution):
    """The metadata of a distribution, from verified bytes."""

    def __init__(self, files: Mapping[str, bytes], info: str) -> None:
        self._files, self._info = files, info

    def read_text(self, filename: str | os.PathLike[str]) -> str | None:
        data = self._files.get(f"{self._info}/{os.fspath(filename)}")
        return None if data is None else data.decode("utf-8", "replace")

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        raise FileNotFoundError(path)  # the disk must not be read again


def _is_native(path: str, data: bytes) -> bool:
    return bool(_NATIVE.fullmatch(path)) or data.startswith(_NATIVE_STARTS)


class _Disk:
    """Reads the files below one root, each once and never through a link."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._left = MAX_BYTES
        self._folders: set[PurePosixPath] = {PurePosixPath(".")}

    def read(self, path: str, declared: str) -> bytes:
        """Read a file and compare it with its row."""
        shown = printable(path)
        algorithm, _, expected = declared.partition("=")
        if algorithm not in _HASHES:
            raise IntegrityError(f"its RECORD has no sha256 for {shown}")
        try:
            self._require_real_folders(PurePosixPath(path).parent)
            data = self._bytes(path)
        except FileNotFoundError:
            raise IntegrityError(f"{shown} is missing") from None
        except OSError as error:
            raise IntegrityError(f"{shown} cannot be read as a regular file: {error.strerror}") from error
        found = urlsafe_b64encode(hashlib.new(algorithm, data).digest()).rstrip(b"=").decode()
        if found != expected.rstrip("="):
            raise IntegrityError(f"{shown} differs from its RECORD")
        return data

    def _require_real_folders(self, folder: PurePosixPath) -> None:
        """Refuse a link in the path of a file."""
        if folder not in self._folders:
            self._require_real_folders(folder.parent)
            if not stat.S_ISDIR((self._root / folder).lstat().st_mode):
                raise IntegrityError(f"{printable(str(folder))} is a link, not a folder")
            self._folders.add(folder)

    def _bytes(self, path: str) -> bytes:
        descriptor = os.open(self._root / path, _READ_ONCE)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise IntegrityError(f"{printable(path)} is not a regular file")
            self._left -= status.st_size
            if self._left < 0:
                raise IntegrityError(
                    f"it has more than {MAX_BYTES >> 20} MiB, and all of it is held in memory"
                )
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(status.st_size)
        finally:
            os.close(descriptor)
