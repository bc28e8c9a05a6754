"""Reads the events of a run back from its files, the oldest first, also while the run is writing them."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from townlet_adapters.eventfiles import StoredEvent, kind_of, older_parts, read_event
from townlet_adapters.files import open_regular
from townlet_adapters.storage.folder import RECORD, read_record
from townlet_core.errors import OutputError
from townlet_core.jsonvalue import JsonObject

_LONGEST_LINE: Final = 1 << 20
_PACKED: Final = ".gz"
_FILE_SINK: Final = "file"
_FOREIGN: Final = 20
"""A file with so many lines before the first event is not a file of events."""


class EventReader:
    """The events that a run has left so far: all parts of one stream, of which older ones may be gzipped.

    Attributes:
        path: the newest part.
        damage: a line for each part with lines that are not events; those lines are left out.
    """

    def __init__(self, run: Path) -> None:
        """Find the files.

        Args:
            run: a run folder, or a file of events.

        Raises:
            OutputError: when it is neither, or the run keeps no file of events in its folder.
        """
        self.path = _stream_of(run) if run.is_dir() else run
        self.damage: list[str] = []
        with _reporting(self.path):
            self._parts = _parts_of(self.path)
        if not self._parts:
            raise OutputError(f"{self.path}: no file of events there; name a run folder or a file of events")

    def events(self, wanted: Callable[[str], bool]) -> Iterator[StoredEvent]:
        """Read every event of the wanted kinds, one at a time.

        Args:
            wanted: whether to read events of a kind; lines of other kinds are skipped.

        Raises:
            OutputError: when a part cannot be read, or is not a file of events.
        """
        for part in self._parts:
            yield from self._events_of(part, wanted)

    def _events_of(self, part: Path, wanted: Callable[[str], bool]) -> Iterator[StoredEvent]:
        first = bad = good = 0
        with _reporting(part), _opened(part) as file:
            for number, line in enumerate(_lines(file, last=part == self.path), start=1):
                kind = kind_of(line)
                if kind and not wanted(kind):
                    good += 1
                    continue
                event = read_event(line)
                if event is not None:
                    good += 1
                    yield event
                    continue
                first, bad = first or number, bad + 1
                if bad >= _FOREIGN and not good:
                    break
        if bad and not good:
            raise OutputError(f"{part}:1: not an event of Townlet; name a run folder or a file of events")
        if bad:
            lines = f"line {first} is" if bad == 1 else f"{bad} lines are"
            self.damage.append(f"{part}:{first}: {lines} damaged and left out")


def _stream_of(folder: Path) -> Path:
    """Return the newest part of the events that a run keeps in its folder."""
    if not (folder / RECORD).exists():
        raise OutputError(f"{folder}: not a run folder: it has no {RECORD}; name one, or a file of events")
    names = list(_file_sinks(read_record(folder, "name the file of events itself")))
    if not names:
        raise OutputError(
            f"{folder}: the run keeps no events in its folder; only a `file` sink with a relative path does"
        )
    return folder / names[0]


def _file_sinks(record: JsonObject) -> Iterator[str]:
    """List the files of events in the folder of a run by its record, which may be a third party's."""
    config = record.get("config")
    telemetry = config.get("telemetry") if isinstance(config, Mapping) else None
    sinks = telemetry.get("sinks") if isinstance(telemetry, Mapping) else None
    for sink in sinks if isinstance(sinks, Sequence) else ():
        options = sink.get("options") if isinstance(sink, Mapping) and sink.get("use") == _FILE_SINK else None
        path = options.get("path") if isinstance(options, Mapping) else None
        if isinstance(path, str) and path and not Path(path).is_absolute() and ".." not in Path(path).parts:
            yield path


def _parts_of(path: Path) -> list[Path]:
    """Return every part, the oldest first; of a part with and without ``.gz``, the one without."""
    plain = older_parts(path)
    packed = older_parts(path, _PACKED)
    older = {**packed, **plain}
    return [*(older[number] for number in sorted(older)), *([path] if path.exists() else [])]


@contextmanager
def _opened(part: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    with (
        open_regular(part, follow_links=False) as descriptor,
        os.fdopen(descriptor, "rb", closefd=False) as file,
    ):
        if part.suffix != _PACKED:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked


def _lines(file: IO[bytes] | gzip.GzipFile, *, last: bool) -> Iterator[bytes]:
    """Read lines; of one that is too long, its beginning.

    An unfinished line at the end of the newest part is being written, and left out.
    """
    while line := file.readline(_LONGEST_LINE + 1):
        if line.endswith(b"\n"):
            yield line
        elif len(line) > _LONGEST_LINE:
            yield line
            while (more := file.readline(_LONGEST_LINE)) and not more.endswith(b"\n"):
                pass
        elif not last:
            yield line


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    """Report a file that cannot be read in the words of every other."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise OutputError(f"{path}: cannot be read: {reason}") from error
