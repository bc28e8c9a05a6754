"""A town and a collector that are killed at random, and the count of what became of the events.

    python -m tests.telemetry.kills --kills 1000

One process imports everything once; towns and collectors are forks of it, so that a kill costs a fraction of
a second. What a town had emitted when it died, it wrote into memory that it shares with us.
"""

import argparse
import asyncio
import json
import mmap
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.forks import fork
from tests.telemetry.certificates import Certificates
from townlet_adapters.composition import Output, RunRequest, open_run
from townlet_adapters.telemetry.collector.credentials import token_of
from townlet_adapters.telemetry.collector.service import Collector
from townlet_adapters.telemetry.collector.settings import CollectorSettings, Listen
from townlet_adapters.telemetry.envelope import source_urn
from townlet_adapters.telemetry.ranges import RangeSet
from townlet_adapters.telemetry.wire.endpoint import Endpoint
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings
from townlet_core.jsonvalue import JsonObject
from townlet_plugins.access import Allowed

TOKEN = "0123456789abcdef" * 2
LIMIT = 120.0  # seconds for anything that has to happen at all
LONGEST = 0.3  # seconds that a town lives after its first events
EARLY_KILLS = 0.1  # share of towns that may die before them
COLLECTOR_KILLS = 0.4  # share of rounds in which the collector dies, too


@dataclass
class Tally:
    """What became of everything.

    Attributes:
        towns: towns that lived.
        kills: how many of them were killed.
        collector_kills: how often the collector was.
        emitted: events that towns are known to have emitted.
        stored: events in the collector's files.
        duplicates: events that are there twice.
        declared: numbers named by loss records.
        silent: numbers that are neither stored nor declared.
        contradicted: numbers that are both.
        waiting: what was left in the outbox at the end.
    """

    towns: int = 0
    kills: int = 0
    collector_kills: int = 0
    emitted: int = 0
    stored: int = 0
    duplicates: int = 0
    declared: int = 0
    silent: list[str] = field(default_factory=list)
    contradicted: list[str] = field(default_factory=list)
    waiting: int = 0


