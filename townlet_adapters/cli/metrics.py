"""``--metrics`` and ``--metrics-file``. Imported only when one of them is given."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from prometheus_client import generate_latest
from prometheus_client.registry import CollectorRegistry

from townlet_adapters.cli.console import note
from townlet_adapters.storage.atomic import write_atomically
from townlet_adapters.telemetry.monitoring.exposition import serve_metrics
from townlet_adapters.telemetry.monitoring.metrics import RunMetrics
from townlet_adapters.telemetry.wire.endpoint import Endpoint, parse_listening
from townlet_core.errors import OutputError
from townlet_core.events.loop import LoopHealth
from townlet_core.loop import SimulationLoop

LISTENING: Final = "--metrics"

_PAUSE: Final = 1.0  # seconds between two writes of the file
_PATIENCE: Final = 5.0  # seconds that the last write may take before the run ends without it

Watch: TypeAlias = Callable[[SimulationLoop], object]
"""Called with the loop before its first tick."""


@contextmanager
def open_metrics(listening: str | None, file: Path | None) -> Iterator[Watch]:
    """Serve a run's metrics at an address, in a file, or both, until the block is left.

    Raises:
        ConfigError: when the address cannot be listened at.
    """
    registry = CollectorRegistry()
    with ExitStack() as stack:
        if listening is not None:
            endpoint = parse_listening(listening, LISTENING)
            _announce(stack.enter_context(serve_metrics(endpoint, registry, LISTENING)))

        def watch(loop: SimulationLoop) -> None:
            registry.register(RunMetrics(loop))
            if file is not None:
                writer = _FileWriter(file, registry)
                loop.dispatcher.subscribe(LoopHealth.kind, writer.hear, name="metrics file")
                stack.callback(writer.close)

        yield watch


def _announce(endpoint: Endpoint) -> None:
    """Print the address of the metrics, and whether other machines can read them."""
    note(f"metrics: http://{endpoint.authority}/metrics")
    if not endpoint.is_local:
        note("metrics: other machines can reach this address, and it has no authentication")


class _FileWriter:
    """Writes the file on a thread of its own, so that the town never waits for a disk."""

    def __init__(self, path: Path, registry: CollectorRegistry) -> None:
        self._path, self._registry = path, registry
        self._due, self._stopped = threading.Event(), threading.Event()
        self._due.set()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="metrics-file", daemon=True)
        self._thread.start()

    def hear(self, _message: object) -> None:
        """Note that there is something new to write."""
        self._due.set()

    def close(self) -> None:
        """Write the final state."""
        self._stopped.set()
        self._due.set()
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            note(f"{self._path}: the metrics could not be written within {_PATIENCE:g} seconds")

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._stopped.is_set():
                break
            self._write()
            self._stopped.wait(_PAUSE)
        self._write()

    def _write(self) -> None:
        try:
            write_atomically(self._path, generate_latest(self._registry))
        except OutputError as error:
            if not self._failed:
                note(f"metrics: {error}; the run goes on, and the file is tried again")
            self._failed = True
        else:
            self._failed = False
