"""Asking hooks: order, limits, budget, isolation, counts; what a context is and what can be drawn from it."""

import logging
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, fields, replace

import pytest

from townlet_core import seeding
from townlet_core.dto.hook import (
    Cancel,
    HookContext,
    InventoryEffect,
    MoneyEffect,
    NeedEffect,
    RelationEffect,
    StockEffect,
)
from townlet_core.errors import ContractError, SnapshotError
from townlet_core.hook_runner import AffordanceHook, HookRunner
from townlet_core.testing import ManualClock, hook_contexts

CONTEXT = replace(hook_contexts(1)[0], needs={"hunger": 0.5}, inventory={"meal": 1}, stock={"meal": 3})


def at(stage: str) -> HookContext:
    return replace(CONTEXT, stage=stage, reason="left" if stage == "failed" else None)


def runner(clock: Callable[[], float] | None = None, budget: float = 0.05, **functions: object) -> HookRunner:
    """Hooks by name, each with one function for every stage."""
    hooks = [
        AffordanceHook(name, dict.fromkeys(("before", "after", "failed"), f)) for name, f in functions.items()
    ]
    made = HookRunner(hooks, budget_seconds=budget, clock=clock or ManualClock())
    made.begin()
    return made


def giving(answer: object) -> Callable[[HookContext], object]:
    return lambda _: answer


def ask(made: HookRunner, stage: str, *names: str) -> object:
    return getattr(made, stage)(names or tuple(made.active), at(stage))


def problem(made: HookRunner) -> str:
    (rejected,) = made.take_rejections()
    return rejected.problem


# What hooks may say.


def test_effects_of_all_hooks_are_added_up_by_key():
    made = runner(
        a=giving([NeedEffect("hunger", 0.1), MoneyEffect(-500), StockEffect("meal", 2)]),
        b=giving((NeedEffect("hunger", -0.2), MoneyEffect(20), InventoryEffect("meal", -2))),
        c=giving(None),
    )
    told = ask(made, "after")
    assert told == {
        "need:hunger": pytest.approx(-0.1), "money": -480, "stock:meal": 2, "inventory:meal": -2
    }  # fmt: skip
    assert type(told["money"]) is int
    assert made.take_rejections() == ()


def test_effects_on_relations_are_those_that_the_world_knows():
    made = runner(a=giving([RelationEffect("trust", 0.2)]), b=giving([RelationEffect("trust", -0.05)]))
    knowing = replace(at("after"), relations=("trust",))
    assert made.after(tuple(made.active), knowing) == {"relation:trust": pytest.approx(0.15)}
    assert made.take_rejections() == ()
    assert ask(made, "after") == {}
    assert "unknown name relation:'trust'; known: none" in made.take_rejections()[0].problem


def test_the_first_refusal_ends_the_asking_in_the_order_of_the_names():
    asked = []

    def refusing(context):
        asked.append(context.hook)
        return Cancel(f"no, says {context.hook}")

    made = runner(a=giving(None), b=refusing, c=refusing)
    assert ask(made, "before") == Cancel("no, says b")
    assert ask(made, "before", "c", "a") == Cancel("no, says c")
    assert asked == ["b", "c"]


def test_only_the_hooks_that_are_named_are_asked_and_only_at_stages_that_they_have():
    asked = []
    hooks = [AffordanceHook("a", {"after": asked.append}), AffordanceHook("b", {"failed": asked.append})]
    made = HookRunner(hooks)
    made.begin()
    assert made.active == {"a": {"after"}, "b": {"failed"}}
    made.after(("b",), at("after"))
    made.failed(("a", "b"), at("failed"))
    assert [(context.hook, context.stage, context.reason) for context in asked] == [("b", "failed", "left")]


def test_two_hooks_cannot_have_one_name():
    with pytest.raises(ContractError, match="names must be unique; found: a, a"):
        HookRunner([AffordanceHook("a", {}), AffordanceHook("a", {})])


# Limits: the call is dropped, the hook stays.

