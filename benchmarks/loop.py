"""Measures the loop with the scripted policy: processor time of a tick, without a sink and with a file sink.

    python benchmarks/loop.py [--ticks 20000] [--rounds 5]

To compare two versions, run it in turns in both checkouts, within the same minutes. A round of ticks
continues the run of the round before it; the fastest round counts, because other programs only ever
lengthen one.
"""  # noqa: INP001 - a script, not a package

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from townlet import open_simulation
from townlet_core.jsonvalue import JsonValue

SEED = 7
WARM_TICKS = 200


def measure(ticks: int, rounds: int, folder: Path | None) -> float:
    """Return the microseconds of processor time of a tick in the fastest round."""
    sinks: list[JsonValue] = []
    if folder is not None:
        sinks = [{"use": "file", "options": {"path": str(folder / "events.ndjson")}}]
    overrides = {"telemetry.sinks": sinks}
    with open_simulation(
        "configs/town.yaml", seed=SEED, overrides=overrides, digest=folder is not None
    ) as simulation:
        simulation.run_for(WARM_TICKS)
        spent = []
        for _ in range(rounds):
            start = time.process_time()
            simulation.run_for(ticks)
            spent.append(time.process_time() - start)
    return min(spent) / ticks * 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    spent = measure(given.ticks, given.rounds, None)
    sys.stdout.write(f"loop: {spent:.1f} us of processor time for a tick\n")
    with tempfile.TemporaryDirectory() as folder:
        spent = measure(given.ticks, given.rounds, Path(folder))
    sys.stdout.write(f"loop, digest and file sink: {spent:.1f} us of processor time for a tick\n")


if __name__ == "__main__":
    main()
