"""What the loop tells of real sinks that hang, stumble and die, while the town lives on."""

import time

import pytest

from tests.telemetry.delivering import FULL, GONE
from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.testing import ScriptedTransport
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.events.loop import LoopHealth
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.ports.telemetry import SupportsHealth
from townlet_core.testing import FakePolicy, FakeWorld


class LeapingClock(SystemClock):
    """The machine's time, and as much more as was leapt."""

    leapt = 0.0

    def monotonic(self):
        return super().monotonic() + self.leapt


class Town:
    """A loop of fakes over one sink, and what it told."""

    def __init__(self, sink):
        assert isinstance(sink, SupportsHealth)
        self.reports = []
        dispatcher = EventDispatcher([SinkRoute("sink", sink)])
        dispatcher.subscribe(LoopHealth.kind, lambda told: self.reports.append(told.event), name="reports")
        self.loop = SimulationLoop(FakeWorld(), FakePolicy(), RunIdentity(7), dispatcher=dispatcher)

    def live_until(self, condition):
        """Tick until the latest report is as wanted."""
        until = time.monotonic() + 30
        while not (self.reports and condition(self.reports[-1])):
            assert time.monotonic() < until
            self.loop.step()
        return self.reports[-1].sinks["sink"]


@pytest.fixture(autouse=True)
def _silence(caplog):
    caplog.set_level("CRITICAL")


def test_a_sink_that_does_its_work_keeps_the_town_well(started):
    town = Town(started(ScriptedTransport(), LeapingClock()))
    town.loop.run_for(240)
    assert [report.status for report in town.reports] == ["ok"] * 4
    told = town.reports[-1].sinks["sink"]
    assert (told.state, told.worker.alive, told.connected) == ("healthy", True, True)


def test_a_sink_that_hangs_degrades_the_town_until_it_goes_on(started):
    transport, clock = ScriptedTransport(), LeapingClock()
    town = Town(started(transport, clock))
    transport.hang()
    town.loop.run_for(60)
    assert town.reports[-1].status == "ok"
    transport.await_write()
    clock.leapt = 100.0
    told = town.live_until(lambda report: report.status == "degraded")
    assert (told.state, told.worker.alive) == ("degraded", False)
    assert told.worker.heartbeat_age_s > 99
    transport.release()
    told = town.live_until(lambda report: report.status == "ok")
    assert (told.state, told.worker.alive) == ("healthy", True)
    assert told.last_success_age_s < 30


def test_a_sink_that_stumbles_degrades_the_town_until_it_has_caught_up(started):
    town = Town(started(ScriptedTransport([FULL, FULL, FULL]), LeapingClock()))
    told = town.live_until(lambda report: report.status == "degraded")
    assert told.last_error.code == "no_space"
    assert told.last_error.at_tick <= town.loop.tick
    told = town.live_until(lambda report: report.status == "ok")
    assert (told.consecutive_failures, told.retries_total) == (0, 3)
    assert told.acked_through is not None


def test_a_sink_that_died_degrades_the_town_for_good(started):
    town = Town(started(ScriptedTransport([GONE]), LeapingClock()))
    told = town.live_until(lambda report: report.sinks["sink"].state == "failed")
    assert told.last_error.code == "broken_pipe"
    town.loop.run_for(180)
    assert [report.status for report in town.reports[-3:]] == ["degraded"] * 3
    assert town.reports[-1].sinks["sink"].totals.dropped["broken_pipe"] > 180
