"""Real destinations: a small disk, and sinks that are stopped whatever happens."""

import os
import subprocess

import pytest

from townlet_adapters.telemetry.delivery import DeliveringSink, DeliveryLimits


@pytest.fixture
def open_sink():
    """Start sinks over real transports, and stop them at the end."""
    sinks = []

    def start(transport, **limits):
        sink = DeliveringSink(
            "test", transport, source="urn:townlet:run:r:p1", limits=DeliveryLimits(**limits)
        )
        sink.start()
        sinks.append(sink)
        return sink

    yield start
    for sink in sinks:
        sink.stop(1)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mounted)]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("mounting a small disk needs root; the file size limit is tested without")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)  # noqa: S607 - as above
