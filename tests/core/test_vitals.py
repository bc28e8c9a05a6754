"""The loop tells how it is: in time, at once when something changes, and not more often than that."""

import json
import logging
from dataclasses import replace

import jsonschema
import pytest

from tests.sinks import WELL, TellingSink
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.errors import WorldError
from townlet_core.events.base import Diagnostic
from townlet_core.events.health import (
    ErrorHealth,
    HookCounts,
    PluginCounts,
    SinkAccount,
    SpoolHealth,
    SystemDuration,
    TickDurations,
    WorkerHealth,
)
from townlet_core.events.loop import LoopFailure, LoopHealth, LoopTick
from townlet_core.events.schema import CORE_EVENTS, event_data
from townlet_core.jsonvalue import canonical_json
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.plugged import Plugged
from townlet_core.ports.telemetry import SupportsHealth
from townlet_core.testing import CollectingSink, FailingSink, FakePolicy, FakeWorld, ManualClock
from townlet_core.transforms.base import Withheld
from townlet_core.transforms.rename import RenameResidents, RenameSettings
from townlet_core.vitals import SYSTEMS, TICK_BOUNDS

RUN = RunIdentity(seed=7)


class Listener:
    """A subscriber that fails while it is told to."""

    def __init__(self, dispatcher):
        self.failing = False
        dispatcher.subscribe(LoopTick.kind, self, name="listener")

    def __call__(self, _fact):
        if self.failing:
            raise RuntimeError("the listener was told to fail")


class Town:
    """A loop of fakes, and what it told of its health."""

    def __init__(self, *sinks, world=None, policy=None, **options):
        self.reports = []
        routes = [SinkRoute(f"sink-{number}", sink, 1) for number, sink in enumerate(sinks)]
        self.dispatcher = EventDispatcher(routes)
        self.dispatcher.subscribe(LoopHealth.kind, self.reports.append, name="reports")
        self.loop = SimulationLoop(
            world or FakeWorld(), policy or FakePolicy(), RUN, dispatcher=self.dispatcher, **options
        )

    def live(self, ticks):
        """Run, and give the ticks of the reports made meanwhile with the status of each."""
        before = len(self.reports)
        self.loop.run_for(ticks)
        return [(each.tick, each.event.status) for each in self.reports[before:]]

    @property
    def latest(self) -> LoopHealth:
        return self.reports[-1].event


@pytest.fixture(autouse=True)
def _silence(caplog):
    caplog.set_level(logging.CRITICAL)


def test_a_town_in_which_nothing_happens_is_reported_every_sixty_ticks_and_is_well():
    assert Town(TellingSink(), CollectingSink()).live(180) == [(59, "ok"), (119, "ok"), (179, "ok")]


def test_stability_and_promotion_have_their_place_and_are_null_while_nobody_watches_them():
    town = Town(CollectingSink())
    town.live(60)
    data = event_data(town.latest)
    assert (data["stability"], data["promotion"]) == (None, None)


def test_a_tick_asks_a_sink_that_shows_its_state_for_nothing_else():
    class ShowingSink(TellingSink):
        accounts = 0

        @property
        def state(self):
            return self.health_now.state

        def health(self):
            self.accounts += 1
            return super().health()

    sink, plain = ShowingSink(), CollectingSink()
    town = Town(sink, plain)
    for _ in range(59):
        town.loop.step()
    assert sink.accounts == 0
    sink.turn(state="degraded")
    town.loop.step()
    assert (town.latest.status, sink.accounts) == ("degraded", 1)


