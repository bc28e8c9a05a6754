r"""The file of a segment: a copy of its label, then rows, and a mark behind each commit; a frame for each.

    0      4       8         16   20     24  28           32    36
    magic  length  sequence  gap  ord.   at  payload CRC  CRC   payload ...

The second CRC covers the bytes before it, and begins with the number of the segment. A magic
holds the byte 0xFF, which UTF-8 never does, so a search behind a damaged frame finds none inside an event.

========  =============================  =========================================
field     of a row                       of a mark, which ends each commit
========  =============================  =========================================
payload   the event's envelope           losses that wait for a row to declare them
sequence  its number                     one more than the latest row's
gap       numbers between it and the     0
          row before, without a row
ordinal   rows before it                 the same
at        when it was committed, in seconds since 1970
========  =============================  =========================================
"""

import errno
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from townlet_adapters.telemetry.spool.base import Row

_FIELDS: Final = struct.Struct("<4sIQIIII")
_CHECKED: Final = struct.Struct("<4sIQIIIII")
HEAD: Final = _CHECKED.size
"""Bytes of a frame beside its payload."""
_START: Final = b"\xffT"
ROW: Final = _START + b"R\x02"
MARK: Final = _START + b"M\x02"
LABEL: Final = _START + b"L\x02"
_MAGICS: Final = (ROW, MARK, LABEL)
_CHUNK: Final = 1 << 18
_SECTOR: Final = 4096
_NEAR: Final = 1 << 16


class Frame(NamedTuple):
    """One frame that is what was written.

    Attributes:
        kind: its magic: ``ROW``, ``MARK`` or ``LABEL``.
        sequence, gap, ordinal, at, payload: see above.
        start: its offset in the file.
        end: the offset behind it.
    """

    kind: bytes
    sequence: int
    gap: int
    ordinal: int
    at: int
    payload: bytes
    start: int
    end: int


def frames_of(rows: Sequence[Row], after: tuple[int, int], at: int, mark: bytes, salt: int) -> bytes:
    """Format one commit.

    Args:
        rows: its rows, ascending.
        after: number of the row before them, and how many rows come before them.
        at: the time, in seconds since 1970.
        mark: payload of the mark behind them.
        salt: the segment's own number for checksums.

    Raises:
        ValueError: when the rows are not in order.
    """
    crc32, pack = zlib.crc32, _FIELDS.pack
    before, ordinal = after
    parts: list[bytes] = []
    for sequence, line in rows:
        gap = sequence - before - 1
        if gap < 0:
            raise ValueError(
                f"row {sequence} comes after row {before}; rows are committed in ascending order"
            )
        head = pack(ROW, len(line), sequence, gap, ordinal, at, crc32(line))
        parts += (head, crc32(head, salt).to_bytes(4, "little"), line)
        before = sequence
        ordinal += 1
    head = pack(MARK, len(mark), before + 1, 0, ordinal, at, crc32(mark))
    parts += (head, crc32(head, salt).to_bytes(4, "little"), mark)
    return b"".join(parts)


def frame_of_label(label: bytes, salt: int) -> bytes:
    """Format the copy of the label."""
    head = _FIELDS.pack(LABEL, len(label), 0, 0, 0, 0, zlib.crc32(label))
    return head + zlib.crc32(head, salt).to_bytes(4, "little") + label


def read_frames(fd: int, offset: int, size: int, salt: int) -> Iterator[Frame]:
    """Iterate over the frames from an offset to the size of a file, without those that are damaged."""
    crc32, unpack = zlib.crc32, _CHECKED.unpack_from
    start, data, at = offset, b"", 0  # the data begins at ``start`` of the file; ``at`` is within the data
    while size - start - at >= HEAD:
        if len(data) - at < HEAD:
            start, at = start + at, 0
            data = _read(fd, min(_CHUNK, size - start), start)
            if len(data) < HEAD:
                return
        magic, length, sequence, gap, ordinal, time, crc, check = unpack(data, at)
        body = at + HEAD
        if magic in _MAGICS and crc32(data[at : body - 4], salt) == check:
            if body + length > len(data) and start + body + length <= size:
                start, at, body = start + at, 0, HEAD
                data = _read(fd, min(max(_CHUNK, HEAD + length), size - start), start)
            payload = data[body : body + length]
            if len(payload) == length and crc32(payload) == crc:
                yield Frame(magic, sequence, gap, ordinal, time, payload, start + at, start + body + length)
                at = body + length
                continue
        found = data.find(_START, at + 1)
        at = found if found >= 0 else max(at + 1, len(data) - 1)


def last_mark(fd: int, size: int, salt: int) -> Frame | None:
    """Find the last mark of a file; None when it has none."""
    window, found = _NEAR, None
    while found is None:
        start = max(0, size - window)
        for frame in read_frames(fd, start, size, salt):
            found = frame if frame.kind == MARK else found
        if not start:
            break
        window *= 4
    return found


def row_near(fd: int, size: int, salt: int, sequence: int) -> int:
    """Return the offset of a row below a number, near the first one that is not; 0 when there is none."""
    low, high = 0, size
    while high - low > _NEAR:
        middle = (low + high) // 2
        row = next((each for each in read_frames(fd, middle, high, salt) if each.kind == ROW), None)
        if row is None or row.sequence >= sequence:
            high = middle
        else:
            low = row.start
    return low


def _read(fd: int, count: int, offset: int) -> bytes:
    """Read bytes; a sector that the disk cannot read comes as zeros."""
    try:
        return os.pread(fd, count, offset)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        if count <= _SECTOR:
            return bytes(count)
        half = count // 2
        return _read(fd, half, offset) + _read(fd, count - half, offset + half)
