"""A session that hangs after its last test ends by itself and shows where."""

import os
import subprocess
import sys

import pytest

from tests.house.sources import ROOT

HANGS = """
import threading

def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput") is {in_worker}:
        wait_for_ever()

def wait_for_ever():
    threading.Event().wait()
"""


@pytest.mark.parametrize(
    ("workers", "in_worker"),
    [("1", False), ("1", True), ("0", False)],
    ids=["distributor", "worker", "alone"],
)
def test_a_session_that_hangs_behind_its_last_test_ends_with_the_stack(tmp_path, workers, in_worker):
    (tmp_path / "conftest.py").write_text(HANGS.format(in_worker=in_worker), encoding="utf-8")
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.watchdog", "-n", workers, "-o", "silence_timeout=3"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert "1 passed" not in run.stdout
    assert "Timeout (0:00:03)!" in run.stderr
    assert "most recent call first" in run.stderr
