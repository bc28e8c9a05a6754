"""The latest facts are kept for queries, and memory stays bounded."""

from dataclasses import dataclass
from typing import ClassVar

from townlet_adapters.worlds.town.events.queue import QueueJoin, RivalryEvents
from townlet_core.dispatch import EventDispatcher
from townlet_core.events.base import Event, Fact
from townlet_core.events.loop import LoopTick
from townlet_core.events.narration import Narration
from townlet_core.events.policy import PolicyMetadata
from townlet_core.observers.recent import RecentFacts, RecentSettings


@dataclass(frozen=True, slots=True)
class Possession(Event):
    """A kind that comes later; the history is ready for it."""

    kind: ClassVar[str] = "policy.possession"
    agent_id: str
    action: str


def listening(settings=None):
    dispatcher, recent = EventDispatcher(), RecentFacts(settings)
    recent.subscribe_to(
        dispatcher, ("queue.join", "rivalry.events", "policy.metadata", "policy.possession", "loop.tick")
    )
    return dispatcher, recent


def joined(seq, tick=0):
    return Fact(seq, tick, QueueJoin("a", "o", "u", 0))


def end_of(seq, tick):
    return Fact(seq, tick, LoopTick(0, 0, 1, 0, 0, {}, {}, 0, 0.0, {}))


def test_recent_facts_stay_bounded_over_a_long_run_whatever_happens_in_it():
    settings = RecentSettings(queue_ticks=5, rivalry_events=7, policy_facts=11)
    (dispatcher, recent_facts), seq = listening(settings), 0
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
        recent = range(max(0, tick - 4), tick + 1)
        assert len(recent_facts.queue_events(tick)) == sum(1 + each % 3 for each in recent)
        assert {fact.tick for fact in recent_facts.queue_events(tick)} == set(recent)
        assert len(recent_facts.rivalry_events) == min(tick + 1, 7)
        assert len(recent_facts) <= 5 * 3 + 7 + 11
        assert len(recent_facts.latest_policy("policy.possession")) == min(tick + 1, 11)


def test_a_resident_heard_of_again_outlasts_one_who_was_not():
    dispatcher, recent_facts = listening(RecentSettings(policy_facts=2))
    for seq, agent in enumerate(["old", "new", "old", "last"]):
        dispatcher.publish([Fact(seq, seq, Possession(agent, "acquire"))])
    assert recent_facts.latest_policy("policy.possession").keys() == {"old", "last"}


def test_queue_facts_are_remembered_for_their_ticks():
    dispatcher, recent_facts = listening(RecentSettings(queue_ticks=3))
    for tick in range(5):
        dispatcher.publish([joined(2 * tick, tick), end_of(2 * tick + 1, tick)])
    assert [fact.tick for fact in recent_facts.queue_events(4)] == [2, 3, 4]
    assert [fact.tick for fact in recent_facts.queue_events(5)] == [3, 4]


def test_rivalry_facts_are_remembered_by_number():
    dispatcher, recent_facts = listening(RecentSettings(rivalry_events=2))
    facts = [Fact(seq, seq, RivalryEvents(())) for seq in range(4)]
    dispatcher.publish(facts)
    assert recent_facts.rivalry_events == tuple(facts[2:])


def test_the_latest_policy_fact_is_remembered_for_each_resident():
    dispatcher, recent_facts = listening(RecentSettings(policy_facts=3))
    facts = [
        Fact(0, 0, PolicyMetadata("old", "", "", 0.0)),
        Fact(1, 0, Possession("a", "acquire")),
        Fact(2, 0, Possession("b", "acquire")),
        Fact(3, 0, PolicyMetadata("new", "", "", 0.0)),
        Fact(4, 0, Possession("a", "release")),
    ]
    dispatcher.publish(facts)
    assert recent_facts.latest_policy("policy.metadata") == {"": facts[3]}
    assert recent_facts.latest_policy("policy.possession") == {"a": facts[4], "b": facts[2]}
    dispatcher.publish([Fact(5, 1, Possession("c", "acquire"))])
    assert recent_facts.latest_policy("policy.possession").keys() == {"a", "c"}


def test_other_facts_are_not_remembered():
    dispatcher, recent_facts = listening()
    dispatcher.publish([end_of(0, 0)])
    assert recent_facts.queue_events(0) == recent_facts.rivalry_events == ()
    assert recent_facts.latest_policy("loop.tick") == {}


def test_the_latest_narrations_are_kept():
    recent = RecentFacts(RecentSettings(narrations=2))
    for number in range(3):
        recent.hear(
            Fact(number, number, Narration("sips", f"{number}.", priority=False, key="sips:", data={}))
        )
    assert [fact.event.message for fact in recent.narrations] == ["1.", "2."]
    assert len(recent) == 2