class Board:
    """Memory that a child shares with us: which run it is, and how many numbers it has given."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 4096)
        self._cells = memoryview(self._memory).cast("Q")

    def begin(self, run_id: str) -> None:
        """Note the run, as the child."""
        name = run_id.encode()
        self._memory[64 : 64 + len(name)] = name
        self._cells[1] = len(name)

    def note(self, emitted: int) -> None:
        """Note the numbers given, as the child."""
        self._cells[0] = emitted

    def read(self) -> tuple[str, int]:
        """Read both, as the parent; the run is empty when it never began."""
        return bytes(self._memory[64 : 64 + self._cells[1]]).decode(), self._cells[0]


def warm_up() -> None:
    """Load the compiled kernels once, for all forks; no thread may be started by it."""
    config: JsonObject = {"townlet": 1, "seed": 7, "telemetry": {"sinks": []}}
    with open_run(RunRequest(config=config, output=Output(keep=False))) as run:
        run.loop.step()


class Trial:
    """One folder, one port, many lives."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)  # noqa: S311 - when to kill is no secret
        (folder / "certificates").mkdir()
        self._certificates = Certificates(folder / "certificates")
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._boards: list[Board] = []
        self.tally = Tally()

    def run(self, kills: int) -> Tally:
        """Kill so many towns, then let one end well, and count."""
        warm_up()
        collector = fork(self._collect, 900)
        for _ in range(kills):
            board = self._new_board()
            town = fork(partial(self._live, board, None))
            self._let_live(board)
            if self._random.random() < COLLECTOR_KILLS:
                os.kill(collector, signal.SIGKILL)
                os.waitpid(collector, 0)
                self.tally.collector_kills += 1
                # Whether the town dies while nobody listens, or just after somebody does again.
                if self._random.random() < 0.5:
                    collector = fork(self._collect, 900)
                    self._kill(town)
                else:
                    self._kill(town)
                    collector = fork(self._collect, 900)
            else:
                self._kill(town)
        self._end_well(collector)
        self._count()
        return self.tally

    def _let_live(self, board: Board) -> None:
        """Wait for a random time, of which some is often before the first event."""
        give_up = 0.0 if self._random.random() < EARLY_KILLS else time.monotonic() + LIMIT
        while not board.read()[1] and time.monotonic() < give_up:
            time.sleep(0.002)
        time.sleep(self._random.uniform(0.0, LONGEST))

    def _new_board(self) -> Board:
        board = Board()
        self._boards.append(board)
        self.tally.towns += 1
        return board

    def _kill(self, town: int) -> None:
        os.kill(town, signal.SIGKILL)
        _, status = os.waitpid(town, 0)
        if os.WIFEXITED(status):
            raise RuntimeError(f"a town ended by itself, with {os.WEXITSTATUS(status)}; see its log")
        self.tally.kills += 1

    def _end_well(self, collector: int) -> None:
        give_up = time.monotonic() + LIMIT
        while time.monotonic() < give_up:
            _, status = os.waitpid(fork(partial(self._live, self._new_board(), 20)), 0)
            if status:
                raise RuntimeError("the last town failed; see its log")
            self.tally.waiting = int((self._folder / "waiting").read_text())
            if not self.tally.waiting:
                break
        os.kill(collector, signal.SIGTERM)
        os.waitpid(collector, 0)

    def _live(self, board: Board, ticks: int | None) -> None:
        """Be a town, until killed or for so many ticks."""
        self._log_to("town.log")
        os.environ["TOWNLET_TOKEN"] = TOKEN
        allowed = Allowed(path=(self._certificates.ca_file.parent,))
        request = RunRequest(config=self._config(), output=Output(keep=False), allowed=allowed)
        with open_run(request) as run:
            board.begin(run.run_id)
            sink = run.routes[0].sink
            left = ticks
            while left is None or left > 0:
                run.loop.step()
                board.note(sink.status().emitted)
                left = None if left is None else left - 1
            status = sink.stop(20.0)
            board.note(status.emitted)
            (self._folder / "waiting").write_text(str(status.spooled + status.buffered))

    def _config(self) -> JsonObject:
        options: JsonObject = {
            "endpoint": f"localhost:{self._port}",
            "token_env": "TOWNLET_TOKEN",
            "tls": {"ca_file": str(self._certificates.ca_file)},
            "spool_dir": str(self._folder / "spool"),
            # Small enough to be shed from now and then.
            "buffer_events": 256,
        }
        return {
            "townlet": 1,
            "seed": 7,
            "runner": {"speed": "max"},
            "telemetry": {"stream": {"mode": "diff"}, "sinks": [{"use": "tcp", "options": options}]},
        }

    def _collect(self) -> None:
        """Be a collector, until killed or told to stop."""
        self._log_to("collector.log")
        server = self._certificates.server
        settings = CollectorSettings(
            folder=self._folder / "collected",
            listen=(Listen("tls", Endpoint("localhost", self._port)),),
            tls=ServerTlsSettings(server.cert_file, server.key_file),
            tokens=(token_of(TOKEN.encode()),),
        )

        async def serve() -> None:
            stop = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
            collector = Collector(settings)
            await collector.start()
            await stop.wait()
            await collector.stop()

        asyncio.run(serve())

    def _log_to(self, name: str) -> None:
        log = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)

    def _count(self) -> None:
        """Compare what towns emitted with what the collector's files hold; nobody's report is believed."""
        stored: dict[str, RangeSet] = {}
        declared: dict[str, RangeSet] = {}
        for event in self._events():
            held = stored.setdefault(event["source"], RangeSet())
            number = int(event["id"])
            self.tally.duplicates += number in held
            self.tally.stored += 1
            held.add(number)
            if event["type"] == "townlet.telemetry.loss":
                lost = declared.setdefault(event["data"]["source"], RangeSet())
                for first, last in event["data"]["ranges"]:
                    lost.add(first, last)
        self.tally.declared = sum(ranges.count() for ranges in declared.values())
        emitted = dict(board.read() for board in self._boards)
        emitted.pop("", None)
        for run_id, least in emitted.items():
            self.tally.emitted += least
            source = source_urn(run_id, 1)
            known = RangeSet([*stored.get(source, ()), *declared.get(source, ())])
            # Up to the last number that anybody has heard of, too: the town may have died before it told us.
            last = max([least - 1, *(each.last for each in known)])
            self.tally.silent += [f"{source}: {tuple(gap)}" for gap in known.holes(0, last)]
        for source, ranges in declared.items():
            for first, last in ranges:
                both = stored.get(source, RangeSet()).holes(first, last).count() != last - first + 1
                if both:
                    self.tally.contradicted.append(f"{source}: {(first, last)}")

    def _events(self) -> Iterator[JsonObject]:
        for path in sorted((self._folder / "collected").glob("*.ndjson")):
            with path.open(encoding="utf-8") as lines:
                yield from map(json.loads, lines)


def main() -> int:
    """Run a trial and print its tally; the exit code tells whether anything is silently lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        tally = Trial(Path(folder), chosen.seed).run(chosen.kills)
        result = {"seed": chosen.seed, "seconds": round(time.monotonic() - began, 1), **vars(tally)}
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
        failed = tally.silent or tally.contradicted or tally.duplicates or tally.waiting
        if failed:
            for log in ("town.log", "collector.log"):
                text = (
                    (Path(folder) / log).read_text(errors="replace") if (Path(folder) / log).exists() else ""
                )
                sys.stderr.write(f"--- {log}\n{text[-4000:]}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
