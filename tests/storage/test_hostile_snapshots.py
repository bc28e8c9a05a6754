"""A snapshot from anybody costs no more memory than the stated limit, and is refused with a reason."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from townlet_adapters.storage.snapshots import (
    MAX_FILE_BYTES,
    MAX_TEXT_BYTES,
    MAX_VALUES,
    newest_snapshot,
    read_snapshot,
    write_snapshot,
)
from townlet_core.dto.snapshot import Snapshot
from townlet_core.errors import OutputError, SnapshotError

pytestmark = pytest.mark.usefixtures("nothing_left_open")

ROOT = Path(__file__).parents[2]
GIB = 1 << 30

READ = """
import resource, sys
from pathlib import Path
from townlet_adapters.storage.snapshots import read_snapshot
from townlet_core.errors import SnapshotError
most = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    read_snapshot(Path(sys.argv[1]))
except SnapshotError as error:
    print(error)
"""


def squeezed(path, pattern, size, head=b"", tail=b""):
    """Write a file that unpacks to ``size`` bytes of a pattern, a megabyte at a time."""
    block = pattern * ((1 << 20) // len(pattern))
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(head)
        for _ in range(size // len(block)):
            stream.write(block)
        stream.write(tail)
    return path


def refusal(path, memory):
    """What another process says of a file when it may have so many bytes of memory."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path), str(memory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HEAD = b'{"schema":2,"tick":1,"sim_digest":"a","event_digest":"b","simulation":{},"sha256":"c","state":'


HOSTILE = {
    "400-kb": (b"[],", 400 << 20, HEAD + b"[", b"[]]}"),
    "zeros": (b"\0", 400 << 20),
    "lists": (b"[],", 120 << 20, HEAD + b"[", b"[]]}"),
    "keys": (b'"":0,', 120 << 20, HEAD + b"{", b'"":0}}'),
    "depth": (b"[", 120 << 20, HEAD),
    "digits": (b"1", 120 << 20, HEAD, b"}"),
    "text": (b"A", 120 << 20, HEAD + b'"', b'"}'),
}
REASONS = {
    "400-kb": "unpacks to more than",
    "zeros": "unpacks to more than",
    "lists": f"more than {MAX_VALUES} values",
    "keys": f"more than {MAX_VALUES} values",
    "depth": f"more than {MAX_VALUES} values",
    "digits": "not JSON of a snapshot",
    "text": "its state does not have the digest it names",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_within_one_gibibyte(tmp_path, name):
    path = squeezed(tmp_path / "snapshot-1.json.gz", *HOSTILE[name])
    assert path.stat().st_size < 8 << 20
    told = refusal(path, GIB)
    assert told.startswith(f"{path}: damaged: ")
    assert REASONS[name] in told
    assert len(told) < 500


def test_text_that_python_stores_four_bytes_wide_takes_fifteen_times_its_size_at_most(tmp_path):
    wide = "\N{GRINNING FACE}".encode()
    path = squeezed(tmp_path / "snapshot-1.json.gz", b"A", 60 << 20, HEAD + b'"' + wide, b'"}')
    assert "does not have the digest" in refusal(path, 15 * (60 << 20) + GIB // 4)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    path = tmp_path / "snapshot-1.json.gz"
    with path.open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(SnapshotError, match="larger than") as caught:
        read_snapshot(path)
    assert caught.value.code == "snapshot_corrupt"


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    identity = {"sim_digest": "a", "event_digest": "b"}
    for part in ("A" * MAX_TEXT_BYTES, [0] * MAX_VALUES):
        with pytest.raises(OutputError, match="could not be resumed"):
            write_snapshot(tmp_path, Snapshot(1, identity, {"world": part}), {"seed": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_fifo_or_device_in_the_place_of_a_snapshot_is_an_error_at_once(tmp_path):
    fifo = tmp_path / "snapshot-1.json.gz"
    os.mkfifo(fifo)
    for path, said in ((fifo, "Is a FIFO"), (Path("/dev/zero"), "Is a device")):
        with pytest.raises(SnapshotError, match=said) as caught:
            read_snapshot(path)
        assert caught.value.code == "snapshot_missing"


def test_a_fifo_among_the_snapshots_of_a_run_is_passed_over(tmp_path):
    identity = {
        "sim_digest": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "event_digest": "",
    }
    path = write_snapshot(tmp_path, Snapshot(1, identity, {"loop": {}}), {})
    os.mkfifo(tmp_path / "snapshot-2.json.gz")
    (tmp_path / "snapshot-3.json.gz").symlink_to(path)
    assert newest_snapshot(tmp_path).path == path
    assert json.loads(gzip.decompress(path.read_bytes()))["tick"] == 1
