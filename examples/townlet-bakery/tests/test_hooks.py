"""What the hooks and the command answer, and that they keep Townlet's contract."""

from dataclasses import replace
from functools import partial

from townlet_bakery import plugin
from townlet_core.dto.command import Argument, CommandSpec
from townlet_core.dto.command_hook import CommandRefused
from townlet_core.dto.hook import Cancel, NeedEffect, StockEffect
from townlet_core.testing import check_commands, check_hooks, command_contexts, hook_contexts, hook_of

SET_NEED = CommandSpec(
    "set_need", "admin", "Sets needs.", (Argument("agent_id", "text"), Argument("needs", "reals"))
)
"""The command of the town that the bakery uses."""


WORDS = {"needs": ("hunger", "hygiene", "energy"), "items": ("meal", "ingredients")}
"""Names of the town."""

of_town = partial(hook_contexts, **WORDS)
requests_in_town = partial(command_contexts, plugin.FEED, **WORDS)


def uses(affordance, **changes):
    """Made-up uses of the counter."""
    stock = changes.pop("stock", 8)
    return [
        replace(context, affordance_id=affordance, stock={"meal": stock}, **changes) for context in of_town()
    ]


def test_the_hooks_keep_their_contract():
    bread = [each for stock in range(9) for each in uses("buy_bread", stock=stock)]
    check_hooks(lambda: hook_of("bakery", plugin), [*bread, *uses("bake_bread"), *of_town()])


def test_the_last_loaves_are_kept_until_the_evening():
    def answers(**changes):
        return {plugin.townlet_affordance_before(each) for each in uses("buy_bread", **changes)}

    assert answers(stock=3, tod=700) == {None}
    assert answers(stock=2, tod=700) == {Cancel("sold out")}
    assert answers(stock=2, tod=1080) == {None}


def test_a_batch_in_four_gives_a_loaf_more():
    answers = [plugin.townlet_affordance_after(each) for each in uses("bake_bread")]
    assert [StockEffect("meal", 1)] in answers
    assert 5 <= sum(map(bool, answers)) <= 25


def test_warm_bread_satisfies_more():
    assert plugin.townlet_affordance_after(uses("buy_bread", tod=599)[0]) == [NeedEffect("hunger", 0.1)]
    assert plugin.townlet_affordance_after(uses("buy_bread", tod=600)[0]) == []


def test_other_uses_are_left_alone():
    for context in uses("eat_meal", stock=0):
        assert plugin.townlet_affordance_before(context) is None
        assert plugin.townlet_affordance_after(context) == []


def test_the_command_keeps_its_contract():
    asked = [{}, {"agent_id": "a00003"}, {"agent_id": "nobody"}]
    requests = [each for args in asked for each in requests_in_town(args)]
    check_commands(plugin.townlet_commands, requests, [SET_NEED])


def test_a_loaf_goes_to_the_named_resident_or_to_the_hungriest():
    for context in requests_in_town({}):
        hunger = {name: each.needs["hunger"] for name, each in context.residents.items()}
        done = plugin.feed(context)
        assert hunger[done.result["agent_id"]] == min(hunger.values())
        assert done.result["hunger"] == min(1.0, min(hunger.values()) + plugin.LOAF)
    (context,) = requests_in_town({"agent_id": "a00003"}, 1)
    assert plugin.feed(context).result["agent_id"] == "a00003"
    (context,) = requests_in_town({"agent_id": "nobody"}, 1)
    assert plugin.feed(context) == CommandRefused("no resident has this name", "not_found")
