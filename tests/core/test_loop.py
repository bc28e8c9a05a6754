"""One tick in order, runs and their summaries, failures and stops."""

import threading
from dataclasses import replace

import pytest

from townlet_adapters.worlds.town.events.queue import QueueHandover
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.action import PolicyIdentity
from townlet_core.dto.frame import StateFrame
from townlet_core.errors import (
    ContractError,
    EmptyTownError,
    LoopFailedError,
    OutputError,
    PolicyError,
    SnapshotError,
    WorldError,
)
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopFailure, LoopHealth, LoopTick
from townlet_core.events.policy import PolicyMetadata
from townlet_core.loop import RunIdentity, SimulationLoop, SnapshotSchedule
from townlet_core.pacing import Pacer
from townlet_core.testing import CollectingSink, FakeObserver, FakePolicy, FakeWorld, ManualClock

RUN = RunIdentity(seed=7, run_id="run-1", config_digest="c0ffee", snapshot={"sim_digest": "abc"})


class Herald:
    """An observer that adds a fact to every third tick."""

    def __init__(self, name="herald", fail_at=None):
        self.name, self.fail_at = name, fail_at

    def begin(self, spec):
        self.spec = spec

    def observe(self, _outcome, tick):
        if tick == self.fail_at:
            raise KeyError("herald")
        return (QueueHandover("a", "b", self.name, tick),) if tick % 3 == 0 else ()

    def kpis(self):
        return {self.name: 1}


def loop_of(world=None, policy=None, *, sink=None, state_every=0, **options):
    routes = [SinkRoute("sink", sink, state_every)] if sink else []
    return SimulationLoop(
        world or FakeWorld(), policy or FakePolicy(), RUN, dispatcher=EventDispatcher(routes), **options
    )


def facts_in(sink):
    return [message for message in sink.messages if isinstance(message, Fact)]


def events_in(sink, kind):
    return [
        message.event
        for message in sink.messages
        if isinstance(message, Fact | Diagnostic) and message.event.kind == kind
    ]


def test_facts_are_numbered_without_gaps_and_every_tick_ends_with_its_own():
    sink = CollectingSink()
    loop = loop_of(sink=sink, observers=[Herald()])
    loop.run_for(10)
    facts = facts_in(sink)
    assert [fact.seq for fact in facts] == list(range(len(facts)))
    for tick in range(10):
        of_tick = [fact.event for fact in facts if fact.tick == tick]
        assert isinstance(of_tick[-1], LoopTick)
        assert of_tick[-1].events == len(of_tick) - 1
        assert any(isinstance(event, QueueHandover) for event in of_tick) == (tick % 3 == 0)
        assert all(not isinstance(event, QueueHandover) for event in of_tick[:-2])


def test_who_decides_is_told_first_and_again_when_it_changes():
    class Annealed(FakePolicy):
        ratio = 0.2

        @property
        def identity(self):
            return PolicyIdentity("annealed", "d1", self.ratio)

    sink, policy = CollectingSink(), Annealed()
    loop = loop_of(policy=policy, sink=sink)
    loop.run_for(3)
    policy.ratio = 0.5
    loop.run_for(3)
    assert facts_in(sink)[0].event == PolicyMetadata("annealed", "d1", "flat", 0.2)
    assert events_in(sink, "policy.metadata")[1:] == [PolicyMetadata("annealed", "d1", "flat", 0.5)]


def test_the_digest_depends_on_the_seed_and_not_on_who_watches():
    plain = loop_of(digest=True)
    watched = loop_of(sink=CollectingSink(), state_every=1, digest=True, observers=[FakeObserver()])
    other = SimulationLoop(FakeWorld(), FakePolicy(), replace(RUN, seed=8), digest=True)
    for loop in (plain, watched, other):
        loop.run_for(50)
    assert plain.digest == watched.digest
    assert plain.digest != other.digest
    assert loop_of().digest is None


def test_the_summary_accounts_for_the_run():
    clock = ManualClock(1000.0)
    sink = CollectingSink()
    loop = loop_of(sink=sink, observers=[FakeObserver()], digest=True, clock=clock)
    loop.run_for(5)
    seen = []
    summary = loop.run_for(20, lambda done, numbers: (seen.append((done, numbers.alive)), clock.sleep(0.5)))
    assert seen == [(done, 2) for done in range(1, 21)]
    facts = [fact for fact in facts_in(sink) if fact.tick >= 5]
    assert (summary.run_id, summary.config_digest, summary.seed) == ("run-1", "c0ffee", 7)
    assert (summary.ticks, summary.wall_seconds, summary.ticks_per_second) == (20, 10.0, 2.0)
    assert (summary.agent_steps_per_second, summary.population) == (4.0, 2)
    assert summary.events_total == sum(summary.events_by_kind.values()) == len(facts)
    assert summary.events_by_kind["loop.tick"] == 20
    assert summary.kpis["agent_days"] == 2 * 25 / 20
    assert summary.sinks == (replace(sink.status(), name="sink"),)
    assert summary.digest == loop.digest
    assert not summary.interrupted


