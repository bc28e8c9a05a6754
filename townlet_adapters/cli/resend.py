"""``townlet spool send``."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from townlet_adapters.cli.allowing import reads_config
from townlet_adapters.cli.console import configure_logs, note
from townlet_adapters.cli.errors import DONE, FAILED, INTERRUPTED
from townlet_adapters.cli.options import OVERRIDES, require_finite, to_overrides
from townlet_adapters.config.source import find_config
from townlet_adapters.telemetry.spool import inspect
from townlet_core.ports import SupportsHealth, TelemetrySinkProtocol
from townlet_plugins.access import Allowed

_LOOK: Final = 0.1  # seconds between two looks at what is left
_REPORT: Final = 10.0  # seconds between two lines about it


@click.command("send")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.argument("config", metavar="CONFIG")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    callback=require_finite,
    metavar="S",
    help="Stop trying after S seconds; without it, go on until interrupted.",
)
@OVERRIDES
@reads_config
def command(  # noqa: PLR0913 - one parameter for each option
    folder: Path,
    config: str,
    *,
    seconds: float | None,
    overrides: tuple[str, ...],
    allow_env: tuple[str, ...],
    allow_path: tuple[Path, ...],
) -> int:
    """Deliver what a run left in its outboxes, to the destinations of the run's CONFIG, without a town.

    What a killed run lost is declared first, as at the start of a run. Exit code 0 when nothing is left, 1
    when the time was up before, 130 when it was interrupted.

    \b
    Example:
      townlet spool send runs/mine/spool my.yaml --seconds 60
    """
    from townlet_adapters.composition import (  # noqa: PLC0415 - brings the compiler, which the other commands do not need
        open_outboxes,
    )

    configure_logs()
    outboxes = inspect.outboxes_in(folder)
    allowed = Allowed(allow_env, allow_path)
    with open_outboxes(find_config(config), outboxes, to_overrides(overrides), allowed) as sinks:
        return _wait(sinks, seconds)


def _wait(sinks: Mapping[Path, TelemetrySinkProtocol], seconds: float | None) -> int:
    """Wait until every outbox is empty, and report now and then what is left."""
    began = reported = time.monotonic()
    try:
        while True:
            now = time.monotonic()
            if not any(map(_left, sinks.values())):
                note("everything is delivered")
                return DONE
            if seconds is not None and now - began > seconds:
                _report(sinks)
                return FAILED
            if now - reported > _REPORT:
                reported = now
                _report(sinks)
            time.sleep(_LOOK)
    except KeyboardInterrupt:
        _report(sinks)
        return INTERRUPTED


def _left(sink: TelemetrySinkProtocol) -> int:
    if not isinstance(sink, SupportsHealth):
        return 0
    health = sink.health()
    return sum(part.events for part in (health.spool, health.queue) if part is not None)


def _report(sinks: Mapping[Path, TelemetrySinkProtocol]) -> None:
    for outbox, sink in sinks.items():
        if left := _left(sink):
            error = sink.status().last_error
            note(f"{outbox}: {left} events wait{f'; {error}' if error else ''}")
