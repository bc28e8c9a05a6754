"""Collectors in this process."""

import pytest

from tests.telemetry.collector.support import SECRET, TOKEN
from townlet_adapters.disk import DISK
from townlet_adapters.telemetry.collector.credentials import secret_of, token_of
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
        settings = {
            "tokens": (token_of(TOKEN.encode()),),
            "secrets": (secret_of(SECRET),),
            "allow_plaintext": True,
            **settings,
        }
        listen = tuple(Listen(scheme, Endpoint("127.0.0.1", 0)) for scheme in schemes)
        disk = settings.pop("disk", DISK)
        where = settings.pop("folder", folder)
        collector = RunningCollector(CollectorSettings(where, listen, **settings), disk)
        collector.start()
        running.append(collector)
        return collector

    yield start
    for collector in running:
        collector.stop()
