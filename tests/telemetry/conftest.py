"""Sinks that are stopped whatever happens."""

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
