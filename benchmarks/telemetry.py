"""What telemetry costs: CPU of one emit, and events per second into a file.

Run it with ``python benchmarks/telemetry.py``.
"""  # noqa: INP001 - a script, not a package

import sys
import tempfile
import time
from pathlib import Path

from townlet_adapters.telemetry.delivery.sink import DeliveringSink, DeliveryLimits
from townlet_adapters.telemetry.transports.file import FileTransport
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.events.base import Fact
from townlet_core.events.loop import LoopTick
from townlet_core.ports.telemetry import Message

TICK = LoopTick(
    day=1,
    tod=300,
    alive=8,
    arrivals=0,
    exits=0,
    actions={"move_north": 2, "wait": 3, "use:shower": 1, "use:cook": 1, "use:sleep": 1},
    failures={"blocked": 1, "queue": 1},
    events=12,
    reward_mean=0.125,
    queued=1,
    wallets=1_234_567,
    tills=98_765,
    treasury=100_000,
)


def measure(message: Message, count: int, folder: Path) -> str:
    """Emit a message many times into a file; CPU per emit by percentiles, then events per second."""
    path = folder / "events.ndjson"
    sink = DeliveringSink(
        "file", FileTransport(path), source="urn:townlet:run:bench:p1", limits=DeliveryLimits()
    )
    sink.start()
    costs = []
    began = time.perf_counter()
    for _ in range(count):
        before = time.thread_time_ns()
        sink.emit(message)
        costs.append(time.thread_time_ns() - before)
    status = sink.stop(60)
    seconds = time.perf_counter() - began
    size = path.stat().st_size / max(1, status.delivered)
    path.unlink()
    costs.sort()
    p50, p99 = (costs[int(count * part)] / 1000 for part in (0.5, 0.99))
    return (
        f"{size:8.0f} B   emit p50 {p50:6.1f} us   p99 {p99:6.1f} us   {count / seconds:9.0f} events/s"
        f"   delivered {status.delivered} of {status.offered}"
    )


def main() -> None:
    """Print one line for a small message and one for a large one."""
    agents = {f"a{n}": {"pos": (n, n), "wallet": n, "needs": (0.1 * n, 0.2, 0.3)} for n in range(160)}
    with tempfile.TemporaryDirectory() as folder:
        for message, count in (
            (Fact(10, 100, TICK), 200_000),
            (StateFrame(1, TownFrame(1, agents=agents)), 20_000),
        ):
            sys.stdout.write(measure(message, count, Path(folder)) + "\n")


if __name__ == "__main__":
    main()
