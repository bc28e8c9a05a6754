"""Lines that their destination will never take, kept for a person to look at; bounded, oldest first out."""

import logging
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from townlet_adapters.telemetry.transports.base import TransportError
from townlet_adapters.telemetry.transports.lines import LineAppender

_log = logging.getLogger(__name__)

MOST_FILES: Final = 16
_NAME: Final = re.compile(r"dead-(\d{8})\.ndjson")
_BLOCK: Final = 1 << 20


class DeadLetters:
    """A folder of NDJSON files: each entry has ``code``, ``reason``, ``time`` and the ``line`` as it was.

    One worker adds to it; nobody else may use the folder meanwhile.

    Attributes:
        given_up: entries deleted so far to make room for younger ones.
    """

    def __init__(self, folder: Path, most_bytes: int, most_files: int = MOST_FILES) -> None:
        """Keep at most so many bytes in so many files; nothing is made before the first entry.

        An entry larger than its share of the bytes has a file of its own.
        """
        self._folder = folder
        self._most_bytes, self._most_files = most_bytes, most_files
        self.given_up = 0

    def put(self, line: bytes, code: str, reason: str, wall: float) -> None:
        """Add a line; it is on the disk when this returns.

        Args:
            line: the envelope, newline included.
            code: the error's short name.
            reason: what the destination said.
            wall: seconds since 1970, for people.

        Raises:
            TransportError: when it could not be kept; no half entry stays.
        """
        entry = orjson.dumps(
            {
                "code": code,
                "reason": reason,
                "time": datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds"),
                "line": line.decode("utf-8").removesuffix("\n"),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._room_for(len(entry))
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                LineAppender(fd).append([entry])
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise TransportError.from_os(error) from error

    def _room_for(self, size: int) -> Path:
        """Find the file for an entry of this size, after deleting the oldest until there is room."""
        files = self._files()
        newest = max(files, default=0)
        share = self._most_bytes // self._most_files
        if not files or files[newest] + size > share:
            newest += 1
            files[newest] = 0
        while len(files) > 1 and (
            len(files) > self._most_files or sum(files.values()) + size > self._most_bytes
        ):
            oldest = min(files)
            self._delete(oldest)
            del files[oldest]
        return self._path(newest)

    def _delete(self, number: int) -> None:
        path = self._path(number)
        with path.open("rb") as file:
            entries = sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
        path.unlink()
        if not self.given_up:
            _log.warning(
                "%s: %d bytes are full, so %d dead letters were deleted, the oldest; from now on the metrics "
                "count them, and a larger dead_letter_bytes keeps more",
                self._folder,
                self._most_bytes,
                entries,
            )
        self.given_up += entries

    def _files(self) -> dict[int, int]:
        """Bytes of each file, by its number."""
        return {
            int(match[1]): entry.stat(follow_symlinks=False).st_size
            for entry in os.scandir(self._folder)
            if (match := _NAME.fullmatch(entry.name))
        }

    def _path(self, number: int) -> Path:
        return self._folder / f"dead-{number:08d}.ndjson"
