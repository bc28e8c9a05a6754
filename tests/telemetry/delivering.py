"""What tests of delivery share."""

import json

from townlet_adapters.telemetry.delivery.limits import DeliveryLimits
from townlet_adapters.telemetry.delivery.sink import DeliveringSink
from townlet_adapters.worlds.town.events.economy import EconomyRestock
from townlet_adapters.worlds.town.events.queue import QueueConflict
from townlet_core.events.base import Fact
from townlet_core.ports.transport import TransportError

SOURCE = "urn:townlet:run:r:p1"
OLDER = "urn:townlet:run:q:p1"

FULL = TransportError("no_space", "No space left on device", verdict="retry")
GONE = TransportError("broken_pipe", "Broken pipe", verdict="fatal")
POISON = TransportError("http_400", "the peer refuses a line", verdict="split")
LOCKED = TransportError("http_401", "the peer does not know us", verdict="pause")


def fact(n=0):
    return Fact(n, n, EconomyRestock("fridge_1", "meal", n))


def nan():
    return Fact(0, 0, QueueConflict("a", "b", None, "jostle", 0, float("nan")))


def sink_over(transport, clock=None, **more):
    """A sink that is not started; what is no argument of it is one of its limits."""
    names = ("on_full", "buffer_events", "buffer_bytes")
    limits = {name: more.pop(name) for name in names if name in more}
    return DeliveringSink(
        "test",
        transport,
        source=more.pop("source", SOURCE),
        limits=DeliveryLimits(**limits),
        clock=clock,
        **more,
    )


def assert_law(account):
    assert account.imbalance() == ""


def sequences(transport):
    return [int(json.loads(line)["sequence"]) for line in transport.lines]


def declarations(lines):
    """The loss records among lines, as (source, reason, set of numbers)."""
    told = []
    for line in lines:
        event = json.loads(line)
        if event["type"] == "townlet.telemetry.loss":
            data = event["data"]
            numbers = {number for first, last in data["ranges"] for number in range(first, last + 1)}
            assert len(numbers) == data["count"]
            told.append((data["source"], data["reason"], numbers))
    return told


def assert_told(transport, status, *, undelivered=0):
    """Every number arrived or is declared, none twice."""
    arrived = sequences(transport)
    assert len(set(arrived)) == len(arrived)
    known = set(arrived)
    for source, _, numbers in declarations(transport.lines):
        if source == SOURCE:
            assert not numbers & known
            known |= numbers
    assert len(set(range(status.emitted)) - known) == undelivered
    assert known <= set(range(status.emitted))
