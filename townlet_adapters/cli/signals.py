"""Handles interrupts: the first one ends the run in good order, the second one at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from townlet_adapters.cli.errors import INTERRUPTED
from townlet_core.loop import SimulationLoop

_FIRST = b"townlet: stopping after this tick; interrupt again to stop at once\n"
_CLEARED = b"\r\x1b[2K"  # removes the progress bar from the line


class Interrupts:
    """The handler of SIGINT and SIGTERM; before a loop is known, it raises ``KeyboardInterrupt``."""

    def __init__(self, *, quiet: bool) -> None:
        """Start without a loop and without an interrupt.

        Args:
            quiet: whether the first interrupt prints nothing.
        """
        self._quiet = quiet
        self._loop: SimulationLoop | None = None
        self._count = 0
        self._leave: Callable[[], object] | None = None

    def stop(self, loop: SimulationLoop) -> None:
        """From now on, the first interrupt stops this loop after the tick being executed."""
        self._loop = loop

    def show(self, leave: Callable[[], object]) -> None:
        """Print nothing from now on, because a screen is shown, which ``leave`` takes off the terminal."""
        self._leave = leave

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle one signal."""
        del number, frame
        self._count += 1
        if self._count > 1:
            if self._leave is not None:
                self._leave()
            # Nothing else may hold this up: no handler, no thread, no buffer.
            os._exit(INTERRUPTED)
        if self._loop is None:
            raise KeyboardInterrupt
        self._loop.request_stop()
        if not self._quiet and self._leave is None:
            # Not through a stream: the signal may have come while that stream was being written.
            os.write(2, _CLEARED + _FIRST if os.isatty(2) else _FIRST)


@contextmanager
def interrupts(*, quiet: bool = False) -> Iterator[Interrupts]:
    """Handle SIGINT and SIGTERM for a while; ``quiet`` handles them without a message."""
    handler = Interrupts(quiet=quiet)
    before = {number: signal.signal(number, handler.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield handler
    finally:
        for number, former in before.items():
            signal.signal(number, former)
