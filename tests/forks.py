"""Runs code in a fork of the test's own process, which ends whatever happens in it.

The fork of a worker of pytest-xdist holds both ends of the pipe to the process that distributes the tests. If
it raised and went on, it would be a second worker that takes half of the messages from the pipe. If it hung,
and pytest then ended the worker because its test took too long, the distributing process would go on waiting
for the end of the pipe. Either way a session hangs after 100 %: both were tried. So a fork leaves on every
way out, and the system ends it when a lock that another thread held at the fork lets it do nothing any more.
"""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Final

MOST_SECONDS: Final = 240
"""Less than pytest's own limit for a test, so that the test that waits for a fork fails by itself."""


def fork(work: Callable[[], object], seconds: int = MOST_SECONDS) -> int:
    """Run ``work`` in a child, which ends with 0 if that returns and 1 if it raises; returns its number."""
    with warnings.catch_warnings():
        # Newer versions of Python warn of a fork beside threads; that is what some of these tests are about.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    code = 1
    try:
        signal.alarm(seconds)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - the code tells the parent
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def wait_for(child: int) -> int:
    """Wait for a child to end; returns its exit code, or the number of the signal that ended it, negative."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_fork(work: Callable[[], object], seconds: int = MOST_SECONDS) -> int:
    """Run ``work`` in a child and wait for it; returns as ``wait_for``."""
    return wait_for(fork(work, seconds))
