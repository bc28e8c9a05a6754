"""A fork in a test ends by itself, and cannot keep the session from ending."""

import os
import signal
import subprocess
import sys

from tests.forks import in_fork
from tests.house.sources import ROOT

LEAVES_A_FORK = """
import os, signal
from tests.forks import fork

def test_it():
    fork(signal.pause, seconds=2)
    os._exit(1)  # as pytest does when a test takes too long
"""


def test_a_fork_that_raises_does_not_go_on_as_a_second_worker(capfd):
    def work():
        raise OSError("no room")

    assert in_fork(work) == 1
    assert "OSError: no room" in capfd.readouterr().err


def test_a_fork_that_returns_or_leaves_tells_by_its_code():
    assert in_fork(lambda: None) == 0
    assert in_fork(lambda: os._exit(7)) == 7


def test_a_fork_that_hangs_is_ended_by_the_system():
    def hang():
        while True:
            signal.pause()

    assert in_fork(hang, seconds=1) == -signal.SIGALRM


def test_a_session_ends_although_a_fork_of_a_dead_worker_hangs(tmp_path):
    """The distributing process reads the worker's pipe to its end, which the fork holds open."""
    (tmp_path / "test_it.py").write_text(LEAVES_A_FORK, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "1", "--max-worker-restart", "0", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "worker 'gw0' crashed while running 'test_it.py::test_it'" in run.stdout
