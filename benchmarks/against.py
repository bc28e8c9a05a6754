"""Compares the speed of this checkout with that of another one, in turns, by CPU time.

    python benchmarks/against.py ../townlet-before --case batch --rounds 40

Both checkouts need their environment (``make setup``). Each case runs in two processes that live to the end
and take turns, because a figure of another minute, or of a process that was just started, says little on a
shared machine. A ratio over 1 means that this checkout is faster.
"""  # noqa: INP001 - a script, not a package

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from townlet import TownBatch, TownModel, open_simulation
from townlet_adapters.kernels.sampling import sample_valid_batch

HERE = Path(__file__).resolve().parent.parent
TICKS = {"engine": 2000, "batch": 16, "loop": 600, "sink": 600}
"""Case -> ticks of one turn: a twentieth of a second or more."""
WARM_UP = 2
"""Rounds that are not counted."""


def stepping(towns: int) -> Callable[[int], None]:
    """A batch whose residents take random valid actions; ``engine`` is a batch of one."""
    batch = TownBatch(TownModel.build(), towns)
    seen, wants = batch.reset(7), batch.intents
    tick, seeds = batch.state.towns["tick"], 7 + np.arange(towns, dtype=np.uint64)

    def run(ticks: int) -> None:
        for _ in range(ticks):
            sample_valid_batch(seen.mask, seen.alive, seen.serial, tick, seeds, wants.action, wants.target)
            batch.advance()

    return run


def serve(case: str) -> None:
    """Read numbers of ticks from standard input; after each, print the CPU time of a tick in microseconds."""
    with tempfile.TemporaryDirectory() as folder:
        if case in {"engine", "batch"}:
            _answer(stepping(1 if case == "engine" else 256))
            return
        sinks = [{"use": "file", "options": {"path": f"{folder}/events.ndjson"}}] if case == "sink" else []
        overrides = {"telemetry.sinks": sinks}
        with open_simulation(overrides=overrides, seed=7, digest=case == "sink") as town:
            town.run_for(1440)
            _answer(town.run_for)


def _answer(run: Callable[[int], object]) -> None:
    print("ready", flush=True)  # noqa: T201 - the answer
    for line in sys.stdin:
        began = time.process_time()
        run(int(line))
        print((time.process_time() - began) / int(line) * 1e6, flush=True)  # noqa: T201 - the answer


def start(checkout: Path, case: str) -> subprocess.Popen:
    """Start the case in the environment of a checkout, and wait until it is warm."""
    python = checkout / ".venv/bin/python"
    if not python.exists():
        sys.exit(f"{checkout}: there is no environment; run 'make setup' there")
    process = subprocess.Popen(  # noqa: S603 - our own environments
        [python, __file__, str(checkout), "--case", case, "--serve"],
        cwd=checkout,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while (line := process.stdout.readline()) != "ready\n":
        if not line:
            sys.exit(f"{checkout}: the case '{case}' does not run there")
    return process


def turn(process: subprocess.Popen, ticks: int) -> float:
    """Let a process run; returns microseconds of CPU time per tick."""
    process.stdin.write(f"{ticks}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def compare(other: Path, case: str, rounds: int) -> None:
    """Print one line about a case."""
    processes = [start(other, case), start(HERE, case)]
    pairs = []
    for number in range(rounds + WARM_UP):
        order = processes if number % 2 else processes[::-1]
        taken = {process: turn(process, TICKS[case]) for process in order}
        pairs.append([taken[process] for process in processes])
    for process in processes:
        process.stdin.close()
        process.wait()
    before, after = (statistics.median(column) for column in zip(*pairs[WARM_UP:], strict=True))
    low, middle, high = statistics.quantiles([there / here for there, here in pairs[WARM_UP:]], n=4)
    figures = f"{before:8.1f} us there, {after:8.1f} us here"
    print(f"{case:<7} {figures}; ratio {middle:.2f} [{low:.2f} to {high:.2f}]", flush=True)  # noqa: T201 - the answer


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="folder of the other checkout")
    parser.add_argument("--case", choices=TICKS, action="append", help="may be repeated (all)")
    parser.add_argument("--rounds", type=int, default=40, help="pairs of turns for each case (40)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.case[0])
        return
    for case in arguments.case or TICKS:
        compare(arguments.other.resolve(), case, arguments.rounds)


if __name__ == "__main__":
    main()
