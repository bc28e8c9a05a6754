"""The contract check of hooks passes for honest ones, and every breach is found and explained."""

import random
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from townlet_core.dto.hook import Cancel, HookContext, MoneyEffect, NeedEffect
from townlet_core.errors import ContractError
from townlet_core.hook_runner import AffordanceHook
from townlet_core.testing import check_hooks, hook_contexts, hook_of


def honest_before(context: HookContext) -> Cancel | None:
    return Cancel("sold out") if not context.stock.get("tea", 1) or context.unit(0) < 0.1 else None


def honest_after(context: HookContext) -> list[NeedEffect] | None:
    return [NeedEffect("calm", context.unit(1) * 0.2)] if context.needs["calm"] < 0.5 else None


def honest_failed(context: HookContext) -> None:
    assert context.reason


def test_an_honest_hook_passes():
    asked = Counter()

    def noted(function):
        def ask(context):
            answer = function(context)
            asked[context.stage, type(answer)] += 1
            return answer

        return ask

    stages = {"before": honest_before, "after": honest_after, "failed": honest_failed}
    check_hooks(lambda: AffordanceHook("bakery", {stage: noted(each) for stage, each in stages.items()}))
    assert asked.total() == 4 * 60 * 3
    nothing = type(None)
    assert asked.keys() == {
        ("before", Cancel), ("before", nothing), ("after", list), ("after", nothing), ("failed", nothing),
    }  # fmt: skip


def test_a_plugins_functions_are_found_by_their_names():
    plugin = SimpleNamespace(townlet_affordance_before=honest_before, helper=3)
    assert hook_of("bakery", plugin) == AffordanceHook("bakery", {"before": honest_before})
    check_hooks(lambda: hook_of("bakery", plugin))


def test_contexts_are_many_and_always_the_same():
    contexts = hook_contexts(40)
    assert contexts == hook_contexts(40)
    assert len({context.affordance_id for context in contexts}) == 5
    assert {context.values == {"coins": 0} for context in contexts} == {True, False}
    assert len({context.tod for context in contexts}) > 30


def test_day_and_time_of_day_of_a_context_are_those_of_its_tick():
    assert all(
        each.tick == each.day * 1440 + each.tod and 0 <= each.tod < 1440 for each in hook_contexts(4000)
    )


DICE = random.Random(1)  # noqa: S311 - the mistake that is to be found


def late(_):
    time.sleep(0.002)


def remembering():
    seen = []

    def after(context):
        seen.append(context)
        return [MoneyEffect(1)] if len(seen) == 1 else []

    return AffordanceHook("h", {"after": after})


def overwriting(context):
    object.__setattr__(context, "values", {})


BREACHES = {
    "has no name": AffordanceHook("", {"failed": honest_failed}),
    "handles no stage": AffordanceHook("h", {}),
    "handles 'during'": AffordanceHook("h", {"during": honest_failed}),
    "a second equal hook": AffordanceHook("h", {"after": lambda _: [MoneyEffect(DICE.randint(0, 99))]}),
    "501; allowed: -500 to 500": AffordanceHook("h", {"after": lambda _: [MoneyEffect(501)]}),
    "must return None or Cancel": AffordanceHook("h", {"before": lambda _: True}),
    "ZeroDivisionError: ": AffordanceHook("h", {"failed": lambda _: 1 // 0}),
    "the hook changed its context": AffordanceHook("h", {"failed": overwriting}),
    "took [1-9][0-9]* ms of 1$": AffordanceHook("h", {"failed": late}),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_found_and_explained(breach):
    with pytest.raises(ContractError, match=breach):
        check_hooks(lambda: BREACHES[breach], budget_seconds=0.001 if "took" in breach else 5.0)


def test_a_hook_that_remembers_is_found_when_it_is_asked_again():
    with pytest.raises(ContractError, match=r"after of sip_tea by a00000 .* the same hook called again"):
        check_hooks(remembering)


def test_a_hook_that_depends_on_the_order_is_found():
    def make():
        last = []

        def after(context):
            late = last and last[-1] > context.serial
            last[:] = [context.serial]
            return [MoneyEffect(1)] if late and context.serial != 0 else None

        return AffordanceHook("h", {"after": after})

    with pytest.raises(ContractError, match="in another order"):
        check_hooks(make)


def begun_is_known_when_it_ends():
    begun = set()

    def after(context):
        return [NeedEffect("drink", 0.1)] if context.agent_id in begun else []

    return AffordanceHook("h", {"before": lambda context: begun.add(context.agent_id), "after": after})


def ended_is_counted_and_then_none_begins():
    sold = []
    before = {"before": lambda _: Cancel("sold out") if len(sold) > 5 else None}
    return AffordanceHook("h", before | {"after": lambda context: sold.append(context.serial)})


def failed_once_is_refused_ever_after():
    failed = set()

    def before(context):
        return Cancel("you again") if context.serial in failed else None

    return AffordanceHook("h", {"before": before, "failed": lambda context: failed.add(context.serial)})


@pytest.mark.parametrize(
    "make",
    [begun_is_known_when_it_ends, ended_is_counted_and_then_none_begins, failed_once_is_refused_ever_after],
)
def test_what_one_stage_remembers_for_another_is_found(make):
    with pytest.raises(ContractError, match=r"called again|in another order"):
        check_hooks(make)


def test_contexts_of_ones_own_are_asked_at_every_stage():
    seen = []
    own = replace(hook_contexts(1)[0], affordance_id="buy_bread")
    check_hooks(lambda: AffordanceHook("h", {"before": seen.append, "failed": seen.append}), [own])
    assert {context.affordance_id for context in seen} == {"buy_bread"}
    assert {(context.stage, context.reason is None) for context in seen} == {
        ("before", True), ("failed", False),
    }  # fmt: skip
    with pytest.raises(ContractError, match="there are no contexts"):
        check_hooks(lambda: AffordanceHook("h", {"before": seen.append}), [])
