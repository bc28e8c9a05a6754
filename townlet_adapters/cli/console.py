"""Talking to a person: notes and logs on standard error, in colour on a terminal that wants it."""

import logging
import sys

from rich.console import Console

_WIDTH_OF_A_PIPE = 400


def stderr_console() -> Console:
    """Give a console on standard error; it honours ``NO_COLOR``."""
    return Console(stderr=True, highlight=False)


def stdout_console() -> Console:
    """Give a console on standard output; it honours ``NO_COLOR``, and folds no line of a pipe."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE)


def note(message: str) -> None:
    """Tell a person something, as one line on standard error."""
    stderr_console().print(message, style="yellow", markup=False, soft_wrap=True)


def configure_logs() -> None:
    """Send the logs of all parts to standard error: for people on a terminal, as JSON lines otherwise."""
    import structlog  # noqa: PLC0415 - commands that only print need no logs

    stamps = structlog.processors.TimeStamper(fmt="iso", utc=True)
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        stamps,
    ]
    console = stderr_console()
    renderer: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=console.is_terminal and not console.no_color)]
        if sys.stderr.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