def test_a_report_says_when_and_how_long_ticks_took_and_which_parts_were_slow():
    clock = ManualClock()
    later = clock.now + 100

    class SlowWorld(FakeWorld):
        def step(self, actions, commands=()):
            clock.sleep(0.25 if clock.now > later else 0.5)
            return super().step(actions, commands)

        def frame(self):
            clock.sleep(0.125)
            return super().frame()

    class SlowPolicy(FakePolicy):
        def decide(self, observation):
            clock.sleep(0.0625)
            return super().decide(observation)

    town = Town(TellingSink(), world=SlowWorld(), policy=SlowPolicy(), clock=clock)
    town.live(60)
    assert town.latest.tick == 59
    assert town.latest.duration_ms == TickDurations(mean=687.5, p99=687.5, max=687.5)
    assert town.latest.slowest_systems[:3] == (
        SystemDuration("world", 500.0),
        SystemDuration("frame", 125.0),
        SystemDuration("policy", 62.5),
    )
    assert {system.name for system in town.latest.slowest_systems} == set(SYSTEMS)
    assert [system.mean_ms for system in town.latest.slowest_systems[3:]] == [0.0] * 3
    clock.sleep(1000)
    town.live(60)
    assert town.latest.duration_ms.max == 437.5


def test_parts_that_are_slow_are_called_by_their_names():
    clock = ManualClock()

    class SlowObserver:
        name = "slow"

        def begin(self, _spec):
            pass

        def observe(self, _outcome, _tick):
            clock.sleep(0.5)
            return ()

        def kpis(self):
            return {}

    class SlowSink(TellingSink):
        def emit(self, message):
            if not isinstance(message, Diagnostic):
                clock.sleep(0.125)
            return super().emit(message)

    town = Town(SlowSink(), clock=clock, observers=[SlowObserver()])
    town.live(60)
    assert [system.name for system in town.latest.slowest_systems[:3]] == ["observers", "dispatch", "frame"]


def test_one_slow_tick_in_sixty_is_the_longest_and_not_the_mean():
    clock = ManualClock()

    class OnceSlow(FakeWorld):
        def step(self, actions, commands=()):
            outcome = super().step(actions, commands)
            clock.sleep(6.0 if outcome.observation.tick == 30 else 0.0)
            return outcome

    town = Town(world=OnceSlow(), clock=clock)
    town.live(60)
    assert town.latest.duration_ms == TickDurations(mean=100.0, p99=6000.0, max=6000.0)


def test_a_report_out_of_turn_starts_the_durations_anew():
    clock, sink = ManualClock(), TellingSink()

    class SlowingWorld(FakeWorld):
        pause = 2.0

        def step(self, actions, commands=()):
            clock.sleep(self.pause)
            return super().step(actions, commands)

    world = SlowingWorld()
    town = Town(sink, world=world, clock=clock)
    town.live(5)
    sink.turn(state="degraded")
    town.live(1)
    assert town.latest.duration_ms.max == 2000.0
    world.pause = 1.0
    town.live(54)
    assert town.latest.tick == 59
    assert town.latest.duration_ms == TickDurations(1000.0, 1000.0, 1000.0)
    assert town.latest.slowest_systems[0] == SystemDuration("world", 1000.0)


@pytest.mark.parametrize("state", ["degraded", "shedding", "failed", "closed"])
def test_a_sink_that_is_not_well_is_told_of_at_once_and_once_and_so_is_its_recovery(state):
    sink = TellingSink()
    town = Town(sink)
    assert town.live(5) == []
    sink.turn(state=state)
    assert town.live(5) == [(5, "degraded")]
    assert town.latest.sinks["sink-0"].state == state
    sink.turn(state="healthy")
    assert town.live(5) == [(10, "ok")]
    assert town.live(50) == [(59, "ok")]


def test_a_change_from_bad_to_worse_is_told_too():
    sink = TellingSink()
    town = Town(sink)
    sink.turn(state="degraded")
    assert town.live(3) == [(0, "degraded")]
    sink.turn(state="failed")
    assert town.live(3) == [(3, "degraded")]


def test_two_sinks_that_change_places_are_a_change():
    first, second = TellingSink(), TellingSink()
    town = Town(first, second)
    first.turn(state="failed")
    town.live(1)
    first.turn(state="healthy")
    second.turn(state="failed")
    assert town.live(2) == [(1, "degraded")]


