"""A terminal for tests: a pty with a program in it, and an emulator that reads what the program draws."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

PROGRAM = str(Path(sys.executable).with_name("townlet"))
_SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\r|\n|[^\x1b\r\n]|\x1b")
_CUT = re.compile(r"\x1b(?:\[[?0-9;]*)?$")
"""A sequence whose end has not come yet."""


class Emulator:
    """The cells of a terminal, as far as the program uses one."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.alternate = False
        self.cursor_shown = True
        self.painted = False
        self.unread = ""
        self.clear()

    def clear(self) -> None:
        self.cells = [[" "] * self.columns for _ in range(self.rows)]
        self.x = self.y = 0

    def feed(self, text: str) -> None:
        text = self.unread + text
        whole = _CUT.sub("", text)
        self.unread = text[len(whole) :]
        for found in _SEQUENCE.finditer(whole):
            parameters, letter = found[1], found[2]
            if letter is None:
                self._put(found[0])
            elif parameters.startswith("?"):
                self._mode(parameters, on=letter == "h")
            elif letter == "H":
                row, column = map(int, parameters.split(";"))
                self.y, self.x = row - 1, column - 1
            elif letter == "J":
                self.clear()
            elif letter == "m":
                self.painted |= any(part in {"38", "48"} for part in parameters.split(";"))

    def _mode(self, parameters: str, *, on: bool) -> None:
        if parameters == "?1049":
            self.alternate = on
        elif parameters == "?25":
            self.cursor_shown = on

    def _put(self, letter: str) -> None:
        if letter == "\r":
            self.x = 0
        elif letter == "\n":
            self.y = min(self.y + 1, self.rows - 1)
        elif self.x < self.columns and self.y < self.rows:
            self.cells[self.y][self.x] = letter
            self.x += 1

    @property
    def text(self) -> str:
        return "\n".join("".join(row).rstrip() for row in self.cells)


class Terminal:
    """A program on a pty."""

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] = MappingProxyType({}),
        program: Sequence[str] = (PROGRAM,),
    ) -> None:
        self.reader, self.device = os.openpty()
        self.emulator = Emulator(columns, rows)
        self.resize(columns, rows)
        self.modes = termios.tcgetattr(self.device)
        names = ("NO_COLOR", "COLORTERM", "COLUMNS", "LINES")
        plain = {name: value for name, value in os.environ.items() if name not in names}
        self.process = subprocess.Popen(
            [*program, *arguments],
            cwd=cwd,
            env=plain | {"TERM": "xterm-256color"} | env,
            stdin=self.device,
            stdout=self.device,
            stderr=self.device,
            start_new_session=True,
        )
        self.raw = ""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.device, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.emulator.columns, self.emulator.rows = columns, rows
        self.emulator.clear()

    def press(self, keys: str) -> None:
        os.write(self.reader, keys.encode())

    def read(self, seconds: float) -> None:
        """Read what comes within a time, at least once."""
        if select.select([self.reader], [], [], seconds)[0]:
            text = os.read(self.reader, 1 << 16).decode("utf-8", "replace")
            self.raw += text
            self.emulator.feed(text)

    def until(self, happens, seconds: float = 90.0):
        """Read until something is so; gives what it returned."""
        end = time.monotonic() + seconds
        while not (found := happens()):
            if time.monotonic() > end:
                raise AssertionError(
                    f"it did not happen; the screen is\n{self.emulator.text}\n{self.raw[-2000:]!r}"
                )
            self.read(0.05)
        return found

    def until_shown(self, pattern: str, seconds: float = 90.0) -> re.Match[str]:
        return self.until(lambda: re.search(pattern, self.emulator.text), seconds)

    def until_quiet(self) -> None:
        """Read until nothing has come for a while."""
        while select.select([self.reader], [], [], 0.3)[0]:
            self.read(0)

    def until_over(self, seconds: float = 60.0) -> int:
        self.until(lambda: self.process.poll() is not None, seconds)
        for _ in range(5):
            self.read(0.02)
        return self.process.returncode

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was."""
        same = termios.tcgetattr(self.device) == self.modes
        return same and not self.emulator.alternate and self.emulator.cursor_shown

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, as a shell wants it."""
        return bool(termios.tcgetattr(self.device)[3] & termios.ECHO)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(timeout=30)
        os.close(self.reader)
        os.close(self.device)
