"""Sinks that are stopped whatever happens."""

import pytest

from tests.telemetry.certificates import Certificates
from tests.telemetry.delivering import sink_over


@pytest.fixture
def open_sink():
    """Start sinks over real transports, and stop them at the end."""
    sinks = []

    def start(transport, **limits):
        sink = sink_over(transport, **limits)
        sink.start()
        sinks.append(sink)
        return sink

    yield start
    for sink in sinks:
        sink.stop(1)


@pytest.fixture
def started():
    """Start sinks, and stop them at the end; hanging transports are let go first."""
    sinks = []

    def start(transport, clock=None, **more):
        sink = sink_over(transport, clock, **more)
        sinks.append((sink, transport))
        sink.start()
        return sink

    yield start
    for sink, transport in sinks:
        transport.release()
        sink.stop(5)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """An authority with all that it signed, good and bad."""
    return Certificates(tmp_path_factory.mktemp("certificates"))
