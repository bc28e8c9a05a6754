"""What trouble with telemetry costs the town: ticks per second beside the same sink when all is well.

Run it with ``python benchmarks/trouble.py``. Each case is run several times, in turn with its healthy twin.
The ratio is the median of those of neighbours in time, since the speed of a machine drifts; the digest must
be the same in all runs.
"""  # noqa: INP001 - a script, not a package

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from townlet_adapters.composition import Output, RunRequest, open_run
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_plugins.access import Allowed

TICKS: Final = 5_000
ROUNDS: Final = 9
LIMIT: Final = 60.0  # seconds until a collector listens
COLLECT: Final = "import sys; from townlet_adapters.cli.main import main; sys.exit(main())"


class Case(NamedTuple):
    """One trouble and its absence.

    Attributes:
        name: the trouble.
        well: the sink when all is well.
        ill: the same sink in trouble.
        well_output: descriptor that is standard output when all is well.
        ill_output: the same in trouble.
    """

    name: str
    well: JsonObject
    ill: JsonObject
    well_output: int
    ill_output: int


def live(sink: JsonObject, output: int) -> tuple[float, str]:
    """Run the default town; its ticks per second, draining at the end not included, and the digest."""
    config: JsonObject = {
        "townlet": 1,
        "seed": 7,
        "telemetry": {"stream": {"mode": "diff"}, "sinks": [sink]},
    }
    ours = os.dup(1)
    os.dup2(output, 1)
    try:
        allowed = Allowed(path=(Path(tempfile.gettempdir()),))
        request = RunRequest(config, output=Output(keep=False), allowed=allowed, digest=True)
        with open_run(request) as run:
            run.loop.run_for(100)
            began = time.perf_counter()
            run.loop.run_for(TICKS)
            took = time.perf_counter() - began
            return TICKS / took, str(run.loop.digest)
    finally:
        os.dup2(ours, 1)
        os.close(ours)


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
def collector(folder: Path, token: Path) -> Iterator[str]:
    """Give the address of a collector in a process of its own."""
    ready = folder / "ready.json"
    words = ["--listen", "tcp://127.0.0.1:0", "--allow-plaintext", "--token-file", str(token)]
    command = [sys.executable, "-c", COLLECT, "collect", *words]
    command += ["--out", str(folder / "collected"), "--ready-file", str(ready)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
        try:
            until = time.monotonic() + LIMIT
            while not ready.exists() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            (url,) = json.loads(ready.read_text(encoding="utf-8"))["listening"]
            yield url.removeprefix("tcp://")
        finally:
            process.terminate()


@contextmanager
def cases(folder: Path) -> Iterator[list[Case]]:
    """Set up every trouble that this machine can have."""
    with ExitStack() as stack:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        reader, stalled = os.pipe()
        for descriptor in (nowhere, reader, stalled):
            stack.callback(os.close, descriptor)
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text("0123456789abcdef0123456789abcdef")
        nobody = stack.enter_context(closing(socket.socket()))
        nobody.bind(("127.0.0.1", 0))

        def tcp(endpoint: str, spool: str) -> JsonObject:
            options: dict[str, JsonValue] = {"endpoint": endpoint, "allow_plaintext": True}
            options |= {"token_file": str(token), "spool_dir": str(folder / spool)}
            return {"use": "tcp", "options": options}

        def file(place: Path) -> JsonObject:
            return {"use": "file", "options": {"path": str(place / "events.ndjson")}}

        there = stack.enter_context(collector(folder, token))
        gone = f"127.0.0.1:{nobody.getsockname()[1]}"
        found = [
            Case(
                "a stalled reader of standard output", {"use": "stdout"}, {"use": "stdout"}, nowhere, stalled
            ),
            Case("an unreachable collector", tcp(there, "well"), tcp(gone, "ill"), nowhere, nowhere),
        ]
        if os.geteuid() == 0:
            disk = stack.enter_context(small_disk(folder / "small"))
            found.append(Case("a full disk under a file", file(folder), file(disk), nowhere, nowhere))
        yield found


def main() -> None:
    """Print one line for each case."""
    told: dict[str, JsonValue] = {}
    digests = set()
    with tempfile.TemporaryDirectory() as folder, cases(Path(folder)) as found:
        for case in found:
            rates: dict[str, list[float]] = {"well": [], "ill": []}
            for _ in range(ROUNDS):
                for state, sink, output in (
                    ("well", case.well, case.well_output),
                    ("ill", case.ill, case.ill_output),
                ):
                    rate, digest = live(sink, output)
                    rates[state].append(rate)
                    digests.add(digest)
                (Path(folder) / "events.ndjson").unlink(missing_ok=True)
            ratios = [ill / well for well, ill in zip(rates["well"], rates["ill"], strict=True)]
            told[case.name] = {
                **{state: round(statistics.median(each)) for state, each in rates.items()},
                "ratio": round(statistics.median(ratios), 3),
            }
    sys.stdout.write(json.dumps({"ticks_per_second": told, "digests": len(digests)}, indent=2) + "\n")


if __name__ == "__main__":
    main()
