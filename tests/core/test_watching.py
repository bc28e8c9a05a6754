"""Alerts, promotion and narration in a loop: the order of facts, frames, health, commands, and resuming."""

from dataclasses import replace

import pytest

from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.command import Command
from townlet_core.dto.frame import StateFrame
from townlet_core.errors import ContractError
from townlet_core.events.base import Fact
from townlet_core.events.loop import LoopHealth
from townlet_core.events.schema import CORE_EVENTS
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.observers.facts import Facts
from townlet_core.observers.narration.observer import NarrationObserver
from townlet_core.observers.narration.settings import Category, NarrationSettings, Trigger
from townlet_core.observers.promotion.observer import PromotionObserver
from townlet_core.observers.promotion.settings import PromotionSettings
from townlet_core.observers.stability.observer import StabilityObserver
from townlet_core.observers.stability.settings import Alert, StabilitySettings
from townlet_core.plugged import Plugged
from townlet_core.testing import FAKE_EVENTS, CollectingSink, FakePolicy, FakeWorld

EVENTS = CORE_EVENTS.including(FAKE_EVENTS)
STABILITY = StabilitySettings(
    alerts={
        "rows": Alert(window=100, at_least=1, count=(Facts("fake.quarrels"),)),
        "sips": Alert(figure="sips"),
    }
)
NARRATION = NarrationSettings(
    cooldown=5,
    categories={
        "ready": Category((Trigger("promotion.state", ("All is well.",), priority=True),)),
        "starts": Category((Trigger("fake.start", ("{agent_id} begins.", "On goes {agent_id}.")),), 5),
    },
)


def observers():
    promotion = PromotionObserver(PromotionSettings(window=60, allowed_alerts=("rows",)), STABILITY)
    stability = StabilityObserver(STABILITY, EVENTS, lambda: promotion.promotion)
    return [stability, promotion, NarrationObserver(NARRATION, EVENTS)]


def loop_of(sink=None, state_every=0, watched=None):
    routes = [SinkRoute("test", sink, state_every=state_every)] if sink is not None else []
    return SimulationLoop(
        FakeWorld(3),
        FakePolicy(),
        RunIdentity(seed=7, run_id="r", config_digest="c"),
        dispatcher=EventDispatcher(routes),
        observers=observers() if watched is None else watched,
        digest=True,
        plugged=Plugged(events=EVENTS),
    )


def facts_of(sink, kind):
    return [each for each in sink.messages if isinstance(each, Fact) and each.event.kind == kind]


def test_an_observer_sees_the_facts_of_those_before_it():
    sink = CollectingSink()
    loop_of(sink).run_for(180)
    (state,) = facts_of(sink, "promotion.state")
    (told,) = [each for each in facts_of(sink, "narration") if each.event.category == "ready"]
    assert (state.tick, told.tick, told.event.message) == (119, 119, "All is well.")
    assert told.seq > state.seq
    metrics = [each.event for each in facts_of(sink, "stability.metrics")]
    assert [(each.streak, each.state) for each in metrics] == [
        (0, "monitoring"),
        (1, "monitoring"),
        (2, "ready"),
    ]


def test_frames_and_health_show_how_it_stands():
    sink = CollectingSink()
    loop = loop_of(sink, state_every=60)
    loop.run_for(180)
    frame = [each for each in sink.messages if isinstance(each, StateFrame)][-1].frame
    assert set(frame.stability) == {"rows", "sips"}
    assert frame.promotion == {"state": "ready", "streak": 2, "candidate_ready": True}
    health = [each.event for each in sink.messages if isinstance(getattr(each, "event", None), LoopHealth)][
        -1
    ]
    assert set(health.stability) == {"rows", "sips"}
    assert health.promotion == {"streak": 3.0, "candidate_ready": 1.0}


def test_a_resumed_run_goes_on_as_if_it_had_not_stopped():
    whole, first, heir = loop_of(), loop_of(), loop_of()
    whole.run_for(400)
    first.run_for(157)
    heir.restore(first.snapshot())
    heir.run_for(243)
    assert heir.digest == whole.digest
    assert heir.snapshot() == whole.snapshot()


def test_observers_that_were_not_there_begin_where_the_snapshot_is():
    first, heir = loop_of(), loop_of()
    first.run_for(57)
    snapshot = first.snapshot()
    parts = {name: None if name.startswith("observers.") else part for name, part in snapshot.parts.items()}
    heir.restore(replace(snapshot, parts=parts))
    heir.run_for(100)


def test_a_message_is_announced_in_the_tick_that_answers_it():
    sink = CollectingSink()
    loop = loop_of(sink)
    loop.run_for(3)
    request = Command("announce", {"message": "A parade!", "priority": True}, "1", "mayor")
    ticket = loop.commands.submit(request, "admin")
    loop.run_for(2)
    assert (ticket.result.status, ticket.result.result["category"]) == ("ok", "operator_story")
    (told,) = [each for each in facts_of(sink, "narration") if each.event.category == "operator_story"]
    assert (told.tick, told.event.message) == (3, "A parade!")
    assert loop.commands.submit(replace(request, cmd_id="2"), "viewer").result.error.code == "forbidden"


def test_two_observers_cannot_answer_the_same_command():
    again = NarrationObserver(NARRATION, EVENTS)
    other = type("Other", (NarrationObserver,), {"name": "other"})(NARRATION, EVENTS)
    with pytest.raises(ContractError, match="command names must be unique"):
        loop_of(watched=[again, other])
