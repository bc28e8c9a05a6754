"""Snapshot files: a simulation at rest as gzipped JSON, written whole, checked before use.

``snapshot-<tick>.json.gz`` holds one object: ``schema``, ``tick``, the identity as texts (``sim_digest``,
``event_digest``, and what world and policy are known by: ``town_digest``, ``manifest_digest``,
``layout_version``, ``policy_hash``, ``variant``), ``simulation`` (resolved world and policy sections,
observers' settings and seed, from which a run can be built again), ``state``, and ``sha256`` of the
canonical JSON of ``state``. The same simulation gives the same bytes.

What a file may cost its reader is limited before it is parsed: ``MAX_FILE_BYTES`` on the disk,
``MAX_TEXT_BYTES`` of JSON in it, ``MAX_VALUES`` values in that. Reading one takes about five bytes of memory
for each byte of its JSON, and at most fifteen, whatever the file holds.
"""

import errno
import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, TypeGuard

from townlet_adapters.disk import DISK, Disk, make_folders
from townlet_adapters.files import read_regular
from townlet_adapters.storage.atomic import write_atomically
from townlet_core.dto.snapshot import SCHEMA_VERSION, Snapshot
from townlet_core.errors import OutputError, SnapshotError
from townlet_core.jsonvalue import JsonObject, JsonValue, canonical_json

OLDEST_SCHEMA: Final = 1
"""The oldest schema that can be migrated."""
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MAX_TEXT_BYTES: Final = 256 * 1024 * 1024
MAX_VALUES: Final = 1_000_000
"""Most members and items of the JSON as a whole; an array of the town is one text, whatever its size."""
MAX_DEPTH: Final = 64

_NAME = re.compile(r"snapshot-(\d+)\.json\.gz")
_FIELDS = frozenset({"schema", "tick", "simulation", "sha256", "state"})
_NAMES = frozenset({"sim_digest", "event_digest"})


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """What a snapshot file held; everything in it has been checked.

    Attributes:
        path: where it was read.
        snapshot: the simulation at rest.
        simulation: resolved world and policy sections, observers' settings and seed.
        sha256: digest of the canonical JSON of the state.
        file_bytes: size of the file.
        text_bytes: size of the JSON in it.
    """

    path: Path
    snapshot: Snapshot
    simulation: JsonObject
    sha256: str
    file_bytes: int
    text_bytes: int


