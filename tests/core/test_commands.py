"""Commands: who may, what makes sense, once only, in which order, and what the tick tells of them."""

import json
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet_core.command_handlers import CommandHandlers
from townlet_core.commands import MOST_REMEMBERED, MOST_WAITING, CommandBus
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.command import Argument, Command, CommandSpec
from townlet_core.dto.command_hook import CommandDone, CommandRefused, OfferedCommand
from townlet_core.dto.snapshot import Snapshot
from townlet_core.errors import ContractError, SnapshotError
from townlet_core.events.base import Fact
from townlet_core.jsonvalue import canonical_json
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.plugged import Plugged
from townlet_core.testing import CollectingSink, FakePolicy, FakeWorld

AMOUNT = Argument("amount", "real", required=False)


MANY = dict.fromkeys(map(str, range(65)), 1)


def offered(name, function, role="admin", arguments=()):
    return OfferedCommand(CommandSpec(name, role, "A command of a test.", arguments), function)


def build(*commands, sink=None, world=None, digest=True):
    dispatcher = EventDispatcher([SinkRoute("sink", sink)] if sink else [])
    loop = SimulationLoop(
        world or FakeWorld(3),
        FakePolicy(),
        RunIdentity(seed=7),
        dispatcher=dispatcher,
        digest=digest,
        plugged=Plugged(handlers=CommandHandlers(commands)),
    )
    loop.begin()
    return loop


def feed(cmd_id="1", agent=0, issuer="ada", **args):
    return Command("feed", {"agent_id": f"agent_{agent}", **args}, cmd_id, issuer)


def refusal(loop, request, role="admin"):
    """What the door says at once."""
    result = loop.commands.submit(request, role).result
    assert result is not None
    assert result.status == "error"
    assert loop.commands.waiting == 0
    return result.error.code


def console(sink):
    return [m for m in sink.messages if isinstance(m, Fact) and m.event.kind == "console.result"]


# The door.


def test_a_command_is_executed_in_the_coming_tick_and_told_before_all_other_facts_of_it():
    sink = CollectingSink()
    loop = build(sink=sink)
    loop.run_for(3)
    hungry = loop.observation.features[1, 0]
    ticket = loop.commands.submit(feed(agent=1, amount=0.125), "admin")
    assert (ticket.result, loop.commands.waiting) == (None, 1)
    loop.step()
    assert (ticket.result.status, ticket.result.tick) == ("ok", 3)
    assert ticket.result.result == {"agent_id": "agent_1", "amount": 0.125}
    (fact,) = console(sink)
    first = next(m for m in sink.messages if isinstance(m, Fact) and m.tick == 3)
    assert fact is first
    assert fact.event.issuer == "ada"
    assert loop.observation.features[1, 0] > hungry - 0.02


@pytest.mark.parametrize(
    ("role", "request_", "code"),
    [
        ("admin", Command("fed", {}, "1"), "unknown_command"),
        ("viewer", feed(), "forbidden"),
        ("root", feed(), "unauthorized"),
        ("admin", feed(cmd_id=""), "invalid_args"),
        ("admin", feed(cmd_id="a\nb"), "invalid_args"),
        ("admin", feed(cmd_id="x" * 129), "invalid_args"),
        ("admin", feed(issuer="\ud800"), "invalid_args"),
        ("admin", Command("feed", {}, "1"), "invalid_args"),
        ("admin", Command("feed", {"agent_id": 3}, "1"), "invalid_args"),
        ("admin", Command("feed", {"agent_id": "\ud800"}, "1"), "invalid_args"),
        ("admin", feed(amount=float("nan")), "invalid_args"),
        ("admin", feed(amount=True), "invalid_args"),
        ("admin", feed(amount=10**400), "invalid_args"),
        ("admin", feed(speed=1), "invalid_args"),
    ],
)
def test_what_the_door_refuses_is_answered_at_once_and_leaves_no_trace_in_the_run(role, request_, code):
    loop, plain = build(), build()
    assert refusal(loop, request_, role) == code
    assert loop.run_for(5).digest == plain.run_for(5).digest
    assert loop.snapshot() == plain.snapshot()


def test_an_unknown_name_is_answered_with_the_nearest_known_one():
    result = build().commands.submit(Command("fede", {}, "1"), "admin").result
    assert "did you mean 'feed'? known: feed, look" in result.error.message


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("text", ["", "a"], [1, None, "a\x00", "x" * 1001]),
        ("int", [0, -(2**63), 2**63 - 1], [1.0, True, 2**63, "1"]),
        ("real", [0, 0.5, -3], [True, float("inf"), 2**63, "1"]),
        ("bool", [True, False], [0, "true", None]),
        ("xy", [[1, 2], (1, 2)], [[1], [1, 2, 3], [1.0, 2], [True, 2], "12", None]),
        ("reals", [{"a": 1, "b": 0.5}], [{}, {"a": "1"}, {"a": None}, {1: 1.0}, [1], MANY]),
    ],
)  # fmt: skip
def test_an_argument_is_what_its_type_says(kind, good, bad):
    spec = CommandSpec("try", "admin", "", (Argument("it", kind),))
    for value in good:
        assert canonical_json(spec.read({"it": value}))
    for value in bad:
        with pytest.raises(ValueError, match="try: it "):
            spec.read({"it": value})