def test_the_summary_spells_the_names_that_users_rely_on():
    data = loop_of(sink=CollectingSink()).run_for(3).to_json()
    names = "run_id config_digest seed ticks wall_seconds ticks_per_second agent_steps_per_second population "
    names += "events_total events_by_kind kpis sinks digest"
    assert set(names.split()) <= data.keys()
    counters = (
        "name offered emitted delivered spooled buffered dead_lettered dropped rejected retries last_error"
    )
    assert data["sinks"][0].keys() == {*counters.split(), "state"}


def test_the_town_is_shown_with_what_the_loop_knows():
    sink = CollectingSink()
    clock = ManualClock()
    pacer = Pacer("10x", clock=clock, sleep=clock.sleep)
    loop_of(sink=sink, state_every=4, observers=[FakeObserver()], pacer=pacer).run_for(9)
    frames = [message.frame for message in sink.messages if isinstance(message, StateFrame)]
    assert [frame.tick for frame in frames] == [0, 4, 8]
    assert frames[1].clock == {"day": 0, "tod": 4, "speed": "10x"}
    assert frames[1].kpis["agent_days"] == 2 * 5 / 20


@pytest.mark.parametrize(("state_every", "pictures"), [(0, 0), (2, 3)])
def test_no_picture_is_made_when_nobody_looks(state_every, pictures):
    made = []

    class Watched(FakeWorld):
        def frame(self):
            made.append(super().frame())
            return made[-1]

    loop_of(Watched(), sink=CollectingSink(), state_every=state_every).run_for(5)
    assert len(made) == pictures


def test_a_failing_world_ends_the_run_with_tick_phase_and_agent():
    sink = CollectingSink()
    loop = loop_of(FakeWorld(fail_at=3), sink=sink)
    with pytest.raises(WorldError) as failed:
        loop.run_for(10)
    assert (failed.value.tick, failed.value.phase, failed.value.agent_id) == (3, 4, "agent_0")
    assert events_in(sink, LoopFailure.kind) == [LoopFailure(3, 4, "agent_0", str(failed.value), None)]
    assert events_in(sink, LoopHealth.kind)[-1].status == "failed"
    assert max(fact.tick for fact in facts_in(sink)) == 2


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ({"policy": FakePolicy(fail_at=2)}, PolicyError, "the policy failed at tick 2: ZeroDivisionError: "),
        ({"observers": [Herald(fail_at=2)]}, ContractError, "the observer failed at tick 2: KeyError: "),
    ],
)
def test_any_exception_of_a_part_becomes_its_ports_error(parts, error, message):
    loop = loop_of(**parts)
    with pytest.raises(error, match=message):
        loop.run_for(10)


class Unborn(FakeWorld):
    def reset(self, _seed):
        raise OSError("no town today")


class Unready(FakePolicy):
    def begin(self, _spec, _seed):
        raise KeyError("weights")


class Blinded(Herald):
    def begin(self, _spec):
        raise ValueError("no glasses")


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ({"world": Unborn()}, WorldError, "the world failed at tick 0: OSError: no town today"),
        ({"policy": Unready()}, PolicyError, "the policy failed at tick 0: KeyError: 'weights'"),
        ({"observers": [Blinded()]}, ContractError, "the observer failed at tick 0: ValueError: no glasses"),
    ],
)
def test_a_part_that_cannot_begin_is_told_with_its_ports_error(parts, error, message):
    with pytest.raises(error, match=message):
        loop_of(**parts).begin()


@pytest.mark.parametrize("again", ["step", "snapshot", "begin"])
def test_a_failed_loop_refuses_everything_further(again):
    loop = loop_of(FakeWorld(fail_at=0))
    with pytest.raises(WorldError):
        loop.step()
    with pytest.raises(LoopFailedError, match="tick 0 failed: WorldError: the fake world fails at this tick"):
        getattr(loop, again)()


def test_an_event_that_is_not_json_fails_the_world_when_a_digest_is_kept():
    class Odd(Herald):
        def observe(self, _outcome, _tick):
            return (QueueHandover("a", "b", "o", float("nan")),)

    with pytest.raises(WorldError, match="not JSON compliant"):
        loop_of(observers=[Odd()], digest=True).step()


