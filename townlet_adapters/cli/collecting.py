"""Runs a collector from its start to a signal."""

import asyncio
import json
import logging
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import click

from townlet_adapters.cli import errors
from townlet_adapters.cli.console import note
from townlet_adapters.storage.atomic import write_json
from townlet_adapters.telemetry.collector.service import Collector
from townlet_adapters.telemetry.collector.settings import CollectorSettings
from townlet_adapters.telemetry.wire.endpoint import parse_listening
from townlet_core.jsonvalue import JsonObject

METRICS: Final = "--metrics"

_log = logging.getLogger(__name__)


class Wish(NamedTuple):
    """What is wanted beside a collector.

    Attributes:
        metrics: ``HOST:PORT`` to answer Prometheus at, or None.
        ready_file: file to write once the collector listens, or None.
        heartbeat_seconds: seconds between two lines of the log about what is stored; None for no lines.
    """

    metrics: str | None = None
    ready_file: Path | None = None
    heartbeat_seconds: float | None = None


async def collect(settings: CollectorSettings, wish: Wish) -> int:
    """Collect until a signal comes.

    Returns:
        The exit code.

    Raises:
        ConfigError: when the settings cannot work, or an address cannot be listened at.
        OutputError: when the folder or the ready file cannot be written.
    """
    stop: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    _take_signals(stop)
    collector = Collector(settings)
    await collector.start()
    try:
        with ExitStack() as stack:
            metrics = _serve_metrics(collector, wish.metrics, stack) if wish.metrics is not None else None
            ready: JsonObject = {"listening": collector.urls, "metrics": metrics, "pid": os.getpid()}
            if wish.ready_file is not None:
                write_json(wish.ready_file, ready)
            click.echo(json.dumps(ready), err=True)
            if wish.heartbeat_seconds is not None:
                beating = asyncio.create_task(_beat(collector, wish.heartbeat_seconds))
                stack.callback(beating.cancel)
            code = await stop
            note("stopping: storing and acknowledging what has arrived; interrupt again to stop at once")
    finally:
        await collector.stop()
    totals = collector.report().totals
    note(
        f"stored {collector.figures.stored} events now, "
        f"{totals.events} of {_sources(totals.sources)} in all; "
        f"{totals.missing} missing, {totals.declared} declared lost"
    )
    return code


async def _beat(collector: Collector, seconds: float) -> None:
    """Log at regular times how much is stored."""
    _log.setLevel(logging.INFO)
    before = 0
    while True:
        await asyncio.sleep(seconds)
        totals = (await asyncio.get_running_loop().run_in_executor(None, collector.report)).totals
        now = collector.figures.stored
        _log.info(
            "%d new events stored; in all %d events of %s, %d missing, %d declared lost",
            now - before,
            totals.events,
            _sources(totals.sources),
            totals.missing,
            totals.declared,
        )
        before = now


def _sources(count: int) -> str:
    return "1 source" if count == 1 else f"{count} sources"


def _take_signals(stop: "asyncio.Future[int]") -> None:
    """Set the exit code at the first SIGINT or SIGTERM, and end the process at the second one."""
    loop = asyncio.get_running_loop()

    def first(code: int) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, lambda *_: os._exit(errors.INTERRUPTED))
        if not stop.done():
            stop.set_result(code)

    # A service manager ends a service by SIGTERM and expects exit code 0.
    loop.add_signal_handler(signal.SIGINT, first, errors.INTERRUPTED)
    loop.add_signal_handler(signal.SIGTERM, first, errors.DONE)


def _serve_metrics(collector: Collector, text: str, stack: ExitStack) -> str:
    """Answer Prometheus until the stack is unwound; returns the URL."""
    # Imported late: it takes a while, and most collectors have no metrics.
    from prometheus_client.registry import CollectorRegistry  # noqa: PLC0415 - as said above

    from townlet_adapters.telemetry.collector.metrics import CollectorMetrics  # noqa: PLC0415 - as above
    from townlet_adapters.telemetry.monitoring.exposition import serve_metrics  # noqa: PLC0415 - as above

    registry = CollectorRegistry()
    registry.register(CollectorMetrics(collector))
    where = stack.enter_context(serve_metrics(parse_listening(text, METRICS), registry, METRICS))
    return f"http://{where.authority}/metrics"
