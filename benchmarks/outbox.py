"""What the outbox costs: rows per second in and out, and how long a start takes behind a backlog.

Run it with ``python benchmarks/outbox.py [MIB ...]``; each number is a backlog to start behind.
"""  # noqa: INP001 - a script, not a package

import sys
import tempfile
import time
from pathlib import Path

from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.spool.base import OutboxLimits, Row
from townlet_adapters.telemetry.spool.outbox import Outbox

BATCH = 512


def opened(folder: Path, source: str, limits: OutboxLimits) -> Outbox:
    """Give an outbox that is begun."""
    outbox = Outbox(folder, limits, SystemClock())
    outbox.open(source)
    outbox.begin([])
    return outbox


def fill(outbox: Outbox, size: int, count: int) -> None:
    """Commit so many rows of ``size`` bytes."""
    line = b"x" * (size - 1) + b"\n"
    for first in range(0, count, BATCH):
        outbox.note_emitted(first + BATCH)
        outbox.commit([Row(number, line) for number in range(first, first + BATCH)], ())


def throughput(folder: Path, size: int, count: int, limits: OutboxLimits) -> str:
    """Commit rows, then read and acknowledge them; CPU of the process, which is one core's."""
    outbox = opened(folder, "urn:townlet:run:bench:p1", limits)
    cpu, wall = time.process_time(), time.perf_counter()
    fill(outbox, size, count)
    into = count / (time.process_time() - cpu), count / (time.perf_counter() - wall)
    cpu, wall = time.process_time(), time.perf_counter()
    while (batch := outbox.read(BATCH, 1 << 20)) is not None:
        outbox.acknowledge(batch.source, batch.sequences[-1])
    out = count / (time.process_time() - cpu), count / (time.perf_counter() - wall)
    outbox.close()
    return (
        f"{size:6} B {limits.durability:8} in {into[0]:9.0f} rows/s CPU {into[1]:9.0f} wall"
        f"   out {out[0]:9.0f} rows/s CPU {out[1]:9.0f} wall"
    )


def recovery(folder: Path, mebibytes: int) -> str:
    """Start behind a backlog of an earlier run."""
    limits = OutboxLimits(bytes=1 << 40)
    outbox = opened(folder, "urn:townlet:run:bench:p1", limits)
    fill(outbox, 600, mebibytes * (1 << 20) // 620)
    outbox.close()
    again = Outbox(folder, limits, SystemClock())
    began = time.perf_counter()
    again.open("urn:townlet:run:bench:p2")
    again.begin([])
    seconds = time.perf_counter() - began
    stats = again.stats()
    again.close()
    return (
        f"{stats.bytes / (1 << 20):6.0f} MiB, {stats.events} rows in {stats.segments} segments: "
        f"start in {seconds * 1000:.1f} ms"
    )


def main(backlogs: list[int]) -> None:
    """Print one line for each size and durability, and one for each backlog."""
    for size, count, limits in (
        (600, 204_800, OutboxLimits()),
        (10_240, 20_480, OutboxLimits()),
        (600, 51_200, OutboxLimits(durability="power")),
    ):
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(throughput(Path(folder) / "outbox", size, count, limits) + "\n")
    for mebibytes in backlogs:
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(recovery(Path(folder) / "outbox", mebibytes) + "\n")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [64, 256, 1024])