def test_what_was_submitted_can_be_changed_afterwards_without_effect():
    loop = build()
    args = {"agent_id": "agent_0", "amount": 0.25}
    ticket = loop.commands.submit(Command("feed", args, "1"), "admin")
    args["agent_id"] = "agent_2"
    loop.step()
    assert ticket.result.result["agent_id"] == "agent_0"


def test_a_repeated_request_gets_the_first_ones_answer_and_changes_nothing():
    sink = CollectingSink()
    loop = build(sink=sink)
    first = loop.commands.submit(feed(), "admin")
    assert loop.commands.submit(feed(), "admin") is first
    loop.step()
    assert loop.commands.submit(feed(), "admin").result == first.result
    loop.step()
    assert len(console(sink)) == 1


@pytest.mark.parametrize("other", [feed(agent=1), feed(issuer="bob"), feed(amount=0.1)])
def test_a_cmd_id_belongs_to_one_request(other):
    loop = build()
    loop.commands.submit(feed(), "admin")
    loop.step()
    assert refusal(loop, other) == "conflict"


def test_the_last_512_requests_are_remembered_and_what_viewers_ask_pushes_none_out():
    sink = CollectingSink()
    loop = build(sink=sink)
    for number in range(MOST_REMEMBERED):
        loop.commands.submit(feed(str(number)), "admin")
        loop.commands.submit(Command("look", {}, str(number + 10**6)), "viewer")
        loop.step()
    assert loop.commands.submit(feed("0"), "admin").result is not None
    loop.commands.submit(feed("one more"), "admin")
    assert loop.commands.submit(feed("0"), "admin").result is None


