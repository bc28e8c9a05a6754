"""What tests of several folders need."""

import os
import subprocess

import pytest


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
