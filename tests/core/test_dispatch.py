"""Everybody hears what is meant for them, and nobody who fails at it is felt in town."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from townlet_adapters.worlds.town.events.queue import QueueJoin, RivalryEvents
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.events.base import Diagnostic, Event, Fact
from townlet_core.events.loop import LoopFailure, LoopTick
from townlet_core.events.policy import PolicyMetadata
from townlet_core.histories import HistorySettings
from townlet_core.testing import CollectingSink, FailingSink
from townlet_core.transforms.base import Withheld


@dataclass(frozen=True, slots=True)
class Possession(Event):
    """A kind that comes later; the history is ready for it."""

    kind: ClassVar[str] = "policy.possession"
    agent_id: str
    action: str


FAILURE = LoopFailure(0, None, None, "why", None)


def joined(seq, tick=0):
    return Fact(seq, tick, QueueJoin("a", "o", "u", 0))


def end_of(seq, tick):
    return Fact(seq, tick, LoopTick(0, 0, 1, 0, 0, {}, {}, 0, 0.0, {}))


def raising(_message):
    raise RuntimeError("listener's own fault")


def test_a_subscriber_hears_its_kind_in_order():
    heard = []
    dispatcher = EventDispatcher()
    dispatcher.subscribe("queue.join", heard.append, name="ears")
    dispatcher.subscribe("loop.failure", heard.append, name="ears")
    dispatcher.publish([joined(0), joined(1), end_of(2, 0)])
    dispatcher.publish_diagnostic(0, FAILURE)
    assert heard == [joined(0), joined(1), Diagnostic(0, FAILURE)]


def test_a_failing_subscriber_is_counted_logged_once_and_passed_over(caplog):
    heard = []
    dispatcher = EventDispatcher()
    dispatcher.subscribe("queue.join", raising, name="broken")
    dispatcher.subscribe("queue.join", heard.append, name="whole")
    with caplog.at_level(logging.ERROR):
        dispatcher.publish([joined(0), joined(1)])
    assert heard == [joined(0), joined(1)]
    assert dispatcher.failures == {"broken": 2}
    assert dispatcher.failure_count == 2
    assert [record.getMessage() for record in caplog.records] == [
        "listener 'broken' failed; its further failures are counted, but not logged"
    ]


def test_transforms_change_what_one_sink_sees_and_nothing_else():
    plain, changed, heard = CollectingSink("plain"), CollectingSink("changed"), []

    def without_queues(message):
        queue = isinstance(message, Fact) and message.event.kind.startswith("queue.")
        return Withheld("queues") if queue else message

    def renumbered(message):
        return Fact(message.seq + 100, message.tick, message.event) if isinstance(message, Fact) else message

    dispatcher = EventDispatcher(
        [SinkRoute("plain", plain), SinkRoute("changed", changed, transforms=(without_queues, renumbered))]
    )
    dispatcher.subscribe("queue.join", heard.append, name="ears")
    dispatcher.publish([joined(0), end_of(1, 0)])
    assert plain.messages == [joined(0), end_of(1, 0)]
    assert changed.messages == [end_of(101, 0)]
    assert heard == [joined(0)]
    assert dispatcher.histories.queue_events == (joined(0),)


def test_what_a_transform_withholds_is_in_the_account_of_its_sink():
    sink = CollectingSink("its own name")

    def picky(message):
        if message.tick == 1:
            raise ValueError("a tick that it does not like")
        return Withheld("odd") if message.seq % 2 else message

    dispatcher = EventDispatcher([SinkRoute("strict", sink, transforms=(picky, picky))])
    dispatcher.publish([joined(0), joined(1), joined(2), joined(3)])
    dispatcher.publish([joined(4, tick=1)])
    (status,) = dispatcher.statuses()
    assert (status.name, status.offered, status.emitted) == ("strict", 5, 2)
    assert status.rejected == {"odd": 2, "transform_failed": 1}
    assert status.offered == status.emitted + sum(status.rejected.values())
    assert sink.status().offered == 2
    assert dispatcher.failures == {"strict: transform": 1}


def test_a_failing_transform_withholds_the_message(caplog):
    sink, other = CollectingSink(), CollectingSink("other")
    dispatcher = EventDispatcher(
        [SinkRoute("strict", sink, transforms=(raising,)), SinkRoute("other", other)]
    )
    with caplog.at_level(logging.CRITICAL):
        dispatcher.publish([joined(0)])
    assert sink.messages == []
    assert other.messages == [joined(0)]
    assert dispatcher.failures == {"strict: transform": 1}


def test_a_subscriber_hears_what_is_withheld_from_every_sink():
    heard = []
    route = SinkRoute("none", CollectingSink(), transforms=(lambda _message: Withheld("all"),))
    dispatcher = EventDispatcher([route])
    dispatcher.subscribe("loop.failure", heard.append, name="ears")
    dispatcher.publish_diagnostic(0, FAILURE)
    assert heard == [Diagnostic(0, FAILURE)]


def test_a_subscriber_of_a_diagnostic_that_fails_is_counted_and_the_sinks_are_told_all_the_same(caplog):
    sink = CollectingSink()
    dispatcher = EventDispatcher([SinkRoute("sink", sink)])
    dispatcher.subscribe("loop.failure", raising, name="broken")
    with caplog.at_level(logging.CRITICAL):
        dispatcher.publish_diagnostic(0, FAILURE)
    assert sink.messages == [Diagnostic(0, FAILURE)]
    assert dispatcher.failures == {"broken": 1}


def test_histories_stay_bounded_over_a_long_run_whatever_happens_in_it():
    settings = HistorySettings(queue_ticks=5, rivalry_events=7, policy_facts=11)
    dispatcher, seq = EventDispatcher(histories=settings), 0
    for tick in range(200):
        events = [
            QueueJoin(f"a{tick}", "o", "u", 0),
            RivalryEvents(()),
            Possession(f"a{tick}", "acquire"),
            *([QueueJoin("b", "o", "u", 0)] * (tick % 3)),
        ]
        facts = [Fact(seq + number, tick, event) for number, event in enumerate(events)]
        seq += len(facts)
        dispatcher.publish(facts)
        histories = dispatcher.histories
        recent = range(max(0, tick - 4), tick + 1)
        assert len(histories.queue_events) == sum(1 + each % 3 for each in recent)
        assert {fact.tick for fact in histories.queue_events} == set(recent)
        assert len(histories.rivalry_events) == min(tick + 1, 7)
        assert len(histories.latest_policy("policy.possession")) == min(tick + 1, 11)


def test_a_resident_heard_of_again_outlasts_one_who_was_not():
    dispatcher = EventDispatcher(histories=HistorySettings(policy_facts=2))
    for seq, agent in enumerate(["old", "new", "old", "last"]):
        dispatcher.publish([Fact(seq, seq, Possession(agent, "acquire"))])
    assert dispatcher.histories.latest_policy("policy.possession").keys() == {"old", "last"}


def test_a_sink_that_raises_hurts_nobody(caplog):
    whole = CollectingSink()
    dispatcher = EventDispatcher(
        [SinkRoute("broken", FailingSink(status_fails=True)), SinkRoute("whole", whole)]
    )
    with caplog.at_level(logging.CRITICAL):
        dispatcher.publish([joined(0)])
        broken, status = dispatcher.statuses()
    assert whole.messages == [joined(0)]
    assert (broken.name, broken.state) == ("broken", "failed")
    assert status.delivered == 1


def test_each_sink_is_shown_the_town_at_its_own_pace():
    never, second, third = CollectingSink("never"), CollectingSink("second"), CollectingSink("third")
    dispatcher = EventDispatcher(
        [SinkRoute("never", never), SinkRoute("second", second, 2), SinkRoute("third", third, 3)]
    )
    wanted = [tick for tick in range(7) if dispatcher.wants_state(tick)]
    for tick in wanted:
        dispatcher.publish_state(StateFrame(tick, TownFrame(tick)))
    assert wanted == [0, 2, 3, 4, 6]
    assert never.messages == []
    assert [message.tick for message in second.messages] == [0, 2, 4, 6]
    assert [message.tick for message in third.messages] == [0, 3, 6]


def test_diagnostics_are_wanted_by_sinks_and_by_their_subscribers():
    silent, listening = EventDispatcher(), EventDispatcher([SinkRoute("sink", CollectingSink())])
    assert not silent.wants("loop.health")
    silent.subscribe("loop.health", print, name="ears")
    assert silent.wants("loop.health")
    assert listening.wants("loop.health")


def test_queue_facts_are_remembered_for_their_ticks():
    dispatcher = EventDispatcher(histories=HistorySettings(queue_ticks=3))
    for tick in range(5):
        dispatcher.publish([joined(2 * tick, tick), end_of(2 * tick + 1, tick)])
    assert [fact.tick for fact in dispatcher.histories.queue_events] == [2, 3, 4]
    dispatcher.publish([end_of(10, 5)])
    assert [fact.tick for fact in dispatcher.histories.queue_events] == [3, 4]


def test_rivalry_facts_are_remembered_by_number():
    dispatcher = EventDispatcher(histories=HistorySettings(rivalry_events=2))
    facts = [Fact(seq, seq, RivalryEvents(())) for seq in range(4)]
    dispatcher.publish(facts)
    assert dispatcher.histories.rivalry_events == tuple(facts[2:])


def test_the_latest_policy_fact_is_remembered_for_each_resident():
    dispatcher = EventDispatcher(histories=HistorySettings(policy_facts=3))
    facts = [
        Fact(0, 0, PolicyMetadata("old", "", "", 0.0)),
        Fact(1, 0, Possession("a", "acquire")),
        Fact(2, 0, Possession("b", "acquire")),
        Fact(3, 0, PolicyMetadata("new", "", "", 0.0)),
        Fact(4, 0, Possession("a", "release")),
    ]
    dispatcher.publish(facts)
    histories = dispatcher.histories
    assert histories.latest_policy("policy.metadata") == {"": facts[3]}
    assert histories.latest_policy("policy.possession") == {"a": facts[4], "b": facts[2]}
    dispatcher.publish([Fact(5, 1, Possession("c", "acquire"))])
    assert histories.latest_policy("policy.possession").keys() == {"a", "c"}


def test_other_facts_are_not_remembered():
    dispatcher = EventDispatcher()
    dispatcher.publish([end_of(0, 0)])
    histories = dispatcher.histories
    assert histories.queue_events == histories.rivalry_events == ()
    assert histories.latest_policy("loop.tick") == {}


def test_a_sink_that_cannot_even_be_stopped_is_told_as_failed(caplog):
    route = SinkRoute("broken", FailingSink(status_fails=True))
    status = EventDispatcher([route]).stop(route, 1.0)
    assert (status.name, status.state) == ("broken", "failed")
    assert status.last_error == "the sink raised an exception in stop()"
    assert "listener 'broken' failed" in caplog.text
