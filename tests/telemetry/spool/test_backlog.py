"""A start behind as much as an outbox holds: everything is found, and delivered in order and once."""

import shutil

import pytest

from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.envelope import MAX_EVENT_BYTES
from townlet_adapters.telemetry.spool.base import OutboxLimits, Row
from townlet_adapters.telemetry.spool.outbox import Outbox

LIMITS = OutboxLimits(bytes=1200 << 20)
RUNS, ROWS, BATCH = 4, 256, 16  # a MiB each row, since large ones are written fast
GIBIBYTE = 1 << 30


def row_of(source, number):
    """A row that is no other row's, so that none need be kept to know it again."""
    text = f"{source} {number} ".encode()
    return Row(number, text * (MAX_EVENT_BYTES // len(text)) + b"\n")


def begun(folder, source):
    outbox = Outbox(folder, LIMITS, SystemClock())
    assert outbox.open(source) == ()
    outbox.begin([])
    return outbox


@pytest.mark.slow
def test_a_gibibyte_of_four_runs_is_found_and_delivered_in_order_and_once(tmp_path):
    if shutil.disk_usage(tmp_path).free < GIBIBYTE * 1.3:
        pytest.skip("needs 1.3 GiB of disk")
    folder, size = tmp_path / "outbox", 0
    for run in range(RUNS):
        outbox = begun(folder, f"run-{run}")
        for first in range(0, ROWS, BATCH):
            rows = [row_of(f"run-{run}", number) for number in range(first, first + BATCH)]
            outbox.note_emitted(first + BATCH)
            outbox.commit(rows, ())
            size += sum(len(row.line) for row in rows)
        outbox.close()
    assert size > GIBIBYTE * 0.999

    outbox = begun(folder, "late")
    found = outbox.stats()
    assert found.events == RUNS * ROWS
    assert found.bytes > size
    outbox.note_emitted(1)
    outbox.commit([row_of("late", 0)], ())

    expected = [(f"run-{run}", number) for run in range(RUNS) for number in range(ROWS)] + [("late", 0)]
    for source, number in expected:
        batch = outbox.read(1, 1 << 20)
        assert (batch.source, list(batch.sequences)) == (source, [number])
        assert batch.lines[0] == row_of(source, number).line
        assert outbox.acknowledge(source, number) == 1
    assert outbox.read(1, 1 << 20) is None
    assert outbox.stats().events == 0
    assert outbox.stats().bytes < GIBIBYTE // 16
    outbox.close()

    # Nobody died, and nothing comes a second time.
    outbox = begun(folder, "later")
    assert outbox.read(1, 1 << 20) is None
    outbox.close()
