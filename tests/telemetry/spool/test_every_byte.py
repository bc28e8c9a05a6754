"""Any byte of any file of a small outbox is flipped, or the file is cut there: the rest is delivered."""

import shutil
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.telemetry.spool.town import Town
from townlet_adapters.telemetry.spool.base import OutboxLimits

MEMORY = Path("/dev/shm")  # noqa: S108 - a fresh folder in it, by mkdtemp
SOURCE = "urn:town:2"
ROWS = 13


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Two towns that died: two segments of ten rows, some delivered, one shed, two never committed."""
    town = Town(tmp_path_factory.mktemp("killed") / "outbox", OutboxLimits(1 << 20, 1000))
    town.start()
    town.emit(3, 60)
    town.die()
    town.start()
    for _ in range(2):
        town.emit(5, 60)
        assert town.commit() == ""
    town.emit(2, 60)
    town.shed(0)
    assert town.commit() == ""
    town.deliver(2, 2)
    town.emit(2, 60)
    town.die()
    return town


def ends_of_rows(content):
    """Where the frame of each row ends, by its number."""
    ends, at = {}, 0
    while at < len(content):
        kind, length, sequence = struct.unpack_from("<4sIQ", content, at)
        at += 36 + length
        if kind[2:3] == b"R":
            ends[sequence] = at
    return ends


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_one_fault_anywhere_costs_no_more_than_it_hits(killed, data):
    names = sorted(path.name for path in killed.folder.iterdir() if path.name != "lock")
    name = data.draw(st.sampled_from(names))
    content = (killed.folder / name).read_bytes()
    cut = data.draw(st.booleans())
    spot = data.draw(st.integers(0, len(content) - 1))
    changed = content[:spot]
    if not cut:
        changed += bytes([content[spot] ^ 1 << data.draw(st.integers(0, 7))]) + content[spot + 1 :]
    root = Path(tempfile.mkdtemp(prefix="outbox-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        shutil.copytree(killed.folder, root / "outbox")
        (root / "outbox" / name).write_bytes(changed)
        town = Town(root / "outbox")
        town.generation = killed.generation
        town.emitted, town.committed = dict(killed.emitted), dict(killed.committed)
        town.received = list(killed.received)
        town.declared = {source: lost.copy() for source, lost in killed.declared.items()}
        if name == "control":
            town.forgetful |= set(town.emitted)
        town.start()
        town.drain()
        town.outbox.close()
        town.check_all_accounted_for()
    finally:
        shutil.rmtree(root)
    got = {number for source, number in town.received if source == SOURCE}
    expected = set(range(ROWS)) - {11}
    if not name.endswith(".rows"):
        assert got == expected
    elif cut:
        hit = {number for number, end in ends_of_rows(content).items() if end > spot}
        assert got >= expected - hit
    else:
        assert len(expected - got) <= 1
