"""A timeline: each command in its tick, once, in order; and what is wrong is known before the first tick."""

import pytest

from tests.core.test_commands import build, console
from townlet_core.commands import MOST_WAITING
from townlet_core.errors import ConfigError
from townlet_core.testing import CollectingSink
from townlet_core.timeline import TimedCommand, follow


def feeding(tick, agent=0):
    return TimedCommand(tick, "feed", {"agent_id": f"agent_{agent}", "amount": 0.25})


def told(sink):
    return [(fact.tick, fact.event.cmd_id, fact.event.issuer, fact.event.status) for fact in console(sink)]


def test_each_command_is_executed_in_its_tick_in_the_order_of_the_timeline():
    sink = CollectingSink()
    loop = build(sink=sink)
    follow(loop, [feeding(3), feeding(0, 1), feeding(3, 2), feeding(9)])
    loop.run_for(6)
    assert told(sink) == [
        (0, "commands[1]", "timeline", "ok"),
        (3, "commands[0]", "timeline", "ok"),
        (3, "commands[2]", "timeline", "ok"),
    ]


def test_a_command_that_a_snapshot_holds_as_waiting_is_executed_once():
    timeline = [feeding(2), feeding(4, 1), feeding(6, 2)]
    whole = build()
    follow(whole, timeline)
    digest = whole.run_for(8).digest

    first = build()
    follow(first, timeline)
    first.run_for(4)
    assert first.commands.waiting == 1
    second = build()
    second.restore(first.snapshot())
    follow(second, timeline)
    assert second.commands.waiting == 1
    assert second.run_for(4).digest == digest


def test_a_command_that_cannot_be_executed_is_answered_and_the_run_goes_on():
    sink = CollectingSink()
    loop = build(sink=sink)
    follow(loop, [feeding(1, agent=77)])
    assert loop.run_for(3).ticks == 3
    assert told(sink) == [(1, "commands[0]", "timeline", "error")]


def test_what_is_wrong_is_known_before_the_first_tick():
    wrong = [feeding(0), TimedCommand(1, "fed", {}), TimedCommand(2, "feed", {"amount": "much"})]
    with pytest.raises(ConfigError) as caught:
        follow(build(), wrong)
    unknown, unfit = caught.value.problems
    assert (unknown.key, unknown.found) == ("commands[1].name", "unknown command 'fed'")
    assert "feed" in unknown.allowed
    assert unfit.key == "commands[2].args"
    assert "amount (real)" in unfit.allowed


def test_a_tick_takes_no_more_commands_than_can_wait():
    loop = build()
    follow(loop, [feeding(1)] * MOST_WAITING)
    with pytest.raises(ConfigError, match=f"there are {MOST_WAITING + 1} commands for tick 1"):
        follow(build(), [feeding(1)] * (MOST_WAITING + 1))
