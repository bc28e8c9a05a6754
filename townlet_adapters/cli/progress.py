"""The progress bar of a run, on a terminal only."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from townlet_core.dispatch import EventDispatcher
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopTick

_REDRAW_SECONDS = 0.1
_MINUTES = 60


class _Meter:
    """Hears of every tick and redraws now and then."""

    def __init__(self, progress: Progress, task: TaskID, dispatcher: EventDispatcher) -> None:
        self._progress, self._task, self._dispatcher = progress, task, dispatcher
        self._started = self._drawn = time.monotonic()
        self._done = 0

    def see(self, message: Fact | Diagnostic) -> None:
        """Count one tick."""
        self._done += 1
        now = time.monotonic()
        if now - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = now
        if isinstance(message, Fact) and isinstance(message.event, LoopTick):
            self._draw(message.seq + 1, message.event, now)

    def _draw(self, events: int, tick: LoopTick, now: float) -> None:
        clock = f"day {tick.day} {tick.tod // _MINUTES:02}:{tick.tod % _MINUTES:02}"
        rate = self._done / max(now - self._started, 1e-9)
        sinks = " ".join(f"{sink.name}:{sink.state}" for sink in self._dispatcher.statuses())
        story = f"{clock}  {rate:,.0f} ticks/s  {tick.alive} residents  {events:,} events  {sinks}"
        self._progress.update(self._task, completed=self._done, story=story)

    def finish(self) -> None:
        """Show the bar as far as it came."""
        self._progress.update(self._task, completed=self._done)


@contextmanager
def progress_bar(console: Console, dispatcher: EventDispatcher, ticks: int) -> Iterator[None]:
    """Show how far a run is, if ``console`` is a terminal."""
    if not console.is_terminal:
        yield
        return
    columns = (BarColumn(bar_width=10), TaskProgressColumn(), TextColumn("{task.fields[story]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        meter = _Meter(progress, progress.add_task("town", total=ticks, story=""), dispatcher)
        dispatcher.subscribe(LoopTick.kind, meter.see, name="progress bar")
        yield
        meter.finish()
