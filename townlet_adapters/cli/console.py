"""Notes and logs for a person, on standard error; in colour on a terminal, unless ``NO_COLOR`` is set."""

import logging
import sys
from collections.abc import MutableMapping
from functools import cache
from typing import Any, TextIO

from rich.console import Console

from townlet_adapters.cli.errors import printable

_WIDTH_OF_A_PIPE = 400


@cache
def stderr_console() -> Console:
    """Return the one console on standard error: a line that it prints clears a progress bar that it shows."""
    return Console(stderr=True, highlight=False)


def stdout_console() -> Console:
    """Return a console on standard output; it wraps no line of a pipe."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE)


def note(message: str) -> None:
    """Print one line for a person on standard error."""
    stderr_console().print(printable(message), style="yellow", markup=False, soft_wrap=True)


def _escape(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape a message for a terminal; JSON does so by itself."""
    entry["event"] = "\n".join(map(printable, str(entry["event"]).split("\n")))
    return entry


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is now: a progress bar puts its own stream there, to be cleared first."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # read anew for each line, and set by nothing
        return sys.stderr


def configure_logs(*, quiet: bool = False) -> None:
    """Send the logs of all parts to standard error: for people on a terminal, as JSON lines otherwise.

    Args:
        quiet: whether only errors are logged, and no warnings.
    """
    import structlog  # noqa: PLC0415 - commands that only print need no logs

    stamps = structlog.processors.TimeStamper(fmt="iso", utc=True)
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        stamps,
    ]
    console = stderr_console()
    renderer: list[structlog.typing.Processor] = (
        [_escape, structlog.dev.ConsoleRenderer(colors=console.is_terminal and not console.no_color)]
        if sys.stderr.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = _StderrHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.ERROR if quiet else logging.WARNING)
