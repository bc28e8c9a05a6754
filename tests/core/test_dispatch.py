"""Everybody hears what is meant for them, and nobody who fails at it is felt in town."""

import logging

from townlet_adapters.worlds.town.events.queue import QueueJoin
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.events.base import Diagnostic, Fact
from townlet_core.events.loop import LoopFailure, LoopTick
from townlet_core.testing import CollectingSink, FailingSink
from townlet_core.transforms.base import Withheld

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


def test_a_sink_that_cannot_even_be_stopped_is_told_as_failed(caplog):
    route = SinkRoute("broken", FailingSink(status_fails=True))
    status = EventDispatcher([route]).stop(route, 1.0)
    assert (status.name, status.state) == ("broken", "failed")
    assert status.last_error == "the sink raised an exception in stop()"
    assert "listener 'broken' failed" in caplog.text
