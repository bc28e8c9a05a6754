"""Getting in each other's way: stalls, impatience, and the shower that three residents want (section 9.3)."""

import pytest

from tests.town.towns import Town, affordance, agent

BATH = ["Ehrrr", ".rWrr", ".rrrr"]
AT = [(1, 1), (3, 1), (2, 2), (2, 0), (1, 2), (3, 2), (3, 0)]
IT = "use:it"


def bath(residents: int, duration: int = 100, **queues: object) -> Town:
    return Town(BATH, AT[:residents], manifest=[affordance("it", "shower", duration)], queues=queues)


def line_up(town: Town, *slots: int) -> None:
    for slot in slots:
        town.step({slot: IT})


def conflicts(town: Town) -> list[tuple[int, str, str, str]]:
    return [
        (tick, event.actor, event.rival, event.reason)
        for tick, event in town.log
        if event.kind == "queue.conflict"
    ]


def test_three_residents_take_turns_at_one_shower():
    """The expectation of section 9.3, as written."""
    town = Town(BATH, AT[:3])
    town.run(91, dict.fromkeys(range(3), "use:use_shower"))
    starts = [(tick, event.agent_id) for tick, event in town.log if event.kind == "affordance.start"]
    ends = [(tick, event.agent_id) for tick, event in town.log if event.kind == "affordance.finish"]
    first, second, third = (name for _, name in starts)
    assert starts == [(0, first), (30, second), (60, third)]
    assert ends == [(29, first), (59, second), (89, third)]
    assert {first, second, third} == {agent(0), agent(1), agent(2)}
    assert conflicts(town) == [
        (20, second, first, "waiting"),
        (20, third, first, "waiting"),
        (40, third, second, "waiting"),
    ]
    assert [town.wallet(slot) for slot in range(3)] == [1800, 1800, 1800]
    assert town.when("affordance.fail") == town.when("queue.leave") == []


@pytest.mark.parametrize("patience", [5, 20])
def test_impatience_comes_three_times_and_then_no_more(patience):
    town = bath(2, 300, patience_ticks=patience)
    line_up(town, 0, 1)
    town.run(5 * patience)
    joined = 1
    assert conflicts(town) == [(joined + k * patience, agent(1), agent(0), "waiting") for k in (1, 2, 3)]


def test_impatience_is_told_before_the_use_ends_that_caused_it():
    town = bath(2, 7, patience_ticks=5)
    line_up(town, 0, 1)
    town.run(5)
    assert town.kinds() == [
        "queue.conflict", "social.tie", "social.tie", "affordance.finish", "queue.grant", "rivalry.events",
    ]  # fmt: skip
    assert conflicts(town) == [(6, agent(1), agent(0), "waiting")]


def test_impatience_is_with_whoever_holds_the_object_now_idle_or_not():
    town = bath(3, patience_ticks=5, hold_ticks=60, ghost_step_after=0)
    line_up(town, 0, 1, 2)
    town.step({0: "leave"})
    town.run(5)
    assert conflicts(town) == [(7, agent(2), agent(1), "waiting")]


def test_impatience_goes_on_while_a_utility_is_off():
    town = bath(3, patience_ticks=5)
    line_up(town, 0, 1, 2)
    town.switch("water", on=False)
    town.run(6)
    assert conflicts(town) == [(7, agent(2), agent(1), "waiting")]


@pytest.mark.parametrize(("waiters", "intensity"), [(1, 0.4), (2, 0.65), (3, 0.9), (6, 1.65)])
def test_a_longer_queue_makes_impatience_worse(waiters, intensity):
    town = bath(waiters + 1, patience_ticks=20)
    line_up(town, *range(waiters + 1))
    town.run(21)
    event = next(event for _, event in town.log if event.kind == "queue.conflict")
    assert (event.queue_length, event.intensity) == (waiters, pytest.approx(intensity, abs=1e-12))
    assert event.object_id == "shower_1"


@pytest.mark.parametrize(("waiters", "intensity"), [(1, 1.5), (2, 1.75), (5, 2.5)])
def test_a_stall_is_worse_the_more_it_holds_up(waiters, intensity):
    town = bath(waiters + 2)
    line_up(town, waiters + 1, *range(waiters + 1))
    town.step({waiters + 1: "leave"})
    town.run(3)
    (event,) = town.heard("queue.conflict")
    assert (event.actor, event.rival, event.reason) == (agent(0), agent(1), "ghost_step")
    assert (event.queue_length, event.intensity) == (waiters, intensity)


def test_the_conflicts_of_a_tick_are_told_once_more_together_at_its_end():
    town = bath(4, patience_ticks=5)
    town.step({0: IT})
    town.step({1: IT, 2: IT, 3: IT})
    town.run(5)
    single = town.heard("queue.conflict")
    assert len(single) == 3
    assert town.told[-1].kind == "rivalry.events"
    assert [(e.actor, e.rival, e.reason, e.intensity) for e in town.told[-1].events] == [
        (e.actor, e.rival, e.reason, e.intensity) for e in single
    ]


def test_a_tick_without_conflict_has_no_digest():
    town = bath(2)
    line_up(town, 0, 1)
    town.run(5)
    assert town.when("rivalry.events") == []
