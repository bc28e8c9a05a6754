"""The contract check of commands passes for honest ones, and every breach is found and explained."""

import random
import time

import pytest

from townlet_core.dto.command import Argument, Command, CommandSpec
from townlet_core.dto.command_hook import CommandDone, CommandRefused, OfferedCommand
from townlet_core.errors import ContractError
from townlet_core.testing import FakeWorld, check_commands, command_contexts

OBEYED = FakeWorld().spec.commands
SPEC = CommandSpec("bakery.feed", "admin", "Feeds somebody.", (Argument("agent_id", "text"),))
CONTEXTS = command_contexts(SPEC, {"agent_id": "a00001"})


def honest(context):
    if context.args["agent_id"] not in context.residents:
        return CommandRefused("nobody is called that", "not_found")
    meal = Command("feed", {"agent_id": context.args["agent_id"], "amount": context.unit(0)})
    return CommandDone((meal,), {"drink": context.residents["a00001"].needs["drink"]})


def check(function, contexts=CONTEXTS, **options):
    check_commands(lambda: [OfferedCommand(SPEC, function)], contexts, OBEYED, **options)


def test_an_honest_command_passes():
    answers = []

    def noted(context):
        answers.append(honest(context))
        return answers[-1]

    check(noted)
    assert len(answers) == 4 * len(CONTEXTS)
    assert {type(answer) for answer in answers} == {CommandDone}
    check(noted, command_contexts(SPEC, {"agent_id": "nobody"}, 3))
    assert answers[4 * len(CONTEXTS) :] == [CommandRefused("nobody is called that", "not_found")] * 12


def test_contexts_are_many_and_always_the_same():
    assert command_contexts(SPEC, {"agent_id": "a00001"}) == CONTEXTS
    assert len({context.tod for context in CONTEXTS}) > 10
    with pytest.raises(ValueError, match="needs agent_id"):
        command_contexts(SPEC, {})


def counting():
    calls = []

    def answer(_):
        calls.append(1)
        return CommandDone((), {"calls": len(calls)})

    return answer


def mutating(context):
    object.__setattr__(context, "issuer", "root")
    return CommandDone()


def late(_):
    time.sleep(0.002)
    return CommandDone()


def failing(_):
    raise RuntimeError("no flour")


BREACHES = {
    "memory": (counting(), "a command is a pure function of its context"),
    "dice": (lambda _: CommandDone((), {"n": random.random()}), "its random draws come from the context"),  # noqa: S311 - the mistake
    "context": (mutating, "the command changed its context"),
    "limits": (
        lambda _: CommandDone((Command("spawn"),)),
        "the world has no command 'spawn'; known: feed",
    ),
    "error": (failing, "RuntimeError: no flour"),
    "type": (lambda _: None, "must return CommandDone or CommandRefused, not NoneType"),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_every_breach_is_found(breach):
    function, message = BREACHES[breach]
    with pytest.raises(ContractError, match=message):
        check(function)


def test_a_slow_command_is_found():
    with pytest.raises(ContractError, match=r"took [1-9]\d* ms of 1$"):
        check(late, budget_seconds=0.001)


def test_a_command_that_nothing_is_asked_of_is_found():
    with pytest.raises(ContractError, match=r"no context for bakery\.feed"):
        check(honest, ())
