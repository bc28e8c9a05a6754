"""Progress is for terminals, fits them, and makes room for lines that are printed meanwhile."""

import io
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

from townlet_adapters.cli.progress import CompilationBar, fit

PARTS = ["00:10 left", "day 1 12:34", "5,120 ticks/s"]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (0, "00:10 left"),
        (22, "00:10 left"),
        (23, "00:10 left  day 1 12:34"),
        (37, "00:10 left  day 1 12:34"),
        (38, "00:10 left  day 1 12:34  5,120 ticks/s"),
    ],
)
def test_a_bar_shows_as_many_figures_as_fit(width, shown):
    assert fit(PARTS, width) == shown


def test_compiling_prints_a_line_for_each_quarter_where_there_is_no_terminal():
    console = Console(file=io.StringIO(), width=80)
    bar = CompilationBar(console)
    for share in range(0, 101, 3):
        bar(share / 100)
    bar(1.0)
    assert console.file.getvalue().splitlines() == ["compiling: 25%", "compiling: 50%", "compiling: 75%"]


def on_terminal(code: str, tmp_path) -> str:
    """What a terminal of 80 columns gets on standard error."""
    reader, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    # At the end of the process the terminal is gone, which is an error for its reader.
    try:
        while chunk := os.read(reader, 4096):
            shown += chunk
    except OSError:
        assert process.wait(timeout=60) == 0
    os.close(reader)
    return shown.decode()


BARRED = """
import logging
from townlet_adapters.cli.console import configure_logs, note, stderr_console
from townlet_adapters.cli.progress import progress_bar
from townlet_core.dispatch import EventDispatcher
from townlet_core.events.base import Fact
from townlet_core.events.loop import LoopTick

configure_logs()
dispatcher = EventDispatcher()
with progress_bar(stderr_console(), dispatcher, 10):
    {line}
print("after", file=__import__("sys").stderr)
"""


@pytest.mark.parametrize("line", ['note("a line")', 'logging.getLogger("x").warning("a line")'])
def test_a_line_that_is_printed_meanwhile_clears_the_bar(tmp_path, line):
    shown = on_terminal(BARRED.format(line=line), tmp_path)
    plain = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", part) for part in re.split(r"\r|\n", shown)]
    (printed,) = [part for part in plain if "a line" in part]
    assert "\u2501" not in printed
    before = shown[: shown.index("a line")]
    assert "\x1b[2K" in before[before.rindex("\u2501") :]


def test_a_compilation_bar_ends_with_a_clean_line(tmp_path):
    code = (
        "from townlet_adapters.cli.console import stderr_console\n"
        "from townlet_adapters.cli.progress import CompilationBar\n"
        "bar = CompilationBar(stderr_console())\n"
        "for share in (0.0, 0.5, 1.0): bar(share)\n"
    )
    shown = on_terminal(code, tmp_path)
    assert "compiling the town's rules" in shown
    assert shown.rstrip("\r\n").endswith("\x1b[2K")