TOO_MUCH = {
    "before": {
        "empty": Cancel(""),
        "long": Cancel("x" * 41),
        "line": Cancel("closed\nfor good"),
        "surrogate": Cancel("\ud800"),
    },
    "after": {
        "five": [MoneyEffect(1)] * 5,
        "millions": [MoneyEffect(1)] * 10**6,
        "need": [NeedEffect("hunger", 0.2000001)],
        "huge need": [NeedEffect("hunger", 10**100_000)],
        "nan": [NeedEffect("hunger", float("nan"))],
        "unknown need": [NeedEffect("thirst", 0.1)],
        "money": [MoneyEffect(-501)],
        "huge money": [MoneyEffect(10**100_000)],
        "stock": [StockEffect("meal", 3)],
        "no stock": [StockEffect("ingredients", 1)],
        "inventory": [MoneyEffect(1), InventoryEffect("meal", -3)],
        "relation": [RelationEffect("trust", 0.2000001)],
        "no relation": [RelationEffect("envy", 0.1)],
    },
}


@pytest.mark.parametrize(
    ("effect", "printed"),
    [
        (MoneyEffect(501), "501"),
        (MoneyEffect(2**64 - 1), "18446744073709551615"),
        (MoneyEffect(2**64), "beyond 64 bits"),
        (MoneyEffect(1 - 2**64), "-18446744073709551615"),
        (MoneyEffect(-(2**64)), "beyond 64 bits"),
        (NeedEffect("hunger", 2**64), "beyond 64 bits"),
        (NeedEffect("hunger", 1e300), "1e+300"),
    ],
)
def test_the_problem_has_the_amount_unless_that_takes_long_to_print(effect, printed):
    made = runner(greedy=giving([effect]))
    assert not ask(made, "after")
    (rejected,) = made.take_rejections()
    assert f"{printed}; allowed: " in rejected.problem


@pytest.mark.parametrize(("stage", "case"), [(stage, case) for stage in TOO_MUCH for case in TOO_MUCH[stage]])
def test_an_answer_beyond_a_limit_is_dropped_whole_and_the_hook_is_asked_again(stage, case):
    made = runner(greedy=giving(TOO_MUCH[stage][case]))
    for times in (1, 2):
        assert not ask(made, stage)
        (rejected,) = made.take_rejections()
        assert (rejected.hook, rejected.stage, rejected.affordance_id, rejected.agent_id) == (
            "greedy", stage, CONTEXT.affordance_id, CONTEXT.agent_id,
        )  # fmt: skip
        assert 0 < len(rejected.problem) < 300
        counters = made.counters()["greedy"]
        assert (counters.calls, counters.failures, counters.disabled) == (times, times, False)


@pytest.mark.parametrize(
    ("stage", "answer", "expected"),
    [
        ("before", Cancel("x" * 40), Cancel("x" * 40)),
        ("before", Cancel("Brot ist alle, schön"), Cancel("Brot ist alle, schön")),
        ("after", [NeedEffect("hunger", 0.2), NeedEffect("hunger", -0.2)], {"need:hunger": 0.0}),
        ("after", [NeedEffect("hunger", 0)], {"need:hunger": 0.0}),
        ("after", [MoneyEffect(500)], {"money": 500}),
        ("after", [StockEffect("meal", -2)], {"stock:meal": -2}),
        ("after", [InventoryEffect("meal", 2)], {"inventory:meal": 2}),
        ("after", [], {}),
        ("failed", None, None),
    ],
)  # fmt: skip
def test_an_answer_at_a_limit_is_taken(stage, answer, expected):
    made = runner(modest=giving(answer))
    assert ask(made, stage) == expected
    assert made.take_rejections() == ()


# Nonsense and exceptions: the hook is asked no more.


class Lying(MoneyEffect):
    """Would be in order when it is checked and something else when it is used."""


class Text(str):
    __slots__ = ()


@dataclass(frozen=True)
class Foreign:
    reason: str = "no"


NONSENSE = {
    "before": [False, "no", 0, Foreign(), Cancel(3), Cancel(Text("no")), object()],
    "after": [
        3, {}, "no", iter([MoneyEffect(1)]), [None], ["money"], [Cancel("no")], [Lying(1)],
        [MoneyEffect(amount=True)],
        [MoneyEffect(1.0)], [StockEffect("meal", 1.0)], [StockEffect(3, 1)], [NeedEffect("hunger", "0.1")],
        [NeedEffect("hunger", amount=True)], [NeedEffect(None, 0.1)], [MoneyEffect(1), Foreign()],
    ],
    "failed": [False, [], MoneyEffect(1)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "number"), [(stage, n) for stage in NONSENSE for n in range(len(NONSENSE[stage]))]
)
def test_an_answer_of_the_wrong_type_is_dropped_and_disables_the_hook(stage, number):
    asked = []

    def nonsense(context):
        asked.append(context)
        return NONSENSE[stage][number]

    made = runner(odd=nonsense)
    assert not ask(made, stage)
    assert "disabled for the rest of the run" in problem(made)
    assert not ask(made, stage)
    assert (len(asked), made.take_rejections()) == (1, ())
    assert made.counters()["odd"].disabled


