"""A run that is watched where there is no terminal: one line for each story."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from townlet_adapters.cli.errors import printable
from townlet_adapters.cli.watching.screen import clock_of
from townlet_adapters.composition import OpenRun
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopTick
from townlet_core.events.narration import Narration
from townlet_core.events.schema import event_data


class Teller:
    """Prints a line for each day and each narration; ends the run when its reader has left."""

    def __init__(self, run: OpenRun, out: TextIO) -> None:
        """Print what happens in ``run`` to ``out``."""
        self._run, self._out, self._day = run, out, -1
        self.left = False
        run.loop.dispatcher.subscribe(LoopTick.kind, self._see_tick, name="watch")
        run.loop.dispatcher.subscribe(Narration.kind, self._hear, name="watch")

    def _see_tick(self, message: Fact | Diagnostic) -> None:
        event = message.event
        if isinstance(event, LoopTick) and event.day != self._day:
            self._day = event.day
            self._print(event.day, event.tod, f"{event.alive} residents")

    def _hear(self, message: Fact | Diagnostic) -> None:
        day, tod = self._run.loop.spec.clock(message.tick)
        self._print(day, tod, str(event_data(message.event)["message"]))

    def _print(self, day: int, tod: int, text: str) -> None:
        if self.left:
            return
        time = clock_of(tod, self._run.loop.spec.ticks_per_day)
        try:
            self._out.write(f"day {day} {time}  {printable(text)}\n")
            self._out.flush()
        except BrokenPipeError:
            self.left = True
            self._run.loop.request_stop()


@contextmanager
def told_in_lines(run: OpenRun, out: TextIO = sys.stdout) -> Iterator[None]:
    """Print what happens, a line at a time.

    Raises:
        BrokenPipeError: when the reader of ``out`` has left, which ends the run.
    """
    teller = Teller(run, out)
    yield
    if teller.left:
        raise BrokenPipeError("the reader has left")
