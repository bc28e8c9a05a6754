"""What tests of several folders need."""

import logging
import os
import subprocess

import pytest

from tests.disks import open_below
from townlet_adapters.cli.main import main

pytest_plugins = ["tests.watchdog"]


@pytest.fixture
def nothing_left_open(tmp_path):
    """See that a test leaves no file of its folder open in this process, whatever failed in it."""
    yield
    assert open_below(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mounted)]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("mounting a small disk needs root; the file size limit is tested without")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)  # noqa: S607 - found wherever mount is


@pytest.fixture
def townlet(capfd, tmp_path, monkeypatch):
    """Run a command in an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    handlers, level = logging.root.handlers, logging.root.level

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    yield call
    logging.root.handlers, logging.root.level = handlers, level
