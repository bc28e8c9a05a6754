"""``townlet bench --telemetry``: the cost and the throughput of telemetry."""

import json
import math
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import orjson

from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.telemetry.network import http_sink, tcp_sink
from townlet_adapters.telemetry.options import FileOptions, HttpOptions, TcpOptions
from townlet_adapters.telemetry.plugin import build_file_sink
from townlet_adapters.telemetry.streams import frame_data
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.observers.kpis import KpiObserver
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.spec import TICKS_PER_DAY
from townlet_core.dto.stream import StreamSettings
from townlet_core.events.base import Fact
from townlet_core.events.loop import LoopTick
from townlet_core.jsonvalue import JsonObject
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.ports.telemetry import Message, TelemetrySinkProtocol
from townlet_core.testing.fakes import CollectingSink
from townlet_plugins.access import Access
from townlet_plugins.factory import BuildContext

_SHARED: Final = "shared.txt"  # the secret of both ends
_LIMIT: Final = 120.0  # seconds after which a wait fails
_TICK: Final = LoopTick(
    day=1,
    tod=300,
    alive=8,
    arrivals=0,
    exits=0,
    actions={"move_north": 2, "wait": 3, "use:shower": 1, "use:cook": 1, "use:sleep": 1},
    failures={"blocked": 1, "queue": 1},
    events=12,
    reward_mean=0.125,
    figures={"queued": 1, "wallets": 1_234_567, "tills": 98_765, "treasury": 100_000, "reviews_pending": 0},
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        what: what was measured.
        value: the measured number.
        unit: its unit.
        target: the bound that is promised, in words; empty if there is none.
        met: whether the value is within the bound.
    """

    what: str
    value: float
    unit: str
    target: str
    met: bool


def at_most(what: str, value: float, unit: str, bound: float) -> Figure:
    """Return a figure with an upper bound."""
    return Figure(what, value, unit, f"at most {bound:,g}", value <= bound)


def at_least(what: str, value: float, unit: str, bound: float) -> Figure:
    """Return a figure with a lower bound."""
    return Figure(what, value, unit, f"at least {bound:,g}", value >= bound)


def measure_all(folder: Path, seconds: float) -> Iterator[Figure]:
    """Measure every case for about this many seconds; leaves files in ``folder``."""
    small = [Fact(number, number, _TICK) for number in range(max(2000, int(20_000 * seconds)))]
    large = [StateFrame(number, _large_frame(number)) for number in range(max(200, int(2_000 * seconds)))]
    yield from _emitting("emit, 0.6 KB", small, folder / "small", (5, 25))
    yield from _emitting("emit, 10 KB", large, folder / "large", (40, 150))
    yield _writing_json(large)
    yield _tick_of_a_town(folder)
    yield from _spooling("0.6 KB", small, folder / "spool-small", 20_000)
    yield from _spooling("10 KB", large, folder / "spool-large", 5_000)
    with _collector(folder) as collector:
        yield _sending("TLS with acknowledgements, 0.6 KB", collector.tcp(), small, 20_000)
        yield _sending("TLS with acknowledgements, 10 KB", collector.tcp(), large, 2_000)
        yield _sending("HTTPS with signatures, 0.6 KB", collector.http(), small, 5_000)
    yield _stopping(small[:1000], folder / "stopping")


def _large_frame(number: int) -> TownFrame:
    agents: dict[str, JsonObject] = {
        f"a{n}": {"pos": (n, n), "wallet": n, "needs": (0.1 * n, 0.2, 0.3)} for n in range(160)
    }
    return TownFrame(number, agents=agents)


def _context(folder: Path, stream: StreamSettings | None = None) -> BuildContext:
    folder.mkdir(parents=True, exist_ok=True)
    return BuildContext(
        seed=7,
        access=Access(folder),
        run_dir=folder,
        run_id=os.urandom(8).hex(),
        stream=stream or StreamSettings("snapshot"),
    )


def _emitting(
    what: str, messages: Sequence[Message], folder: Path, bounds: tuple[float, float]
) -> Iterator[Figure]:
    """Measure the processor time of each call of ``emit``, less the time of the measurement itself."""
    sink = build_file_sink(FileOptions(), _context(folder))
    sink.start()
    costs = []
    asking = _cost_of_asking()
    for message in messages:
        before = time.thread_time_ns()
        sink.emit(message)
        costs.append(time.thread_time_ns() - before - asking)
    sink.stop(_LIMIT)
    costs.sort()
    for name, part, bound in (("median", 0.5, bounds[0]), ("99th of 100", 0.99, bounds[1])):
        yield at_most(f"{what}, {name}", costs[int(len(costs) * part)] / 1000, "us", bound)


def _writing_json(messages: Sequence[StateFrame]) -> Figure:
    """Measure the time of writing the same data as plain JSON, as a yardstick for this machine and minute."""
    asking, costs = _cost_of_asking(), []
    for message in messages:
        data = frame_data(message.frame)
        before = time.thread_time_ns()
        orjson.dumps(data)
        costs.append(time.thread_time_ns() - before - asking)
    return Figure("the same 10 KB as JSON alone, median", statistics.median(costs) / 1000, "us", "", met=True)


def _cost_of_asking() -> int:
    """Return the nanoseconds that reading the processor time adds to a measurement."""
    costs = []
    for _ in range(2000):
        before = time.thread_time_ns()
        costs.append(time.thread_time_ns() - before)
    return statistics.median_low(costs)


def _tick_of_a_town(folder: Path) -> Figure:
    """Run a day of the default town, then emit its messages to a sink in mode ``diff``, tick by tick."""
    sink = build_file_sink(FileOptions(path="day.ndjson"), _context(folder, StreamSettings("diff")))
    day = _day_of_a_town()
    sink.start()
    costs = []
    for messages in day:
        before = time.thread_time_ns()
        for message in messages:
            sink.emit(message)
        costs.append(time.thread_time_ns() - before)
    sink.stop(_LIMIT)
    each = sum(map(len, day)) / len(day)
    what = f"a tick of the default town, diff, one sink ({each:.1f} messages on average), median"
    return at_most(what, statistics.median(costs) / 1000, "us", 60)


def _day_of_a_town() -> list[list[Message]]:
    world, policy = TownWorld(TownModel.build(TownOptions())), ScriptedPolicy(ScriptedOptions())
    collected = CollectingSink()
    dispatcher = EventDispatcher([SinkRoute("collected", collected, state_every=1)])
    loop = SimulationLoop(
        world,
        policy,
        RunIdentity(seed=7, run_id="bench", config_digest="", snapshot={}),
        dispatcher=dispatcher,
        observers=[KpiObserver()],
    )
    loop.run_for(TICKS_PER_DAY)
    ticks: dict[int, list[Message]] = {}
    for message in collected.messages:
        ticks.setdefault(message.tick, []).append(message)
    return list(ticks.values())


def _spooling(size: str, messages: Sequence[Message], folder: Path, bound: float) -> Iterator[Figure]:
    """Fill an outbox while no collector listens, then measure how long opening it again takes."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{unused.getsockname()[1]}"
        (folder / "town").mkdir(parents=True)
        token = _private(folder / "town" / "token", os.urandom(16).hex())
        options = TcpOptions(endpoint=endpoint, allow_plaintext=True, token_file=str(token), on_full="wait")
        sink = tcp_sink(options, _context(folder / "town"))
        sink.start()
        cpu = time.process_time()
        _emit_all(sink, messages)
        _wait_for(lambda: sink.status().buffered == 0)
        cpu = time.process_time() - cpu
        sink.stop(0.1)
        yield at_least(f"to the outbox, {size}, one core", len(messages) / cpu, "events/s", bound)
        again = tcp_sink(options, _context(folder / "town"))
        began = time.perf_counter()
        again.start()
        took = time.perf_counter() - began
        again.stop(0.1)
        waiting = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        yield at_most(
            f"opening an outbox of {waiting / 2**20:,.0f} MiB",
            took * 1000,
            "ms",
            100 + 1000 * waiting / 2**30,
        )


@dataclass(frozen=True, slots=True)
class _Collecting:
    """A collector in another process."""

    folder: Path
    ports: tuple[int, int]

    def tcp(self) -> TelemetrySinkProtocol:
        """Build a ``tcp`` sink for it."""
        options = TcpOptions(
            endpoint=f"localhost:{self.ports[0]}",
            tls={"ca_file": "ca.pem"},  # type: ignore[arg-type]  # pydantic makes the model of it
            token_file=_SHARED,
            on_full="wait",
        )
        return tcp_sink(options, self._context())

    def http(self) -> TelemetrySinkProtocol:
        """Build an ``http`` sink for it."""
        options = HttpOptions(
            url=f"https://localhost:{self.ports[1]}/v1/events",
            tls={"ca_file": "ca.pem"},  # type: ignore[arg-type]  # as above
            secret_file=_SHARED,
            on_full="wait",
        )
        return http_sink(options, self._context())

    def _context(self) -> BuildContext:
        run = self.folder / f"run-{os.urandom(4).hex()}"
        run.mkdir()
        return BuildContext(
            seed=7,
            access=Access(self.folder),
            run_dir=run,
            run_id=os.urandom(8).hex(),
            stream=StreamSettings("snapshot"),
        )


@contextmanager
def _collector(folder: Path) -> Iterator[_Collecting]:
    """Start ``townlet collect`` with new certificates."""
    _make_certificates(folder)
    _private(folder / _SHARED, os.urandom(16).hex())
    ready = folder / "ready.json"
    # The program that runs now, in another process.
    command = [
        sys.executable,
        "-c",
        "import sys; from townlet_adapters.cli.main import main; sys.exit(main())",
    ]
    command += [
        "collect",
        "--listen",
        "tls://127.0.0.1:0",
        "--listen",
        "https://127.0.0.1:0",
        "--out",
        "collected",
    ]
    command += [
        "--cert",
        "server.pem",
        "--key",
        "server.key",
        "--token-file",
        _SHARED,
        "--secret-file",
        _SHARED,
    ]
    with (folder / "collector.log").open("wb") as log:
        process = subprocess.Popen([*command, "--ready-file", ready.name], cwd=folder, stderr=log)  # noqa: S603 - this program
    try:
        _wait_for(lambda: ready.exists() or process.poll() is not None)
        if not ready.exists():
            raise click.ClickException(
                f"the collector did not start: {(folder / 'collector.log').read_text()}"
            )
        urls = json.loads(ready.read_text(encoding="utf-8"))["listening"]
        first, second = (int(url.rpartition(":")[2]) for url in urls)
        yield _Collecting(folder, (first, second))
    finally:
        process.terminate()
        process.wait()


def _make_certificates(folder: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise click.ClickException(
            "--telemetry makes certificates with OpenSSL 3, and 'openssl' is not installed"
        )
    new = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    authority = ["-subj", "/CN=bench", "-addext", "keyUsage=critical,keyCertSign"]
    leaf = [
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-subj",
        "/CN=bench",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    leaf += ["-addext", "basicConstraints=critical,CA:FALSE"]
    for name, options in (("ca", authority), ("server", leaf)):
        command = [*new, "-keyout", f"{name}.key", "-out", f"{name}.pem", *options]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603 - found above


def _sending(what: str, sink: TelemetrySinkProtocol, messages: Sequence[Message], bound: float) -> Figure:
    """Measure the wall-clock time until everything is acknowledged."""
    sink.start()
    began = time.perf_counter()
    _emit_all(sink, messages)
    _wait_for(lambda: _is_empty(sink))
    took = time.perf_counter() - began
    status = sink.stop(5)
    if dropped := sum(status.dropped.values()):
        what += f" ({dropped} shed: the disk was slower than the town)"
    return at_least(what, status.delivered / took, "events/s", bound)


def _is_empty(sink: TelemetrySinkProtocol) -> bool:
    status = sink.status()
    return status.buffered == 0 and status.spooled == 0


def _stopping(messages: Sequence[Message], folder: Path) -> Figure:
    """Stop a sink whose peer accepts the connection and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        folder.mkdir()
        token = _private(folder / "token", os.urandom(16).hex())
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        options = TcpOptions(endpoint=endpoint, allow_plaintext=True, token_file=str(token))
        sink = tcp_sink(options, _context(folder))
        sink.start()
        _emit_all(sink, messages)
        began = time.perf_counter()
        sink.stop(0.5)
        return at_most("stop beyond its deadline, silent peer", time.perf_counter() - began - 0.5, "s", 0.5)


def _emit_all(sink: TelemetrySinkProtocol, messages: Sequence[Message]) -> None:
    for message in messages:
        sink.emit(message)


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LIMIT
    while not happened():
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"nothing happened for {_LIMIT:.0f} s; try again when the machine is less busy"
            )
        time.sleep(0.002)


def _private(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path.resolve()


def digits(value: float) -> str:
    """Format a number with three significant digits."""
    if value <= 0:
        return "0"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"