class Unspeakable(Exception):  # noqa: N818 - a name to be told
    def __str__(self):
        raise RuntimeError("not even that")


class Endless(Exception):  # noqa: N818 - a name to be told
    def __str__(self):
        return "x\n" * 10**6


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("no bread"), "ValueError: no bread;"),
        (SystemExit(3), "SystemExit: 3;"),
        (GeneratorExit(), "GeneratorExit;"),
        (MemoryError(), "MemoryError;"),
        (Unspeakable(), "Unspeakable;"),
        (Endless(), "Endless: x x x "),
        (BaseExceptionGroup("all", [ValueError(), KeyboardInterrupt()]), "BaseExceptionGroup: all"),
    ],
)
@pytest.mark.parametrize("stage", ["before", "after", "failed"])
def test_whatever_a_hook_raises_stays_with_it_and_disables_it(stage, error, expected):
    def raising(_):
        raise error

    made = runner(bad=raising, good=giving({"before": Cancel("no"), "after": [MoneyEffect(1)]}.get(stage)))
    for _ in range(2):
        assert ask(made, stage) == {"before": Cancel("no"), "after": {"money": 1}, "failed": None}[stage]
    told = problem(made)
    assert told.startswith(expected)
    assert told.isprintable()
    assert len(told) < 300
    assert [made.counters()[name].disabled for name in ("bad", "good")] == [True, False]
    assert [made.counters()[name].calls for name in ("bad", "good")] == [1, 2]


