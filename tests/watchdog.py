"""Ends a test session that hangs between tests or behind the last one, with the stack of every thread.

pytest's own ``faulthandler_timeout`` watches a test while it runs. With several workers, the process that
distributes the tests runs none itself, and a worker that waits or shuts down runs none any more: such a
session would hang in silence after 100 %.
"""

import faulthandler
import os
from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting ``silence_timeout``."""
    parser.addini("silence_timeout", "seconds without a test until a session ends", default="900")


def pytest_configure(config: pytest.Config) -> None:
    """Register the watchdog of this process."""
    # Duplicated now: later, standard error is a file that nobody reads while a test is captured.
    config.pluginmanager.register(Watchdog(config, os.dup(2)))


class Watchdog:
    """Ends its process when no test has ended for a while; the last one counts until the process ends."""

    def __init__(self, config: pytest.Config, stderr: int) -> None:
        """Take the session's configuration, and the descriptor that stacks are written to."""
        self._config, self._stderr = config, stderr
        self._seconds = float(config.getini("silence_timeout"))

    @pytest.hookimpl
    def pytest_runtest_logreport(self) -> None:
        """Count from each report, where tests are distributed; elsewhere pytest counts within a test."""
        if self._config.pluginmanager.hasplugin("dsession"):
            self._watch()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Count from the end of each test, where tests run."""
        try:
            return (yield)
        finally:
            self._watch()

    def _watch(self) -> None:
        faulthandler.dump_traceback_later(self._seconds, file=self._stderr, exit=True)
