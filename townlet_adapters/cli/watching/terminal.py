"""The terminal while a screen is shown: entered, drawn on, and always left as it was."""

import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from rich.cells import cell_len
from rich.console import COLOR_SYSTEMS, Console

from townlet_adapters.cli.watching.rows import Row, rendered
from townlet_adapters.cli.watching.screen import Size

_ENTER: Final = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE: Final = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_BEGIN: Final = "\x1b[?2026h"  # terminals that know it show the whole change at once
_END: Final = "\x1b[0m\x1b[?2026l"
_PATIENCE: Final = 0.2
_UNKNOWN: Final = Size(80, 24)
_KEY_BYTES: Final = 64
_FATAL: Final = (signal.SIGQUIT, signal.SIGHUP)


class Screen:
    """The alternate screen of a terminal; ``enter`` and ``leave`` may be called again and in any order."""

    def __init__(self, console: Console) -> None:
        """Take the console that writes to the terminal; its keys come from standard input, if that is one."""
        self._out = console.file.fileno()
        self._keys = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1
        # A terminal without colours may still have bold letters.
        self._colours = COLOR_SYSTEMS[console.color_system or "standard"]
        self._no_colour = console.no_color or console.color_system is None
        self._lock = threading.RLock()
        self._modes: list[object] | None = None
        self._shown: list[Row] = []
        self.entered = False

    @property
    def has_keys(self) -> bool:
        """Whether a person can press keys."""
        return self._keys >= 0

    def size(self) -> Size:
        """Return the size of the terminal now."""
        columns, rows = os.get_terminal_size(self._out)
        return Size(columns, rows) if columns and rows else _UNKNOWN

    def enter(self) -> None:
        """Show an empty screen, and take keys one by one; Ctrl-C and Ctrl-Z stay signals."""
        with self._held():
            if self.entered:
                return
            if self.has_keys:
                self._modes = termios.tcgetattr(self._keys)
                tty.setcbreak(self._keys, termios.TCSANOW)
            self.entered = True
            self._shown = []
            self._write(_ENTER)

    def leave(self) -> None:
        """Return the terminal to what it showed before; callable from a signal handler."""
        with self._held():
            if not self.entered:
                return
            self.entered = False
            self._write(_LEAVE)
            if self._modes is not None:
                with suppress(termios.error):
                    termios.tcsetattr(self._keys, termios.TCSANOW, self._modes)  # type: ignore[arg-type]  # as it was read

    def draw(self, rows: Sequence[Row]) -> None:
        """Write the rows that changed; nothing while another program has the terminal."""
        with self._held():
            if not self.entered:
                return
            known = self._shown if len(self._shown) == len(rows) else []
            whole = not known or any(_width(old) != _width(new) for old, new in zip(known, rows, strict=True))
            changed = [
                f"\x1b[{number + 1};1H\x1b[0m{rendered(row, self._colours, no_colour=self._no_colour)}"
                for number, row in enumerate(rows)
                if whole or row != known[number]
            ]
            self._shown = list(rows)
            if changed:
                text = _BEGIN + ("\x1b[0m\x1b[2J" if whole else "") + "".join(changed) + _END
                self._write(text.encode("utf-8", "replace"))

    def read_keys(self, seconds: float) -> str | None:
        """Wait for keys; returns those that were pressed, None when there will be no more."""
        if not self.entered or not select.select([self._keys], [], [], seconds)[0]:
            return ""
        pressed = os.read(self._keys, _KEY_BYTES)
        return pressed.decode("utf-8", "replace") if pressed else None

    def _write(self, data: bytes) -> None:
        # A terminal that is gone takes nothing, and needs nothing back.
        with suppress(OSError):
            while data:
                data = data[os.write(self._out, data) :]

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the lock; a handler of a signal does not wait long for a thread that writes."""
        got = self._lock.acquire(timeout=_PATIENCE)
        try:
            yield
        finally:
            if got:
                self._lock.release()


@contextmanager
def shown_on(screen: Screen) -> Iterator[None]:
    """Show a screen; give the terminal back at the end, on Ctrl-Z, and before a signal ends the process."""

    def suspend(number: int, _frame: FrameType | None) -> None:
        screen.leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here the process sleeps until a shell wakes it.
        signal.signal(number, suspend)
        screen.enter()

    def end(number: int, _frame: FrameType | None) -> None:
        screen.leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {signal.SIGTSTP: suspend}
    handlers |= dict.fromkeys(_FATAL, end)
    # Who ignores a signal, as nohup does, goes on ignoring it.
    before = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        screen.enter()
        yield
    finally:
        screen.leave()
        for number, former in before.items():
            signal.signal(number, former)


def _width(row: Row) -> int:
    return sum(cell_len(span.text) for span in row)