def test_an_interrupt_inside_a_part_marks_the_loop_failed_and_passes():
    class Interrupted(FakeWorld):
        def step(self, _actions, _commands=()):
            raise KeyboardInterrupt

    loop = loop_of(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        loop.step()
    with pytest.raises(LoopFailedError):
        loop.step()


def test_a_failed_simulation_is_kept_for_inspection_only():
    kept, sink = [], CollectingSink()

    def keep(snapshot):
        kept.append(snapshot)
        return "failure.json"

    loop = loop_of(FakeWorld(fail_at=4), sink=sink, snapshots=SnapshotSchedule(save_failed=keep))
    with pytest.raises(WorldError):
        loop.run_for(10)
    assert events_in(sink, LoopFailure.kind)[0].snapshot_path == "failure.json"
    assert kept[0].tick == 4
    assert kept[0].parts["failure"] == {"error": "the fake world fails at this tick"}
    with pytest.raises(SnapshotError, match="for inspection only"):
        loop_of().restore(kept[0])


def test_a_failure_is_reported_even_when_it_cannot_be_kept(caplog):
    def full_disk(_snapshot):
        raise OutputError("no space left")

    with pytest.raises(WorldError), caplog.at_level("CRITICAL"):
        loop_of(FakeWorld(fail_at=4), snapshots=SnapshotSchedule(save_failed=full_disk)).run_for(10)


def test_snapshots_are_kept_on_schedule():
    kept = []
    loop_of(snapshots=SnapshotSchedule(4, kept.append)).run_for(10)
    assert [snapshot.tick for snapshot in kept] == [4, 8]


def test_a_run_that_ends_with_nobody_in_town_is_an_error_with_a_summary():
    with pytest.raises(EmptyTownError, match="after tick 9") as empty:
        loop_of(FakeWorld(empty_from=4)).run_for(10)
    assert empty.value.summary.population == 0
    assert empty.value.summary.ticks == 10


def test_a_stop_finishes_the_tick_and_holds_for_one_run():
    loop = loop_of()
    summary = loop.run_for(10, lambda done, _numbers: loop.request_stop() if done == 3 else None)
    assert (summary.ticks, summary.interrupted) == (3, True)
    summary = loop.run_for(4)
    assert (summary.ticks, summary.interrupted, loop.tick) == (4, False, 7)


def test_a_stop_requested_before_the_run_lets_no_tick_happen():
    loop = loop_of()
    loop.request_stop()
    assert loop.run_for(10).ticks == 0


def test_a_stop_from_another_thread_ends_a_wait():
    started = threading.Event()
    loop = loop_of(pacer=Pacer("1x"))

    def stop():
        started.wait()
        loop.request_stop()

    thread = threading.Thread(target=stop)
    thread.start()
    summary = loop.run_for(1_000_000, lambda _done, _numbers: started.set())
    thread.join()
    assert summary.interrupted


def test_the_lazy_form_executes_what_is_asked_for():
    loop = loop_of()
    ticks = loop.iterate(10)
    assert loop.tick == 0
    assert [next(ticks).observation.tick, next(ticks).observation.tick] == [1, 2]
    assert loop.tick == 2
    assert sum(1 for _ in ticks) == 8


def test_the_lazy_form_warns_when_it_is_dropped_unused():
    loop = loop_of()
    ticks = loop.iterate(10)
    with pytest.warns(ResourceWarning, match="its ticks were never executed"):
        del ticks
    assert loop.tick == 0


def test_the_pace_changes_no_result():
    clock = ManualClock()
    start = clock.now
    fast, slow = loop_of(digest=True), loop_of(digest=True, pacer=Pacer("1x", clock=clock, sleep=clock.sleep))
    fast.run_for(20)
    slow.run_for(20)
    assert clock.now - start == pytest.approx(19 * 0.25)
    assert fast.digest == slow.digest


def test_observers_need_names_and_kpis_of_their_own():
    with pytest.raises(ContractError, match="herald, herald"):
        loop_of(observers=[Herald(), Herald()])

    class Copycat(Herald):
        def kpis(self):
            return {"herald": 2}

    with pytest.raises(ContractError, match="two observers return the KPI 'herald'"):
        loop_of(observers=[Herald(), Copycat("copycat")]).run_for(1)


def test_no_part_steps_within_a_step_and_asking_for_it_harms_nothing():
    refused = []

    class Nested(FakeWorld):
        def step(self, actions, commands=()):
            with pytest.raises(ContractError, match=f"tick {len(refused)} is being executed"):
                loop.step()
            refused.append(loop.tick)
            return super().step(actions, commands)

    loop = loop_of(Nested(), digest=True)
    plain = loop_of(digest=True)
    assert loop.run_for(20).digest == plain.run_for(20).digest
    assert refused == list(range(20))


def test_a_simulation_prints_as_a_line_and_is_not_begun_by_it():
    loop = loop_of()
    assert repr(loop) == "SimulationLoop(world='fake', seed=7, tick=0)"
    loop.run_for(3)
    assert repr(loop) == "SimulationLoop(world='fake', seed=7, tick=3)"
