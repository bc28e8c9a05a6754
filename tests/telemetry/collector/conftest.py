"""Collectors in this process."""

import pytest

from tests.telemetry.collector.support import SECRET, TOKEN
from townlet_adapters.telemetry.collector.settings import CollectorSettings, Listen
from townlet_adapters.telemetry.collector.testing import RunningCollector
from townlet_adapters.telemetry.wire.endpoint import Endpoint


@pytest.fixture
def folder(tmp_path):
    """Where the events go."""
    return tmp_path / "events"


@pytest.fixture
def collect(folder):
    """Start collectors on this machine's loopback; they are stopped at the end."""
    running = []

    def start(*schemes, **settings):
        settings = {"tokens": (TOKEN.encode(),), "secrets": (SECRET,), "allow_plaintext": True, **settings}
        listen = tuple(Listen(scheme, Endpoint("127.0.0.1", 0)) for scheme in schemes)
        collector = RunningCollector(CollectorSettings(settings.pop("folder", folder), listen, **settings))
        collector.start()
        running.append(collector)
        return collector

    yield start
    for collector in running:
        collector.stop()