def test_a_sink_that_was_ill_from_the_first_tick_is_told_of_in_it():
    assert Town(TellingSink(replace(WELL, state="degraded"))).live(2) == [(0, "degraded")]


def test_a_worker_that_is_dead_while_its_sink_believes_to_be_well_shows_in_the_next_report():
    sink = TellingSink()
    town = Town(sink)
    sink.turn(worker=WorkerHealth(alive=False, heartbeat_age_s=30.0))
    assert town.live(65) == [(59, "degraded")]
    assert town.latest.sinks["sink-0"].worker == WorkerHealth(alive=False, heartbeat_age_s=30.0)
    sink.turn(worker=WorkerHealth(alive=True, heartbeat_age_s=0.0))
    assert town.live(115) == [(119, "ok"), (179, "ok")]


def test_a_listener_that_fails_degrades_the_town_until_it_has_been_well_for_sixty_ticks():
    town = Town()
    listener = Listener(town.dispatcher)
    town.live(5)
    listener.failing = True
    assert town.live(3) == [(5, "degraded")]
    listener.failing = False
    # The last failure was in tick 7.
    assert town.live(80) == [(59, "degraded"), (67, "ok")]
    assert town.latest.failures == 3


def test_a_sink_that_raises_degrades_the_town():
    town = Town(FailingSink())
    assert town.live(2) == [(0, "degraded")]
    assert town.latest.failures > 0


def test_a_sink_that_cannot_tell_its_health_counts_as_failed():
    sink = TellingSink()
    town = Town(sink)
    town.live(1)
    sink.health_now = RuntimeError("nobody at home")
    assert town.live(2) == [(1, "degraded")]
    assert town.latest.sinks["sink-0"].state == "failed"
    assert town.latest.sinks["sink-0"].worker is None


def test_hooks_are_told_of_by_name_and_a_disabled_one_degrades_the_town():
    hooks = {"bakery": HookCounts(calls=5, failures=0, overruns=0, disabled=False)}
    town = Town(plugged=Plugged(hooks=lambda: hooks))
    assert town.live(60) == [(59, "ok")]
    assert town.latest.hooks == hooks
    hooks["bakery"] = HookCounts(calls=6, failures=1, overruns=0, disabled=True)
    assert town.live(60) == [(119, "degraded")]
    assert Town().live(60) == [(59, "ok")]


def test_what_became_of_plugins_is_in_every_report_and_is_no_illness():
    town = Town(plugged=Plugged(counts=PluginCounts(allowed=2, refused=1, broken=1)))
    assert town.live(120) == [(59, "ok"), (119, "ok")]
    assert {report.event.plugins for report in town.reports} == {PluginCounts(2, 1, 1)}
    other = Town()
    other.live(60)
    assert other.latest.plugins == PluginCounts(0, 0, 0)


def test_a_report_tells_every_field_of_a_sink_that_tells_its_health():
    spool = SpoolHealth(5, 6, 7.0, 8, 9, "process")
    health = replace(
        WELL,
        spool=spool,
        retries_total=3,
        last_success_age_s=1.5,
        last_error=ErrorHealth("timeout", 17),
        acked_through=99,
        certificate_expires_s=86400.0,
        totals=replace(
            WELL.totals, offered=12, emitted=11, delivered=3, spooled=5, dropped={"outbox_full": 1}
        ),
    )
    town = Town(TellingSink(health))
    town.live(60)
    assert town.latest.sinks["sink-0"] == health
    assert health.totals == SinkAccount(12, 11, 3, 5, 2, 0, {"outbox_full": 1}, {})


def test_a_sink_that_keeps_its_account_only_has_nothing_else_to_tell():
    sink = CollectingSink()
    assert not isinstance(sink, SupportsHealth)
    town = Town(sink)
    town.live(60)
    told = town.latest.sinks["sink-0"]
    assert told.state == "healthy"
    assert told.totals.delivered == told.totals.offered > 60
    empty = {name for name in told.__slots__ if getattr(told, name) is None}
    assert set(told.__slots__) - empty == {"state", "retries_total", "totals"}