def test_only_so_many_wait_and_viewers_keep_no_admin_out():
    loop = build()
    for _ in range(MOST_WAITING // 2):
        loop.commands.submit(Command("look"), "viewer")
    assert loop.commands.submit(Command("look"), "viewer").result.error.code == "rate_limited"
    for number in range(MOST_WAITING // 2):
        assert loop.commands.submit(feed(str(number)), "admin").result is None
    assert loop.commands.submit(feed("last"), "admin").result.error.code == "rate_limited"
    loop.step()
    assert loop.commands.submit(feed("last"), "admin").result is None


def test_requests_of_many_threads_are_each_answered_once():
    sink = CollectingSink()
    loop = build(sink=sink)
    bus, answers = loop.commands, []

    def ask(number):
        requests = (feed(f"{number % 4}-{turn}", issuer="all") for turn in range(20))
        answers.extend(bus.submit(request, "admin").wait(30) for request in requests)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        loop.step()
    assert len(answers) == 160
    assert {result.status for result in answers} == {"ok"}
    assert len(console(sink)) == 80
    facts = [fact.seq for fact in sink.messages if isinstance(fact, Fact)]
    assert facts == list(range(loop.summary().events_total))


REQUESTS = st.tuples(
    st.sampled_from(["viewer", "admin"]),
    st.sampled_from(["feed", "look", "test.twice", "fed"]),
    st.integers(0, 5),
    st.integers(0, 4),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(REQUESTS, max_size=6), max_size=6))
def test_whatever_is_asked_admins_commands_are_executed_once_for_admins_and_in_the_order_of_acceptance(ticks):
    sink = CollectingSink()
    loop = build(offered("test.twice", lambda _: CommandDone()), sink=sink)
    expected, seen = [], {}
    for tick, asked in enumerate(ticks):
        for role, name, number, agent in asked:
            args = {"agent_id": f"agent_{agent}"} if name == "feed" else {}
            request = Command(name, args, str(number), "ada")
            loop.commands.submit(request, role)
            if name == "fed" or (role == "viewer" and name != "look"):
                continue
            if name == "look" or number not in seen:
                expected.append((tick, name, str(number)))
            if name != "look":
                seen.setdefault(number, request)
        loop.step()
    told = [(fact.tick, fact.event.name, fact.event.cmd_id) for fact in console(sink)]
    assert told == expected


# Determinism, and a run in two pieces.


def play(loop, ticks, first=0):
    for tick in range(first, first + ticks):
        if tick % 4 == 1:
            loop.commands.submit(feed(f"f{tick}", agent=tick % 5), "admin")
            loop.commands.submit(Command("look"), "viewer")
        if tick % 6 == 3:
            loop.commands.submit(Command("test.lottery", {}, f"l{tick}"), "admin")
        loop.step()
    return loop


def lottery(context):
    winner = list(context.residents)[context.integer(0, len(context.residents) - 1, 0)]
    return CommandDone(
        (Command("feed", {"agent_id": winner, "amount": context.unit(1)}),), {"winner": winner}
    )


def test_the_same_commands_at_the_same_ticks_give_the_same_run_and_others_another():
    first, second, without = (build(offered("test.lottery", lottery)) for _ in range(3))
    assert play(first, 30).digest == play(second, 30).digest
    without.run_for(30)
    assert without.digest != first.digest


@pytest.mark.parametrize("cut", range(0, 24, 3))
def test_a_run_with_commands_in_two_pieces_is_the_run_in_one(cut):
    whole, before, after = (build(offered("test.lottery", lottery)) for _ in range(3))
    whole.run_for(cut)
    before.run_for(cut)
    for loop in (whole, before):
        loop.commands.submit(feed("kept"), "admin")
        loop.commands.submit(Command("look", {}, "kept"), "viewer")
        loop.commands.submit(Command("test.lottery", {}, "mine"), "admin")
    snapshot = before.snapshot()
    parts = json.loads(canonical_json(snapshot.parts))
    after.restore(replace(snapshot, parts=parts))
    assert after.commands.waiting == 3
    ticket = after.commands.submit(feed("kept"), "admin")
    play(whole, 12, cut)
    play(after, 12, cut)
    assert ticket.result.tick == cut
    assert after.digest == whole.digest
    assert after.snapshot() == whole.snapshot()


def test_after_a_restore_an_answered_request_is_still_known():
    loop, other = build(), build()
    loop.commands.submit(feed(), "admin")
    loop.step()
    other.restore(loop.snapshot())
    assert other.commands.submit(feed(), "admin").result.tick == 0
    assert refusal(other, feed(agent=1)) == "conflict"


def snapshot_with(state):
    loop = build()
    snapshot = loop.snapshot()
    return loop, Snapshot(snapshot.tick, snapshot.identity, {**snapshot.parts, "commands": state})


GONE = {"disabled": True, "overruns": 0}


def spelt(name="feed", cmd_id="1", **args):
    return {"name": name, "args": {"agent_id": "agent_0"} | args, "cmd_id": cmd_id, "issuer": ""}


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ([1], "snapshot_corrupt"),
        ({"remembered": [], "waiting": [{}], "handlers": {}}, "snapshot_corrupt"),
        ({"remembered": [[spelt(), None]], "waiting": [], "handlers": {}}, "snapshot_corrupt"),
        ({"remembered": [], "waiting": [spelt("test.gone")], "handlers": {}}, "snapshot_config"),
        ({"remembered": [], "waiting": [spelt(speed=3)], "handlers": {}}, "snapshot_config"),
        ({"remembered": [], "waiting": [], "handlers": {"test.gone": GONE}}, "snapshot_corrupt"),
    ],
)  # fmt: skip
def test_a_snapshot_whose_commands_do_not_fit_is_refused(state, code):
    loop, snapshot = snapshot_with(state)
    with pytest.raises(SnapshotError) as caught:
        loop.restore(snapshot)
    assert caught.value.code == code


def test_a_run_that_nobody_asked_anything_saves_nothing_of_commands():
    assert "commands" not in build(offered("test.lottery", lottery)).snapshot().parts


# What is asked of worlds.


def test_two_commands_cannot_have_one_name():
    with pytest.raises(ContractError, match="names must be unique"):
        build(offered("feed", lottery))
    with pytest.raises(ContractError, match="names must be unique"):
        CommandHandlers([offered("test.a", lottery), offered("test.a", lottery)])


class Silent(FakeWorld):
    """Answers nothing, or what it was not asked."""

    answers = ()

    def step(self, actions, commands=()):
        return replace(super().step(actions, commands), command_results=self.answers)


@pytest.mark.parametrize(
    "answers", [(), (feed("2").done(0),), (feed("1").done(1),), (feed().done(0), feed().done(0))]
)
def test_a_world_that_does_not_answer_what_it_was_given_has_failed(answers):
    world = Silent(3)
    world.answers = answers
    loop = build(world=world)
    loop.commands.submit(feed(), "admin")
    with pytest.raises(Exception, match="did not answer the 1 commands of tick 0 one by one"):
        loop.step()


def test_a_bus_tells_what_may_be_given():
    loop = build(offered("test.lottery", lottery))
    assert list(loop.commands.specs) == ["feed", "look", "test.lottery"]
    assert isinstance(loop.commands, CommandBus)


def test_a_plugin_may_refuse_with_a_code_of_its_own():
    sink = CollectingSink()
    loop = build(
        offered("test.no", lambda context: CommandRefused(f"not for {context.issuer}", "not_ready")),
        sink=sink,
    )
    ticket = loop.commands.submit(Command("test.no", {}, "1", "bob"), "admin")
    loop.step()
    assert (ticket.result.error.code, ticket.result.error.message) == ("not_ready", "not for bob")
    assert console(sink)[0].event.error == ticket.result.error