def digest_of(value: JsonValue) -> str:
    """Digest a value by its canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def write_snapshot(
    folder: Path,
    snapshot: Snapshot,
    simulation: JsonObject,
    prefix: str = "snapshot",
    disk: Disk = DISK,
) -> Path:
    """Write a snapshot into ``folder``, which is made if need be; it survives a power cut from then on.

    Args:
        folder: where it goes.
        snapshot: the simulation at rest; its identity has ``sim_digest`` and ``event_digest``.
        simulation: resolved sections and seed; their digest is the ``sim_digest``.
        prefix: start of the file's name; only ``snapshot`` is found by ``newest_snapshot``.
        disk: where it is made durable.

    Raises:
        OutputError: when it cannot be written, or is larger than ``read_snapshot`` would read.
    """
    document: dict[str, JsonValue] = {
        "schema": snapshot.schema_version,
        "tick": snapshot.tick,
        **snapshot.identity,
        "simulation": simulation,
        "sha256": digest_of(snapshot.parts),
        "state": snapshot.parts,
    }
    path = folder / f"{prefix}-{snapshot.tick}.json.gz"
    try:
        make_folders(folder, disk)
    except OSError as error:
        raise OutputError(f"{folder}: cannot hold snapshots: {error.strerror or error}") from error
    # Not canonical: the order of keys in a map (of its places, say) means something to its world.
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    data = gzip.compress(text.encode(), compresslevel=6, mtime=0)
    if excess := _excess(text.encode(), data):
        raise OutputError(f"{path}: cannot be written: {excess}, so it could not be resumed")
    write_atomically(path, data, disk)
    return path


def read_snapshot(path: Path, *, follow_links: bool = True) -> SnapshotFile:
    """Read and check a snapshot file; a folder stands for the newest valid one in it.

    One of an older schema is read as it is; it must be migrated before it is restored.

    Args:
        path: the file or folder.
        follow_links: whether the last part of the path may be a symbolic link.

    Raises:
        SnapshotError: ``snapshot_missing``, ``snapshot_corrupt`` or ``snapshot_schema``.
    """
    if path.is_dir():
        return newest_snapshot(path)
    data = _read_bounded(path, follow_links=follow_links)
    text = _unpack(path, data)
    file_bytes, text_bytes = len(data), len(text)
    if excess := _excess(text, data):
        _corrupt(path, f"{excess}, which no snapshot has")
    document = _parse(path, text)
    return SnapshotFile(
        path,
        Snapshot(
            tick=_whole(path, document, "tick"),
            identity={name: _text(path, document, name) for name in sorted(document.keys() - _FIELDS)},
            parts=_object(path, document, "state"),
            schema_version=_whole(path, document, "schema"),
        ),
        simulation=_object(path, document, "simulation"),
        sha256=_text(path, document, "sha256"),
        file_bytes=file_bytes,
        text_bytes=text_bytes,
    )


def newest_snapshot(folder: Path) -> SnapshotFile:
    """Find the newest snapshot that is whole; damaged ones, as a kill may leave, are passed over.

    Args:
        folder: a run folder or its ``snapshots``.

    Raises:
        SnapshotError: when there is none; it has the reason of the newest damaged one.
    """
    damaged: SnapshotError | None = None
    for path in reversed(list_snapshots(folder)):
        try:
            return read_snapshot(path, follow_links=False)
        except SnapshotError as error:
            damaged = damaged or error
    if damaged is not None:
        raise damaged
    raise SnapshotError(
        "snapshot_missing", f"{folder}: no snapshot there; name a file snapshot-<tick>.json.gz or its folder"
    )


def list_snapshots(folder: Path) -> list[Path]:
    """List the snapshots of a run by tick, oldest first, unread."""
    inner = folder / "snapshots"
    where = inner if inner.is_dir() else folder
    return sorted((path for path in where.iterdir() if _NAME.fullmatch(path.name)), key=tick_of)


def retain_snapshots(folder: Path, keep: int) -> None:
    """Remove all but the ``keep`` newest snapshots."""
    for path in list_snapshots(folder)[:-keep]:
        path.unlink(missing_ok=True)


def set_aside_newer(folder: Path, tick: int, disk: Disk = DISK) -> None:
    """Rename the snapshots behind ``tick`` to ``cut-<tick>.json.gz``: a run goes on from there differently.

    Raises:
        OutputError: when one cannot be renamed.
    """
    found = list_snapshots(folder)
    newer = [path for path in found if tick_of(path) > tick]
    if not newer:
        return
    try:
        where = os.open(newer[0].parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # The newest first, so that the newest one left is always one that belongs to the run.
            for path in reversed(newer):
                disk.replace(path.name, f"cut-{tick_of(path)}.json.gz", where)
            disk.sync_folder(where)
        finally:
            os.close(where)
    except OSError as error:
        raise OutputError(f"{folder}: cannot set snapshots aside: {error.strerror or error}") from error


def tick_of(path: Path) -> int:
    """Return the tick in the name of a snapshot that ``list_snapshots`` found."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1


def _read_bounded(path: Path, *, follow_links: bool) -> bytes:
    try:
        return read_regular(path, MAX_FILE_BYTES, follow_links=follow_links)
    except OSError as error:
        if error.errno == errno.EFBIG:
            _corrupt(path, f"larger than {MAX_FILE_BYTES} bytes, which no snapshot is")
        raise SnapshotError(
            "snapshot_missing",
            f"{path}: cannot be read: {error.strerror}; name a file snapshot-<tick>.json.gz",
        ) from error


