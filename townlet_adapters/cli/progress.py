"""Progress on a terminal: of a run, and of compiling the kernels."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from townlet_core.dispatch import EventDispatcher
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopTick

_REDRAW_SECONDS: Final = 0.1
_MINUTES: Final = 60
_BAR: Final = 16
_BAR_AND_SHARE: Final = _BAR + 6  # columns of the bar, the share and the blanks around them
_HEALTHY: Final = "healthy"


class _Meter:
    """Counts every tick and redraws the bar now and then."""

    def __init__(self, progress: Progress, task: TaskID, dispatcher: EventDispatcher, ticks: int) -> None:
        self._progress, self._task, self._dispatcher, self._ticks = progress, task, dispatcher, ticks
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
        rate = self._done / max(now - self._started, 1e-9)
        sinks = self._dispatcher.states().items()
        parts = [
            f"{_time((self._ticks - self._done) / rate)} left",
            f"day {tick.day} {_time(tick.tod)}",
            *(f"{name}:{state}" for name, state in sinks if state != _HEALTHY),
            f"{rate:,.0f} ticks/s",
            f"{tick.alive} resident{'' if tick.alive == 1 else 's'}",
            f"{events:,} events",
            *(f"{name}:{state}" for name, state in sinks if state == _HEALTHY),
        ]
        story = fit(parts, self._progress.console.width - _BAR_AND_SHARE)
        self._progress.update(self._task, completed=self._done, story=story)

    def finish(self) -> None:
        """Show the bar as far as it came."""
        self._progress.update(self._task, completed=self._done)


def fit(parts: Sequence[str], width: int) -> str:
    """Join as many of the parts as fit, in order; the first one is always shown."""
    text = parts[0]
    for part in parts[1:]:
        longer = f"{text}  {part}"
        if len(longer) > width:
            break
        text = longer
    return text


def _time(small: float) -> str:
    """Format seconds as ``MM:SS`` and minutes as ``HH:MM``, and hours before them when there are any."""
    rest, low = divmod(round(small), _MINUTES)
    high, middle = divmod(rest, _MINUTES)
    return f"{high}:{middle:02}:{low:02}" if high else f"{middle:02}:{low:02}"


@contextmanager
def progress_bar(console: Console, dispatcher: EventDispatcher, ticks: int) -> Iterator[None]:
    """Show how far a run is, if ``console`` is a terminal."""
    if not console.is_terminal:
        yield
        return
    with _bar(console) as progress:
        meter = _Meter(progress, progress.add_task("town", total=ticks, story=""), dispatcher, ticks)
        dispatcher.subscribe(LoopTick.kind, meter.see, name="progress bar")
        yield
        meter.finish()


class CompilationBar:
    """Shows what share of the kernels is compiled, on a terminal, and as a few lines otherwise."""

    def __init__(self, console: Console) -> None:
        """Show nothing before the first share."""
        self._console = console
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._printed = 0

    def __call__(self, share: float) -> None:
        """Show a share from 0, where it begins, to 1, where it ends."""
        if not self._console.is_terminal:
            self._print(share)
            return
        if self._progress is None:
            self._progress = _bar(self._console)
            self._task = self._progress.add_task("kernels", total=1.0, story="compiling the town's rules")
            self._progress.start()
        self._progress.update(self._task, completed=share)
        if share >= 1:
            self._progress.stop()

    def _print(self, share: float) -> None:
        # The quarter that was reached, not the share: how many kernels there are is no news for a person.
        reached = int(share * _PRINTED_PARTS)
        if self._printed < reached < _PRINTED_PARTS:
            self._printed = reached
            self._console.print(f"compiling: {reached / _PRINTED_PARTS:.0%}", style="yellow", markup=False)


_PRINTED_PARTS: Final = 4


def _bar(console: Console) -> Progress:
    columns = (BarColumn(bar_width=_BAR), TaskProgressColumn(), TextColumn("{task.fields[story]}"))
    return Progress(*columns, console=console, transient=True)