def test_an_interruption_by_a_person_is_no_fault_of_the_hook():
    def interrupted(_):
        raise KeyboardInterrupt

    made = runner(a=interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(made, "before")
    assert made.take_rejections() == ()
    assert not made.counters()["a"].disabled


# Budget.


def test_a_call_over_the_budget_is_dropped_and_the_third_one_disables_the_hook():
    clock = ManualClock()

    def slow(context):
        clock.sleep(0.060 if context.tick else 0.050)
        return Cancel("late")

    made = runner(clock, slow=slow)
    in_time, late = replace(at("before"), tick=0), replace(at("before"), tick=1)
    assert made.before(["slow"], in_time) == Cancel("late")
    problems = []
    for _ in range(3):
        assert made.before(["slow"], late) is None
        problems.append(problem(made))
    assert problems[0] == "took 60 ms; the budget is 50 ms, overrun 1 of 3"
    assert problems[2].endswith("overrun 3 of 3; the hook is disabled for the rest of the run")
    assert made.before(["slow"], in_time) is None
    counters = made.counters()["slow"]
    assert (counters.calls, counters.failures, counters.overruns, counters.disabled) == (4, 0, 3, True)


def test_who_is_always_late_is_disabled_however_wrong_the_late_answer_is():
    clock = ManualClock()
    answers = iter([[MoneyEffect(501)], [NeedEffect("thirst", 1.0)], [StockEffect("meal", 99)]])

    def slow(_):
        clock.sleep(1.0)
        return next(answers)

    made = runner(clock, slow=slow)
    for _ in range(5):
        ask(made, "after")
    assert [each.problem.partition(",")[0] for each in made.take_rejections()] == [
        "took 1000 ms; the budget is 50 ms"
    ] * 3
    counters = made.counters()["slow"]
    assert (counters.calls, counters.failures, counters.overruns, counters.disabled) == (3, 0, 3, True)


def test_what_raises_late_is_disabled_at_once():
    clock = ManualClock()

    def slow(_):
        clock.sleep(1.0)
        raise ValueError

    made = runner(clock, slow=slow)
    ask(made, "failed")
    assert problem(made).startswith("ValueError")
    counters = made.counters()["slow"]
    assert (counters.failures, counters.overruns, counters.disabled) == (1, 0, True)


# What a hook gets to see.


def test_a_context_cannot_be_changed_and_every_hook_has_one_of_its_own():
    seen = []

    def prying(context):
        seen.append(context)
        for field in fields(context):
            with pytest.raises(FrozenInstanceError):
                setattr(context, field.name, None)
        for mapping in (context.needs, context.inventory, context.stock):
            with pytest.raises(TypeError):
                mapping["hunger"] = 1
        object.__setattr__(context, "values", {"coins": 10**9})
        object.__setattr__(context, "needs", {})

    made = runner(a=prying, b=seen.append)
    ask(made, "after")
    assert made.take_rejections() == ()
    assert (seen[1].values, seen[1].needs, seen[1].hook) == (CONTEXT.values, {"hunger": 0.5}, "b")
    assert CONTEXT.needs == {"hunger": 0.5}


def test_the_mappings_of_a_context_are_no_way_to_those_of_another():
    """A mapping that is only to be read shows what it wraps to whoever it is compared with."""

    class Taker:
        def __eq__(self, other):
            other.clear()
            return True

        def __hash__(self):
            return 0

    seen = []

    def taking(context):
        assert context.needs == Taker()
        assert not context.needs

    made = runner(a=taking, b=seen.append)
    ask(made, "failed")
    assert seen[0].needs == CONTEXT.needs == {"hunger": 0.5}


def test_effects_are_copied_before_the_hook_can_change_them():
    kept = MoneyEffect(5)
    made = runner(a=giving([kept]), b=lambda _: object.__setattr__(kept, "amount", 10**9))
    assert ask(made, "after") == {"money": 5}


def test_draws_are_those_of_the_stream_world_from_index_1000_on():
    context = CONTEXT.addressed_to("bakery")
    numbers = {context.draw(index) for index in range(200)}
    assert len(numbers) == 200
    town_own = {
        seeding.draw(context.seed, seeding.WORLD, context.tick, context.serial, n) for n in range(1000)
    }
    assert not numbers & town_own
    index = 1000 + (seeding.text_key("bakery") + 5) % (2**64 - 1000)
    assert context.draw(5) == seeding.draw(context.seed, seeding.WORLD, context.tick, context.serial, index)
    assert context.unit(5) == (context.draw(5) >> 11) * 2.0**-53
    assert {context.integer(3, 4, index) for index in range(50)} == {3, 4}


def test_a_draw_depends_on_seed_tick_resident_hook_and_index_alone():
    context = CONTEXT.addressed_to("bakery")
    same = replace(context, stage="before", values={}, affordance_id="other")
    assert same.draw(0) == context.draw(0)
    others = [
        replace(context, seed=context.seed + 1), replace(context, tick=context.tick + 1),
        replace(context, serial=context.serial + 1), context.addressed_to("brewery"),
    ]  # fmt: skip
    assert len({context.draw(0), context.draw(1), *(other.draw(0) for other in others)}) == 6
    with pytest.raises(ValueError, match="0 or more"):
        context.draw(-1)


# A run and the next one.


def test_a_new_run_begins_with_everybody_asked_again():
    made = runner(a=giving(3))
    ask(made, "before")
    made.begin()
    counters = made.counters()["a"]
    assert (counters.calls, counters.failures, counters.disabled) == (0, 0, False)
    assert made.take_rejections() == ()


def test_who_is_disabled_or_late_is_state_and_who_behaves_is_none():
    clock = ManualClock()
    functions = {"odd": giving(3), "slow": lambda _: clock.sleep(1.0), "good": giving(None)}
    made = runner(clock, **functions)
    assert made.export_state() == {}
    ask(made, "before")
    state = made.export_state()
    assert state == {"odd": {"disabled": True, "overruns": 0}, "slow": {"disabled": False, "overruns": 1}}
    heir = runner(clock, **functions)
    heir.import_state(state)
    ask(heir, "before")
    assert [heir.counters()[name].calls for name in functions] == [0, 1, 1]
    assert heir.counters()["slow"].overruns == 2


@pytest.mark.parametrize(
    "state",
    [None, [], {"b": {"disabled": True, "overruns": 0}}, {"a": {"disabled": 1, "overruns": 0}}, {"a": 3},
     {"a": {"disabled": True}}],
)  # fmt: skip
def test_a_state_that_is_none_is_refused_and_changes_nothing(state):
    made = runner(a=giving(3))
    ask(made, "before")
    with pytest.raises(SnapshotError):
        made.import_state(state)
    assert made.counters()["a"].disabled


def test_the_log_tells_a_hooks_first_fault_and_its_last(caplog):
    made = runner(a=giving(Cancel("")))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            ask(made, "before")
    assert len(caplog.records) == 1
    assert "the hook 'a' (before sip_tea): a reason must have 1 to 40" in caplog.text
