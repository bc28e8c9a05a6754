"""One source's file as it is known, and the index beside it, so that a start need not read the file."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from townlet_adapters.disk import DISK, Disk
from townlet_adapters.telemetry.collector.checking import Event, file_stem
from townlet_adapters.telemetry.ranges import RangeSet

FILE_SUFFIX: Final = ".ndjson"
INDEX_SUFFIX: Final = ".index.json"

_INDEX_FORMAT: Final = 1


@dataclass(slots=True)
class Shelf:
    """The known state of a source's file.

    Attributes:
        source: its source.
        path: its path.
        stored: the numbers in it.
        losses: the numbers that its loss records declare lost, by source and reason.
        duplicates: arrivals of events that were in it already.
        size: bytes of its whole lines.
        last_line: length and SHA-256 of the last line, newline included.
        unfinished: bytes of a half line behind them, which a crash left.
        indexed: the bytes and duplicates that the index beside it covers.
    """

    source: str
    path: Path
    stored: RangeSet = field(default_factory=RangeSet)
    losses: dict[tuple[str, str], RangeSet] = field(default_factory=dict)
    duplicates: int = 0
    size: int = 0
    last_line: tuple[int, str] = (0, "")
    unfinished: int = 0
    indexed: tuple[int, int] = (0, 0)

    @property
    def index_path(self) -> Path:
        """The path of its index."""
        return self.path.with_name(file_stem(self.source) + INDEX_SUFFIX)

    def take(self, event: Event) -> None:
        """Note an event at the end of the file."""
        self.stored.add(event.sequence)
        self.size += len(event.line)
        if event.loss is not None:
            ranges = self.losses.setdefault((event.loss.source, event.loss.reason), RangeSet())
            for each in event.loss.ranges:
                ranges.add(*each)

    def end_with(self, line: bytes) -> None:
        """Note the last line."""
        self.last_line = (len(line), digest_of(line))

    def save_index(self, disk: Disk = DISK) -> None:
        """Write the index beside the file.

        Raises:
            OSError: when it cannot be written; the former index stays.
        """
        body = orjson.dumps(
            {
                "source": self.source,
                "bytes": self.size,
                "last_line": self.last_line,
                "duplicates": self.duplicates,
                "stored": json_ranges(self.stored),
                "losses": [[*key, json_ranges(ranges)] for key, ranges in self.losses.items()],
            }
        )
        replace_file(self.index_path, b"%b%b}\n" % (_head(body), body), disk)
        self.indexed = (self.size, self.duplicates)


def load_index(path: Path) -> Shelf | None:
    """Read the index beside a file; None when it is missing or damaged."""
    try:
        text = path.with_name(path.name.removesuffix(FILE_SUFFIX) + INDEX_SUFFIX).read_bytes()
    except OSError:
        return None
    _, mark, rest = text.partition(_INDEX_MARK)
    body = rest.removesuffix(b"}\n")
    if not mark or text != b"%b%b}\n" % (_head(body), body):
        return None
    found = orjson.loads(body)
    return Shelf(
        source=found["source"],
        path=path,
        stored=RangeSet(found["stored"]),
        losses={(source, reason): RangeSet(ranges) for source, reason, ranges in found["losses"]},
        duplicates=found["duplicates"],
        size=found["bytes"],
        last_line=tuple(found["last_line"]),
        indexed=(found["bytes"], found["duplicates"]),
    )


_INDEX_MARK: Final = b'"index":'


def _head(body: bytes) -> bytes:
    """Return the beginning of an index; its checksum proves that the rest is what was written."""
    return b'{"townlet_index":%d,"sha256":"%b",%b' % (_INDEX_FORMAT, digest_of(body).encode(), _INDEX_MARK)


def replace_file(path: Path, data: bytes, disk: Disk) -> None:
    """Replace a file in one step: a reader finds the old content or the new one.

    Only for what can be made again: it does not wait for the disk, so a power failure may leave nothing.

    Raises:
        OSError: when that fails; the old one stays.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_bytes(data)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            disk.replace(beside.name, path.name, folder)
        finally:
            os.close(folder)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise


def digest_of(data: bytes) -> str:
    """Return the SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def json_ranges(ranges: RangeSet) -> list[tuple[int, int]]:
    """Return ranges as JSON can carry them."""
    return [(each.first, each.last) for each in ranges]