def test_what_transforms_withheld_is_in_the_totals():
    route = SinkRoute("strict", TellingSink(), transforms=(lambda _message: Withheld("secret"),))
    dispatcher = EventDispatcher([route])
    reports = []
    dispatcher.subscribe(LoopHealth.kind, reports.append, name="reports")
    SimulationLoop(FakeWorld(), FakePolicy(), RUN, dispatcher=dispatcher).run_for(60)
    totals = reports[0].event.sinks["strict"].totals
    assert totals.rejected == {"secret": totals.offered - WELL.totals.offered}
    assert totals.offered > WELL.totals.offered + 60


def test_a_report_fits_its_schema_and_keeps_its_names_when_residents_are_renamed():
    """A sink's ``queue`` is no queue of residents."""
    town = Town(TellingSink(replace(WELL, spool=SpoolHealth(1, 2, 3.0, 4, 5, "power"))), CollectingSink())
    town.live(60)
    schema = json.loads(canonical_json(CORE_EVENTS.data_schema(LoopHealth.kind)))
    told = json.loads(canonical_json(event_data(town.latest)))
    jsonschema.Draft202012Validator(schema).validate(told)
    assert (
        told["sinks"]["sink-0"]["queue"].keys()
        == schema["properties"]["sinks"]["additionalProperties"]["properties"]["queue"]["anyOf"][0][
            "properties"
        ].keys()
    )
    renamed = RenameResidents(RenameSettings(b"k" * 32), CORE_EVENTS)(town.reports[-1])
    assert renamed.event == town.latest


def test_a_failure_is_told_with_its_tick_and_a_last_report():
    class BusyWorld(FakeWorld):
        def step(self, actions, commands=()):
            outcome = super().step(actions, commands)
            return replace(outcome, summary=replace(outcome.summary, figures={"sips": 4}))

    town = Town(TellingSink(), world=BusyWorld(fail_at=3))
    failures = []
    town.dispatcher.subscribe(LoopFailure.kind, failures.append, name="failures")
    with pytest.raises(WorldError):
        town.live(10)
    assert [(each.event.tick, each.event.phase, each.event.agent_id) for each in failures] == [
        (3, 4, "agent_0")
    ]
    assert [(each.tick, each.event.tick, each.event.status) for each in town.reports] == [(3, 3, "failed")]
    assert town.latest.figures == {"sips": 4}


def test_a_failure_in_the_very_first_tick_is_told_without_durations():
    town = Town(world=FakeWorld(fail_at=0))
    with pytest.raises(WorldError):
        town.live(1)
    assert town.latest.slowest_systems == ()
    assert town.latest.duration_ms == TickDurations(0.0, 0.0, 0.0)


def test_the_figures_for_monitors_count_every_tick_though_nobody_listens():
    clock = ManualClock()

    class SlowWorld(FakeWorld):
        def step(self, actions, commands=()):
            clock.sleep(0.002)
            return super().step(actions, commands)

    loop = SimulationLoop(SlowWorld(), FakePolicy(), RUN, clock=clock)
    assert (loop.figures.tick, loop.figures.ticks) == (-1, 0)
    loop.run_for(100)
    figures = loop.figures
    assert (figures.tick, figures.ticks, figures.population) == (99, 100, 2)
    assert figures.listener_failures == 0
    spread = figures.tick_seconds
    assert (spread.le, spread.count, spread.sum) == (TICK_BOUNDS, 100, pytest.approx(0.2))
    assert spread.counts[TICK_BOUNDS.index(0.0025)] == sum(spread.counts) == 100


def test_a_resumed_loop_counts_its_own_ticks():
    first = SimulationLoop(FakeWorld(), FakePolicy(), RUN)
    first.run_for(7)
    second = SimulationLoop(FakeWorld(), FakePolicy(), RUN)
    second.restore(first.snapshot())
    second.run_for(2)
    assert (second.figures.tick, second.figures.ticks) == (8, 2)