def _excess(text: bytes, data: bytes) -> str:
    """Return which limit a snapshot exceeds, as JSON or as a file; empty when it exceeds none.

    Values are counted by the signs that stand before them, in texts too, so no value is missed.
    """
    if len(data) > MAX_FILE_BYTES or len(text) > MAX_TEXT_BYTES:
        return f"{len(data)} bytes and {len(text)} of JSON, more than {MAX_FILE_BYTES} and {MAX_TEXT_BYTES}"
    if sum(text.count(sign) for sign in (b",", b"[", b"{")) > MAX_VALUES:
        return f"more than {MAX_VALUES} values"
    return ""


def _unpack(path: Path, data: bytes, most: int = MAX_TEXT_BYTES) -> bytes:
    """Decompress no further than a snapshot can reach, whatever the file promises."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(data, most)
    except zlib.error as error:
        raise SnapshotError("snapshot_corrupt", f"{path}: damaged: not whole gzip ({error})") from error
    if unpacker.unconsumed_tail:
        _corrupt(path, f"unpacks to more than {most} bytes, which no snapshot does")
    if not unpacker.eof or unpacker.unused_data:
        _corrupt(path, "not whole gzip")
    return text


def _parse(path: Path, text: bytes) -> JsonObject:
    """Parse, then check fields, schema, depth and digests, in this order."""
    try:
        document: JsonValue = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(
            "snapshot_corrupt", f"{path}: damaged: not JSON of a snapshot ({error})"
        ) from error
    if not _is_object(document):
        _corrupt(path, "not a JSON object")
    schema = document.get("schema")
    if type(schema) is int and schema > SCHEMA_VERSION:
        raise SnapshotError(
            "snapshot_schema",
            f"{path}: written with schema {schema}; this version reads schema {SCHEMA_VERSION}",
        )
    missing = sorted((_FIELDS | _NAMES) - document.keys())
    if type(schema) is not int or schema < OLDEST_SCHEMA or missing:
        known = f"{OLDEST_SCHEMA} to {SCHEMA_VERSION}"
        _corrupt(path, f"not a snapshot of schema {known} (missing: {', '.join(missing) or 'schema'})")
    if _deeper_than(document, MAX_DEPTH):
        _corrupt(path, f"nests deeper than {MAX_DEPTH} levels, which no snapshot does")
    if digest_of(document["state"]) != document["sha256"]:
        _corrupt(path, "its state does not have the digest it names")
    if digest_of(document["simulation"]) != document["sim_digest"]:
        _corrupt(path, "its sections do not have the digest it names")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _deeper_than(value: JsonValue, levels: int) -> bool:
    """Return whether a value nests deeper, looking level by level, so that depth costs no stack."""
    level: list[JsonValue] = [value]
    for _ in range(levels):
        inner: list[JsonValue] = []
        for part in level:
            if isinstance(part, dict):
                inner.extend(part.values())
            elif isinstance(part, list):
                inner.extend(part)
        if not inner:
            return False
        level = inner
    return True


def _is_object(value: JsonValue) -> TypeGuard[JsonObject]:
    return isinstance(value, Mapping)


def _object(path: Path, document: JsonObject, name: str) -> JsonObject:
    value = document[name]
    if not _is_object(value):
        _corrupt(path, f"'{name}' is not an object")
    return value


def _text(path: Path, document: JsonObject, name: str) -> str:
    value = document[name]
    if not isinstance(value, str):
        _corrupt(path, f"'{name}' is not a text")
    return value


def _whole(path: Path, document: JsonObject, name: str) -> int:
    value = document[name]
    if type(value) is not int or not 0 <= value < 2**63:
        _corrupt(path, f"'{name}' is not a whole number from 0 to {2**63 - 1}")
    return value


def _corrupt(path: Path, what: str) -> NoReturn:
    raise SnapshotError("snapshot_corrupt", f"{path}: damaged: {what}")
