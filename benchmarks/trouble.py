"""What trouble with telemetry costs the town: ticks per second beside a run whose sinks are well.

Run it with ``python benchmarks/trouble.py``. Each case is run several times, in turn with the run that it is
compared with, and the medians are compared; the digest must be the same in all of them.
"""  # noqa: INP001 - a script, not a package

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from townlet_adapters.composition import Output, RunRequest, open_run
from townlet_core.jsonvalue import JsonObject, JsonValue

TICKS: Final = 20_000
ROUNDS: Final = 5
WELL: Final = "well"


def live(sinks: JsonValue) -> tuple[float, str]:
    """Run the default town; its ticks per second, draining at the end not included, and the digest."""
    config: JsonObject = {
        "townlet": 1,
        "seed": 7,
        "telemetry": {"stream": {"mode": "diff"}, "sinks": sinks},
    }
    with open_run(RunRequest(config=config, output=Output(keep=False), digest=True)) as run:
        run.loop.run_for(100)
        began = time.perf_counter()
        run.loop.run_for(TICKS)
        took = time.perf_counter() - began
        return TICKS / took, str(run.loop.digest)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Give a file system of one MiB; needs root."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    subprocess.run(command, check=True)  # noqa: S603 - the words are ours
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607 - as above


@contextmanager
def cases(folder: Path) -> Iterator[Mapping[str, JsonValue]]:
    """Give the sinks of each case, and where a stalled reader hangs on our standard output."""
    reader, writer = os.pipe()
    ours = os.dup(1)
    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text("0123456789abcdef0123456789abcdef")
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        unreachable: JsonObject = {
            "endpoint": f"127.0.0.1:{nobody.getsockname()[1]}",
            "allow_plaintext": True,
            "token_file": str(folder / "token"),
            "spool_dir": str(folder / "spool"),
        }
        well: JsonObject = {"use": "file", "options": {"path": str(folder / "well.ndjson")}}
        found: dict[str, JsonValue] = {
            WELL: [well],
            "an unreachable collector": [{"use": "tcp", "options": unreachable}],
        }
        found["a stalled reader of standard output"] = [{"use": "stdout"}]
        if os.geteuid() == 0:
            with small_disk(folder / "small") as disk:
                found["a full disk under a file"] = [
                    {"use": "file", "options": {"path": str(disk / "events.ndjson")}}
                ]
                os.dup2(writer, 1)
                try:
                    yield found
                finally:
                    os.dup2(ours, 1)
        else:
            yield found
    os.close(reader)


def main() -> None:
    """Print one line for each case."""
    rates: dict[str, list[float]] = {}
    digests = set()
    with tempfile.TemporaryDirectory() as folder, cases(Path(folder)) as found:
        for _ in range(ROUNDS):
            for name, sinks in found.items():
                rate, digest = live(sinks)
                rates.setdefault(name, []).append(rate)
                digests.add(digest)
                (Path(folder) / "well.ndjson").unlink(missing_ok=True)
    well = statistics.median(rates[WELL])
    told = {
        name: {
            "ticks_per_second": round(statistics.median(each)),
            "ratio": round(statistics.median(each) / well, 3),
        }
        for name, each in rates.items()
    }
    sys.stdout.write(json.dumps({"cases": told, "digests": len(digests)}, indent=2) + "\n")


if __name__ == "__main__":
    main()
